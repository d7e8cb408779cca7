"""SearchIndex by OpenSearch 2.19: an index for each tenant and month of `sent_at`, and one for its cursors.

Documents carry the position of their change as external version, so that a repeated batch changes nothing;
the cursor moves after the batch. `_source` leaves the tokens out. For the recovery of replicas OpenSearch
keeps what it was sent a while longer: in the translog until a flush, in the segments until a merge.

For their sake, too, a merge keeps deleted documents that a replica might still ask for: until a flush made
them durable and the lease of the history was renewed, which OpenSearch does each 30 s. So `expunge` flushes,
lets `_forcemerge?only_expunge_deletes` (with an allowance of 0) write every segment anew that holds a
deleted document, and does it again until there is none.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import msgspec
from opensearchpy import NotFoundError, OpenSearch, OpenSearchException, RequestError, TransportError

from libs.kernel.ids import ConversationId, MessageId, PrincipalId, TenantId
from libs.kernel.secrets import Secret
from services.ediscovery.domain.documents import (
    Change,
    Cursor,
    Document,
    DocumentKey,
    Hit,
    Put,
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
from services.ediscovery.ports.index import MOST_HITS

_MOST_IDS = 60_000
"""Ids in one clause; OpenSearch refuses more than 65,536."""
_BATCH = 5_000
_PORTION = 8 << 20
"""Bytes of one bulk; OpenSearch refuses more than 100 MiB."""
_MOST_CURSORS = 1000
_MOST_NAMED = 20
"""Indexes that are named one by one: an address has 4,096 characters at most."""
_PAUSE_SECONDS = 1.0
_TERMS = 5_000
"""Terms that one page of the dictionary holds."""
_STATUS_CONFLICT, _STATUS_MISSING, _FIRST_ERROR_STATUS = 409, 404, 400
_ID_FIELDS = {"from": "sender", "in": "conversation", "participant": "participants"}
_SEARCHED = {"ignore_unavailable": "true", "allow_no_indices": "true"}
_NAMES = {"filter_path": "*.settings.index.uuid"}
_MONTH = {
    "settings": {
        "number_of_shards": 1,
        "number_of_replicas": 1,
        "auto_expand_replicas": "0-1",
        "refresh_interval": -1,  # `apply` refreshes when its batch is in
        "merge.policy.expunge_deletes_allowed": 0,
    },
    "mappings": {
        "dynamic": "strict",
        "_source": {"excludes": ["tokens", "participants"]},
        "properties": {
            # Tokens come pre-split, with a space between; fielddata is read by `terms` alone.
            "tokens": {"type": "text", "analyzer": "whitespace", "norms": False, "fielddata": True},
            "conversation": {"type": "keyword"},
            "seq": {"type": "long"},
            "message": {"type": "keyword", "index": False, "doc_values": False},
            "sender": {"type": "keyword", "doc_values": False},
            "participants": {"type": "keyword", "doc_values": False},
            "sent_at": {"type": "long"},
        },
    },
}
_CURSORS = {
    "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
    "mappings": {"dynamic": "strict", "properties": {"position": {"type": "long"}}},
}

_ANSWER_SECONDS = 60
_SOON_SECONDS = 5
_CONNECTIONS = 32
"""Connections that are kept, as many as there are threads to use them."""
_NO_CONTENT = re.compile(r"[a-z_]{1,60}")
"""What OpenSearch calls its errors; whatever else stands in an answer is repeated nowhere."""

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


def connected(url: str, user: str = "", password: Secret | None = None, ca: str = "") -> OpenSearch:
    """Return a client of a cluster, which connects when it is used.

    It is as silent as it can be: it would write a line with an address for each request, and for each
    document that is not there.
    """
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    named = (user, "" if password is None else password.reveal()) if user else None
    return OpenSearch(
        url,
        http_auth=named,
        ca_certs=ca or None,
        timeout=_ANSWER_SECONDS,
        pool_maxsize=_CONNECTIONS,
    )


class OpenSearchIndex:
    """All tenants' indexes in one cluster."""

    def __init__(self, client: OpenSearch, *, prefix: str = "muniment", patience: int = 60) -> None:
        """Speak to the cluster by `client`, which its owner closes, of indexes whose names begin so.

        `patience` is how often `expunge` merges, a second apart, before it gives up.
        """
        self._client = client
        self._patience = patience
        self._prefix = prefix

    async def apply(self, tenant: TenantId, changes: Sequence[Change], cursor: Cursor) -> None:
        """Make the changes in bulk, then move the cursor; see the port."""
        await _answered(self._apply, tenant, changes, cursor)

    async def cursor(self, tenant: TenantId, stream: str) -> int:
        """Return the last position of `stream` that was applied."""
        return await _answered(self._cursor, tenant, stream)

    async def fill(self, tenant: TenantId, documents: Sequence[Document], cursor: Cursor) -> None:
        """Put documents below the version of every event, then set the cursor; see the port."""
        await _answered(self._fill, tenant, documents, cursor)

    async def reached(self, tenant: TenantId) -> Reached:
        """Return the cursors and the months that the cluster has."""
        return await _answered(self._reached, tenant)

    async def search(
        self, tenant: TenantId, query: Query, scope: Scope, limit: int, after: Standing | None = None
    ) -> Sequence[Hit]:
        """Return the first hits after a standing; see the port."""
        if not 0 < limit <= MOST_HITS:
            raise ValueError(f"a page has 1 to {MOST_HITS} hits, not {limit}")
        return await _answered(self._search, tenant, scoped(query, scope), limit, after)

    async def count(self, tenant: TenantId) -> int:
        """Return how many documents can be found."""
        return await _answered(self._count, tenant)

    async def remove(self, tenant: TenantId, keys: Collection[DocumentKey]) -> Sequence[str]:
        """Delete these, and return the indexes whose segments hold deleted documents."""
        await _answered(self._delete, tenant, keys)
        return await _answered(self._with_deletions, tenant)

    async def purge(self, tenant: TenantId, part: str) -> None:
        """Merge one index; what that leaves, `expunge` merges again."""
        if part in await _answered(self._with_deletions, tenant):
            await _answered(self._merge, [part])

    async def expunge(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        """Delete these, and write every segment anew that holds something deleted."""
        await _answered(self._delete, tenant, keys)
        for _ in range(self._patience):
            left = await _answered(self._with_deletions, tenant)
            if left:
                await _answered(self._merge, left)
                left = await _answered(self._with_deletions, tenant)
            if not left:
                left = await _answered(self._with_residue, tenant)
            if not left:
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        raise ExpungeUnfinished(tenant, "words of deleted documents are still in the segments")

    async def terms(self, tenant: TenantId) -> Collection[str]:
        """Return the term dictionary as it lies in the segments."""
        return await _answered(self._terms, tenant)

    async def drop(self, tenant: TenantId) -> None:
        """Delete the tenant's indexes."""
        await _answered(self._drop, tenant)

    async def state(self) -> str:
        """Return what answers, and how well. Raises IndexUnavailable when it does not answer soon."""
        return await _answered(self._state)

    def _apply(self, tenant: TenantId, changes: Sequence[Change], cursor: Cursor) -> None:
        known = self._cursor(tenant, cursor.stream)
        if cursor.position <= known:
            return
        last = {_key_of(one): one for one in changes if one.position > known}
        puts = [one for one in last.values() if isinstance(one, Put)]
        gone = {key: one.position for key, one in last.items() if not isinstance(one, Put)}
        goes = [_line({"delete": _action(where, key, gone[key])}) for where, key in self._where(tenant, gone)]
        self._bulk(tenant, chain(self._put(tenant, [(one.document, one.position) for one in puts]), goes))
        self._note(tenant, cursor)

    def _fill(self, tenant: TenantId, documents: Sequence[Document], cursor: Cursor) -> None:
        self._bulk(tenant, self._put(tenant, [(document, 0) for document in documents]))
        self._note(tenant, cursor)

    def _put(self, tenant: TenantId, versions: Sequence[tuple[Document, int]]) -> Iterator[bytes]:
        """Return the actions that put documents, each at its version, into months that are there."""
        for index in sorted({self._index_of(tenant, document) for document, _ in versions}):
            self._make(index, _MONTH)
        participants: dict[frozenset[PrincipalId], msgspec.Raw] = {}
        for document, version in versions:
            index, people = self._index_of(tenant, document), document.participants
            if people not in participants:
                participants[people] = msgspec.Raw(msgspec.json.encode(sorted(map(str, people))))
            stored = _stored(document, participants[people])
            yield _line({"index": _action(index, document.key, version)}) + _line(stored)

    def _note(self, tenant: TenantId, cursor: Cursor) -> None:
        self._make(self._cursors_of(tenant), _CURSORS)
        self._client.index(
            index=self._cursors_of(tenant),
            id=cursor.stream,
            body={"position": cursor.position},
            params={"version": cursor.position, "version_type": "external_gte"},
        )

    def _reached(self, tenant: TenantId) -> Reached:
        months = self._months_of(tenant)
        periods = frozenset(name.removeprefix(months.removesuffix("*")) for name in self._named(months))
        index = self._cursors_of(tenant)
        if not self._client.indices.exists(index=index):
            return Reached({}, periods)
        self._client.indices.refresh(index=index)
        answer = self._client.search(index=index, body={"size": _MOST_CURSORS})
        _check_whole(answer)
        cursors = {one["_id"]: int(one["_source"]["position"]) for one in answer["hits"]["hits"]}
        return Reached(cursors, periods)

    def _cursor(self, tenant: TenantId, stream: str) -> int:
        try:
            return int(self._client.get(index=self._cursors_of(tenant), id=stream)["_source"]["position"])
        except NotFoundError:
            return 0

    def _search(self, tenant: TenantId, query: Query, limit: int, after: Standing | None) -> list[Hit]:
        body: dict[str, Any] = {
            "query": {"bool": {"filter": [_compiled(query)]}},
            "sort": ["sent_at", "conversation", "seq"],
            "size": limit,
            "track_total_hits": False,
        }
        if after is not None:
            body["search_after"] = [microseconds_of(after.sent_at), str(after.conversation), after.seq]
        answer = self._client.search(index=self._months_of(tenant), body=body, params=_SEARCHED)
        _check_whole(answer)
        return [_hit_of(found["_source"]) for found in answer["hits"]["hits"]]

    def _count(self, tenant: TenantId) -> int:
        answer = self._client.count(index=self._months_of(tenant), params=_SEARCHED)
        _check_whole(answer)
        return int(answer["count"])

    def _delete(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        for some in _batches(keys, _BATCH):
            found = self._where(tenant, some)
            self._bulk(tenant, [_line({"delete": _action(index, key)}) for index, key in found])

    def _with_deletions(self, tenant: TenantId) -> list[str]:
        """Return the indexes of which a segment, on any copy of a shard, holds deleted documents."""
        listed = self._client.indices.segments(index=self._months_of(tenant), params=_SEARCHED)["indices"]
        return sorted(
            index
            for index, of_index in listed.items()
            for copies in of_index["shards"].values()
            if any(segment["deleted_docs"] for copy in copies for segment in copy["segments"].values())
        )

    def _merge(self, indexes: Iterable[str]) -> None:
        """Write anew what holds deleted documents, and let go of the old files and of the translog."""
        durable, merged = {"force": "true"}, {"only_expunge_deletes": "true", "flush": "true"}
        for index in sorted(indexes):
            _check_whole(self._client.indices.flush(index=index, params=durable))
            _check_whole(self._client.indices.forcemerge(index=index, params=merged))
            _check_whole(self._client.indices.refresh(index=index))

    def _terms(self, tenant: TenantId) -> set[str]:
        """Return the dictionary page by page.

        An aggregation that also counts zero goes through the dictionary, and so finds the terms of deleted
        documents; a page that is full may be cut, and then there are too few pages.
        """
        return set(self._standing_of_terms(self._months_of(tenant)))

    def _with_residue(self, tenant: TenantId) -> list[str]:
        """Return the indexes whose dictionary has a term that stands in no document."""
        months = self._named(self._months_of(tenant))
        return [index for index in months if not all(self._standing_of_terms(index).values())]

    def _standing_of_terms(self, index: str) -> dict[str, int]:
        """Return the dictionary: each term with the number of documents in which it stands."""
        pages = 1
        while (found := self._terms_in_pages(index, pages)) is None:
            pages *= 4
        return found

    def _terms_in_pages(self, index: str, pages: int) -> dict[str, int] | None:
        found: dict[str, int] = {}
        for page in range(pages):
            one_page = {"partition": page, "num_partitions": pages}
            asked = {"field": "tokens", "size": _TERMS, "min_doc_count": 0, "include": one_page}
            answer = self._client.search(
                index=index,
                body={"size": 0, "aggs": {"terms": {"terms": asked}}},
                params=_SEARCHED,
            )
            _check_whole(answer)
            buckets = answer.get("aggregations", {}).get("terms", {}).get("buckets", [])
            if len(buckets) == _TERMS:
                return None
            found.update({bucket["key"]: bucket["doc_count"] for bucket in buckets})
        return found

    def _drop(self, tenant: TenantId) -> None:
        """Delete by name what there is, of other versions of the tokenizer, too."""
        for index in self._named(f"{self._prefix}-{tenant.hex}-*"):
            self._client.indices.delete(index=index, params={"ignore_unavailable": "true"})

    def _state(self) -> str:
        soon = {"request_timeout": _SOON_SECONDS}
        version = self._client.info(params=soon)["version"]["number"]
        health = self._client.cluster.health(index=f"{self._prefix}*", params=soon)["status"]
        if health == "red":
            raise IndexUnavailable("shards are missing")
        return f"OpenSearch {version}, {health}"

    def _where(self, tenant: TenantId, keys: Collection[DocumentKey]) -> list[tuple[str, DocumentKey]]:
        """Return the index in which each of these documents stands."""
        if not keys:
            return []
        self._client.indices.refresh(index=self._months_of(tenant), params=_SEARCHED)
        found: list[tuple[str, DocumentKey]] = []
        for some in _batches(keys, _BATCH):
            named = {_id_of(key): key for key in some}
            body = {"query": {"ids": {"values": sorted(named)}}, "size": len(named), "_source": False}
            answer = self._client.search(index=self._months_of(tenant), body=body, params=_SEARCHED)
            _check_whole(answer)
            found += [(one["_index"], named[one["_id"]]) for one in answer["hits"]["hits"]]
        return found

    def _bulk(self, tenant: TenantId, actions: Iterable[bytes]) -> None:
        """Do it all and refresh; what the index knows already, or should delete and has not, is no error."""
        touched: set[str] = set()
        for portion in _portions(actions, _PORTION):
            for item in self._client.bulk(body=portion)["items"]:
                ((kind, done),) = item.items()
                _check_done(kind, done["status"])
                touched.add(done["_index"])
        if touched:
            few = len(touched) <= _MOST_NAMED
            named = ",".join(sorted(touched)) if few else self._months_of(tenant)
            _check_whole(self._client.indices.refresh(index=named, params=_SEARCHED))

    def _index_of(self, tenant: TenantId, document: Document) -> str:
        return f"{self._prefix}-{tenant.hex}-v{VERSION}-{period_of(document.sent_at)}"

    def _months_of(self, tenant: TenantId) -> str:
        return f"{self._prefix}-{tenant.hex}-v{VERSION}-*"

    def _cursors_of(self, tenant: TenantId) -> str:
        return f"{self._prefix}-{tenant.hex}-cursors-v{VERSION}"

    def _named(self, pattern: str) -> list[str]:
        """Return the names of the indexes that there are, and nothing else that is known of them."""
        listed = self._client.indices.get(index=pattern, params={**_SEARCHED, **_NAMES})
        return sorted(listed)

    def _make(self, index: str, body: Mapping[str, Any]) -> None:
        if self._client.indices.exists(index=index):
            return
        try:
            self._client.indices.create(index=index, body=body)
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise


async def _answered(
    ask: Callable[_Asked, _Answer], *arguments: _Asked.args, **named: _Asked.kwargs
) -> _Answer:
    """Do blocking work beside the event loop; what goes wrong there is the port's error."""
    try:
        return await asyncio.to_thread(ask, *arguments, **named)
    except OpenSearchException as error:
        raise IndexUnavailable(_reason_of(error)) from error


def _reason_of(error: OpenSearchException) -> str:
    """Return what went wrong without anything that was sent: a proxy's answer may repeat it."""
    if isinstance(error, TransportError) and _NO_CONTENT.fullmatch(str(error.error)):
        return str(error.error)
    status = error.status_code if isinstance(error, TransportError) else None
    return f"{type(error).__name__} {status}" if isinstance(status, int) else type(error).__name__


def _check_whole(answer: Mapping[str, Any]) -> None:
    """See that every shard answered, in time: a part of the hits would be taken for all of them."""
    if answer.get("timed_out") or answer["_shards"]["failed"]:
        raise IndexUnavailable("not every shard answered")


def _check_done(kind: str, status: int) -> None:
    """See that a change was made, or was before: a version that is known, or no document to delete."""
    known = status == _STATUS_CONFLICT or (kind == "delete" and status == _STATUS_MISSING)
    if status >= _FIRST_ERROR_STATUS and not known:
        raise IndexUnavailable(f"a change was answered with {status}")


def _compiled(query: Query) -> dict[str, Any]:  # noqa: C901, PLR0911 - one answer for each kind of query
    """Return OpenSearch's query for ours, without any of its parsers."""
    match query:
        case Term(token):
            return {"term": {"tokens": {"value": token}}}
        case Phrase(tokens):
            return {"match_phrase": {"tokens": {"query": " ".join(tokens), "slop": 0}}}
        case Prefix(beginning):
            return {"prefix": {"tokens": {"value": beginning, "rewrite": "constant_score"}}}
        case Ids(name, ids):
            values = [str(one) for one in ids]
            clauses = [{"terms": {_ID_FIELDS[name]: some}} for some in _batches(values, _MOST_IDS)]
            return {"bool": {"should": clauses, "minimum_should_match": 1}} if clauses else {"match_none": {}}
        case SentOn():
            return _compiled(bounds_of(query))
        case SentIn(since, until):
            bounds = {"gte": since, "lt": until}
            written = {name: microseconds_of(at) for name, at in bounds.items() if at is not None}
            return {"range": {"sent_at": written}}
        case Not(inner):
            return {"bool": {"must_not": [_compiled(inner)]}}
        case And(queries):
            return {"bool": {"filter": [_compiled(one) for one in queries]}}
        case Or(queries):
            return {"bool": {"should": [_compiled(one) for one in queries], "minimum_should_match": 1}}
        case Field():
            raise TypeError("a query is resolved before it is evaluated")


def _stored(document: Document, participants: msgspec.Raw) -> dict[str, Any]:
    return {
        "tokens": " ".join(document.tokens),
        "conversation": str(document.key.conversation),
        "seq": document.key.seq,
        "message": str(document.message),
        "sender": None if document.sender is None else str(document.sender),
        "participants": participants,
        "sent_at": microseconds_of(document.sent_at),
    }


def _hit_of(stored: Mapping[str, Any]) -> Hit:
    sender = stored["sender"]
    return Hit(
        DocumentKey(ConversationId(UUID(stored["conversation"])), stored["seq"]),
        MessageId(UUID(stored["message"])),
        instant_of(stored["sent_at"]),
        None if sender is None else PrincipalId(UUID(sender)),
    )


def _action(index: str, key: DocumentKey, position: int | None = None) -> dict[str, Any]:
    named: dict[str, Any] = {"_index": index, "_id": _id_of(key)}
    return named if position is None else {**named, "version": position, "version_type": "external_gte"}


def _line(value: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _portions(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Join lines to bodies of about `size` bytes."""
    portion: list[bytes] = []
    held = 0
    for line in lines:
        portion.append(line)
        held += len(line)
        if held >= size:
            yield b"".join(portion)
            portion, held = [], 0
    if portion:
        yield b"".join(portion)


def _key_of(change: Change) -> DocumentKey:
    return change.document.key if isinstance(change, Put) else change.key


def _id_of(key: DocumentKey) -> str:
    return f"{key.conversation}:{key.seq}"


def _batches(all_of_them: Collection[_Answer], size: int) -> Iterator[list[_Answer]]:
    listed = list(all_of_them)
    for begin in range(0, len(listed), size):
        yield listed[begin : begin + size]
