"""Give every fact its entry: a dense index in its tenant's log, in the order of arrival."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from libs.contracts.actions import ACTIONS, LEGAL
from libs.contracts.facts import Fact
from libs.evidence.detail import SALT_BYTES, Actor, Detail, Entity, Run
from libs.kernel.ids import TenantId, text_of
from libs.kernel.randomness import Randomness
from services.audit.domain.entries import Entry, Salted, SourcedFact, entries_of, salted
from services.audit.ports.writing import Journal

_UNKNOWN_VISIBILITY: Final = LEGAL
"""Of an act that this catalogue does not know yet: the class that shows it to the fewest."""


async def sequence(journal: Journal, facts: Sequence[SourcedFact], randomness: Randomness) -> int:
    """Write an entry for each of `facts`, which keep their order within a tenant; return their number.

    Logs are locked in the order of their tenants, whatever the order of the facts, and after all work that
    needs no index: meanwhile nobody else adds to them, and no tree of theirs grows.
    """
    by_tenant: dict[TenantId, list[Salted]] = {}
    for fact in salted(facts, [randomness.bytes(SALT_BYTES) for _ in facts]):
        by_tenant.setdefault(fact.fact.tenant, []).append(fact)
    if not by_tenant:
        return 0
    sizes = await journal.lock_logs(by_tenant)
    entries: list[Entry] = []
    for tenant, told in by_tenant.items():
        entries += entries_of(told, sizes[tenant])
        sizes[tenant] += len(told)
    await journal.append(entries, sizes)
    return len(entries)


def detail_of(fact: Fact) -> Detail:
    """Return what a fact tells, as an entry's detail: of its entities each once."""
    return Detail(
        action=fact.action,
        actor=Actor(fact.actor.kind, _text_of(fact.actor.id), fact.actor.name),
        outcome=fact.outcome,
        visibility=_visibility_of(fact.action),
        count=fact.count,
        approvals=tuple([text_of(approval) for approval in fact.approvals]),
        entities=tuple([Entity(kind, name) for kind, name in dict.fromkeys(_named(fact))]),
        matter=_text_of(fact.matter),
        runs=tuple([Run(text_of(run.conversation), run.first, run.last) for run in fact.runs]),
    )


def _named(fact: Fact) -> list[tuple[str, str]]:
    return [(entity.kind, entity.id) for entity in fact.entities]


def _visibility_of(action: str) -> str:
    known = ACTIONS.get(action)
    return _UNKNOWN_VISIBILITY if known is None else known.visibility


def _text_of(identifier: UUID | None) -> str | None:
    return None if identifier is None else text_of(identifier)
