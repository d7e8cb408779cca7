"""Understand a query: what it says, and whom it names."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from libs.kernel.ids import TenantId
from services.ediscovery.domain.errors import NameUnknown
from services.ediscovery.domain.query import Field, Query, ids_as_written, parse, people_named, resolve
from services.ediscovery.ports.directory import Directory


@dataclass(frozen=True, slots=True)
class UnderstandQuery:
    """A person is named by his id, user name, address or display name; a conversation by its id."""

    directory: Directory

    async def __call__(self, tenant: TenantId, text: str) -> Query:
        """Return the query with ids for names.

        A name of several people is refused like one of nobody: whom else it means is not said.
        Raises QueryRefused, NameUnknown or CorrespondenceUnavailable.
        """
        query = parse(text)
        meant = {each: await self._meant(tenant, each) for each in people_named(query)}
        return resolve(query, lambda each: meant[each] if each in meant else ids_as_written(each))

    async def _meant(self, tenant: TenantId, written: Field) -> Collection[UUID]:
        found = await self.directory.called(tenant, written.value)
        if len(found) != 1:
            raise NameUnknown(written.name, written.column)
        return found
