"""The rules of data keys."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.ids import ConversationId, DekId, TenantId
from services.keys.domain.deks import (
    FINGERPRINT_EPOCH,
    Dek,
    DekScope,
    DekWish,
    binding_of,
    by_tenant,
    context_of,
    generation_after,
    kek_name_of,
    kek_version_of,
    scope_of_fingerprints,
    scope_of_message_keys,
    serves,
)
from services.keys.domain.errors import InvalidScope

TENANT = TenantId(UUID(int=1))
CONVERSATION = ConversationId(UUID(int=2))
SCOPE = DekScope(TENANT, CONVERSATION, "2026-11")

few_ids = st.integers(min_value=1, max_value=3).map(lambda number: UUID(int=number))
scopes = st.builds(DekScope, few_ids, few_ids, st.sampled_from(["2026-10", "2026-11"]))
wishes = st.lists(st.builds(DekWish, scopes, st.none() | few_ids), max_size=12)


def dek(number: int = 5, generation: int = 1) -> Dek:
    return Dek(DekId(UUID(int=number)), SCOPE, generation, "tenant-x", "vault:v3:abc")


@given(year=st.integers(0, 9999), month=st.integers(1, 12))
def test_every_month_is_an_epoch(year: int, month: int) -> None:
    epoch = f"{year:04}-{month:02}"
    assert scope_of_message_keys(TENANT, CONVERSATION, epoch).epoch == epoch


@given(st.text(max_size=12).filter(lambda text: not (len(text) == 7 and text[4] == "-")))
def test_nothing_else_is_an_epoch(epoch: str) -> None:
    with pytest.raises(InvalidScope):
        scope_of_message_keys(TENANT, CONVERSATION, epoch)


def test_no_message_has_the_scope_of_fingerprints() -> None:
    scope = scope_of_fingerprints(TENANT)
    with pytest.raises(InvalidScope):
        scope_of_message_keys(TENANT, scope.conversation, "2026-11")
    with pytest.raises(InvalidScope):
        scope_of_message_keys(TENANT, CONVERSATION, FINGERPRINT_EPOCH)


@given(wishes)
def test_each_scope_is_asked_for_once_under_its_own_tenant(asked: list[DekWish]) -> None:
    tenants = by_tenant(asked)
    grouped = [(tenant, wish.scope) for tenant, distinct in tenants.items() for wish in distinct]
    assert len(grouped) == len(set(grouped))
    assert {scope for _, scope in grouped} == {wish.scope for wish in asked}
    assert all(scope.tenant == tenant for tenant, scope in grouped)


@given(wishes)
def test_an_exhausted_key_is_not_forgotten_among_repeats(asked: list[DekWish]) -> None:
    exhausted = {wish.scope for wish in asked if wish.exhausted is not None}
    kept = {wish.scope for distinct in by_tenant(asked).values() for wish in distinct if wish.exhausted}
    assert kept == exhausted


def test_only_the_newest_key_that_is_not_exhausted_serves() -> None:
    newest = dek()
    assert serves(newest, DekWish(SCOPE))
    assert serves(newest, DekWish(SCOPE, DekId(UUID(int=4))))
    assert not serves(newest, DekWish(SCOPE, newest.dek))
    assert not serves(None, DekWish(SCOPE))


def test_generations_count_from_one() -> None:
    assert generation_after(None) == 1
    assert generation_after(dek(generation=7)) == 8


def test_a_wrapped_key_says_under_which_version_of_the_kek_it_is() -> None:
    assert kek_version_of("vault:v12:AbC=") == 12
    assert dek().kek_version == 3


@pytest.mark.parametrize("text", ["", "vault:v0:x", "vault:v:x", "vault:vx:y", "vault:1:x", "xvault:v1:y"])
def test_what_is_no_wrapped_key_has_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="vault:v"):
        kek_version_of(text)


def test_the_vault_is_told_the_conversation_and_the_whole_place_of_a_key() -> None:
    name = DekId(UUID(int=5))
    assert context_of(SCOPE) == CONVERSATION.bytes
    elsewhere = [
        (DekId(UUID(int=6)), SCOPE, 1),
        (name, DekScope(TenantId(UUID(int=9)), CONVERSATION, "2026-11"), 1),
        (name, DekScope(TENANT, ConversationId(UUID(int=9)), "2026-11"), 1),
        (name, DekScope(TENANT, CONVERSATION, "2026-10"), 1),
        (name, SCOPE, 2),
    ]
    bindings = {binding_of(name, SCOPE, 1), *(binding_of(*place) for place in elsewhere)}
    assert len(bindings) == 1 + len(elsewhere)


def test_each_tenant_has_a_kek_of_its_own_name() -> None:
    assert kek_name_of(TENANT) == "tenant-00000000-0000-0000-0000-000000000001"
