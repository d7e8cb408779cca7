"""What was revised and retracted: gone for those who took part, there for counsel, and produced whole."""

import asyncio
import json
import time
from base64 import b64decode
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.client.client import Client
from libs.client.errors import Refused
from libs.client.state import Shown
from libs.client.view import View
from libs.evidence.trust import parse_trust
from libs.evidence.verify import verify_path
from services.runner.demo.people import sign_in_codes
from tests.e2e.ediscovery.test_matters import ADA, BEN, MATTERS, SECONDS, Chambers, chambers
from tests.e2e.ediscovery.test_productions import asked, files_in, made, taken, texts_in
from tests.support.town import Town, town

__all__ = ["chambers", "town"]

pytestmark = pytest.mark.xdist_group("platform")

FIRST, SECOND, REASON = "canary-0a1b frist", "canary-0a1b first", "canary-0a1b a mistake"


@pytest.mark.parametrize("form", ["jsonl", "eml", "rsmf"])
async def test_what_was_taken_back_is_gone_for_participants_and_there_for_counsel(
    chambers: Chambers, town: Town, form: str, tmp_path: Path
) -> None:
    ada, ben = [await signed_in_again(town, number) for number in (ADA, BEN)]
    room = UUID(chambers.rooms[0])
    view, heard = View(), asyncio.Event()

    def on_shown(shown: Shown) -> None:
        if shown.conversation == room:
            view.show(shown)
        heard.set()

    async with ben.device(on_shown) as device:
        seq = (await ada.post(room, FIRST)).seq
        revised, client_id = await ada.revise(room, seq, SECOND), uuid4()
        retracted = await ada.retract(room, seq, REASON, message=client_id)
        assert await ada.retract(room, seq, REASON, message=client_id) == retracted
        deadline = time.monotonic() + SECONDS
        while device.cursors.get(room, 0) < retracted.seq:
            assert time.monotonic() < deadline
            heard.clear()
            await asyncio.wait_for(heard.wait(), SECONDS)
    with pytest.raises(Refused, match="retracted"):
        await ada.revise(room, seq, "canary-0a1b again")
    with pytest.raises(Refused, match="Not found"):
        await ben.retract(room, seq, "not his")
    await nothing_is_left_for(ben, room, seq, retracted.seq)
    fresh = View()
    fresh.take((await ben.history(room, limit=1000)).entries)
    assert view.messages == fresh.messages
    message = view.find(seq)
    assert message is not None
    assert (message.text, message.retracted, message.retracted_at) == (None, True, retracted.committed_at)

    matter = await chambers.matter()
    hits = await chambers.comes_to(matter, '"canary 0a1b" deleted:yes', 2)
    assert [(hit["seq"], hit["revision"], hit["superseded_by"], hit["retracted_by"]) for hit in hits] == [
        (seq, 0, revised.seq, retracted.seq),
        (revised.seq, 1, None, retracted.seq),
    ]
    assert len((await chambers.found(matter, "edited:yes"))["hits"]) == 2
    assert len((await chambers.found(matter, "zebra edited:no deleted:no"))["hits"]) == 3
    looked = await chambers.get(f"{MATTERS}/{matter}/messages/{room}/{seq}")
    assert (looked["text"], looked["retracted_by"]) == (FIRST, retracted.seq)

    shown = await made(chambers, await asked(chambers, matter, form))
    counts = shown["counts"]
    assert counts["in_scope"] == counts["produced"] + sum(counts["excluded"].values()) == shown["entries"]
    production = await taken(chambers, shown, tmp_path / "production.zip")
    trust = parse_trust(chambers.platform.get("/keys/v1/trust.json").body)
    assert verify_path(production, trust).says
    said = [text for text in texts_in(files_in(production), form) if "0a1b" in text]
    assert said == [FIRST, SECOND, REASON]


async def signed_in_again(town: Town, number: int) -> Client:
    """Return a client of somebody of the town, on a device of its own."""
    client = town.client()
    principal = town.principals[number]
    (code,) = sign_in_codes(town.platform.operator, town.tenant, [principal])
    await client.sign_in_with_code(code, device_name="another")
    return client


async def nothing_is_left_for(client: Client, room: UUID, first: int, last: int) -> None:
    """Look for the texts in all that a participant may ask for, whatever he says that he has."""
    answers: list[Any] = []
    for after in (0, first - 1, first):
        place = f"/messaging/v1/conversations/{room}/entries"
        answers.append(await client.get(place, dict[str, Any], {"after": after, "limit": 1000}))
        missed = await client.sync({room: after})
        answers.append([str(part) for part in missed.entries])
        heard: list[Shown] = []
        async with client.device(heard.append, cursors={room: after}):
            answers.append([str(shown) for shown in heard])
    evidence = f"/messaging/v1/conversations/{room}/evidence"
    proved = await client.get(evidence, dict[str, Any], {"first": first, "last": last})
    answers += [b64decode(entry["body"]).decode() for entry in proved["entries"] if entry["body"]]
    told = json.dumps(answers, default=str)
    assert FIRST not in told
    assert SECOND not in told
    assert REASON in told  # the places were looked into
