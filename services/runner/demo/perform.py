"""One demonstration, from a script and a running deployment to counts that agree or do not."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec
import psycopg

from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.messaging.domain.entries import EntryKind
from services.runner.demo.accounts import Accounts, settled_accounts
from services.runner.demo.cues import Finished
from services.runner.demo.direct import CROWD_MODULE, Director, crowds, crowds_for, gateways_of
from services.runner.demo.people import CONCURRENT_CALLS, Tenant, make_tenant, provision, sign_in_codes
from services.runner.demo.proofs import Proofs, take_proofs
from services.runner.demo.script import Script
from services.runner.demo.verdict import Counts, disagreements
from services.runner.demo.witness import Testimony
from services.runner.errors import RunnerError
from services.runner.peers import Operator

HTTP_SECONDS: Final = 30.0
COUNTING_SECONDS: Final = 600.0
Report = Callable[[str, int, int], None]
"""Takes the step, what is done of it and what there is to do."""

_STORED: Final = """
    SELECT count(*),
           count(p.sealed) FILTER (WHERE octet_length(p.sealed) > 0)
      FROM messaging.entry e
      LEFT JOIN messaging.payload p
        ON (p.tenant, p.conversation, p.seq, p.sent_at) = (e.tenant, e.conversation, e.seq, e.sent_at)
     WHERE e.tenant = %s AND e.kind = %s
"""


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a demonstration; `wrong` says in sentences what does not agree."""

    tenant: str
    counts: Counts
    seconds: dict[str, float]
    gateways: int
    gateway_names: list[str]
    complete: bool
    wrong: list[str] = []


class Steps:
    """Times the steps of a demonstration and tells of their progress."""

    def __init__(self, report: Report) -> None:
        """Tell `report`."""
        self.seconds: dict[str, float] = {}
        self._report = report

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Time a step; gives what takes the number done of `total`."""
        started = time.monotonic()
        self._report(name, 0, total)
        yield partial(self._told, name, total)
        self.seconds[name] = round(time.monotonic() - started, 3)
        self._report(name, total, total)

    def _told(self, name: str, total: int, done: int) -> None:
        self._report(name, done, total)


async def perform(
    script: Script,
    facts: Mapping[str, Any],
    processors: int,
    report: Report,
    crowd_module: str = CROWD_MODULE,
) -> Outcome:
    """Perform `script` on the deployment of which `facts` tell. Raises RunnerError when it breaks off.

    People live in processes that run `crowd_module`, at most as many as there are `processors`.
    """
    steps = Steps(report)
    clock = SystemClock()
    slug = f"demo-{SystemIds(clock, SystemRandomness()).uuid7().hex[-12:]}"
    operator = Operator(facts)
    with steps.step("people", len(script.people)) as told:
        tenant = make_tenant(operator, slug, "Demonstration")
        limits = httpx.Limits(max_connections=CONCURRENT_CALLS)
        async with httpx.AsyncClient(limits=limits, timeout=HTTP_SECONDS, trust_env=False) as http:
            principals = await provision(http, facts["origin"], tenant, script.people, told)
    async with crowds(crowds_for(len(script.people), processors), crowd_module) as cast:
        director = Director(script, cast)
        with steps.step("sign-in", len(script.people)):
            codes = sign_in_codes(operator, tenant, principals)
            await director.sign_in(facts["origin"], facts["gateways"], principals, codes)
        with steps.step("conversations", len(script.conversations)):
            await director.begin()
        with steps.step("sockets", len(script.people)):
            await director.open()
        with steps.step("messages", script.deliveries) as told:
            await director.perform(lambda done, _: told(done))
        with steps.step("count", 1):
            finished = await director.finish()
            stored, sealed = count_stored(facts["count_database"], tenant.tenant)
    with steps.step("evidence", 1):
        proofs = await _proofs(script, facts["origin"], operator, tenant, principals, director)
    with steps.step("audit", 1):
        accounts = await settled_accounts(partial(count_acts, operator))
    return outcome_of(slug, script, finished, stored, sealed, accounts, proofs, steps.seconds)


async def _proofs(
    script: Script,
    origin: str,
    operator: Operator,
    tenant: Tenant,
    principals: Sequence[UUID],
    director: Director,
) -> Proofs:
    """Return what becomes of evidence of the first conversation and of an act. Raises RunnerError."""
    conversation, log = script.conversations[0], director.logs[0]
    async with httpx.AsyncClient(timeout=HTTP_SECONDS, trust_env=False) as http:
        return await take_proofs(
            http,
            origin,
            operator,
            tenant,
            principals[conversation.people[0]],
            log.conversation,
            log.seq,
            log.seq + len(conversation.lines),
        )


def count_acts(operator: Operator) -> Any:
    """Return the audit service's count of all acts and entries. Raises RunnerError."""
    return operator.call("POST", "/internal/reconciliations", service="audit", timeout=COUNTING_SECONDS)


def count_stored(database: str, tenant: UUID) -> tuple[int, int]:
    """Return the number of messages in messaging's own tables, and of those with a sealed payload."""
    try:
        with psycopg.connect(database, connect_timeout=10) as connection:
            row = connection.execute(_STORED, (tenant, EntryKind.MESSAGE_CREATED.value)).fetchone()
    except psycopg.Error as defect:
        raise RunnerError(f"the stored messages cannot be counted: {defect}") from defect
    return (int(row[0]), int(row[1])) if row else (0, 0)


def outcome_of(
    slug: str,
    script: Script,
    finished: list[Finished],
    stored: int,
    sealed: int,
    accounts: Accounts,
    proofs: Proofs,
    seconds: Mapping[str, float],
) -> Outcome:
    """Return what the counts of every process and of the database come to."""
    testimony = Testimony()
    for each in finished:
        testimony.add(each.testimony)
    counts = Counts(
        people=len(script.people),
        conversations=len(script.conversations),
        messages=script.messages,
        sent=sum(each.sent for each in finished),
        acked=sum(each.acked for each in finished),
        stored=stored,
        sealed=sealed,
        expected=script.deliveries,
        delivered=testimony.delivered,
        off_line=sum(each.off_line for each in finished),
        came_back=sum(each.came_back for each in finished),
        connections=sum(each.connections for each in finished),
        repeated=sum(each.repeated for each in finished),
        repaired=sum(each.repaired for each in finished),
        acts=accounts.acts,
        audited=accounts.audited,
        evidence=proofs.bundles,
        proved=proofs.proved,
        tampered=proofs.tampered,
        refused=proofs.refused,
    )
    names = gateways_of(finished)
    wrong = disagreements(counts, len(names), testimony) + accounts.sentences + proofs.sentences
    return Outcome(
        tenant=slug,
        counts=counts,
        seconds={**seconds, "all": round(sum(seconds.values()), 3)},
        gateways=len(names),
        gateway_names=names,
        complete=not wrong,
        wrong=wrong,
    )
