"""Whether everything that was counted agrees: senders, recipients and the database, each by itself."""

import msgspec

from services.runner.demo.witness import Testimony


class Counts(msgspec.Struct, kw_only=True):
    """What was counted, and where.

    `sent` and `acked` by the senders; `expected` from the script; `delivered` by the recipients at their
    sockets, distinct (recipient, conversation, seq); `stored` and `sealed` by SQL in messaging's tables,
    entries and sealed payloads. `repeated` came again and was dropped by the SDK, `repaired` counts the
    gaps that it asked about: neither is a fault. `acts` of all tenants are counted by SQL over the services'
    own rows, `audited` by walking the audit logs. Of the `evidence` that was taken, `proved` holds for a
    stranger; of its `tampered` copies `refused` do not.
    """

    people: int
    conversations: int
    messages: int
    sent: int = 0
    acked: int = 0
    stored: int = 0
    sealed: int = 0
    expected: int = 0
    delivered: int = 0
    off_line: int = 0
    came_back: int = 0
    connections: int = 0
    repeated: int = 0
    repaired: int = 0
    acts: int = 0
    audited: int = 0
    evidence: int = 0
    proved: int = 0
    tampered: int = 0
    refused: int = 0


def disagreements(counts: Counts, gateways: int, testimony: Testimony) -> list[str]:
    """Return what does not agree, one sentence each; nothing when all is well."""
    found = [
        sentence
        for is_wrong, sentence in (
            (counts.sent != counts.messages, f"{counts.sent} of {counts.messages} messages were sent"),
            (counts.acked != counts.sent, f"{counts.acked} of {counts.sent} sent messages were acknowledged"),
            (
                counts.stored != counts.acked,
                f"{counts.stored} messages are stored, {counts.acked} were acknowledged",
            ),
            (
                counts.sealed != counts.stored,
                f"{counts.sealed} of {counts.stored} stored messages have a payload",
            ),
            (
                counts.delivered != counts.expected,
                f"{counts.delivered} deliveries were seen, {counts.expected} were to be",
            ),
            (counts.audited != counts.acts, f"{counts.audited} of {counts.acts} acts are in the audit log"),
            (counts.acts == 0, "no act was counted"),
            (counts.evidence == 0, "no evidence was taken"),
            (counts.proved != counts.evidence, f"{counts.proved} of {counts.evidence} proofs hold"),
            (
                counts.refused != counts.tampered,
                f"{counts.refused} of {counts.tampered} tampered copies of proofs were refused",
            ),
            (testimony.missing > 0, f"{testimony.missing} deliveries are missing"),
            (
                counts.came_back != counts.off_line,
                f"{counts.came_back} of {counts.off_line} people came back",
            ),
            (gateways < 2, f"{gateways} gateway served, two were to"),  # noqa: PLR2004 - "at least two"
            (testimony.faults > 0, f"{testimony.faults} deliveries were out of order, doubled or altered"),
        )
        if is_wrong
    ]
    return found + testimony.sentences
