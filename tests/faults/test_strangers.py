"""Tokens that are forged or worn out, and ids of others: one answer for all of them, at every door."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.authn.service_tokens import ServiceTokenSigner
from libs.authn.tokens import TokenSigner
from libs.client.client import Client
from libs.contracts.internal import LeaseSigningKey, SigningKeyLease
from libs.contracts.socket import Hello, Mark, Send, Sync, Text, encode_frame
from libs.host.clients import ServiceClient
from libs.kernel.clock import ManualClock
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, TenantId
from tests.faults.load import Load, loaded
from tests.faults.raw_sockets import answer_of, end_of, raw_socket
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")

Forge = Callable[["Mint"], str]


@dataclass
class Mint:
    """The platform's own signing key, as only identity may have it, and the claims of a real person."""

    town: Town
    lease: SigningKeyLease
    claims: dict[str, Any]

    def signed(self, seed: bytes | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Return a token with some claims changed, signed with the platform's key unless another is given."""
        key = Ed25519PrivateKey.from_private_bytes(seed or self.lease.private)
        headers = {"kid": self.lease.kid, "typ": "at+jwt", **(header or {})}
        return jwt.encode({**self.claims, **changes}, key, algorithm="EdDSA", headers=headers)

    def aged(self, seconds: float) -> str:
        """Return what the platform itself would have signed so many seconds ago."""
        clock = ManualClock(self.town.clock.now() - timedelta(seconds=seconds))
        signer = TokenSigner(self.lease.kid, self.lease.private, clock, self.town.ids)
        return signer.sign(
            tenant=TenantId(UUID(self.claims["tenant"])),
            principal=PrincipalId(UUID(self.claims["sub"])),
            session=SessionId(UUID(self.claims["session"])),
            device=DeviceId(UUID(self.claims["device"])),
            roles=self.claims["roles"],
        ).token

    def unsigned(self) -> str:
        head = _part({"alg": "none", "kid": self.lease.kid, "typ": "at+jwt"})
        return f"{head}.{_part(self.claims)}."

    def signed_with_the_public_key(self) -> str:
        """Return a token whose HMAC was made with what everybody can read in the key set."""
        public = self.town.platform.get("/keys/v1/jwks.json").body
        head = _part({"alg": "HS256", "kid": self.lease.kid, "typ": "at+jwt"})
        text = f"{head}.{_part(self.claims)}"
        return f"{text}.{_base64(hmac.digest(public, text.encode(), hashlib.sha256))}"


def _part(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


async def _mint(town: Town, client: Client) -> Mint:
    """Lease the signing key as identity does: its seed lies in the data folder."""
    kept = json.loads((town.platform.data / "kept.json").read_bytes())
    signer = ServiceTokenSigner("identity", base64.b64decode(kept["seeds"]["identity"]), town.clock, town.ids)
    async with ServiceClient(town.platform.facts["services"]["keys"], "keys", signer) as keys:
        lease = await keys.call("/internal/signing-keys/tokens/lease", LeaseSigningKey(), SigningKeyLease)
    token = await client.session.access_token()
    return Mint(town, lease, jwt.decode(token, options={"verify_signature": False}))


def _spoilt_signature(mint: Mint) -> str:
    head, body, signature = mint.signed().split(".")
    return f"{head}.{body}.{signature[:-4]}{'AAAA' if signature[-4:] != 'AAAA' else 'BBBB'}"


def _another_body(mint: Mint) -> str:
    head, _, signature = mint.signed().split(".")
    return f"{head}.{_part({**mint.claims, 'roles': ['it_admin']})}.{signature}"


FORGERIES: dict[str, Forge] = {
    "expired": lambda mint: mint.aged(301),
    "not yet issued": lambda mint: mint.aged(-600),
    "signed by another key under the name of ours": lambda mint: mint.signed(b"\x07" * 32),
    "under an unknown key's name": lambda mint: mint.signed(header={"kid": "nobody"}),
    "a spoilt signature": _spoilt_signature,
    "a body with other roles": _another_body,
    "unsigned": Mint.unsigned,
    "signed with the public key": Mint.signed_with_the_public_key,
    "for another audience": lambda mint: mint.signed(aud="elsewhere"),
    "of another issuer": lambda mint: mint.signed(iss="elsewhere"),
    "of another type": lambda mint: mint.signed(header={"typ": "JWT"}),
    "without a tenant": lambda mint: mint.signed(tenant=None),
    "a life of a year": lambda mint: mint.signed(exp=mint.claims["iat"] + 31_536_000),
    "nothing": lambda _: "",
    "no token": lambda _: "a.b.c",
    "endless": lambda _: "a" * 8000,
}


async def test_a_token_that_the_platform_signed_now_is_good(town: Town) -> None:
    (ada,) = await town.settle(1)
    mint = await _mint(town, ada)
    for token in (mint.signed(), mint.aged(0)):
        assert await _answers(town, token) == [200, 200]
        async with raw_socket(town.gateways[0]) as socket:
            await socket.send(encode_frame(Hello(token=token)))
            assert (await answer_of(socket))["op"] == "welcome"


async def test_every_forged_or_expired_token_gets_the_same_refusal_at_every_door(town: Town) -> None:
    (ada,) = await town.settle(1)
    mint = await _mint(town, ada)
    told: dict[str, tuple[list[Any], int | None]] = {}
    for name, forge in FORGERIES.items():
        token = forge(mint)
        async with raw_socket(town.gateways[0]) as socket:
            await socket.send(encode_frame(Hello(token=token)))
            code, frames = await end_of(socket)
        assert frames == []
        told[name] = (await _answers(town, token), code)
    refused = {"type": "urn:problem:unauthenticated", "status": 401, "code": "unauthenticated"}
    for name, (answers, code) in told.items():
        assert code == 4001, name
        for answer in answers:
            assert answer == told["no token"][0][0], name
            assert refused.items() <= answer.items(), name


async def _answers(town: Town, token: str) -> list[Any]:
    """Return 200, or the problem without what names the request, of one route of each service."""
    answers: list[Any] = []
    for path in ("/messaging/v1/conversations", "/identity/v1/me"):
        answer = await town.http.get(
            town.platform.origin + path, headers={"authorization": f"Bearer {token}"} if token else {}
        )
        answers.append(200 if answer.status_code == 200 else _anonymous(answer.json()))
    return answers


def _anonymous(problem: dict[str, Any], *ids: UUID) -> dict[str, Any]:
    """Return a problem without the request's own name, and without the ids that were asked about."""
    text = json.dumps({key: value for key, value in problem.items() if key not in {"request_id", "instance"}})
    for one in ids:
        text = text.replace(str(one), "ID")
    stripped: dict[str, Any] = json.loads(text)
    return stripped


async def test_a_real_token_of_a_tenant_that_does_not_exist_finds_nothing(town: Town) -> None:
    async with loaded(town, people=2, senders=1) as load:
        await load.send(0)
        mint = await _mint(town, load.clients[0])
        nowhere, nobody = str(uuid4()), str(uuid4())
        strangers: tuple[dict[str, Any], ...] = (
            {"tenant": nowhere},
            {"sub": nobody},
            {"tenant": nowhere, "sub": nobody},
        )
        for token in (mint.signed(**changes) for changes in strangers):
            absent = await _asked_about(load, token, uuid4())
            assert await _asked_about(load, token, load.conversation) == absent
            answer = await town.http.get(
                f"{town.platform.origin}/messaging/v1/conversations",
                headers={"authorization": f"Bearer {token}"},
            )
            assert answer.json() == {"conversations": []}


async def _asked_about(load: Load, token: str, conversation: UUID) -> list[Any]:
    """Return the answer of every route and every frame that names a conversation."""
    told: list[Any] = []
    place = f"{load.platform.origin}/messaging/v1/conversations/{conversation}"
    person = str(load.town.principals[1])
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("GET", "/entries", None),
        ("GET", "/receipts", None),
        ("GET", "/evidence?first=1&last=1", None),
        ("POST", "/messages", {"id": str(uuid4()), "body": {"text": "hello"}}),
        ("POST", "/participants", {"add": [person]}),
        ("POST", "/participants", {"remove": [person]}),
    ]
    for method, path, body in calls:
        answer = await load.town.http.request(
            method, place + path, json=body, headers={"authorization": f"Bearer {token}"}
        )
        told.append((answer.status_code, _anonymous(answer.json(), conversation)))
    return [*told, *await _asked_by_socket(load, token, conversation)]


async def _asked_by_socket(load: Load, token: str, conversation: UUID) -> list[Any]:
    send = uuid4()
    async with raw_socket(load.town.gateways[0]) as socket:
        await socket.send(encode_frame(Hello(token=token, cursors={conversation: 0})))
        hello = await answer_of(socket, "page")
        told: list[Any] = [_anonymous(hello, conversation)]
        for frame, op in (
            (Send(id=send, conversation=conversation, body=Text(text="hello")), None),
            (Mark(conversation=conversation, read=1), None),
            (Sync(ref="r", cursors={conversation: 0}), "page"),
        ):
            await socket.send(encode_frame(frame))
            if op is None and isinstance(frame, Mark):
                await socket.send('{"op":"ping"}')  # a mark that is taken has no answer of its own
            told.append(_anonymous(await answer_of(socket, op), conversation, send))
    return told


async def test_whatever_names_another_tenants_conversation_is_told_the_same_as_of_none(town: Town) -> None:
    async with loaded(town, people=2, senders=1) as load:
        await load.send(0)
        own = await _asked_about(load, await load.clients[0].session.access_token(), load.conversation)
        principals = town.principals
        (stranger, _) = await town.settle(2)
        town.principals = principals  # what is asked for are the people of the first tenant
        token = await stranger.session.access_token()
        foreign = await _asked_about(load, token, load.conversation)
        assert foreign == await _asked_about(load, token, uuid4())
        assert foreign != own
        assert [status for status, _ in foreign[:6]] == [404] * 6


async def test_people_of_another_tenant_are_as_unknown_as_nobody(town: Town) -> None:
    await town.settle(1)
    (abroad,) = town.principals
    (ada,) = await town.settle(1)
    headers = {"authorization": f"Bearer {await ada.session.access_token()}"}

    async def invited(person: UUID) -> tuple[int, dict[str, Any]]:
        body = {"kind": "group", "participants": [str(person)]}
        answer = await town.http.post(
            f"{town.platform.origin}/messaging/v1/conversations", json=body, headers=headers
        )
        return answer.status_code, _anonymous(answer.json(), person)

    assert await invited(abroad) == await invited(uuid4())


async def test_a_directory_token_opens_its_own_tenant_alone(town: Town) -> None:
    await town.settle(1)
    other = town.tenant
    await town.settle(1)
    headers = {"authorization": f"Bearer {town.tenant.scim_token}"}

    async def listed(slug: str) -> tuple[int, str]:
        answer = await town.http.get(f"{town.platform.origin}/scim/v2/{slug}/Users", headers=headers)
        return answer.status_code, answer.text

    assert (await listed(town.tenant.slug))[0] == 200
    assert await listed(other.slug) == await listed("there-is-no-such-tenant")
    assert (await listed(other.slug))[0] in {401, 404}


INTERNAL = [
    ("GET", "/internal/outbox?part=0&after=0&limit=10"),
    ("GET", "/internal/revocations"),
    ("POST", "/internal/tenants"),
    ("POST", "/internal/deks/unwrap"),
    ("POST", "/internal/signing-keys/tokens/lease"),
]


@pytest.mark.parametrize(
    "prefix", ["", "/messaging/v1", "/identity/v1", "/keys/v1", "/messaging/v1/..", "//"]
)
async def test_no_internal_route_is_reached_through_the_origin(town: Town, prefix: str) -> None:
    (ada,) = await town.settle(1)
    headers = {"authorization": f"Bearer {await ada.session.access_token()}"}
    for method, path in INTERNAL:
        answer = await town.http.request(method, town.platform.origin + prefix + path, headers=headers)
        assert answer.status_code in {404, 405}, path
