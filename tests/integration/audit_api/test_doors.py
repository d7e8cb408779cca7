"""Reading a log over HTTP: what auditors get holds for strangers, and nobody gets more than is his."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jsonschema  # type: ignore[import-untyped]  # publishes no types
import psycopg
import pytest

from libs.authn.actor import Actor
from libs.authn.errors import Unauthenticated
from libs.authz.authorizer import Authorizer
from libs.contracts.actions import ACTIONS
from libs.contracts.facts import Actor as FactActor
from libs.contracts.facts import Entity, IdentityFact, Run
from libs.db.pool import TenantDatabase
from libs.evidence.errors import EvidenceRefused
from libs.evidence.log import trusted_checkpoint
from libs.evidence.schemas import SCHEMAS
from libs.evidence.verify import verify_bundle
from libs.host.app import create_app
from libs.kernel.clock import SystemClock
from libs.kernel.denials import Denials
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.merkle.hashing import leaf_hash
from libs.merkle.tiles import parse_bundle, tile_root
from libs.merkle.verify import verify_consistency, verify_inclusion
from services.audit.edge.http import read_routes
from services.audit.edge.problems import PROBLEMS
from services.audit.store.reading import PostgresReadings
from services.audit.usecases.access import Access
from services.audit.usecases.denials import RecordDenials
from services.audit.usecases.read_log import ReadLog
from services.audit.usecases.record_reads import RecordReads
from services.audit.usecases.search import SearchEntries
from services.audit.usecases.take_evidence import TakeEvidence
from tests.integration.audit.logs import NOW, TRUST, Logs, act, logs_in
from tests.support.engines import ServiceDatabase

OURS, THEIRS, PLATFORM = TenantId(uuid4()), TenantId(uuid4()), TenantId(UUID(int=0))
READER, COMMIT, WHERE = PrincipalId(uuid4()), UUID(int=9), uuid4()  # the commit names tests: one for all
ROLES = ("employee", "guest", "it_admin", "compliance_officer", "legal_counsel", "reviewer", "auditor")
NOBODY = {"type": "urn:problem:not-found", "title": "Not found", "status": 404, "code": "not-found"}


class Badges:
    """Tokens that say whose they are: `tenant role,role`."""

    async def verify(self, token: str) -> Actor:
        try:
            tenant, roles = token.split("/")
            return Actor(
                tenant=TenantId(UUID(tenant)),
                principal=READER,
                session=SessionId(uuid4()),
                device=DeviceId(uuid4()),
                roles=frozenset(roles.split(",")),
                expires_at=datetime(2027, 1, 1, tzinfo=UTC),
            )
        except ValueError:
            raise Unauthenticated from None

    def check(self, actor: Actor) -> None:
        """Know of no revocation."""


@dataclass
class Door:
    """The routes of reading, called in process."""

    http: httpx.AsyncClient
    logs: Logs
    record_denials: RecordDenials
    record_reads: RecordReads
    base: str = field(default="/audit/v1")

    async def get(self, path: str, role: str = "auditor", tenant: TenantId = OURS) -> httpx.Response:
        headers = {"authorization": f"Bearer {tenant}/{role}"}
        return await self.http.get(self.base + path, headers=headers)

    async def shown(self, path: str, role: str = "auditor", tenant: TenantId = OURS) -> Any:
        answer = await self.get(path, role, tenant)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def readings(self) -> list[tuple[Any, ...]]:
        return self.logs.rows("SELECT principal, action, log, said FROM audit.reading ORDER BY act")

    def told(self) -> list[dict[str, Any]]:
        return [
            json.loads(body)["data"]
            for (body,) in self.logs.rows("SELECT body FROM audit.outbox ORDER BY part, position")
        ]


@pytest.fixture
async def door(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Door]:
    database = database_of("audit")
    clock = SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    pool = TenantDatabase(database.dsn("audit_app"), "audit")
    await pool.open()
    readings, denials, reads = PostgresReadings(pool, clock, ids), Denials(clock), Denials(clock)
    access = Access(Authorizer(Path("policies/authz")), denials)
    routes = read_routes(
        "/audit/v1",
        verifier=Badges(),
        revocations=Badges(),
        read_log=ReadLog(readings, access, reads),
        search=SearchEntries(readings, access, clock, ids),
        take_evidence=TakeEvidence(readings, access, clock, ids),
    )
    app = create_app("audit", title="Trial", prefix="/audit/v1", routers=[routes], problems=PROBLEMS)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        logs_in(database) as logs,
        httpx.AsyncClient(transport=transport, base_url="http://audit") as http,
    ):
        yield Door(http, logs, RecordDenials(readings, denials, ids), RecordReads(readings, reads, ids))
    await pool.close()


def committed(commit: UUID = COMMIT) -> IdentityFact:
    """Return a fact that names a commit and its runs."""
    return IdentityFact(
        act=commit,
        action="messaging.entries.committed",
        actor=FactActor(kind="principal", id=uuid4()),
        at=NOW,
        entities=(Entity(kind="commit", id=str(commit)),),
        runs=(Run(conversation=WHERE, first=3, last=5),),
        root=bytes(32),
    )


async def grown(door: Door, more: int = 300) -> None:
    """Give our log a commit, a legal act (of a kind that is not known yet), and many others."""
    legal = act("holds.hold.placed")
    await door.logs.sequence([(OURS, committed()), (OURS, legal), (THEIRS, act()), (PLATFORM, act())])
    await door.logs.integrate()
    await door.logs.sequence([(OURS, act())] * more)
    await door.logs.integrate()


async def test_the_log_is_served_as_checkpoints_tiles_and_proofs_that_hold(door: Door) -> None:
    await grown(door)
    note = await door.get("/checkpoint")
    newest = trusted_checkpoint(note.content, TRUST)
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert newest.size == 302
    signed = (await door.shown("/checkpoints"))["checkpoints"]
    first, second = [trusted_checkpoint(each["note"].encode(), TRUST) for each in signed]
    assert [each["size"] for each in signed] == [first.size, second.size] == [2, 302]
    assert [each["size"] for each in (await door.shown("/checkpoints?after=2&limit=1"))["checkpoints"]] == [
        302
    ]
    full, partial = await door.get("/tile/entries/000"), await door.get("/tile/entries/001.p/46")
    leaves = parse_bundle(full.content, 256) + parse_bundle(partial.content, 46)
    assert "immutable" in full.headers["cache-control"]
    assert partial.headers["cache-control"] == "no-store"
    assert (await door.get("/tile/0/000")).content == b"".join(leaf_hash(leaf) for leaf in leaves[:256])
    assert (await door.get("/tile/1/000.p/1")).content == tile_root((await door.get("/tile/0/000")).content)
    for index in (0, 255, 301):
        proof = await door.shown(f"/proofs/inclusion?index={index}")
        path = [base64.b64decode(each) for each in proof["proof"]]
        verify_inclusion(leaf=leaf_hash(leaves[index]), index=index, size=302, proof=path, root=newest.root)
    proof = await door.shown("/proofs/consistency?first=2&second=302")
    path = [base64.b64decode(each) for each in proof["proof"]]
    verify_consistency(first=2, second=302, proof=path, first_root=first.root, second_root=second.root)


@pytest.mark.parametrize(
    "path",
    [
        "/tile/0/002",
        "/tile/0/001",
        "/tile/0/001.p/47",
        "/tile/1/000",
        "/tile/1/000.p/2",
        "/tile/64/000",
        "/tile/0/1",
        "/tile/0/x001/000",
        "/tile/entries/001",
        "/tile/entries/" + "x999/" * 2000 + "999",
        "/tile/nothing",
        "/evidence/acts/00000000-0000-0000-0000-000000000001",
        "/evidence/entities/commit/none",
        "/evidence/entities/hold/%20",
        "/entries?after=00000000-0000-0000-0000-000000000001",
    ],
)
async def test_what_the_log_has_not_is_not_found(door: Door, path: str) -> None:
    await grown(door)
    answer = await door.get(path)
    assert {name: answer.json()[name] for name in NOBODY} == NOBODY
    assert door.readings() == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/proofs/inclusion?index=302", "range-refused"),
        ("/proofs/inclusion?index=1&size=303", "range-refused"),
        ("/proofs/inclusion?index=1&size=1", "range-refused"),
        ("/proofs/consistency?first=303", "range-refused"),
        ("/proofs/consistency?first=3&second=2", "range-refused"),
        ("/evidence/range?first=2&last=1", "range-refused"),
        ("/evidence/range?first=0&last=302", "range-refused"),
        ("/evidence/range?first=0&last=1&size=3", "range-refused"),
        ("/evidence/range?first=-1&last=1", "invalid"),
        ("/evidence/range?first=0&last=9223372036854775808", "invalid"),
        ("/evidence/range?first=0", "invalid"),
        ("/evidence/acts/none", "invalid"),
        ("/evidence/entities/commit/%00", "invalid"),
        ("/evidence/entities/commit/" + "x" * 201, "invalid"),
        ("/checkpoints?limit=0", "invalid"),
        ("/checkpoints?after=-1", "invalid"),
        ("/proofs/consistency?first=0", "invalid"),
        ("/entries?actor=ada", "invalid"),
        ("/entries?since=2026-11-24T09:00:00", "invalid"),
        ("/entries?entity=%00", "invalid"),
        ("/entries?limit=501", "invalid"),
        ("/entries?order=best", "invalid"),
    ],
)
async def test_what_cannot_be_asked_is_refused_and_nothing_is_told(door: Door, path: str, code: str) -> None:
    await grown(door)
    answer = await door.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert door.readings() == []
    if code == "range-refused":
        assert "302" in answer.json()["detail"]


async def test_a_range_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await grown(door)
    monkeypatch.setattr("services.audit.usecases.take_evidence.MOST_LEAVES", 100)
    assert (await door.get("/evidence/range?first=0&last=99")).status_code == 200
    assert (await door.get("/evidence/range?first=0&last=100")).json()["code"] == "range-too-long"


EVIDENCE = [
    f"/evidence/entities/commit/{COMMIT}?detail=true",
    f"/evidence/entities/commit/{COMMIT}?detail=true&size=2",
    "/evidence/range?first=0&last=301&details=true",
    "/evidence/range?first=1&last=1&size=2",
    "/evidence/range?first=200&last=290&details=false",
]


@pytest.mark.parametrize("path", EVIDENCE)
async def test_evidence_holds_for_strangers_and_is_told_without_what_it_was_of(door: Door, path: str) -> None:
    await grown(door)
    answer = await door.get(path)
    report = verify_bundle(answer.content, TRUST)
    bundle = answer.json()
    jsonschema.validate(bundle, SCHEMAS[bundle["kind"]])
    assert report.size == (2 if "size=2" in path else 302)
    ((principal, action, log, said),) = door.readings()
    assert (principal, action, log) == (READER, "audit.evidence.taken", OURS)
    assert said
    (fact,) = door.told()
    assert fact["entities"] == [{"kind": "log", "id": str(OURS)}]
    assert str(COMMIT) not in json.dumps(fact)


async def test_evidence_of_an_act_is_found_by_its_fact_with_and_without_its_detail(door: Door) -> None:
    await grown(door)
    entry = (await door.shown("/entries?order=oldest&limit=1"))["entries"][0]
    bare = await door.get(f"/evidence/acts/{entry['fact']}")
    opened = await door.get(f"/evidence/acts/{entry['fact']}?detail=true")
    assert verify_bundle(bare.content, TRUST).says != verify_bundle(opened.content, TRUST).says
    assert "detail" not in bare.json()
    assert opened.json()["detail"]["entities"] == [{"kind": "commit", "id": str(COMMIT)}]


@pytest.mark.planted
async def test_a_bundle_that_was_altered_on_its_way_does_not_hold(door: Door) -> None:
    await grown(door)
    bundle = await door.shown(EVIDENCE[0])
    bundle["detail"]["action"] = "identity.role.granted"
    with pytest.raises(EvidenceRefused):
        verify_bundle(json.dumps(bundle).encode(), TRUST)


@pytest.mark.planted
@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE audit.entry SET leaf = leaf || ' ' WHERE index = 0",
        "DELETE FROM audit.entry WHERE index = 0",
        "UPDATE audit.tile SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1)",
        "DELETE FROM audit.tile",
        "UPDATE audit.detail SET action = 'identity.role.granted' WHERE index = 0",
        "UPDATE audit.detail_entity SET id = 'x' WHERE index = 0 AND kind = 'commit'",
    ],
)
async def test_of_a_damaged_log_no_evidence_leaves(door: Door, harm: str) -> None:
    await grown(door)
    door.logs.rows(harm)
    answer = await door.get("/evidence/range?first=0&last=0&details=true")
    assert (answer.status_code, answer.json()["code"]) == (500, "log-damaged")
    assert door.readings() == []


async def test_before_the_first_checkpoint_nothing_is_there_and_later_entries_wait_for_theirs(
    door: Door,
) -> None:
    await door.logs.sequence([(OURS, committed())])
    for path in ("/checkpoint", "/tile/entries/000.p/1", f"/evidence/entities/commit/{COMMIT}"):
        assert (await door.get(path)).status_code == 404
    assert (await door.shown("/entries"))["entries"] == []
    await door.logs.integrate()
    later = uuid4()
    await door.logs.sequence([(OURS, committed(later))])
    assert (await door.get(f"/evidence/entities/commit/{COMMIT}")).status_code == 200
    assert (await door.get(f"/evidence/entities/commit/{later}")).status_code == 404
    assert len((await door.shown("/entries"))["entries"]) == 1


async def test_a_search_pages_through_what_its_reader_may_see(door: Door) -> None:
    await grown(door, more=7)
    found, after = [], ""
    while True:
        page = await door.shown(f"/entries?limit=4{after}")
        found += page["entries"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert [entry["index"] for entry in found] == list(range(8, -1, -1))
    oldest = (await door.shown("/entries?order=oldest"))["entries"]
    assert oldest == found[::-1]
    assert oldest[0]["runs"] == [{"conversation": str(WHERE), "first": 3, "last": 5}]


async def test_classes_are_kept_apart_and_gaps_show_to_nobody(door: Door) -> None:
    await grown(door, more=3)
    seen = {
        role: [
            (each["visibility"], each["index"]) for each in (await door.shown("/entries", role))["entries"]
        ]
        for role in ("it_admin", "legal_counsel", "compliance_officer")
    }
    assert seen["it_admin"] == [("operations", None)] * 4
    assert seen["legal_counsel"] == [("legal", None)]
    assert [index for _, index in seen["compliance_officer"]] == [4, 3, 2, 1, 0]
    hidden = (await door.shown("/entries?action=holds.hold.placed"))["entries"][0]["fact"]
    assert (await door.get(f"/entries?after={hidden}", "it_admin")).status_code == 404


async def test_a_search_is_told_before_it_is_answered_and_its_fact_keeps_what_was_asked(door: Door) -> None:
    await grown(door, more=1)
    await door.shown("/entries?action=holds.hold.placed&entity=s3cret")
    assert door.readings() == [
        (READER, "audit.entries.searched", OURS, "action=holds.hold.placed&entity=s3cret")
    ]
    (fact,) = door.told()
    assert "s3cret" not in json.dumps(fact)
    assert "holds" not in json.dumps(fact)


@pytest.mark.planted
@pytest.mark.parametrize("path", ["/entries", "/evidence/range?first=0&last=1"])
async def test_what_cannot_be_told_is_not_answered(door: Door, path: str) -> None:
    await grown(door, more=1)
    door.logs.rows("ALTER TABLE audit.reading ADD CHECK (said = 'never')")
    answer = await door.get(path)
    assert answer.status_code >= 500
    assert "entries" not in answer.json()
    assert door.told() == []


LOG_PATHS = [
    "/checkpoint",
    "/checkpoints",
    "/tile/0/000.p/2",
    "/tile/nothing",
    "/proofs/inclusion?index=0",
    "/proofs/consistency?first=999",
    "/evidence/range?first=0&last=1",
    "/evidence/range?first=0&last=99999",
    f"/evidence/entities/commit/{COMMIT}",
    "/platform/checkpoint",
    "/platform/tile/entries/000.p/1",
]


@pytest.mark.parametrize(
    "role", ["employee", "guest", "it_admin", "legal_counsel", "reviewer", "key_custodian"]
)
async def test_who_may_not_read_the_log_learns_nothing_of_it(door: Door, role: str) -> None:
    await grown(door, more=1)
    for path in LOG_PATHS:
        answer = await door.get(path, role)
        assert {name: answer.json()[name] for name in answer.json() if name != "request_id"} == NOBODY, path
    assert door.readings() == []


async def test_another_tenants_log_is_out_of_reach_and_the_platforms_is_the_auditors(door: Door) -> None:
    await grown(door, more=1)
    theirs = trusted_checkpoint((await door.get("/checkpoint", tenant=THEIRS)).content, TRUST)
    assert theirs.origin.endswith(str(THEIRS))
    for path in (f"/evidence/entities/commit/{COMMIT}", "/tile/entries/000.p/2"):
        assert (await door.get(path, tenant=THEIRS)).status_code == 404
    everyone = ",".join(ROLES)
    assert len((await door.shown("/entries", everyone, THEIRS))["entries"]) == 1
    platform = trusted_checkpoint((await door.get("/platform/checkpoint")).content, TRUST)
    assert platform.origin.endswith(str(PLATFORM))
    assert (await door.get("/platform/checkpoint", "compliance_officer")).status_code == 404


async def test_denials_are_told_by_reader_and_minute(door: Door) -> None:
    await door.get("/checkpoint", "it_admin")
    await door.get("/checkpoint", "it_admin")
    await door.get("/evidence/range?first=0&last=1", "legal_counsel")
    await door.get("/entries", "employee")
    await door.record_denials()
    assert door.told() == []  # their minute is not over
    await door.record_denials(everything=True)
    rows = door.logs.rows("SELECT tenant, principal, denied, count FROM audit.denial ORDER BY denied")
    assert sorted(rows) == sorted(
        [(OURS, READER, "ReadLog", 2), (OURS, READER, "SeeDetail", 1), (OURS, READER, "TakeEvidence", 1)]
    )
    assert {(fact["action"], fact["outcome"]) for fact in door.told()} == {("audit.access.denied", "refused")}
    assert len(door.told()) == 3


async def test_reads_of_a_log_are_told_by_reader_log_and_minute_to_the_readers_own(door: Door) -> None:
    await grown(door, more=1)
    for path in ("/checkpoint", "/tile/entries/000.p/3", "/tile/nothing", "/platform/checkpoint"):
        await door.get(path)
    await door.record_reads()
    assert door.told() == []  # their minute is not over
    await door.record_reads(everything=True)
    rows = door.logs.rows("SELECT tenant, principal, action, log, count, said FROM audit.reading")
    assert sorted(rows, key=lambda row: row[4]) == [
        (OURS, READER, "audit.log.read", PLATFORM, 1, ""),
        (OURS, READER, "audit.log.read", OURS, 3, ""),
    ]
    assert sorted((fact["entities"][0]["id"], fact.get("count", 1)) for fact in door.told()) == sorted(
        [(str(PLATFORM), 1), (str(OURS), 3)]
    )


async def test_counts_that_cannot_be_written_are_kept(door: Door) -> None:
    await door.get("/checkpoint")
    await door.get("/checkpoint", "it_admin")
    door.logs.rows("ALTER TABLE audit.outbox RENAME TO away")
    for record in (door.record_reads, door.record_denials):
        with pytest.raises(psycopg.errors.UndefinedTable):
            await record(everything=True)
    door.logs.rows("ALTER TABLE audit.away RENAME TO outbox")
    for record in (door.record_reads, door.record_denials):
        await record(everything=True)
    assert sorted(fact["action"] for fact in door.told()) == ["audit.access.denied", "audit.log.read"]


async def test_the_catalogue_and_the_schemas_are_for_everybody_and_all_else_is_for_who_signed_in(
    door: Door,
) -> None:
    listed = (await door.http.get("/audit/v1/actions")).json()["actions"]
    assert {each["name"] for each in listed} == set(ACTIONS)
    for schema in (await door.http.get("/audit/v1/schemas")).json().values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for path in [*LOG_PATHS, "/entries"]:
        assert (await door.http.get(f"/audit/v1{path}")).status_code == 401
