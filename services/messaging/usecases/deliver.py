"""Delivers committed entries to the sockets of this gateway: in order, once, encoded once.

Every conversation with a socket here has a channel. Entries reach it from this gateway's own commits
and, sealed, from other gateways; what is dropped on that way shows as a gap and is read from the log.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from libs.contracts.socket import (
    MEMBERSHIP,
    ConversationEntries,
    Entries,
    EntryKind,
    Page,
    amended_by,
    encode_frame,
)
from libs.contracts.socket import Entry as ShownEntry
from libs.kernel.ids import ConversationId, DeviceId, PrincipalId, SessionId, TenantId
from services.messaging.domain.entries import ConversationKey, Entry
from services.messaging.domain.feed import Feed
from services.messaging.domain.log import Head
from services.messaging.domain.membership import Standing, holding_of
from services.messaging.ports import Keys, Live, LiveBatch, LiveEntry, LogReader
from services.messaging.usecases.commit import Pending
from services.messaging.usecases.entries import (
    NotAtHand,
    Sees,
    read_opened,
    shown_from_commit,
    shown_from_live,
)

_BRINGS_IN = frozenset((EntryKind.CONVERSATION_CREATED, EntryKind.PARTICIPANTS_ADDED))
_IN_A_NEW_ONE = frozenset({"participant"})
PAGE_ENTRIES = 500
GAP_PATIENCE_SECONDS = 0.02


class Subscriber(Protocol):
    """One socket. Pushing never waits: a socket that is too slow closes itself and is resynchronised."""

    @property
    def tenant(self) -> TenantId:
        """The tenant of the socket's session."""
        ...

    @property
    def principal(self) -> PrincipalId:
        """Who listens."""
        ...

    @property
    def session(self) -> SessionId:
        """The session that opened the socket."""
        ...

    @property
    def device(self) -> DeviceId:
        """The device at the other end."""
        ...

    @property
    def limit(self) -> int:
        """How many entries the device wants in a page."""
        ...

    def push(self, frame: str) -> None:
        """Send a frame."""
        ...

    async def drained(self) -> None:
        """Wait until what was pushed has left, so that pages never pile up."""
        ...


class Hint(NamedTuple):
    """How a socket's person stands to a conversation, as of a version of its membership."""

    members_version: int
    holding: frozenset[str]


class Item(NamedTuple):
    """An entry on its way to sockets; `origin` is the socket that was told by its ack already."""

    shown: ShownEntry
    origin: object | None = None


@dataclass(slots=True, eq=False)
class Channel:
    """One conversation at this gateway: its order, and the sockets with the `seq` that each has already.

    `attaching` are the sockets that are being brought up to date: with them the channel stays, and none
    of them is brought in or taken out by an entry that passes meanwhile. `holding` are, of some of those
    attached, the facts that hold for their person at `members_version`.
    """

    key: ConversationKey
    members_version: int
    feed: Feed[Item] = field(default_factory=Feed)
    attached: dict[Subscriber, int] = field(default_factory=dict)
    attaching: set[Subscriber] = field(default_factory=set)
    holding: dict[Subscriber, frozenset[str]] = field(default_factory=dict)
    mending: bool = False


class Deliver:
    """The channels of one gateway."""

    def __init__(
        self,
        reader: LogReader,
        keys: Keys,
        live: Live,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """Read gaps by `reader`, open bodies with `keys`, hurry entries by `live`, run tasks by `spawn`."""
        self._reader = reader
        self._keys = keys
        self._live = live
        self._spawn = spawn
        self._channels: dict[ConversationKey, Channel] = {}
        self._sockets: dict[tuple[TenantId, PrincipalId], set[Subscriber]] = {}
        self._joined: dict[Subscriber, set[ConversationKey]] = {}

    # What the commit and the other gateways bring.

    def committed(self, committed: Sequence[tuple[Pending, Entry]]) -> None:
        """Deliver what this gateway committed, and hurry it, sealed, to the other gateways."""
        batches: dict[ConversationKey, list[LiveEntry]] = {}
        for _, entry in committed:
            key = entry.draft.key
            batches.setdefault(key, []).append(_live_entry(entry))
        self._live.publish([LiveBatch(*key, entries) for key, entries in batches.items()])
        by_key: dict[ConversationKey, list[tuple[int, Item]]] = {}
        for pending, entry in committed:
            if self._concerns(entry.draft.key, entry.draft.subjects):
                item = Item(shown_from_commit(entry, pending.body), pending.origin)
                by_key.setdefault(entry.draft.key, []).append((entry.seq, item))
        for key, items in by_key.items():
            self._accept(key, items)

    def arrived(self, batch: LiveBatch) -> None:
        """Deliver what another gateway committed."""
        key = ConversationKey(TenantId(batch.tenant), ConversationId(batch.conversation))
        if not self._concerns(key, [subject for entry in batch.entries for subject in entry.subjects]):
            return
        try:
            self._accept(key, self._opened(key, batch.entries))
        except NotAtHand:
            self._spawn(self._arrived_cold(key, batch.entries))

    def _opened(self, key: ConversationKey, entries: Iterable[LiveEntry]) -> list[tuple[int, Item]]:
        return [(entry.seq, Item(shown_from_live(key, entry, self._keys))) for entry in entries]

    async def _arrived_cold(self, key: ConversationKey, entries: Sequence[LiveEntry]) -> None:
        """Fetch the keys first; if that fails the gap stays, and the sweep reads it later."""
        sealed = [entry.sealed for entry in entries if entry.sealed is not None]
        await self._keys.fetch_opening_keys(key.tenant, sealed)
        self._accept(key, self._opened(key, entries))

    def _concerns(self, key: ConversationKey, subjects: Iterable[object]) -> bool:
        """Tell whether anybody at this gateway takes part, or is being brought in."""
        return key in self._channels or any((key.tenant, subject) in self._sockets for subject in subjects)

    def _accept(self, key: ConversationKey, items: Sequence[tuple[int, Item]]) -> None:
        channel = self._channels.get(key) or self._channel(key, items[0][1].shown, items[0][0] - 1)
        items = _amended(channel.feed, items)
        ready: list[tuple[int, Item]] = []
        for seq, item in items:
            ready += channel.feed.accept(seq, item)
        self._write(channel, ready)
        if channel.feed.gap() is not None:
            self._spawn(self._mend(channel))
        self._drop_if_deserted(channel)

    # What sockets see.

    def _write(self, channel: Channel, ready: Sequence[tuple[int, Item]]) -> None:
        """Write entries that are in order to every attached socket; those of the membership one by one.

        Whoever is brought in gets the entry that brings him in, whoever is removed the one that removes
        him, and nothing before or after it.
        """
        for changes_members, run in groupby(ready, key=lambda one: _changes_members(one[1])):
            items = list(run)
            if not changes_members:
                self._write_run(channel, items)
                continue
            for seq, item in items:
                channel.members_version = item.shown.members_version
                if item.shown.kind not in MEMBERSHIP:  # it changes how others stand, too
                    channel.holding.clear()
                self._bring_in(channel, seq, item.shown)
                self._write_run(channel, [(seq, item)])
                self._take_out(channel, item.shown)

    def _write_run(self, channel: Channel, run: Sequence[tuple[int, Item]]) -> None:
        """Write consecutive entries as one frame, encoded once; origins are spared their own."""
        conversation = channel.key.conversation
        frame = encode_frame(Entries(conversation=conversation, entries=tuple(i.shown for _, i in run)))
        origins = {item.origin for _, item in run if item.origin is not None}
        first = run[0][0]
        for socket, after in list(channel.attached.items()):
            if socket not in origins and after < first:
                socket.push(frame)
                continue
            rest = tuple(i.shown for seq, i in run if seq > after and i.origin is not socket)
            if rest:
                socket.push(encode_frame(Entries(conversation=conversation, entries=rest)))

    def _bring_in(self, channel: Channel, seq: int, shown: ShownEntry) -> None:
        if shown.kind not in _BRINGS_IN:
            return
        # of a new conversation all is known: nobody has settled anything for it
        holding = _IN_A_NEW_ONE if shown.kind == EntryKind.CONVERSATION_CREATED else None
        for subject in shown.subjects:
            for socket in self._sockets.get((channel.key.tenant, PrincipalId(subject)), ()):
                if socket not in channel.attached and socket not in channel.attaching:
                    self._join(channel, socket, seq - 1, holding)

    def _take_out(self, channel: Channel, shown: ShownEntry) -> None:
        if shown.kind != EntryKind.PARTICIPANTS_REMOVED:
            return
        subjects = set(shown.subjects)
        for socket in [one for one in channel.attached if one.principal in subjects]:
            self._leave(channel, socket)

    # Sockets come and go.

    def opened(self, socket: Subscriber) -> None:
        """Know a socket, so that it can be attached."""
        self._joined[socket] = set()

    def resumed(self, socket: Subscriber) -> None:
        """Let a socket that has caught up be brought into conversations that its person joins from now on.

        Not earlier: an invitation that arrives while the same conversation is being caught up would
        write its entries twice.
        """
        if socket in self._joined:
            self._sockets.setdefault((socket.tenant, socket.principal), set()).add(socket)

    def closed(self, socket: Subscriber) -> None:
        """Forget a socket everywhere."""
        if (keys := self._joined.get(socket)) is None:
            return
        for key in list(keys):
            channel = self._channels[key]
            self._leave(channel, socket)
            self._drop_if_deserted(channel)
        del self._joined[socket]
        place = (socket.tenant, socket.principal)
        mine = self._sockets.get(place, set())
        mine.discard(socket)
        if not mine:
            self._sockets.pop(place, None)

    def sockets(self) -> list[Subscriber]:
        """Return every open socket."""
        return list(self._joined)

    def resumed_sockets(self) -> dict[tuple[TenantId, PrincipalId], list[Subscriber]]:
        """Return, by person, the open sockets that have caught up."""
        return {person: list(sockets) for person, sockets in self._sockets.items()}

    def is_attached(self, socket: Subscriber, key: ConversationKey) -> bool:
        """Tell whether the socket gets the conversation's entries."""
        return key in self._joined.get(socket, ())

    async def attach(
        self, socket: Subscriber, key: ConversationKey, standing: Standing, cursor: int, ref: str | None
    ) -> int:
        """Bring a socket up to date after `cursor`, and keep it so; return how far it has come.

        What was missed goes out by pages under `ref`, or by plain entries without one. No entry is left
        out, and none is written twice: where somebody else attaches this socket already, that is left to
        him.
        """
        if not standing.takes_part:
            return await self._page_missed(socket, key, standing, cursor, ref)
        channel = self._channels.get(key) or self._channel(key, standing, standing.last_seq)
        if socket in channel.attached or socket in channel.attaching:
            return cursor
        channel.attaching.add(socket)
        try:
            return await self._chase(socket, channel, standing, cursor, ref)
        finally:
            channel.attaching.discard(socket)
            self._drop_if_deserted(channel)

    async def _chase(
        self, socket: Subscriber, channel: Channel, standing: Standing, cursor: int, ref: str | None
    ) -> int:
        """Send pages until the channel remembers all that is missed; then join without a pause between.

        When a change of the membership passed meanwhile, the standing is read again: it may have been
        this person who was removed.
        """
        while socket in self._joined:
            if channel.members_version > standing.members_version:
                changed = await self._reader.find_standing(channel.key, socket.principal)
                if changed is None or not changed.takes_part:
                    return await self._page_missed(socket, channel.key, changed or standing, cursor, ref)
                standing = changed
                continue
            position = channel.feed.position
            missed = standing.missed(cursor, position)
            # What passed may stand in for the log where all of it is his to see.
            remembered = len(missed) == 1 and missed[0].until == position
            passed = channel.feed.since(missed[0].after) if remembered else None
            if missed and passed is None:
                await self._page(socket, channel.key, *missed[0], ref, standing.sees_at)
                cursor = missed[0].until
                continue
            if passed:
                socket.push(_page_of(channel.key, tuple(item.shown for _, item in passed), ref))
            cursor = max(cursor, position)
            # A standing may be ahead of what passed here: nothing from before his time is for him.
            known = channel.members_version == standing.members_version
            after = max(cursor, standing.spans[-1].from_seq - 1)
            self._join(channel, socket, after, holding_of(standing) if known else None)
            break
        return cursor

    async def _page_missed(
        self, socket: Subscriber, key: ConversationKey, standing: Standing, cursor: int, ref: str | None
    ) -> int:
        """Send, after `cursor`, what somebody who takes part no more may see; return how far it came."""
        for after, until in standing.missed(cursor, standing.last_seq):
            await self._page(socket, key, after, until, ref, standing.sees_at)
            cursor = until
        return cursor

    async def _page(
        self, socket: Subscriber, key: ConversationKey, after: int, until: int, ref: str | None, sees: Sees
    ) -> None:
        """Send the log from `after` to `until` in pages, none before the last one has left."""
        while after < until:
            limit = min(socket.limit, PAGE_ENTRIES)
            shown = await read_opened(self._reader, self._keys, key, after, until, limit, sees)
            if not shown:
                return
            socket.push(_page_of(key, tuple(shown), ref))
            after = shown[-1].seq
            await socket.drained()

    # Gaps.

    async def catch_up(self, key: ConversationKey, until: int) -> None:
        """Read what the channel lacks up to `until` from the log and deliver it."""
        channel = self._channels.get(key)
        while channel is not None and (after := channel.feed.position) < until:
            shown = await read_opened(self._reader, self._keys, key, after, until, PAGE_ENTRIES)
            if not shown:
                return
            self._accept(key, [(one.seq, Item(one)) for one in shown])
            channel = self._channels.get(key)

    async def _mend(self, channel: Channel) -> None:
        """Give other gateways' entries a moment to arrive, then read what is still missing."""
        if channel.mending:
            return
        channel.mending = True
        try:
            await asyncio.sleep(GAP_PATIENCE_SECONDS)
            if (gap := channel.feed.gap()) is not None:
                await self.catch_up(channel.key, gap.before - 1)
        finally:
            channel.mending = False

    def find_hint(self, socket: Subscriber, key: ConversationKey) -> Hint | None:
        """Return how the socket's person stands as far as this gateway knows, if he takes part."""
        channel = self._channels.get(key)
        holding = None if channel is None else channel.holding.get(socket)
        return None if channel is None or holding is None else Hint(channel.members_version, holding)

    def learn(self, socket: Subscriber, key: ConversationKey, standing: Standing) -> None:
        """Remember how the socket's person stands, if he is attached and nothing else is known since."""
        channel = self._channels.get(key)
        if (
            channel is not None
            and socket in channel.attached
            and channel.members_version == standing.members_version
        ):
            channel.holding[socket] = holding_of(standing)

    def find_head(self, key: ConversationKey) -> Head | None:
        """Return where a log stands as this gateway knows it, or None where nobody listens."""
        channel = self._channels.get(key)
        return None if channel is None else Head(channel.feed.position, channel.members_version)

    def positions_of(self, keys: Iterable[ConversationKey] | None = None) -> dict[ConversationKey, int]:
        """Return how far conversations were delivered here: those of `keys`, or all."""
        wanted = self._channels if keys is None else keys
        return {
            key: channel.feed.position for key in wanted if (channel := self._channels.get(key)) is not None
        }

    def _channel(self, key: ConversationKey, known: Standing | ShownEntry, position: int) -> Channel:
        """Make the channel of a conversation that stands at `position` under a known membership."""
        channel = self._channels[key] = Channel(key, known.members_version)
        channel.feed.load(position)
        return channel

    def _join(self, channel: Channel, socket: Subscriber, after: int, holding: frozenset[str] | None) -> None:
        channel.attached[socket] = after
        if holding is not None:
            channel.holding[socket] = holding
        self._joined[socket].add(channel.key)

    def _leave(self, channel: Channel, socket: Subscriber) -> None:
        del channel.attached[socket]
        channel.holding.pop(socket, None)
        self._joined[socket].discard(channel.key)

    def _drop_if_deserted(self, channel: Channel) -> None:
        if not channel.attached and not channel.attaching:
            self._channels.pop(channel.key, None)


def _changes_members(item: Item) -> bool:
    """Tell whether an entry makes a new version of the membership, of whatever kind it is."""
    return item.shown.members_version == item.shown.seq


def _amended(feed: Feed[Item], items: Sequence[tuple[int, Item]]) -> Sequence[tuple[int, Item]]:
    """Take from everything in memory what entries of the conversation, these or held ones, have amended."""
    new = [item.shown for _, item in items if item.shown.message_seq is not None]
    known = [item.shown for item in feed.held() if item.shown.message_seq is not None]
    if not new and not known:
        return items
    amendments = sorted([*new, *known], key=lambda shown: shown.seq)

    def change(item: Item) -> Item:
        return item._replace(shown=amended_by(item.shown, amendments))

    feed.change(change)
    return [(seq, change(item)) for seq, item in items]


def _page_of(key: ConversationKey, shown: tuple[ShownEntry, ...], ref: str | None) -> str:
    """Return the frame that brings missed entries: a page of an answer, or plain entries."""
    if ref is None:
        return encode_frame(Entries(conversation=key.conversation, entries=shown))
    return encode_frame(
        Page(
            ref=ref,
            entries=(ConversationEntries(conversation=key.conversation, entries=shown),),
            more=True,
            cursors={key.conversation: shown[-1].seq},
        )
    )


def _live_entry(entry: Entry) -> LiveEntry:
    draft = entry.draft
    return LiveEntry(
        seq=entry.seq,
        kind=int(draft.kind),
        message=draft.message,
        revision=draft.revision,
        actor=draft.actor,
        sent_at=draft.sent_at,
        members_version=entry.members_version,
        subjects=draft.subjects,
        sealed=draft.sealed,
        message_seq=draft.message_seq,
    )
