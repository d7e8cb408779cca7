"""The SDK puts evidence together under one checkpoint, and hands out none that a stranger would refuse."""

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.client.api import Api
from libs.client.errors import Refused
from libs.client.evidence import LOG_SECONDS, Bearer, Evidence
from libs.evidence.bundle import act_bundle
from libs.evidence.canonical import canonical
from libs.evidence.detail import Actor, Detail, Run
from libs.evidence.entry import body_commitment, entry_leaf, metadata_commitment
from libs.evidence.errors import EvidenceRefused
from libs.evidence.trust import dump_trust
from libs.evidence.verify import verify_bundle
from libs.kernel.clock import ManualClock
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import inclusion_proof, root_of
from tests.unit.evidence.logs import DETAIL, SALT, STRANGER, TENANT, TRUST, leaf_at, note_of

TALK, OTHER = UUID(int=77), UUID(int=78)
COMMITS = (UUID(int=1001), UUID(int=1002), UUID(int=1003))
BROUGHT = ((5, 6), (7,), (8, 9))
BODIES = {5: b"five", 6: None, 7: b"seven", 8: "größte".encode(), 9: b"gone"}
FIRST_INDEX, SIZE = 20, 30
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def metadata_of(seq: int) -> bytes:
    return canonical({"conversation": str(TALK), "seq": seq, "tenant": str(TENANT)})


def commitments_of(seq: int) -> tuple[bytes, bytes | None]:
    body = BODIES[seq]
    return metadata_commitment(metadata_of(seq), SALT), None if body is None else body_commitment(body, SALT)


def tree_of(seqs: tuple[int, ...]) -> list[bytes]:
    return [*(entry_leaf(*commitments_of(seq)) for seq in seqs), leaf_hash(b"another conversation")]


def detail_of(seqs: tuple[int, ...]) -> Detail:
    runs = (Run(str(TALK), seqs[0], seqs[-1]), Run(str(OTHER), 1, 1))
    return Detail(
        "messaging.entries.committed", Actor("service", name="messaging"), "done", "operations", runs=runs
    )


LEAVES = [
    leaf_at(index, root=root_of(tree_of(BROUGHT[index - FIRST_INDEX])), detail=detail_of(BROUGHT[index - 20]))
    if FIRST_INDEX <= index < FIRST_INDEX + len(BROUGHT)
    else leaf_at(index)
    for index in range(SIZE + 10)
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def proved_of(seq: int) -> dict[str, Any]:
    """Return an entry as messaging shows it; the body of the last one was disposed of."""
    number = next(at for at, seqs in enumerate(BROUGHT) if seq in seqs)
    tree, place = tree_of(BROUGHT[number]), BROUGHT[number].index(seq)
    metadata, content = commitments_of(seq)
    body, gone = BODIES[seq], BODIES[seq] == b"gone"
    return {
        "seq": seq,
        "commit": str(COMMITS[number]),
        "place": place,
        "size": len(tree),
        "path": [base64.b64encode(each).decode() for each in inclusion_proof(tree, place)],
        "metadata_commitment": metadata.hex(),
        "body_commitment": None if content is None else content.hex(),
        "metadata": None if gone else metadata_of(seq).decode(),
        "metadata_salt": None if gone else SALT.hex(),
        "body": None if gone or body is None else base64.b64encode(body).decode(),
        "body_salt": None if gone or body is None else SALT.hex(),
    }


class Platform:
    """Answers as messaging, audit and keys do, of a log that grows by one entry with every question."""

    def __init__(self) -> None:
        self.size, self.missing = SIZE, 0
        self.asked: list[tuple[str, str]] = []
        self.change: Callable[[str, Any], Any] = lambda _path, answer: answer
        self.clock = ManualClock(NOON)
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        api = Api("http://muniment.test", http)
        self.evidence = Evidence(Bearer(api, "auditor"), self.clock, reader=Bearer(api, "participant"))

    def answer(self, request: httpx.Request) -> httpx.Response:
        path, query = request.url.path, request.url.params
        self.asked.append((request.headers["authorization"], f"{path}?{query}"))
        if path == "/keys/v1/trust.json":
            return httpx.Response(200, content=dump_trust(TRUST))
        if path == f"/messaging/v1/conversations/{TALK}/evidence":
            seqs = range(int(query["first"]), int(query["last"]) + 1)
            return self.shown(path, {"conversation": str(TALK), "entries": [proved_of(seq) for seq in seqs]})
        if path == f"/audit/v1/evidence/acts/{UUID(int=4)}":
            return self.shown(path, self.act(3, DETAIL, self.size))
        number = COMMITS.index(UUID(path.removeprefix("/audit/v1/evidence/entities/commit/")))
        if self.missing:
            self.missing -= 1
            return httpx.Response(
                404,
                json={
                    "type": "urn:problem:not-found",
                    "title": "Not found",
                    "status": 404,
                    "code": "not-found",
                },
            )
        self.size += 1
        act = self.act(FIRST_INDEX + number, detail_of(BROUGHT[number]), int(query.get("size", self.size)))
        return self.shown(path, act)

    def act(self, index: int, detail: Detail, size: int) -> Any:
        proof = inclusion_proof(HASHES[:size], index)
        note = note_of(LEAVES[:size])
        return json.loads(act_bundle(LEAVES[index], proof, note, detail=detail, salt=SALT))

    def shown(self, path: str, answer: Any) -> httpx.Response:
        return httpx.Response(200, json=self.change(path, answer))


@pytest.fixture
def platform() -> Platform:
    return Platform()


async def test_a_conversation_is_proved_by_all_its_commits_under_one_checkpoint(platform: Platform) -> None:
    bundle = await platform.evidence.conversation(TALK, 5, 9)
    assert verify_bundle(bundle, TRUST).entries == 5
    assert len(json.loads(bundle)["commits"]) == 3
    whole, gone = json.loads(bundle)["entries"][0], json.loads(bundle)["entries"][4]
    assert base64.b64decode(whole["body"]) == b"five"
    assert {"metadata", "metadata_salt", "body", "body_salt"}.isdisjoint(gone)


async def test_who_reads_a_conversation_need_not_be_who_reads_the_log(platform: Platform) -> None:
    await platform.evidence.conversation(TALK, 5, 9)
    assert {who for who, path in platform.asked if path.startswith("/messaging")} == {"Bearer participant"}
    assert {who for who, path in platform.asked if path.startswith("/audit")} == {"Bearer auditor"}


async def test_a_long_conversation_is_asked_for_part_by_part(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.client.evidence.MOST_PROVED", 2)
    assert verify_bundle(await platform.evidence.conversation(TALK, 5, 9), TRUST).entries == 5
    parts = [path.partition("?")[2] for _, path in platform.asked if path.startswith("/messaging")]
    assert parts == ["first=5&last=6", "first=7&last=8", "first=9&last=9"]


async def test_an_act_is_handed_out_as_it_was_shown(platform: Platform) -> None:
    bundle = await platform.evidence.act(UUID(int=4))
    assert verify_bundle(bundle, TRUST).kind == "act"
    assert json.loads(bundle)["detail"]["action"] == DETAIL.action


async def test_a_commit_that_no_checkpoint_covers_yet_is_waited_for(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pass_time(seconds: float) -> None:
        platform.clock.advance(seconds)

    monkeypatch.setattr(asyncio, "sleep", pass_time)
    platform.missing = 3
    assert verify_bundle(await platform.evidence.conversation(TALK, 5, 9), TRUST).entries == 5
    platform.missing = 10_000
    before = platform.clock.monotonic()
    with pytest.raises(Refused):
        await platform.evidence.conversation(TALK, 5, 9)
    assert LOG_SECONDS < platform.clock.monotonic() - before < LOG_SECONDS + 2


def change_body(path: str, answer: Any) -> Any:
    if path.startswith("/messaging"):
        answer["entries"][0]["body"] = base64.b64encode(b"other").decode()
    return answer


def leave_out(path: str, answer: Any) -> Any:
    if path.startswith("/messaging"):
        del answer["entries"][1]
    return answer


def forge_checkpoint(path: str, answer: Any) -> Any:
    return {**answer, "checkpoint": note_of(LEAVES[:SIZE], STRANGER).decode()} if "/audit" in path else answer


def change_detail(path: str, answer: Any) -> Any:
    return {**answer, "detail": {**answer["detail"], "outcome": "refused"}} if "/audit" in path else answer


def ignore_size(path: str, answer: Any) -> Any:
    number = {str(commit): at for at, commit in enumerate(COMMITS)}.get(path.rpartition("/")[2])
    if number is None:
        return answer
    return Platform().act(FIRST_INDEX + number, detail_of(BROUGHT[number]), SIZE + number)


@pytest.mark.planted
@pytest.mark.parametrize("change", [change_body, leave_out, forge_checkpoint, change_detail, ignore_size])
async def test_what_does_not_hold_is_not_handed_out(
    platform: Platform, change: Callable[[str, Any], Any]
) -> None:
    platform.change = change
    with pytest.raises(EvidenceRefused):
        await platform.evidence.conversation(TALK, 5, 9)


@pytest.mark.planted
@pytest.mark.parametrize("change", [forge_checkpoint, change_detail])
async def test_an_act_that_does_not_hold_is_not_handed_out(
    platform: Platform, change: Callable[[str, Any], Any]
) -> None:
    platform.change = change
    with pytest.raises(EvidenceRefused):
        await platform.evidence.act(UUID(int=4))
