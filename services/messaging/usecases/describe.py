"""How conversations are called and what they are about: what their log says of it last."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from libs.contracts.socket import Body
from libs.kernel.ids import ConversationId, TenantId
from services.messaging.domain.errors import KeyGone, KeysUnavailable
from services.messaging.domain.membership import Standing
from services.messaging.ports import ConversationState, Keys, LogReader
from services.messaging.usecases.entries import NotAtHand, opened_body


class Description(NamedTuple):
    """A conversation's name and topic; None where it has none, or what said it was disposed of."""

    name: str | None = None
    topic: str | None = None


_NOTHING: Final = Body()


class Describe:
    """Reads names and topics, which lie sealed in the log like all that people write."""

    def __init__(self, reader: LogReader, keys: Keys) -> None:
        """Read by `reader`, open by `keys`."""
        self._reader = reader
        self._keys = keys

    async def __call__(self, tenant: TenantId, states: Sequence[ConversationState]) -> list[Description]:
        """Return how each conversation is called for whoever stands to it so, in their order.

        Who takes part is told how it is called now, also if that was said before he came; who has left is
        told what was so while he was there, or nothing. Raises KeysUnavailable or LogUnavailable.
        """
        places = [(state.conversation, seq) for state in states for seq in _places_of(state.standing) if seq]
        try:
            bodies = await self._opened(tenant, places)
        except KeyGone:  # sealed anew between the reading and the opening
            bodies = await self._opened(tenant, places)
        return [_described(state, bodies) for state in states]

    async def _opened(
        self, tenant: TenantId, places: Sequence[tuple[ConversationId, int]]
    ) -> dict[tuple[ConversationId, int], Body]:
        if not places:
            return {}
        stored = await self._reader.bodies(tenant, places)
        missing = [each.sealed for each in stored if self._keys.find_opening_key(each.sealed) is None]
        if missing:
            await self._keys.fetch_opening_keys(tenant, missing)
        try:
            return {(each.conversation, each.seq): opened_body(tenant, each, self._keys) for each in stored}
        except NotAtHand:  # fetched a moment ago, and pushed out by others meanwhile
            raise KeysUnavailable from None


def _places_of(standing: Standing) -> tuple[int | None, int | None]:
    """Return where the name and the topic are that this person may know."""

    def known(seq: int | None) -> int | None:
        return None if seq is None or seq > standing.last_visible else seq

    return known(standing.terms.name_seq), known(standing.terms.topic_seq)


def _described(state: ConversationState, bodies: dict[tuple[ConversationId, int], Body]) -> Description:
    name_seq, topic_seq = _places_of(state.standing)
    name = bodies.get((state.conversation, name_seq or 0), _NOTHING).name
    return Description(name, bodies.get((state.conversation, topic_seq or 0), _NOTHING).topic or None)
