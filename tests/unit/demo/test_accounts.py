"""The demonstration waits until acts and entries can be compared, and says what differs."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.runner.demo.accounts import Accounts, accounts_of, settled_accounts
from services.runner.errors import RunnerError

AGREED: dict[str, Any] = {
    "acts": 7,
    "audited": 7,
    "walked": 7,
    "settled": True,
    "sources": {},
    "unsettled": {},
    "left_out": {},
    "disagreements": [],
}
LATE = {**AGREED, "settled": False, "unsettled": {"messaging": "behind"}}
FOUND = {"source": "keys", "tenant": "t", "action": None, "acts": 4, "entries": 3}


async def told(*answers: dict[str, Any], patience: float = 5) -> Accounts:
    remaining: Iterator[dict[str, Any]] = iter(answers)
    return await settled_accounts(lambda: next(remaining), patience=patience)


async def test_it_asks_again_while_facts_are_under_way() -> None:
    assert await told(LATE, AGREED) == Accounts(7, 7, [])


async def test_it_does_not_wait_for_ever() -> None:
    (sentence,) = (await told(LATE, patience=0)).sentences
    assert sentence == "the acts of messaging could not be compared with their entries: it is behind"


async def test_a_log_that_could_not_be_compared_is_named() -> None:
    stuck = {**AGREED, "settled": False, "left_out": {"t": "damaged"}}
    (sentence,) = (await told(stuck, patience=0)).sentences
    assert sentence == "the log of tenant t could not be compared with any acts: it is damaged"


@pytest.mark.planted
async def test_what_differs_is_said_though_the_sums_agree() -> None:
    other = {**FOUND, "tenant": "u", "action": "keys.kek.created", "acts": 3, "entries": 4}
    accounts = await told({**AGREED, "disagreements": [FOUND, other]})
    assert accounts.sentences == [
        "tenant t: 4 of all acts of keys were done, 3 are in the log",
        "tenant u: 3 of keys.kek.created were done, 4 are in the log",
    ]


@pytest.mark.parametrize("answer", [{}, {**AGREED, "walked": None}, {**AGREED, "unsettled": 3}])
def test_an_answer_that_tells_of_no_count_breaks_off(answer: dict[str, Any]) -> None:
    with pytest.raises(RunnerError):
        accounts_of(answer)
