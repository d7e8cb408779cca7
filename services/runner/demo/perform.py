"""One demonstration, from a script and a running deployment to counts that agree or do not."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec

from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.demo.accounts import Accounts, settled_accounts
from services.runner.demo.compliance import Afterwards, Archive, Place, go_on
from services.runner.demo.cues import Finished
from services.runner.demo.direct import CROWD_MODULE, Director, crowds, crowds_for, gateways_of
from services.runner.demo.people import CONCURRENT_CALLS, Tenant, make_tenant, provision, sign_in_codes
from services.runner.demo.proofs import Proofs, take_proofs
from services.runner.demo.script import Script
from services.runner.demo.steps import Report, Steps
from services.runner.demo.verdict import Counts, disagreements, left_out
from services.runner.demo.witness import Testimony
from services.runner.peers import Operator

HTTP_SECONDS: Final = 30.0
COUNTING_SECONDS: Final = 600.0
KEPT: Final = Path("demonstrations")
"""Where a demonstration leaves its files, below the working directory."""


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a demonstration; `wrong` says in sentences what does not agree."""

    tenant: str
    counts: Counts
    seconds: dict[str, float]
    gateways: int
    gateway_names: list[str]
    complete: bool
    wrong: list[str] = []
    left_out: list[str] = []
    production: str | None = None
    certificates: str | None = None
    verified: bool = False
    tampered_refused: bool = False
    """Of production and certificates: False where none were made."""


async def perform(
    script: Script,
    facts: Mapping[str, Any],
    processors: int,
    report: Report,
    crowd_module: str = CROWD_MODULE,
    archive: Archive | None = None,
    keep: Path = KEPT,
) -> Outcome:
    """Perform `script` on the deployment of which `facts` tell. Raises RunnerError when it breaks off.

    People live in processes that run `crowd_module`, at most as many as there are `processors`. With an
    `archive` it goes on with what is imported; what it leaves behind is in a folder of its own below `keep`.
    """
    steps = Steps(report)
    clock = SystemClock()
    slug = f"demo-{SystemIds(clock, SystemRandomness()).uuid7().hex[-12:]}"
    operator = Operator(facts)
    people = [*script.people, *(() if archive is None else archive.others)]
    with steps.step("people", len(people)) as told:
        tenant = make_tenant(operator, slug, "Demonstration")
        limits = httpx.Limits(max_connections=CONCURRENT_CALLS)
        async with httpx.AsyncClient(limits=limits, timeout=HTTP_SECONDS, trust_env=False) as http:
            principals = await provision(http, facts["origin"], tenant, people, told)
    speakers = principals[: len(script.people)]
    async with crowds(crowds_for(len(script.people), processors), crowd_module) as cast:
        director = Director(script, cast)
        with steps.step("sign-in", len(script.people)):
            codes = sign_in_codes(operator, tenant, speakers)
            await director.sign_in(facts["origin"], facts["gateways"], speakers, codes)
        with steps.step("conversations", len(script.conversations)):
            await director.begin()
        with steps.step("sockets", len(script.people)):
            await director.open()
        with steps.step("messages", script.deliveries) as told:
            await director.perform(lambda done, _: told(done))
        with steps.step("count", 1):
            finished = await director.finish()
    place = Place(facts, operator, tenant, steps, keep / slug)
    after = await go_on(place, archive, script, principals)
    with steps.step("evidence", 1):
        proofs = await _proofs(script, facts["origin"], operator, tenant, speakers, director)
    with steps.step("audit", 1):
        accounts = await settled_accounts(partial(count_acts, operator))
    return outcome_of(slug, script, finished, after, accounts, proofs, steps.seconds)


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


def outcome_of(
    slug: str,
    script: Script,
    finished: list[Finished],
    after: Afterwards,
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
        **after.counted,
    )
    names = gateways_of(finished)
    wrong = disagreements(counts, len(names), testimony) + accounts.sentences + proofs.sentences
    wrong += after.sentences
    return Outcome(
        tenant=slug,
        counts=counts,
        seconds={**seconds, "all": round(sum(seconds.values()), 3)},
        gateways=len(names),
        gateway_names=names,
        complete=not wrong,
        wrong=wrong,
        left_out=left_out(counts),
        production=None if after.production is None else str(after.production),
        certificates=None if after.certificates is None else str(after.certificates),
        verified=after.verified,
        tampered_refused=after.tampered_refused,
    )
