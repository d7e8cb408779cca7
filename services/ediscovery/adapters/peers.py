"""Questions to other services: whatever keeps one from answering, the answer cannot be had now."""

from typing import TypeVar

from libs.contracts.internal import Wire
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable, ServiceClient
from services.ediscovery.domain.errors import CorrespondenceUnavailable

V = TypeVar("V")


async def asked(peer: ServiceClient, path: str, message: Wire, kind: type[V]) -> V:
    """Return the answer of a peer. Raises CorrespondenceUnavailable."""
    try:
        return await peer.call(path, message, kind)
    except PeerUnavailable as error:
        raise CorrespondenceUnavailable(error.retry_after_seconds) from error
    except (PeerNotFound, PeerRefused) as error:
        raise CorrespondenceUnavailable from error
