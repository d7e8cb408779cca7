"""The rules of the keys that sign access tokens."""

from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta

import pytest

from services.keys.domain.signing import (
    PUBLISHED_AFTER_END,
    SUCCEEDED_BEFORE_END,
    SigningKey,
    Use,
    binding_of,
    context_of,
    kid_of,
    needs_successor,
    ordinal_after,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def key(ends_in: timedelta) -> SigningKey:
    return SigningKey("kid", Use.TOKENS, 4, bytes(32), "vault:v1:x", NOW - timedelta(days=1), NOW + ends_in)


def test_a_keys_name_is_its_thumbprint() -> None:
    """Source: RFC 8037, appendix A.3."""
    public = urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert kid_of(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize(
    ("ends_in", "due"),
    [
        (SUCCEEDED_BEFORE_END + timedelta(seconds=1), False),
        (SUCCEEDED_BEFORE_END, False),
        (SUCCEEDED_BEFORE_END - timedelta(seconds=1), True),
        (timedelta(0), True),
        (timedelta(days=-5), True),
    ],
)
def test_a_key_is_succeeded_a_day_before_its_end(ends_in: timedelta, due: bool) -> None:
    assert needs_successor(key(ends_in), NOW) is due


def test_the_first_key_succeeds_none() -> None:
    assert needs_successor(None, NOW)
    assert ordinal_after(None) == 1
    assert ordinal_after(key(timedelta(1))) == 5


def test_a_key_is_published_longer_than_any_token_lives() -> None:
    ending = key(timedelta(days=3))
    assert ending.published_until - ending.not_after == PUBLISHED_AFTER_END
    assert timedelta(minutes=5) < PUBLISHED_AFTER_END


def test_a_sealed_key_is_bound_to_its_name_and_its_use() -> None:
    assert (
        len({binding_of("a", Use.TOKENS), binding_of("b", Use.TOKENS), binding_of("a", Use.CHECKPOINTS)}) == 3
    )
    assert context_of(Use.TOKENS) != context_of(Use.CHECKPOINTS)
