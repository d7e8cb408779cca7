"""A refresh token is used once; one that comes again was copied, and ends its session."""

import asyncio
import base64
from datetime import timedelta
from uuid import UUID


async def test_each_refresh_gives_the_next_token(identity, acme):
    signed_in = await acme.sign_in(await acme.provision("ada"))
    tokens = {signed_in["refresh_token"]}
    for _ in range(5):
        answer = await identity.refresh(signed_in["refresh_token"])
        assert answer.status_code == 200
        assert answer.json()["session"] == signed_in["session"]
        assert answer.json()["device"] == signed_in["device"]
        signed_in = answer.json()
        tokens.add(signed_in["refresh_token"])
    assert len(tokens) == 6
    assert (await identity.get("/identity/v1/me", signed_in["access_token"])).status_code == 200


async def test_a_used_token_ends_the_session_however_old_it_is(identity, acme):
    signed_in = await acme.sign_in(await acme.provision("ada"))
    stolen = current = signed_in["refresh_token"]
    for _ in range(3):
        current = (await identity.refresh(current)).json()["refresh_token"]

    assert (await identity.refresh(stolen)).status_code == 401

    assert (await identity.refresh(current)).status_code == 401
    assert (await identity.get("/identity/v1/me", signed_in["access_token"])).status_code == 401
    (revoked,) = identity.events("identity.session.revoked.v1")
    assert (revoked["session"], revoked["reason"]) == (signed_in["session"], "refresh_token_reused")
    assert len(identity.rows("SELECT 1 FROM identity.revocation")) == 1


async def test_of_two_who_use_one_token_side_by_side_one_gets_it_and_the_session_ends(identity, acme):
    signed_in = await acme.sign_in(await acme.provision("ada"))
    answers = await asyncio.gather(*(identity.refresh(signed_in["refresh_token"]) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    winner = next(answer for answer in answers if answer.status_code == 200).json()
    assert (await identity.refresh(winner["refresh_token"])).status_code == 401


async def test_an_invented_token_ends_nobodys_session(identity, acme):
    other = await identity.make_tenant("other")
    signed_in = await acme.sign_in(await acme.provision("ada"))
    token = signed_in["refresh_token"]
    raw = bytearray(base64.urlsafe_b64decode(token.removeprefix("mrt1_") + "=="))

    def forged(at: int, new: bytes) -> str:
        body = raw[:at] + new + raw[at + len(new) :]
        return "mrt1_" + base64.urlsafe_b64encode(body).rstrip(b"=").decode()

    assert forged(0, b"") == token
    invented = {
        "an earlier number": forged(32, b"\x00\x00\x00\x00"),
        "a later number": forged(32, b"\x00\x00\x00\x09"),
        "another secret": forged(36, b"\x00" * 32),
        "another mark": forged(68, b"\x00" * 16),
        "another tenant": forged(0, other.tenant.bytes),
        "an unknown tenant": forged(0, UUID(int=5).bytes),
        "an unknown session": forged(16, UUID(int=5).bytes),
        "a part": token[:-4],
        "text": "mrt1_",
        "an access token": signed_in["access_token"],
        "umlauts": "mrt1_ä",
    }
    answers = {why: await identity.refresh(text) for why, text in invented.items()}
    documents = [{**answer.json(), "request_id": None} for answer in answers.values()]
    assert {answer.status_code for answer in answers.values()} == {401}
    assert all(document == documents[0] for document in documents)
    assert (await identity.refresh(token)).status_code == 200


async def test_a_session_that_rests_for_a_month_is_over(identity, acme):
    signed_in = await acme.sign_in(await acme.provision("ada"))
    identity.clock.shift = timedelta(days=29)
    answer = await identity.refresh(signed_in["refresh_token"])
    assert answer.status_code == 200
    identity.clock.shift = timedelta(days=60)
    assert (await identity.refresh(answer.json()["refresh_token"])).status_code == 401


async def test_neither_tokens_nor_codes_nor_passwords_lie_in_the_database(identity, acme):
    ada = await acme.provision("ada")
    (code,) = await acme.codes(ada)
    signed_in = await acme.sign_in(ada)
    await identity.operate(
        "POST",
        f"/internal/tenants/{acme.tenant}/passwords",
        {"principal": str(ada), "password": "correct horse"},
    )
    tables = identity.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'identity'::regnamespace AND relkind = 'r'"
    )
    kept = "\n".join(
        str(row)
        for table in tables
        for row in identity.rows(f'SELECT t::text FROM identity."{table.relname}" t')
    )
    raw = base64.urlsafe_b64decode(signed_in["refresh_token"].removeprefix("mrt1_") + "==")
    secrets = {
        "code": code.partition(".")[2].replace("-", ""),
        "password": "correct horse",
        "refresh secret": raw[36:68].hex(),
        "refresh token": signed_in["refresh_token"],
        "access token": signed_in["access_token"],
        "scim secret": base64.urlsafe_b64decode(acme.scim_token.removeprefix("mscim_") + "==")[16:48].hex(),
    }
    assert "ada" in kept
    for what, secret in secrets.items():
        assert secret not in kept, what


async def test_the_log_knows_neither_secrets_nor_names(identity, acme, log):
    ada = await acme.provision("ada.lovelace@acme.test", displayName="Ada Lovelace")
    (code,) = await acme.codes(ada)
    signed_in = await acme.sign_in(ada)
    await identity.refresh(signed_in["refresh_token"])
    await identity.refresh(signed_in["refresh_token"])
    await identity.sign_in(tenant="acme", user_name="ada.lovelace@acme.test", password="correct horse")
    await acme.scim("GET", "/Users", params={"filter": 'userName eq "ada.lovelace@acme.test"'})
    await acme.scim("POST", "/Users", {"schemas": [], "userName": "ada.lovelace@acme.test"})
    identity.execute("ALTER TABLE identity.principal DROP COLUMN search_key")
    answer = await acme.patch(ada, {"op": "add", "path": "title", "value": "Countess"})
    assert answer.status_code == 500

    written = log.getvalue()
    assert "/identity/v1/sessions" in written
    for secret in (
        code,
        signed_in["access_token"],
        signed_in["refresh_token"],
        acme.scim_token,
        "correct horse",
        "lovelace",
        "Lovelace",
        "Countess",
    ):
        assert secret not in written
