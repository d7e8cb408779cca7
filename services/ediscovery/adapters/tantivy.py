"""SearchIndex by tantivy, embedded: a folder for each tenant, in it an index for each month of `sent_at`.

tantivy keeps the terms and postings of a deleted document until it merges that segment, and cannot be told
to. So `expunge` writes the month anew, from the documents that are left, and takes the old files away. An
index is a folder `YYYY-MM.GENERATION`: the rename that gives a new one its name is the swap, and the highest
generation is the one that counts, whenever the machine stopped.

Each month carries the cursors of what it holds in the same commit; a file carries those of the tenant, which
move last. One process writes a tenant's folder.

A conversation may have a thousand participants. Those of a message are a document of their own, its
audience, which all messages with the same ones name: so neither the index nor the writer holds them a
thousand times.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar
from uuid import UUID

import tantivy
from tantivy import FieldType, Occur, Order

from libs.kernel.ids import ConversationId, MessageId, PrincipalId, TenantId
from services.ediscovery.domain.documents import (
    Change,
    Cursor,
    Document,
    DocumentKey,
    Hit,
    Put,
    Removal,
    Standing,
    instant_of,
    microseconds_of,
    period_of,
)
from services.ediscovery.domain.errors import ExpungeUnfinished, IndexUnavailable
from services.ediscovery.domain.query import (
    And,
    Field,
    Ids,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    Scope,
    SentIn,
    SentOn,
    Term,
    bounds_of,
    scoped,
)
from services.ediscovery.domain.tokens import VERSION
from services.ediscovery.domain.wholeness import Reached
from services.ediscovery.ports.index import MOST_HITS, DocumentSource

_HEAP = 15_000_000
"""Bytes that one writer gathers before it writes a segment; tantivy refuses less."""
_BATCH = 1000
_CURSORS = f"cursors.v{VERSION}.json"
_UNFINISHED = ".part"
_BUILDING = ".building"
_SEGMENTS = "meta.json"
"""tantivy's own list of the segments of an index."""
_GENERATION = re.compile(rf"(\d{{4}}-\d{{2}})\.v{VERSION}\.(\d{{6}})")
_ID_FIELDS = {"from": "sender", "in": "conversation"}
_AUDIENCE_BYTES = 16

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class TantivyIndex:
    """All tenants' indexes in one folder."""

    def __init__(self, folder: Path, source: DocumentSource) -> None:
        """Keep the indexes in `folder`; documents that are written anew come from `source`."""
        self._folder = folder
        self._source = source
        self._tenants: dict[TenantId, _Tenant] = {}
        self._writing: defaultdict[TenantId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: defaultdict[TenantId, list[_Waiting]] = defaultdict(list)

    async def apply(self, tenant: TenantId, changes: Sequence[Change], cursor: Cursor) -> None:
        """Make the changes, month by month, each with its cursor in the same commit; see the port.

        A commit takes a tenth of a second, however much it holds: what comes while one is under way goes
        into the next together.
        """
        mine = _Waiting(_Batch(changes, cursor), asyncio.get_running_loop().create_future())
        self._waiting[tenant].append(mine)
        await asyncio.sleep(0)  # those who come at the same moment are there then
        async with self._writing[tenant]:
            if not mine.done.done():
                await self._apply_waiting(tenant)
        mine.done.result()

    async def _apply_waiting(self, tenant: TenantId) -> None:
        """Commit what waits for a tenant, whose writing is locked."""
        waiting = self._waiting.pop(tenant)
        try:
            await _answered(self._of(tenant).apply, [one.batch for one in waiting])
        except BaseException as error:
            for one in waiting:
                refused = error if isinstance(error, IndexUnavailable) else IndexUnavailable("stopped")
                one.done.set_exception(refused)
                one.done.exception()  # who was cancelled meanwhile hears of it no more
            if not isinstance(error, IndexUnavailable):
                raise
        else:
            for one in waiting:
                one.done.set_result(None)

    async def cursor(self, tenant: TenantId, stream: str) -> int:
        """Return the last position of `stream` that was applied."""
        return await _answered(self._of(tenant).cursor, stream)

    async def fill(self, tenant: TenantId, documents: Sequence[Document], cursor: Cursor) -> None:
        """Put documents and set a cursor, month by month; see the port."""
        async with self._writing[tenant]:
            await _answered(self._of(tenant).fill, documents, cursor)

    async def reached(self, tenant: TenantId) -> Reached:
        """Return the cursors and the months that lie in the folder."""
        return await _answered(self._of(tenant).reached)

    async def search(
        self, tenant: TenantId, query: Query, scope: Scope, limit: int, after: Standing | None = None
    ) -> Sequence[Hit]:
        """Return the first hits after a standing; see the port."""
        if not 0 < limit <= MOST_HITS:
            raise ValueError(f"a page has 1 to {MOST_HITS} hits, not {limit}")
        return await _answered(self._of(tenant).search, scoped(query, scope), limit, after)

    async def count(self, tenant: TenantId) -> int:
        """Return how many documents can be found."""
        return await _answered(self._of(tenant).count)

    async def remove(self, tenant: TenantId, keys: Collection[DocumentKey]) -> Sequence[str]:
        """Delete these, and return the months that hold deleted ones."""
        async with self._writing[tenant]:
            return await _answered(self._of(tenant).remove, keys)

    async def purge(self, tenant: TenantId, part: str) -> None:
        """Write a month anew if it holds anything that was deleted."""
        async with self._writing[tenant]:
            stored = self._of(tenant)
            if part in await _answered(stored.months_with_deletions):
                await self._rewrite(stored, part)

    async def expunge(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Write every month anew that holds one of these, or anything that was deleted before."""
        async with self._writing[tenant]:
            stored = self._of(tenant)
            for month in await _answered(stored.remove, keys):
                await self._rewrite(stored, month)
            if left := await _answered(stored.months_with_deletions):
                raise ExpungeUnfinished(tenant, f"deleted documents are still in the files of {left}")
            if left := await _answered(stored.months_with_residue):
                raise ExpungeUnfinished(tenant, f"words of no document are still in the files of {left}")

    async def terms(self, tenant: TenantId) -> Collection[str]:
        """Return the term dictionary as it lies in the files."""
        return await _answered(self._of(tenant).terms)

    async def drop(self, tenant: TenantId) -> None:
        """Delete the tenant's folder."""
        async with self._writing[tenant]:
            self._tenants.pop(tenant, None)
            await _answered(shutil.rmtree, self._folder / str(tenant), ignore_errors=True)

    async def state(self) -> str:
        """Return that it is there. Raises IndexUnavailable when its folder cannot be written to."""
        return await _answered(self._state)

    def _state(self) -> str:
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise IndexUnavailable("its folder cannot be written to")
        return f"tantivy {version('tantivy')}"

    def _of(self, tenant: TenantId) -> "_Tenant":
        if tenant not in self._tenants:
            self._tenants[tenant] = _Tenant(self._folder / str(tenant))
        return self._tenants[tenant]

    async def _rewrite(self, stored: "_Tenant", month: str) -> None:
        """Make the next generation of a month from what is left of it.

        A document that is left but that the source does not give is on its way out: its removal will come,
        and until then the month is as it was.
        """
        left = await _answered(stored.keys_of, month)
        fresh = await _answered(stored.begin_generation, month)
        try:
            missing = len(left)
            for begin in range(0, len(left), _BATCH):
                batch = set(left[begin : begin + _BATCH])
                given = {one.key: one async for one in self._source.documents(stored.tenant, batch)}
                missing -= len(given.keys() & batch)
                await _answered(fresh.add, [given[key] for key in given.keys() & batch])
            if missing:
                reason = f"{missing} documents of {month} cannot be had to write it anew"
                raise ExpungeUnfinished(stored.tenant, reason)
            await _answered(stored.end_generation, month, fresh)
        finally:
            await _answered(fresh.forget)


class _Tenant:
    """The months of one tenant; its methods block."""

    def __init__(self, folder: Path) -> None:
        self.tenant = TenantId(UUID(folder.name))
        self._folder = folder
        self._opened: dict[str, _Month] = {}
        self._head = _Head(folder / _CURSORS)
        self._swapping = threading.RLock()  # searches open months while one of them is swapped
        for path in folder.glob(f"*{_BUILDING}"):  # an earlier run stopped before it gave this a name
            shutil.rmtree(path)

    def apply(self, batches: Sequence["_Batch"]) -> None:
        fresh = _fresh_of(batches, self._head.cursors())
        # A removal may be of what a batch before it puts into a month: all of them are looked at together.
        for name in self._touched(change for changes, _ in fresh for change in changes):
            parts = (
                _Batch([one for one in changes if _concerns(one, name)], cursor) for changes, cursor in fresh
            )
            self._opened_or_made(name).apply([part for part in parts if part.changes])
        self._head.note(cursor for _, cursor in fresh)

    def fill(self, documents: Iterable[Document], cursor: Cursor) -> None:
        months: defaultdict[str, list[Document]] = defaultdict(list)
        for document in documents:
            months[str(period_of(document.sent_at))].append(document)
        for name, some in sorted(months.items()):
            self._opened_or_made(name).replace(some)
        self._head.note([cursor])

    def reached(self) -> Reached:
        """Look at the disk: what is opened already could be read although it is gone."""
        with self._swapping:
            paths = self._paths()
            for name in [name for name, month in self._opened.items() if paths.get(name) != month.path]:
                del self._opened[name]
        periods: set[str] = set()
        for name in paths:
            with suppress(ValueError):  # tantivy cannot read its own files
                self._month(name)
                periods.add(name)
        return Reached({one.stream: one.position for one in self._head.cursors()}, frozenset(periods))

    def cursor(self, stream: str) -> int:
        return max((one.position for one in self._head.cursors() if one.stream == stream), default=0)

    def search(self, query: Query, limit: int, after: Standing | None) -> list[Hit]:
        found: list[Hit] = []
        for name in self._months():
            if after is None or name >= str(period_of(after.sent_at)):
                found += self._month(name).search(query, limit - len(found), after)
            if len(found) >= limit:
                break
        return found

    def count(self) -> int:
        return sum(self._month(name).count() for name in self._months())

    def terms(self) -> set[str]:
        return {term for name in self._months() for term in self._month(name).terms()}

    def remove(self, keys: Collection[DocumentKey]) -> list[str]:
        """Delete these documents and return the months whose files must be written anew."""
        for name in self._months():
            month = self._month(name)
            if known := month.known_of(keys):
                month.remove(known)
        return self.months_with_deletions()

    def months_with_deletions(self) -> list[str]:
        return [name for name in self._months() if self._month(name).has_deletions()]

    def months_with_residue(self) -> list[str]:
        return [name for name in self._months() if self._month(name).has_residue()]

    def keys_of(self, month: str) -> list[DocumentKey]:
        return self._month(month).keys()

    def begin_generation(self, month: str) -> "_Fresh":
        path = self._folder / f"{month}{_BUILDING}"
        shutil.rmtree(path, ignore_errors=True)
        return _Fresh(path)

    def end_generation(self, month: str, fresh: "_Fresh") -> None:
        """Give the new generation its name and take the older ones away."""
        fresh.finish(self._month(month).cursors())
        with self._swapping:
            generation = int(self._paths()[month].name.rpartition(".")[2])
            fresh.path.rename(self._folder / _name_of(month, generation + 1))
            _sync(self._folder)
            self._opened.pop(month)
            self._paths()  # takes away what does not count any more

    def _touched(self, touching: Iterable[Change]) -> list[str]:
        changes = list(touching)
        names = {str(period_of(one.document.sent_at)) for one in changes if isinstance(one, Put)}
        gone = {one.key for one in changes if isinstance(one, Removal)}
        names.update(name for name in self._months() if self._month(name).known_of(gone))
        return sorted(names)

    def _months(self) -> list[str]:
        with self._swapping:
            return sorted(self._paths())

    def _month(self, name: str) -> "_Month":
        month = self._find(name)
        if month is None:
            raise OSError(f"the index of {name} has vanished")
        return month

    def _find(self, name: str) -> "_Month | None":
        with self._swapping:
            if name not in self._opened and name in (paths := self._paths()):
                self._opened[name] = _Month(paths[name])
            return self._opened.get(name)

    def _opened_or_made(self, name: str) -> "_Month":
        month = self._find(name)
        if month is None:
            path = self._folder / _name_of(name, 1)
            _make(path)
            month = self._opened[name] = _Month(path)
        return month

    def _paths(self) -> dict[str, Path]:
        """Return the folder that counts of each index, and take away those that count no more.

        One without tantivy's own list of segments is no index: opening it would make an empty one of it.
        """
        found: dict[str, Path] = {}
        if not self._folder.exists():
            return found
        for path in sorted(self._folder.iterdir(), reverse=True):
            if (named := _GENERATION.fullmatch(path.name)) is not None:
                if named[1] in found:
                    shutil.rmtree(path)
                elif (path / _SEGMENTS).exists():
                    found[named[1]] = path
        return found


class _Head:
    """How far the streams were followed: a file that is replaced as a whole.

    A commit of tantivy would cost thirty times as much.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def cursors(self) -> list[Cursor]:
        """Return what lies on the disk; a file that is damaged says nothing."""
        try:
            found = json.loads(self._path.read_bytes())
            return [Cursor(stream, int(position)) for stream, position in found.items()]
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return []

    def note(self, cursors: Iterable[Cursor]) -> None:
        """Move these on; on return it is on the disk."""
        reached = {**dict(self.cursors()), **dict(cursors)}
        _make(self._path.parent)
        unfinished = self._path.with_name(self._path.name + _UNFINISHED)
        with open(unfinished, "w", encoding="ascii", opener=_opened_for_owner) as file:
            json.dump(reached, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)
        _sync(self._path.parent)


def _opened_for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Month:
    """One index of tantivy. Documents have the kind "message", "audience" or, for cursors, "cursor"."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._schema = _schema()
        self._index = tantivy.Index(self._schema, str(path))
        self._looked_through = b""

    def apply(self, batches: Sequence["_Batch"]) -> None:
        """Make changes and note the cursors in one commit; what this month knows already is left out."""
        fresh = _fresh_of(batches, self.cursors())
        if not fresh:
            return
        with self._commit() as commit:
            for changes, cursor in fresh:
                for change in changes:
                    if isinstance(change, Put):
                        commit.put(change.document)
                    else:
                        commit.remove(change.key)
                commit.note(cursor)

    def replace(self, documents: Iterable[Document]) -> None:
        """Have these documents, whether they are there or not."""
        with self._commit() as commit:
            for document in documents:
                commit.put(document)

    def add(self, documents: Iterable[Document], cursors: Iterable[Cursor] = ()) -> None:
        """Add documents and cursors that are not there yet."""
        with self._commit() as commit:
            for document in documents:
                commit.add(document)
            for cursor in cursors:
                commit.note(cursor)

    def remove(self, keys: Iterable[DocumentKey]) -> None:
        with self._commit() as commit:
            for key in keys:
                commit.remove(key)

    def known_of(self, keys: Collection[DocumentKey]) -> set[DocumentKey]:
        """Return those whose documents are in the files, deleted or not: the dictionary has all of them."""
        searcher = self._index.searcher()
        here = {
            name
            for name in {key.conversation for key in keys}
            if searcher.doc_freq("conversation", str(name))
        }
        return {key for key in keys if key.conversation in here and searcher.doc_freq("key", _text_of(key))}

    def cursors(self) -> list[Cursor]:
        return [Cursor(one["stream"][0], one["position"][0]) for one in self._all("cursor")]

    def keys(self) -> list[DocumentKey]:
        return [_key_of(one["key"][0]) for one in self._all("message")]

    def count(self) -> int:
        searcher = self._index.searcher()
        # `SearchResult.count` is there, though the types that tantivy publishes do not say so.
        return int(searcher.search(self._is("message"), 1).count)  # type: ignore[attr-defined]

    def terms(self) -> list[str]:
        return [term for term, _ in self._index.searcher().terms_with_prefix("tokens", "")]

    def has_deletions(self) -> bool:
        """Say whether a segment holds deleted messages: the dictionary counts them, a search does not.

        The cursors that each commit replaces are deleted documents, too, but have no words.
        """
        return int(self._index.searcher().doc_freq("kind", "message")) > self.count()

    def has_residue(self) -> bool:
        """Say whether the term dictionary, as it lies in the files, has a word of no document that is left.

        Segments are written once: a month whose list of them is the one that was looked through before
        still has none.
        """
        listed = (self.path / _SEGMENTS).read_bytes()
        if self._looked_through != listed:
            if any(not self._stands(term) for term in self.terms()):
                return True
            self._looked_through = listed
        return False

    def _stands(self, term: str) -> bool:
        searcher = self._index.searcher()
        found = searcher.search(tantivy.Query.term_query(self._schema, "tokens", term), 1, count=False)
        return bool(found.hits)

    def search(self, query: Query, limit: int, after: Standing | None) -> list[Hit]:
        """Return the first hits after a standing.

        tantivy orders by one number, the time; hits of one time at either end of the page are all read and
        ordered here.
        """
        searcher = self._index.searcher()
        compiled = self._all_of([self._compiled(query, searcher), self._is("message")])
        if after is None:
            return self._ordered(searcher, compiled, limit)
        at = microseconds_of(after.sent_at)
        same = self._search(searcher, self._all_of([compiled, self._sent(at, at + 1)]))
        later = self._all_of([compiled, self._sent(at + 1, None)])
        found = sorted((hit for hit in same if hit.standing > after), key=lambda hit: hit.standing)[:limit]
        return found if len(found) == limit else found + self._ordered(searcher, later, limit - len(found))

    def _ordered(self, searcher: tantivy.Searcher, compiled: tantivy.Query, limit: int) -> list[Hit]:
        found = self._search(searcher, compiled, limit)
        if len(found) == limit:
            last = found[-1].sent_at
            at = microseconds_of(last)
            found = [hit for hit in found if hit.sent_at < last]
            found += self._search(searcher, self._all_of([compiled, self._sent(at, at + 1)]))
        return sorted(found, key=lambda hit: hit.standing)[:limit]

    def _search(
        self, searcher: tantivy.Searcher, compiled: tantivy.Query, limit: int | None = None
    ) -> list[Hit]:
        most = min(limit or searcher.num_docs, searcher.num_docs)
        if not most:
            return []
        answer = searcher.search(compiled, most, count=False, order_by_field="sent_at", order=Order.Asc)
        return [_hit_of(searcher.doc(address)) for _, address in answer.hits]

    def _all(self, kind: str) -> Iterator[dict[str, list[Any]]]:
        searcher = self._index.searcher()
        found = searcher.search(self._is(kind), max(searcher.num_docs, 1), count=False)
        for _, address in found.hits:
            yield searcher.doc(address).to_dict()

    def _commit(self) -> "_Commit":
        return _Commit(self._index)

    def _is(self, kind: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, "kind", kind)

    def _all_of(self, queries: Iterable[tantivy.Query]) -> tantivy.Query:
        return tantivy.Query.boolean_query([(Occur.Must, query) for query in queries])

    def _sent(self, since: int | None, until: int | None) -> tantivy.Query:
        """Return the query for the microseconds from `since` on and before `until`."""
        if since is None and until is None:
            return tantivy.Query.all_query()
        if since is not None and until is not None and since >= until:
            return tantivy.Query.empty_query()
        last = None if until is None else until - 1
        return tantivy.Query.range_query(self._schema, "sent_at", FieldType.Integer, since, last)

    def _with_participants(self, searcher: tantivy.Searcher, values: Sequence[str]) -> tantivy.Query:
        """Return the query for messages in whose audience is one of these."""
        among = tantivy.Query.term_set_query(self._schema, "participant", values)
        found = searcher.search(among, max(searcher.num_docs, 1), count=False)
        names = [str(searcher.doc(address)["key"][0]) for _, address in found.hits]
        return tantivy.Query.term_set_query(self._schema, "audience", names)

    def _compiled(  # noqa: C901, PLR0911 - one answer for each kind of query
        self, query: Query, searcher: tantivy.Searcher
    ) -> tantivy.Query:
        """Return tantivy's query for ours, without its parser, for what `searcher` sees."""
        match query:
            case Term(token):
                return tantivy.Query.term_query(self._schema, "tokens", token)
            case Phrase(tokens):
                return tantivy.Query.phrase_query(self._schema, "tokens", list(tokens))
            case Prefix(beginning):
                return tantivy.Query.regex_query(self._schema, "tokens", f"{re.escape(beginning)}.*")
            case Ids(name, ids):
                values = [str(one) for one in ids]
                if name == "participant":
                    return self._with_participants(searcher, values)
                return tantivy.Query.term_set_query(self._schema, _ID_FIELDS[name], values)
            case SentOn():
                return self._compiled(bounds_of(query), searcher)
            case SentIn(since, until):
                return self._sent(
                    None if since is None else microseconds_of(since),
                    None if until is None else microseconds_of(until),
                )
            case Not(inner):
                everything = (Occur.Must, tantivy.Query.all_query())
                return tantivy.Query.boolean_query(
                    [everything, (Occur.MustNot, self._compiled(inner, searcher))]
                )
            case And(queries):
                return self._all_of(self._compiled(one, searcher) for one in queries)
            case Or(queries):
                some = [(Occur.Should, self._compiled(one, searcher)) for one in queries]
                return tantivy.Query.boolean_query(some)
            case Field():
                raise TypeError("a query is resolved before it is evaluated")


class _Batch(NamedTuple):
    """Changes of one stream, and the cursor after them."""

    changes: Sequence[Change]
    cursor: Cursor


class _Waiting(NamedTuple):
    """A batch that waits for a commit, and who waits for it."""

    batch: _Batch
    done: "asyncio.Future[None]"


def _fresh_of(batches: Iterable[_Batch], cursors: Iterable[Cursor]) -> list[_Batch]:
    """Return what of `batches`, in their order, is not behind the cursors yet."""
    known: defaultdict[str, int] = defaultdict(int)
    for cursor in cursors:
        known[cursor.stream] = max(known[cursor.stream], cursor.position)
    fresh: list[_Batch] = []
    for changes, cursor in batches:
        reached = known[cursor.stream]
        if cursor.position > reached:
            fresh.append(_Batch([one for one in changes if one.position > reached], cursor))
            known[cursor.stream] = cursor.position
    return fresh


@dataclass(frozen=True)
class _Fresh:
    """A generation that is being written; it has no name yet under which it would count."""

    path: Path

    def add(self, documents: Iterable[Document]) -> None:
        self._opened().add(documents)

    def finish(self, cursors: Iterable[Cursor]) -> None:
        self._opened().add((), cursors)
        _sync(self.path)

    def forget(self) -> None:
        """Take away what did not get its name."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _opened(self) -> _Month:
        self.path.mkdir(mode=0o700, exist_ok=True)
        return _Month(self.path)


class _Commit:
    """One commit of one index: everything or, after an error, nothing."""

    def __init__(self, index: tantivy.Index) -> None:
        self._index = index
        self._writer = index.writer(_HEAP, num_threads=1)
        self._known = index.searcher()
        self._audiences: dict[frozenset[PrincipalId], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._writer.commit()
        else:
            self._writer.rollback()
        self._writer.wait_merging_threads()  # gives tantivy's own lock back
        self._index.reload()

    def put(self, document: Document) -> None:
        """Have a document, whether it is there or not."""
        self.remove(document.key)
        self.add(document)

    def add(self, document: Document) -> None:
        """Add a document that is not there yet, with its audience where that is new."""
        self._writer.add_document(_stored(document, self._audience(document.participants)))

    def remove(self, key: DocumentKey) -> None:
        self._writer.delete_documents_by_term("key", _text_of(key))

    def note(self, cursor: Cursor) -> None:
        self._writer.delete_documents_by_term("stream", cursor.stream)
        self._writer.add_document(_stored_cursor(cursor))

    def _audience(self, people: frozenset[PrincipalId]) -> str:
        name = self._audiences.get(people)
        if name is None:
            name = self._audiences[people] = _audience_of(people)
            if not self._known.doc_freq("key", name):
                self._writer.add_document(_stored_audience(name, people))
        return name


async def _answered(
    ask: Callable[_Asked, _Answer], *arguments: _Asked.args, **named: _Asked.kwargs
) -> _Answer:
    """Do blocking work beside the event loop; what goes wrong there is the port's error."""
    try:
        return await asyncio.to_thread(ask, *arguments, **named)
    except (OSError, ValueError) as error:
        raise IndexUnavailable(type(error).__name__) from error


def _schema() -> tantivy.Schema:
    """Return the fields; tokens come pre-split, and all else is compared whole."""
    builder = tantivy.SchemaBuilder()
    for name in (
        "kind",
        "key",
        "conversation",
        "sender",
        "audience",
        "participant",
        "message",
        "stream",
    ):
        kept = name in {"key", "sender", "message", "stream"}
        builder.add_text_field(name, stored=kept, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("tokens", stored=False, tokenizer_name="raw", index_option="position")
    builder.add_integer_field("sent_at", stored=True, indexed=True, fast=True)
    builder.add_integer_field("position", stored=True)
    return builder.build()


def _audience_of(people: frozenset[PrincipalId]) -> str:
    """Return the name of those who took part together."""
    named = b"".join(sorted(one.bytes for one in people))
    return hashlib.blake2b(named, digest_size=_AUDIENCE_BYTES).hexdigest()


def _stored_audience(name: str, people: frozenset[PrincipalId]) -> tantivy.Document:
    stored = tantivy.Document()
    stored.add_text("kind", "audience")
    stored.add_text("key", name)
    for one in people:
        stored.add_text("participant", str(one))
    return stored


def _stored(document: Document, audience: str) -> tantivy.Document:
    stored = tantivy.Document()
    stored.add_text("kind", "message")
    stored.add_text("key", _text_of(document.key))
    stored.add_text("conversation", str(document.key.conversation))
    stored.add_text("message", str(document.message))
    stored.add_integer("sent_at", microseconds_of(document.sent_at))
    if document.sender is not None:
        stored.add_text("sender", str(document.sender))
    stored.add_text("audience", audience)
    tokens = [tantivy.Token(token, place, 0, 0) for place, token in enumerate(document.tokens)]
    stored.add_pre_tokenized_text("tokens", tantivy.PreTokenizedString("", tokens))
    return stored


def _stored_cursor(cursor: Cursor) -> tantivy.Document:
    stored = tantivy.Document()
    stored.add_text("kind", "cursor")
    stored.add_text("stream", cursor.stream)
    stored.add_integer("position", cursor.position)
    return stored


def _hit_of(stored: tantivy.Document) -> Hit:
    sender = stored.get_first("sender")
    return Hit(
        _key_of(stored["key"][0]),
        MessageId(UUID(stored["message"][0])),
        instant_of(stored["sent_at"][0]),
        None if sender is None else PrincipalId(UUID(sender)),
    )


def _text_of(key: DocumentKey) -> str:
    return f"{key.conversation}:{key.seq}"


def _key_of(text: str) -> DocumentKey:
    conversation, _, seq = text.partition(":")
    return DocumentKey(ConversationId(UUID(conversation)), int(seq))


def _concerns(change: Change, month: str) -> bool:
    return isinstance(change, Removal) or str(period_of(change.document.sent_at)) == month


def _name_of(index: str, generation: int) -> str:
    return f"{index}.v{VERSION}.{generation:06}"


def _make(folder: Path) -> None:
    """Make a folder and those above it that are missing, each for its owner alone."""
    if not folder.parent.exists():
        _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
