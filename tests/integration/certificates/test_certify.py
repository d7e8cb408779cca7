"""A run is certified once, when every store has confirmed it, and the certificate holds without us."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from libs.contracts.retention import MessagingOrderCompleted
from libs.evidence.verify import Report, verify_path
from services.retention.domain.errors import AnswerForeign, CertificateDiffers, CertificateUnavailable
from services.retention.store.certificates import PostgresCertificateBook
from tests.integration.certificates.registry import RULE, SIGNED, Registry
from tests.integration.disposition.logbook import THEIRS, town
from tests.integration.retention.office import OURS


async def carried_out(registry: Registry, seed: int = 41) -> tuple[UUID, MessagingOrderCompleted]:
    """Carry out a run that destroys something, and tell retention of it."""
    registry.logbook.write(town(random.Random(seed)))
    await registry.office.did("/rules", RULE)
    run = await registry.run()
    done = registry.logbook.completion(run)
    assert done is not None
    assert done.destroyed > 20
    done = msgspec.structs.replace(done, deks=len(registry.deks(run)))
    await registry.answer(done)
    return run, done


async def confirmed(registry: Registry, seed: int = 41) -> UUID:
    """Carry out a run that every store confirms."""
    run, done = await carried_out(registry, seed)
    await registry.expunged(run, done.destroyed)
    await registry.shredded(run, registry.deks(run))
    return run


async def verified(registry: Registry, run: UUID, folder: Path) -> Report:
    """Download a certificate and check it."""
    answer = await registry.download(run)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    file = folder / "certificate.zip"
    file.write_bytes(answer.content)
    return verify_path(file, SIGNED)


def facts(registry: Registry) -> list[str]:
    acts = [each["action"] for each in registry.office.facts()]
    return [each for each in acts if each == "retention.certificate.issued"]


async def test_a_run_that_all_stores_confirmed_is_certified_and_holds_without_us(
    registry: Registry, tmp_path: Path
) -> None:
    registry.logbook.write(town(random.Random(42)), THEIRS)
    run, done = await carried_out(registry)
    await registry.certify()
    assert facts(registry) == []
    waiting = await registry.standing(run)
    assert waiting["state"] == "waiting"
    lacking = {each["store"]: (each["confirmed"], each["of"]) for each in waiting["lacking"]}
    assert lacking == {"ediscovery": (0, done.destroyed), "keys": (0, done.deks)}

    registry.office.clock.pass_by(timedelta(hours=1))
    await registry.expunged(run, 5)
    await registry.expunged(run, done.destroyed - 5)
    (keys,) = (await registry.standing(run))["lacking"]
    assert keys["store"] == "keys"
    registry.office.clock.pass_by(timedelta(hours=1))
    await registry.shredded(run, registry.deks(run))
    assert (await registry.standing(run))["state"] == "due"

    await registry.certify()
    assert (await registry.standing(run))["state"] == "issued"
    assert len(facts(registry)) == 1
    report = await verified(registry, run, tmp_path)
    assert (report.kind, report.entries) == ("certificate", done.destroyed)
    shown = (await registry.office.shown(f"/certificates/{run}"))["certificate"]
    assert (shown["items"], shown["bytes"], shown["deks"]) == (done.destroyed, done.bytes, done.deks)
    (listed,) = (await registry.office.shown("/certificates", role="legal_counsel"))["certificates"]
    assert listed == shown
    assert registry.office.acts()["retention.certificate.issued"] == 1


async def test_the_same_confirmation_twice_counts_once(registry: Registry) -> None:
    run, done = await carried_out(registry)
    event = uuid4()
    for _ in range(2):
        await registry.expunged(run, done.destroyed - 1, event)
        await registry.shredded(run, registry.deks(run)[1:])
    lacking = {each["store"]: each["confirmed"] for each in (await registry.standing(run))["lacking"]}
    assert lacking == {"ediscovery": done.destroyed - 1, "keys": done.deks - 1}


@pytest.mark.parametrize("cut", [0, 1, 3])
async def test_a_certificate_that_was_cut_off_is_made_once_and_whole(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    run = await confirmed(registry)
    for _ in range(cut):
        assert await registry.certify.step(OURS, run)

    async def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(PostgresCertificateBook, "publish", killed)
        with pytest.raises(RuntimeError):
            await registry.certify()
    assert (await registry.standing(run))["state"] == "due"
    for _ in range(3):
        await registry.certify()
    assert len(facts(registry)) == 1
    await verified(registry, run, tmp_path)


async def test_of_two_who_certify_at_once_one_does(registry: Registry, tmp_path: Path) -> None:
    run = await confirmed(registry)
    for _ in range(8):
        await asyncio.gather(*(registry.certify() for _ in range(3)))
    assert len(facts(registry)) == 1
    assert registry.office.acts()["retention.certificate.issued"] == 1
    await verified(registry, run, tmp_path)


async def test_a_run_that_destroyed_nothing_has_no_certificate_and_says_so(registry: Registry) -> None:
    registry.logbook.write(town(random.Random(43)))
    await registry.office.did("/rules", {"kind": "floor", "period": {"years": 50}})
    run = await registry.run()
    await registry.complete(run)
    await registry.certify()
    assert await registry.standing(run) == {"state": "none", "lacking": []}
    assert (await registry.download(run)).status_code == 404


async def test_what_is_no_run_has_no_certificate(registry: Registry) -> None:
    order = (await registry.office.did("/orders", {}))["order"]
    assert (await registry.office.shown(f"/orders/{order}"))["certificate"] is None
    for certificate in (order, uuid4()):
        assert (await registry.office.ask("GET", f"/certificates/{certificate}")).status_code == 404


async def test_who_does_not_answer_for_retention_finds_no_certificate(registry: Registry) -> None:
    run = await confirmed(registry)
    await registry.certify()
    for role in ("employee", "it_admin", "reviewer"):
        assert (await registry.download(run, role)).status_code == 404
        for path in ("/certificates", f"/certificates/{run}"):
            assert (await registry.office.ask("GET", path, role=role)).status_code == 404
    strange = await registry.office.ask("GET", f"/certificates/{run}/download", tenant=THEIRS)
    assert strange.status_code == 404
    for role in ("compliance_officer", "legal_counsel", "auditor"):
        assert (await registry.download(run, role)).status_code == 200


async def test_until_the_log_has_it_a_certificate_is_not_given(registry: Registry) -> None:
    run = await confirmed(registry)
    await registry.certify()
    registry.office.log.covers = False
    refused = await registry.download(run)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


@pytest.mark.planted
async def test_a_run_of_which_an_item_is_not_told_is_not_certified(registry: Registry) -> None:
    run = await confirmed(registry)
    with psycopg.connect(registry.logbook.database.admin_dsn.reveal()) as admin:
        admin.execute("DELETE FROM messaging.destroyed WHERE first_seq = 1")
    with pytest.raises(CertificateDiffers):
        await registry.certify()
    assert (await registry.standing(run))["state"] == "due"
    assert facts(registry) == []


@pytest.mark.planted
async def test_other_keys_than_had_sealed_it_certify_nothing(registry: Registry) -> None:
    run, done = await carried_out(registry)
    await registry.expunged(run, done.destroyed)
    await registry.shredded(run, [*registry.deks(run)[1:], uuid4()])
    with pytest.raises(CertificateDiffers):
        await registry.certify()
    assert facts(registry) == []


@pytest.mark.planted
async def test_what_was_never_to_be_carried_out_is_not_confirmed(registry: Registry) -> None:
    dry_run = UUID((await registry.office.did("/orders", {}))["order"])
    for order in (dry_run, uuid4()):
        with pytest.raises(AnswerForeign):
            await registry.expunged(order, 1)
        with pytest.raises(AnswerForeign):
            await registry.shredded(order, [uuid4()])


async def test_without_a_key_nothing_is_signed_and_it_is_signed_later(registry: Registry) -> None:
    run = await confirmed(registry)
    signer = registry.certify.key.find_signer

    async def nobody() -> None:
        return None

    object.__setattr__(registry.certify.key, "find_signer", nobody)
    with pytest.raises(CertificateUnavailable):
        await registry.certify()
    object.__setattr__(registry.certify.key, "find_signer", signer)
    await registry.certify()
    assert (await registry.standing(run))["state"] == "issued"


@pytest.mark.planted
async def test_nobody_changes_a_certificate(registry: Registry) -> None:
    await confirmed(registry)
    await registry.certify()
    for table in ("certificate", "certificate_segment", "confirmation", "shredded"):
        for statement in (f"DELETE FROM retention.{table}", f"TRUNCATE retention.{table}"):
            with (
                psycopg.connect(registry.office.database.admin_dsn.reveal()) as admin,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                admin.execute(statement)
