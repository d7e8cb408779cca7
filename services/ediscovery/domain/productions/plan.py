"""As of what a production is made: it is kept, so that one that was cut off goes on as it began."""

from typing import NamedTuple

from libs.evidence.canonical import Fields, canonical, parse_canonical
from libs.evidence.production.manifest import instant_in, instant_text
from libs.merkle.hashing import HASH_BYTES
from services.ediscovery.domain.productions.sources import CommittedMap


class Plan(NamedTuple):
    """The map of the log, and the size of the checkpoint that all proofs lead to."""

    committed: CommittedMap
    size: int


def dump_plan(plan: Plan) -> bytes:
    """Return the plan as it is kept."""
    committed = plan.committed
    return canonical(
        {
            "act": str(committed.act),
            "at": instant_text(committed.at),
            "root": committed.root.hex(),
            "conversations": str(committed.conversations),
            "size": str(plan.size),
        }
    )


def parse_plan(data: bytes) -> Plan:
    """Read what `dump_plan` writes. Raises EvidenceRefused."""
    fields = Fields(parse_canonical(data, "plan"), "plan")
    committed = CommittedMap(
        fields.uuid("act"),
        instant_in(fields, "at"),
        fields.hexed("root", HASH_BYTES),
        fields.number("conversations"),
    )
    plan = Plan(committed, fields.number("size"))
    fields.end()
    return plan
