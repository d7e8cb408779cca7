"""The demo tenant of `muniment up --demo`: a few people, their conversations and three sign-ins.

Making it is safe to repeat: people are found by their names, conversations and messages carry the same ids
each time. The passwords are made once and kept with the data, so that every start prints the same ones.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

import httpx
import msgspec

from infra.engines.folders import write_private
from libs.client.client import Client
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.demo.people import (
    Tenant,
    make_tenant,
    provision,
    sign_in_codes,
    tenant_with_token,
)
from services.runner.demo.script import Conversation, Person, Script, read_script
from services.runner.errors import RunnerError
from services.runner.peers import Operator

SLUG: Final = "demo"
IT_ADMIN: Final = Person("it.admin", "Ida Admin")
LEGAL: Final = Person("legal.counsel", "Lea Counsel")
_PASSWORD_BYTES: Final = 12
_HTTP_SECONDS: Final = 30.0


class ShowcaseSignIn(msgspec.Struct, frozen=True, kw_only=True):
    """How one can sign in to the demo tenant, and as what."""

    role: str
    tenant: str
    user_name: str
    password: str

    def __repr__(self) -> str:
        """Return who it is, without the password."""
        return f"ShowcaseSignIn({self.role}: {self.user_name})"


class _Kept(msgspec.Struct):
    """What is kept between starts: the sign-ins, and whether everything was made."""

    sign_ins: list[ShowcaseSignIn]
    complete: bool = False


async def prepare_showcase(facts: Mapping[str, Any]) -> list[ShowcaseSignIn]:
    """Make the demo tenant in a running deployment, unless it stands, and return its sign-ins.

    Raises RunnerError, or a ClientError of the SDK.
    """
    file = Path(facts["data"]) / "showcase.json"
    script = read_script(None, None)
    kept = _read(file) or _Kept(_new_sign_ins(script))
    if not kept.complete:
        write_private(file, msgspec.json.encode(kept))
        await _make(facts, script, kept.sign_ins)
        kept.complete = True
        write_private(file, msgspec.json.encode(kept))
    return kept.sign_ins


def _read(file: Path) -> _Kept | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as defect:
        raise RunnerError(f"{file} cannot be read: {defect}") from defect


def _new_sign_ins(script: Script) -> list[ShowcaseSignIn]:
    randomness = SystemRandomness()
    return [
        ShowcaseSignIn(
            role=role,
            tenant=SLUG,
            user_name=person.user_name,
            password=base64.urlsafe_b64encode(randomness.bytes(_PASSWORD_BYTES)).decode(),
        )
        for role, person in (
            ("employee", script.people[0]),
            ("it_admin", IT_ADMIN),
            ("legal_counsel", LEGAL),
        )
    ]


async def _make(facts: Mapping[str, Any], script: Script, sign_ins: list[ShowcaseSignIn]) -> None:
    """Make whatever of the tenant does not stand yet."""
    operator = Operator(facts)
    tenant = _tenant(operator)
    people = [*script.people, IT_ADMIN, LEGAL]
    async with httpx.AsyncClient(timeout=_HTTP_SECONDS, trust_env=False) as http:
        principals = await provision(http, facts["origin"], tenant, people, lambda _: None)
        of_name = {person.user_name: one for person, one in zip(people, principals, strict=True)}
        for sign_in in sign_ins:
            principal = str(of_name[sign_in.user_name])
            path = f"/internal/tenants/{tenant.tenant}"
            operator.call("POST", f"{path}/passwords", {"principal": principal, "password": sign_in.password})
            operator.call("POST", f"{path}/roles", {"principal": principal, "role": sign_in.role})
        speakers = principals[: len(script.people)]
        clients = await _signed_in(facts, http, sign_in_codes(operator, tenant, speakers))
        for conversation in script.conversations:
            await _say(tenant.tenant, conversation, clients, speakers)


def _tenant(operator: Operator) -> Tenant:
    """Return the demo tenant, made if there is none."""
    for each in operator.call("GET", "/internal/tenants")["tenants"]:
        if each["slug"] == SLUG:
            return tenant_with_token(operator, each["tenant"], SLUG)
    return make_tenant(operator, SLUG, "Muniment demo")


async def _signed_in(facts: Mapping[str, Any], http: httpx.AsyncClient, codes: list[str]) -> list[Client]:
    clock, randomness = SystemClock(), SystemRandomness()
    clients = []
    for code in codes:
        client = Client(facts["origin"], http, clock, SystemIds(clock, randomness), randomness)
        await client.sign_in_with_code(code, device_name="showcase")
        clients.append(client)
    return clients


async def _say(
    tenant: UUID, conversation: Conversation, clients: list[Client], principals: list[UUID]
) -> None:
    """Begin a conversation and say its lines; ids follow from the tenant and the place, each time alike."""
    begun = await clients[conversation.people[0]].create_conversation(
        "group",
        [principals[person] for person in conversation.people[1:]],
        name=conversation.name,
        conversation=uuid5(tenant, conversation.name),
    )
    for number, line in enumerate(conversation.lines):
        message = uuid5(tenant, f"{conversation.name}/{number}")
        await clients[line.speaker].post(begun.conversation, line.text, message=message)
