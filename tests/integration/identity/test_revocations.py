"""Every service learns what was revoked: at once by Pub/Sub, by asking when that is silent."""

import asyncio
from types import SimpleNamespace
from uuid import UUID

import pytest
from redis.asyncio import Redis

from infra.engines import daemon
from libs.authn.errors import Unauthenticated
from libs.authn.redis_announcements import announcements_of
from libs.authn.revocations import (
    Announcement,
    Revocation,
    RevocationFeed,
    RevocationView,
    decode_announcement,
)
from tests.integration.identity.service import running_identity


async def revocations(identity, after=None, peer="messaging") -> Announcement:
    answer = await identity.http.get(
        "/internal/revocations",
        params={} if after is None else {"after": after},
        headers={"authorization": f"Bearer {identity.token_of(peer)}"},
    )
    assert answer.status_code == 200, answer.text
    return decode_announcement(answer.content)


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - polls what another task changes
            await asyncio.sleep(0.01)


async def until_true(question, seconds):
    async with asyncio.timeout(seconds):
        while not await question():  # noqa: ASYNC110 - polls what another process does
            await asyncio.sleep(0.02)


async def test_a_service_that_asks_is_told_what_it_lacks(identity, acme):
    ada = await acme.provision("ada")
    sessions = [await acme.sign_in(ada) for _ in range(3)]
    for session in sessions:
        await identity.sign_out(session["access_token"])

    everything = await revocations(identity)
    assert everything.position == 3
    assert everything.complete
    assert [str(each.session) for each in everything.revocations] == [s["session"] for s in sessions]
    assert {each.tenant for each in everything.revocations} == {acme.tenant}
    rest = await revocations(identity, after=2)
    assert [each.position for each in rest.revocations] == [3]
    assert rest.since == 2
    nothing = await revocations(identity, after=3)
    assert (nothing.position, nothing.revocations) == (3, [])


async def test_nobody_else_is_told(identity, acme):
    session = await acme.sign_in(await acme.provision("ada"))
    for token in ("x", session["access_token"], acme.scim_token, identity.token_of("messaging", "keys")):
        answer = await identity.http.get(
            "/internal/revocations", headers={"authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 401


async def test_numbers_are_dense_whoever_revokes_side_by_side(identity, acme):
    other = await identity.make_tenant("other")
    sessions = []
    for tenant in (acme, other):
        for number in range(5):
            person = await tenant.provision(f"person-{number}")
            sessions.append(await tenant.sign_in(person))
    await asyncio.gather(*(identity.sign_out(session["access_token"]) for session in sessions))
    everything = await revocations(identity)
    assert [each.position for each in everything.revocations] == list(range(1, 11))
    assert {str(each.session) for each in everything.revocations} == {s["session"] for s in sessions}


async def test_a_listening_service_refuses_a_revoked_session_within_a_second_without_asking(
    database_of, fresh_valkey
):
    async with running_identity(database_of("identity"), fresh_valkey.url()) as identity:
        acme = await identity.make_tenant("acme")
        signed_in = await acme.sign_in(await acme.provision("ada"))
        session = SimpleNamespace(session=UUID(signed_in["session"]))
        view = RevocationView(identity.clock)
        told: list[Revocation] = []
        asked: list[int | None] = []

        async def poll(after):
            asked.append(after)
            return await revocations(identity, after)

        redis = Redis.from_url(fresh_valkey.url().reveal())
        feed = RevocationFeed(
            view,
            identity.clock,
            subscribe=lambda: announcements_of(redis),
            poll=poll,
            on_revoked=told.append,
            tick_seconds=0.02,
        )
        task = asyncio.create_task(feed.run())
        try:
            await until(lambda: view.is_fresh() and view._heard_at is not None)
            view.check(session)
            before = len(asked)
            await identity.sign_out(signed_in["access_token"])
            await until(lambda: told, 1.0)
            assert len(asked) == before
            with pytest.raises(Unauthenticated):
                view.check(session)

            # Redis dies: the service asks, and people still come in and go out.
            fresh_valkey.stop()
            second = await acme.sign_in(await acme.provision("bob"))
            await identity.sign_out(second["access_token"])
            await until(lambda: len(told) == 2, 5.0)
            assert view.is_fresh()

            # Redis comes back: heartbeats are heard again by themselves.
            daemon.start(fresh_valkey)
            heard = view._heard_at or 0.0
            await until(lambda: (view._heard_at or 0.0) > heard, 10.0)
        finally:
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=0.5)
            await redis.aclose()


async def test_two_processes_of_identity_refuse_what_one_of_them_revoked(database_of, engines):
    database = database_of("identity")
    async with (
        running_identity(database, engines.valkey.url()) as one,
        running_identity(database, engines.valkey.url()) as two,
    ):
        acme = await one.make_tenant("acme")
        signed_in = await acme.sign_in(await acme.provision("ada"))
        assert (await two.get("/identity/v1/me", signed_in["access_token"])).status_code == 200
        await one.sign_out(signed_in["access_token"])

        async def refused() -> bool:
            return (await two.get("/identity/v1/me", signed_in["access_token"])).status_code == 401

        await until_true(refused, 3.0)


async def test_the_process_is_ready_when_it_can_do_its_work(identity):
    ready = await identity.http.get("/readyz")
    assert ready.status_code == 200, ready.text
    assert (await identity.http.get("/identity/v1/healthz")).status_code == 200


async def test_what_happened_reaches_the_stream(identity, acme, engines):
    await acme.provision("ada")
    published = identity.rows("SELECT part, position FROM identity.outbox ORDER BY position DESC LIMIT 1")[0]
    redis = Redis.from_url(engines.valkey.url().reveal())
    try:
        key = f"muniment:{{identity:{published.part}}}"
        entry = f"{published.position}-0"

        async def copied() -> bool:
            return bool(await redis.xrange(key, entry, entry))

        await until_true(copied, 5.0)
    finally:
        await redis.aclose()
