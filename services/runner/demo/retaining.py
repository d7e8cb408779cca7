"""The rule of a demonstration: seven years for what was imported; tried, approved by another, carried out."""

from typing import Any, Final

import msgspec

from services.runner.demo.officials import Answer, Official, Officials
from services.runner.errors import RunnerError

YEARS: Final = 7
GRACE_DAYS: Final = 30
EXECUTOR: Final = "messaging"
ORDERS: Final = "/retention/v1/orders"
_RULE: Final = {
    "kind": "deletion",
    "period": {"years": YEARS},
    "conversation_types": ["import"],
    "grace_days": GRACE_DAYS,
}
_ISSUED: Final = "issued"


class Tried(msgspec.Struct, frozen=True):
    """What a dry run found; `order` and `as_of` are its own."""

    order: str
    as_of: str
    preserved: int
    in_grace: int
    ripe: int


class CarriedOut(msgspec.Struct, frozen=True):
    """What the run `order` did, as its executor tells."""

    order: str
    hidden: int
    destroyed: int
    spared: int


async def try_rule(officer: Official) -> Tried:
    """Make the rule and order a dry run. Raises RunnerError and ClientError."""
    await officer.post("/retention/v1/rules", _RULE)
    order = await officer.post(ORDERS, {})
    return tried(await _answered(officer, order["order"], "no dry run was answered"))


async def carry_out(officials: Officials, dry_run: str) -> CarriedOut:
    """Have the result of a dry run approved and carried out. Raises RunnerError and ClientError."""
    officer = officials.officer
    request = await officer.post(f"{ORDERS}/{dry_run}/run", {"reason": "Its seven years are over"})
    await officials.counsel.approve("retention", request)
    listed = await officer.get(ORDERS)
    runs = [order["order"] for order in listed["orders"] if order["dry_run"] == dry_run]
    if not runs:
        raise RunnerError("no run was ordered, though it was approved")
    return carried_out(await _answered(officer, runs[0], "no run came to its end"))


async def _answered(officer: Official, order: str, otherwise: str) -> Answer:
    return await officer.until(f"{ORDERS}/{order}", lambda shown: shown["state"] != _ISSUED, otherwise)


def tried(order: Answer) -> Tried:
    """Return what the executor answered to a dry run. Raises RunnerError when it refused."""
    answer = _told_by(order["answers"], "dry run")
    preserved, in_grace, ripe = (
        sum(int(each[standing]["items"]) for each in answer["classes"])
        for standing in ("preserved", "hidden", "ripe")
    )
    return Tried(order["order"], order["as_of"], preserved, in_grace, ripe)


def carried_out(order: Answer) -> CarriedOut:
    """Return what the executor did by a run. Raises RunnerError when it refused."""
    did = _told_by(order["completions"], "run")
    return CarriedOut(order["order"], int(did["hidden"]), int(did["destroyed"]), int(did["spared"]))


def _told_by(told: list[Any], what: str) -> Answer:
    for each in told:
        if each["executor"] == EXECUTOR:
            if each["refused"] is not None:
                raise RunnerError(f"the {what} was refused: {each['refused']}")
            answer: Answer = each
            return answer
    raise RunnerError(f"{EXECUTOR} did not answer the {what}")
