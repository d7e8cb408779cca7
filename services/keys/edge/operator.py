"""The operator's route: put another signing key in the place of one, before its time."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from libs.host.auth import PeerVerifier, require_service
from services.keys.domain.signing import Use
from services.keys.usecases.rotate_signing_key import Rotated, RotateSigningKey

OPERATOR: Final = "operator"


class RetiredAnswer(BaseModel):
    """A key that ends before its time, and its new end: when the last lease of it is over."""

    kid: str
    not_after: datetime


class RotatedAnswer(BaseModel):
    """The key that the next lease gives, and those whose place it took."""

    use: Use
    kid: str
    not_before: datetime
    not_after: datetime
    retired: list[RetiredAnswer]


def operator_routes(verifier: PeerVerifier, rotate: RotateSigningKey) -> APIRouter:
    """Return the routes for the operator alone."""
    router = APIRouter(prefix="/internal/signing-keys", include_in_schema=False)
    for use in Use:
        _add_rotation(router, use, verifier, rotate)
    return router


def _add_rotation(router: APIRouter, use: Use, verifier: PeerVerifier, rotate: RotateSigningKey) -> None:
    @router.post(f"/{use.value}/rotate")
    async def rotate_signing_key(
        _operator: Annotated[str, Depends(require_service(verifier, [OPERATOR]))],
    ) -> RotatedAnswer:
        return _answer_of(use, await rotate(use))


def _answer_of(use: Use, rotated: Rotated) -> RotatedAnswer:
    key = rotated.successor
    return RotatedAnswer(
        use=use,
        kid=key.kid,
        not_before=key.not_before,
        not_after=key.not_after,
        retired=[RetiredAnswer(kid=old.kid, not_after=old.not_after) for old in rotated.retired],
    )
