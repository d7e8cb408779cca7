"""The routes that other services call; none of them is routed from outside."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from libs.contracts import internal as wire
from libs.host.auth import PeerVerifier, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import ConversationId, DekId, TenantId
from services.keys.domain.access import Access
from services.keys.domain.deks import ClearDek, DekReference, DekWish, Obstacle, scope_of_message_keys
from services.keys.domain.errors import BatchTooLarge
from services.keys.domain.signing import Use
from services.keys.usecases.find_refused_keks import FindRefusedKeks
from services.keys.usecases.lease_signing_key import LeaseSigningKey
from services.keys.usecases.obtain_deks import ObtainDeks
from services.keys.usecases.obtain_fingerprint_key import ObtainFingerprintKey
from services.keys.usecases.retire_deks import RetireDeks
from services.keys.usecases.unwrap_deks import UnwrapDeks

_SEALS_MESSAGES: Final = ("messaging",)
_OPENS_MESSAGES: Final = ("messaging", "ediscovery")
_HAS_WORDS: Final = ("ediscovery",)
_SIGNS: Final[Mapping[Use, str]] = {
    Use.TOKENS: "identity",
    Use.CHECKPOINTS: "audit",
    Use.PRODUCTIONS: "ediscovery",
    Use.CERTIFICATES: "retention",
}
"""The one service that signs with the keys of a use."""
_NO_STORE: Final = {"cache-control": "no-store"}


def dek_routes(
    verifier: PeerVerifier,
    obtain: ObtainDeks,
    unwrap: UnwrapDeks,
    obtain_fingerprint: ObtainFingerprintKey,
    retire: RetireDeks,
) -> APIRouter:
    """Return the routes of data keys: messaging seals, opens and retires, eDiscovery only opens."""
    router = APIRouter(prefix="/internal", include_in_schema=False)
    caller = require_service(verifier, _SEALS_MESSAGES)
    opener = require_service(verifier, _OPENS_MESSAGES)

    @router.post("/deks/obtain")
    async def obtain_deks(
        service: Annotated[str, Depends(caller)],
        request: Annotated[wire.ObtainDeks, Depends(wire_body(wire.ObtainDeks))],
    ) -> Response:
        _refuse_beyond_limit(request.items)
        access = Access(service, request.purpose, request.act)
        answers = await obtain([_wish_of(item) for item in request.items], access)
        return _secret(wire.KeysOf(items=tuple(_dek_key_of(answer) for answer in answers)))

    @router.post("/deks/unwrap")
    async def unwrap_deks(
        service: Annotated[str, Depends(opener)],
        request: Annotated[wire.UnwrapDeks, Depends(wire_body(wire.UnwrapDeks))],
    ) -> Response:
        _refuse_beyond_limit(request.items)
        access = Access(service, request.purpose, request.act)
        references = [DekReference(TenantId(item.tenant), DekId(item.dek)) for item in request.items]
        answers = await unwrap(references, access)
        items = zip(references, answers, strict=True)
        return _secret(wire.KeysOf(items=tuple(_dek_key_of(answer, named.dek) for named, answer in items)))

    @router.post("/deks/retire")
    async def retire_deks(
        service: Annotated[str, Depends(caller)],
        request: Annotated[wire.RetireDeks, Depends(wire_body(wire.RetireDeks))],
    ) -> Response:
        deks = [DekId(dek) for dek in request.deks]
        await retire(TenantId(request.tenant), deks, request.order, service)
        return wire_response(wire.Done())

    @router.post("/fingerprint-keys/obtain")
    async def obtain_fingerprint_key(
        service: Annotated[str, Depends(caller)],
        request: Annotated[wire.ObtainFingerprintKey, Depends(wire_body(wire.ObtainFingerprintKey))],
    ) -> Response:
        access = Access(service, request.purpose, request.act)
        key = await obtain_fingerprint(TenantId(request.tenant), access)
        return _secret(wire.FingerprintKey(dek=key.dek, key=key.key))

    return router


def kek_routes(verifier: PeerVerifier, find_refused: FindRefusedKeks) -> APIRouter:
    """Return the route of keys that the vault refuses, for eDiscovery, which has words of what they seal."""
    router = APIRouter(prefix="/internal/keks", include_in_schema=False)

    @router.post("/refused", dependencies=[Depends(require_service(verifier, _HAS_WORDS))])
    async def refused(
        wanted: Annotated[wire.FindRefusedKeks, Depends(wire_body(wire.FindRefusedKeks))],
    ) -> Response:
        _refuse_beyond_limit(wanted.tenants)
        found = await find_refused([TenantId(tenant) for tenant in wanted.tenants])
        return wire_response(wire.RefusedKeks(tenants=tuple(found)))

    return router


def signing_key_routes(verifier: PeerVerifier, lease: LeaseSigningKey) -> APIRouter:
    """Return the routes of signing keys: those of each use for the one service that signs with them."""
    router = APIRouter(prefix="/internal/signing-keys", include_in_schema=False)
    for use, service in _SIGNS.items():
        _add_lease(router, use, require_service(verifier, [service]), lease)
    return router


def _add_lease(
    router: APIRouter, use: Use, caller: Callable[[str], Awaitable[str]], lease: LeaseSigningKey
) -> None:
    @router.post(f"/{use.value}/lease")
    async def lease_signing_key(
        service: Annotated[str, Depends(caller)],
        _request: Annotated[wire.LeaseSigningKey, Depends(wire_body(wire.LeaseSigningKey))],
    ) -> Response:
        leased = await lease(use, service)
        return _secret(
            wire.SigningKeyLease(
                kid=leased.kid,
                private=leased.private,
                not_after=leased.not_after,
                renew_at=leased.renew_at,
            )
        )


def _refuse_beyond_limit(items: Sequence[object]) -> None:
    if len(items) > wire.BATCH_LIMIT:
        raise BatchTooLarge(wire.BATCH_LIMIT)


def _wish_of(item: wire.DekWanted) -> DekWish:
    scope = scope_of_message_keys(TenantId(item.tenant), ConversationId(item.conversation), item.epoch)
    return DekWish(scope, None if item.exhausted is None else DekId(item.exhausted))


def _dek_key_of(answer: ClearDek | Obstacle, dek: DekId | None = None) -> wire.DekKey:
    """Return a key in clear, or what stands in its way to the key of the name `dek`, if it was named."""
    if isinstance(answer, Obstacle):
        return wire.DekKey(dek=dek, problem=answer.value)
    return wire.DekKey(dek=answer.dek, key=answer.key, kek_version=answer.kek_version)


def _secret(message: wire.Wire) -> Response:
    """Return the message in a response that nothing on its way may keep."""
    response = wire_response(message)
    response.headers.update(_NO_STORE)
    return response
