"""Whom a query names: one person, or it is refused where the name stands."""

import asyncio
from collections.abc import Collection, Mapping
from uuid import UUID

import pytest

from libs.kernel.ids import TenantId
from services.ediscovery.domain.errors import NameUnknown, QueryRefused
from services.ediscovery.domain.query import MOST_NAMES, And, Ids, Not, Or, Query, Term
from services.ediscovery.usecases.understand import UnderstandQuery

TENANT, OTHER_TENANT = TenantId(UUID(int=1)), TenantId(UUID(int=2))
ANNA, BEN, CY, BOARD = UUID(int=3), UUID(int=4), UUID(int=5), UUID(int=6)
CALLED: Mapping[str, Collection[UUID]] = {
    "anna.berg": [ANNA],
    "anna@example.org": [ANNA],
    "Anna Berg": [ANNA],
    "Ben Roth": [BEN, CY],
}


class Twin:
    """The directory of one organisation, which keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def called(self, tenant: TenantId, name: str) -> Collection[UUID]:
        self.asked.append(name)
        return CALLED.get(name, []) if tenant == TENANT else []


def understood(text: str, tenant: TenantId = TENANT, twin: Twin | None = None) -> Query:
    return asyncio.run(UnderstandQuery(twin or Twin())(tenant, text))


def one(name: str, principal: UUID) -> Ids:
    return Ids(name, frozenset({principal}))  # type: ignore[arg-type] # a test writes what a user does


@pytest.mark.parametrize("name", ["anna.berg", "anna@example.org", '"Anna Berg"', '"Anna   Berg"', str(ANNA)])
def test_a_person_has_an_id_and_names(name: str) -> None:
    assert understood(f"from:{name}") == one("from", ANNA)
    assert understood(f"zebra OR NOT (participant:{name} zebra)") == Or(
        (Term("zebra"), Not(And((one("participant", ANNA), Term("zebra")))))
    )


def test_each_name_is_asked_for_once_and_no_id_nor_conversation() -> None:
    twin = Twin()
    understood(f"from:anna.berg OR (from:anna.berg from:{BEN} in:{BOARD})", twin=twin)
    assert twin.asked == ["anna.berg"]


@pytest.mark.parametrize(
    ("text", "field", "column"),
    [
        ("zebra from:nobody", "from", 7),
        ('(a participant:"Ben Roth")', "participant", 4),
        ("in:board", "in", 1),
        (f"in:{BOARD} in:board", "in", 41),
    ],
)
def test_nobody_several_and_names_of_conversations_are_refused_alike(
    text: str, field: str, column: int
) -> None:
    with pytest.raises(NameUnknown) as unknown:
        understood(text)
    assert (unknown.value.field, unknown.value.column) == (field, column)


def test_nobody_of_another_organisation_is_meant() -> None:
    with pytest.raises(NameUnknown):
        understood("from:anna.berg", OTHER_TENANT)


def test_a_query_asks_the_directory_for_few_names() -> None:
    twin, text = Twin(), " ".join(f"from:n{number}" for number in range(MOST_NAMES + 1))
    with pytest.raises(QueryRefused) as refused:
        understood(text, twin=twin)
    assert refused.value.column == text.rindex("from:") + 1
    assert twin.asked == []
