"""The hold of a demonstration: counsel places it silently on custodians, and waits until it is in force."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from services.runner.demo.officials import Official

HOLDS: Final = "/holds/v1/holds"


class Held(msgspec.Struct, frozen=True):
    """A hold: whom it names, how many executors it waited for, and how many of them confirmed."""

    custodians: int
    executors: int
    confirmed: int


async def place_hold(counsel: Official, custodians: Sequence[UUID]) -> Held:
    """Place a hold on `custodians` and return it once it is in force. Raises RunnerError, ClientError."""
    terms = {
        "silent": True,
        "reason": "The matter of the demonstration",
        "custodians": [str(custodian) for custodian in custodians],
    }
    placed = await counsel.post(HOLDS, terms)
    shown = await counsel.until(
        f"{HOLDS}/{placed['hold']}", lambda hold: hold["state"] == "in-force", "no hold came into force"
    )
    executors = shown["executors"]
    return Held(
        len(shown["custodians"]), len(executors), sum(1 for each in executors if each["confirmed_at"])
    )
