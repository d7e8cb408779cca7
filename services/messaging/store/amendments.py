"""What decides about amendments, and the rules for them: rows of one tenant, by its own transactions."""

from typing import Final

from psycopg.errors import UniqueViolation

from libs.contracts.facts import Actor, Entity, MessagingFact
from libs.db.pool import TenantDatabase
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, Ids, MessageId, PrincipalId, TenantId
from services.messaging.domain.amendments import DEFAULT_RULES, AmendmentRules, Message, MessageKey
from services.messaging.domain.entries import ClientKey, EntryKind
from services.messaging.domain.errors import RulesPassed
from services.messaging.domain.log import KnownSend
from services.messaging.store.stretches import is_hidden
from services.messaging.store.unavailable import log_unavailable

_MESSAGE: Final = f"""
    SELECT e.message, e.actor, e.sent_at, coalesce(a.revision, 0) AS revision,
           a.retracted_at IS NOT NULL AS retracted,
           p.seq IS NULL OR {is_hidden("p")} AS gone
      FROM messaging.entry e
      LEFT JOIN messaging.amended a
        ON a.tenant = e.tenant AND a.conversation = e.conversation AND a.message_seq = e.seq
      LEFT JOIN messaging.payload p
        ON p.tenant = e.tenant AND p.conversation = e.conversation
       AND p.seq = coalesce(a.version_seq, e.seq) AND p.sent_at = coalesce(a.version_at, e.sent_at)
     WHERE e.tenant = %s AND e.conversation = %s AND e.seq = %s AND e.kind = {EntryKind.MESSAGE_CREATED:d}"""

_SEND: Final = """
    SELECT s.conversation, s.seq, s.message, s.fingerprint, m.at AS amended_at
      FROM messaging.client_send s
      LEFT JOIN messaging.amendment m
        ON m.tenant = s.tenant AND m.conversation = s.conversation AND m.seq = s.seq
     WHERE s.tenant = %s AND s.principal = %s AND s.client_id = %s"""

_RULES: Final = """
    SELECT r.version, r.revise_seconds, r.retract_seconds, r.administrators_retract
      FROM messaging.amendment_rules r WHERE r.tenant = %s ORDER BY r.version DESC LIMIT 1"""

_KEEP: Final = """
    INSERT INTO messaging.amendment_rules (tenant, version, revise_seconds, retract_seconds,
           administrators_retract, changed_by, changed_at, act)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""


class PostgresAmendments:
    """Reads and records by the `messaging_app` role, which row-level security binds to one tenant."""

    def __init__(self, database: TenantDatabase, ids: Ids, clock: Clock) -> None:
        """Read from `database`; changes of rules are given ids by `ids` and times by `clock`."""
        self._database = database
        self._ids = ids
        self._clock = clock

    async def find_message(self, message: MessageKey) -> Message | None:
        """Return the message whose first entry is there, or None where there is another entry, or none."""
        with log_unavailable():
            async with self._database.begin(message.key.tenant) as tx:
                row = await tx.fetch_one(_MESSAGE, (*message.key, message.seq))
        if row is None:
            return None
        return Message(
            MessageId(row.message),
            PrincipalId(row.actor),
            row.sent_at,
            row.revision,
            row.retracted,
            row.gone,
        )

    async def find_send(self, client: ClientKey) -> KnownSend | None:
        """Return what was committed under a client's id, or None."""
        with log_unavailable():
            async with self._database.begin(client.tenant) as tx:
                row = await tx.fetch_one(_SEND, client)
        if row is None:
            return None
        return KnownSend(
            ConversationId(row.conversation),
            row.seq,
            MessageId(row.message),
            row.fingerprint,
            row.amended_at,
        )

    async def rules(self, tenant: TenantId) -> AmendmentRules:
        """Return the tenant's rules that are in force."""
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                row = await tx.fetch_one(_RULES, (tenant,))
        if row is None:
            return DEFAULT_RULES
        return AmendmentRules(
            row.version, row.revise_seconds, row.retract_seconds, row.administrators_retract
        )

    async def change(self, tenant: TenantId, rules: AmendmentRules, by: PrincipalId) -> None:
        """Keep a further version, and its fact, in one transaction. Raises RulesPassed where it exists."""
        act, now = self._ids.uuid7(), self._clock.now()
        fact = MessagingFact(
            act=act,
            action="messaging.amendment-rules.changed",
            actor=Actor(kind="principal", id=by),
            at=now,
            entities=(Entity(kind="amendment-rules", id=str(rules.version)),),
        )
        try:
            with log_unavailable():
                async with self._database.begin(tenant) as tx:
                    await tx.execute(_KEEP, (tenant, *rules, by, now, act))
                    await append(tx, "messaging", [record_of(fact, tenant, self._ids, self._clock)])
        except UniqueViolation:
            raise RulesPassed((await self.rules(tenant)).version) from None
