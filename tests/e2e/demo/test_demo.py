"""The demonstration on the running platform: it agrees, and a planted defect does not pass."""

import asyncio
import itertools
import json
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from libs.evidence.trust import parse_trust
from services.runner.corpus import Row, rows_of
from services.runner.demo import direct, keepsakes
from services.runner.demo.command import Wanted, run_demo
from services.runner.demo.perform import Outcome, perform
from services.runner.demo.rows import count_stored
from services.runner.demo.script import read_script, script_of
from services.runner.demo.showcase import prepare_showcase
from services.runner.verify import verify
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")
_ACT = """
    INSERT INTO keys.key_access (tenant, access, action, service, purpose, act, deks, at)
    VALUES (%s, %s, 'keys.dek.unwrapped', 'messaging', 'deliver', 'sync', %s, now())
"""
CORPUS = Path(__file__).parents[4] / "shared" / "data" / "corpus" / "ubuntu-irc-sample.jsonl.gz"


def ignore(step: str, done: int, total: int) -> None:
    pass


async def performed(platform: Platform, crowd: str = direct.CROWD_MODULE) -> Outcome:
    return await perform(read_script(None, None), platform.facts, 1, ignore, crowd)


def test_the_project_s_own_conversations_are_sent_and_the_whole_story_agrees(
    platform, capsys, tmp_path, monkeypatch
) -> None:
    code = run_demo(platform.data, Wanted(keep=tmp_path), as_json=True)
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    counts = told["counts"]
    assert code == 0, captured.err
    assert told["complete"] is True
    assert told["gateways"] == 2
    assert counts["sent"] == counts["acked"] == 64
    assert counts["to_import"] == counts["imported"] == 49
    assert counts["stored"] == counts["sealed"] == counts["indexed"] == 64 + 49
    assert counts["delivered"] == counts["expected"] == 201
    assert counts["off_line"] == counts["came_back"] == 4
    assert counts["connections"] == 9 + 4
    assert counts["custodians"] == 3
    assert counts["confirmed"] == counts["executors"] >= 2
    assert counts["due"] == 34 + 6, "messages, and the names of their conversations"
    assert (counts["disposed"], counts["preserved"], counts["in_grace"]) == (13 + 2, 15 + 3, 6 + 1)
    assert counts["certified"] == counts["disposed"]
    assert counts["left"] == counts["indexed_left"] == 64 + 49 - 13
    assert counts["found"] == counts["matching"] > 0
    assert counts["acts"] == counts["audited"] > 9 + 6  # people and conversations, and much else
    assert counts["evidence"] == counts["proved"] == 2
    assert counts["tampered"] == counts["refused"] == 128
    steps = {"people", "sign-in", "conversations", "sockets", "messages", "count", "audit"}
    steps |= {"import", "stored", "index", "hold", "dry run", "run", "certificate", "search", "production"}
    assert set(told["seconds"]) >= steps
    assert counts["in_scope"] == counts["produced"] + counts["excluded"] > 0
    assert told["left_out"] == []
    assert (told["verified"], told["tampered_refused"]) == (True, True)
    production = Path(told["production"])
    kept = [production, *Path(told["certificates"]).iterdir()]
    assert len(kept) == 2
    trust = production.parent / "trust.json"
    assert [verify(path, trust) for path in kept] == [0, 0]
    tampering_that_does_nothing_is_noticed(production, parse_trust(trust.read_bytes()), monkeypatch)


def tampering_that_does_nothing_is_noticed(production, trust, monkeypatch) -> None:
    """Planted: a copy that is the very same is no tampered copy, and holds."""
    tamperings = {
        **keepsakes.TAMPERINGS,
        "nothing was done": lambda copy: keepsakes.Changed(copy / "manifest.json", bytes),
    }
    monkeypatch.setattr(keepsakes, "TAMPERINGS", tamperings)
    judged = asyncio.run(keepsakes.judged("production", production, trust))
    assert (judged.holds, judged.tampered_refused) == (True, False)
    assert judged.sentences == ("a copy of the production holds, though nothing was done",)


@pytest.mark.skipif(not CORPUS.is_file(), reason=f"there is no corpus at {CORPUS}")
def test_real_messages_agree_as_well(platform, capsys, tmp_path) -> None:
    archive = tmp_path / "archive.jsonl"
    rows = itertools.islice(rows_of(CORPUS), 1000, 3000)
    archive.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for _, row in rows))
    code = run_demo(platform.data, Wanted(CORPUS, 150, archive, tmp_path), as_json=False)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert "150 sent" in captured.out
    assert "2150 stored" in captured.out
    assert "Everything agrees." in captured.out


async def test_empty_blank_long_and_foreign_texts_arrive_as_they_were_sent(platform) -> None:
    texts = [
        "",
        " ",
        'ends with \\ and "',
        "\u0000\u001f",
        "🕷️ ein Test mit Umläuten: äöüß",
        "x" * 10_000,
        "\n\n",
    ]
    rows = [Row("d", "#c", f"n{number % 3}", text) for number, text in enumerate(texts)]
    outcome = await perform(script_of(rows), platform.facts, 1, ignore)
    assert outcome.wrong == []


@pytest.mark.parametrize(
    ("crowd", "sentences"),
    [
        ("crowd_that_dropped", ["200 deliveries were seen, 201 were to be", "1 deliveries are missing"]),
        ("crowd_that_doubled", ["doubled", "it came twice"]),
        ("crowd_that_swapped", ["out of order", "it came after a later one"]),
    ],
)
async def test_a_planted_defect_is_reported(platform, monkeypatch, crowd, sentences) -> None:
    monkeypatch.setattr(direct, "STANDSTILL_SECONDS", 2.0)
    outcome = await performed(platform, f"tests.e2e.demo.{crowd}")
    told = " ".join(outcome.wrong)
    assert not outcome.complete
    for sentence in sentences:
        assert sentence in told


async def test_a_stored_message_that_vanishes_is_reported(platform) -> None:
    outcome = await performed(platform)
    assert outcome.complete
    tenant = await asyncio.to_thread(tenant_of, platform, outcome.tenant)
    database = platform.facts["count_database"]
    with psycopg.connect(database) as connection:
        connection.execute(
            "DELETE FROM messaging.payload WHERE tenant = %s AND seq = 3 AND conversation ="
            " (SELECT min(conversation::text)::uuid FROM messaging.payload WHERE tenant = %s)",
            (tenant, tenant),
        )
    assert count_stored(database, tenant) == (64, 63)


@pytest.mark.planted
async def test_an_act_that_told_the_audit_log_nothing_is_reported(platform) -> None:
    tenant, act = uuid4(), uuid4()
    with psycopg.connect(platform.facts["databases"]["keys"], autocommit=True) as connection:
        connection.execute(_ACT, (tenant, act, [uuid4()]))
        try:
            outcome = await performed(platform)
        finally:
            connection.execute("SET session_replication_role = replica")
            connection.execute("DELETE FROM keys.key_access WHERE tenant = %s", (tenant,))
    assert not outcome.complete
    assert outcome.counts.audited == outcome.counts.acts - 1
    told = " ".join(outcome.wrong)
    assert f"{outcome.counts.audited} of {outcome.counts.acts} acts are in the audit log" in told
    assert f"tenant {tenant}: 1 of keys.dek.unwrapped were done, 0 are in the log" in told


async def test_the_showcase_is_made_once_and_its_sign_ins_work(platform, town) -> None:
    facts = platform.facts
    first = await prepare_showcase(facts)
    again = await prepare_showcase(facts)
    assert again == first
    assert [sign_in.role for sign_in in first] == ["employee", "it_admin", "legal_counsel"]
    assert all(sign_in.password not in repr(sign_in) for sign_in in first)
    kept = platform.data / "showcase.json"
    assert kept.stat().st_mode & 0o077 == 0
    await town.settle(1)
    employee = town.client()
    await employee.sign_in(
        tenant="demo", user_name=first[0].user_name, password=first[0].password, device_name="test"
    )
    conversations = await employee.conversations()
    assert conversations
    kept.write_bytes(kept.read_bytes().replace(b'"complete":true', b'"complete":false'))
    await prepare_showcase(facts)  # as after a crash in the middle: nothing is said twice
    assert await employee.conversations() == conversations


def tenant_of(platform: Platform, slug: str) -> UUID:
    tenants = platform.operator.call("GET", "/internal/tenants")["tenants"]
    return next(UUID(each["tenant"]) for each in tenants if each["slug"] == slug)
