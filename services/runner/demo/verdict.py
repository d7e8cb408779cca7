"""Whether everything that was counted agrees: senders, recipients and the database, each by itself."""

from collections.abc import Iterator

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

    What follows is None where the step was not taken. Of the `to_import` lines, `imported` came and
    `unimported` were refused, by the report of the import; `indexed` by the search engine. `confirmed` of
    the `executors` have confirmed the hold. Of bodies (messages, and names of imported conversations) `due`
    by SQL over times, before the run; `preserved`, `in_grace` and `ripe` by the dry run that was approved;
    `disposed` by SQL, payloads that are gone; `certified` by the lines of the certificate; after it `left`
    messages have a body by SQL, and `indexed_left` are in the index. `found` by the search in the matter,
    `matching` by the texts that were sent and imported. `in_scope` by SQL, entries of the custodians'
    conversations; `produced`, `excluded` and `in_error` by the lines of the production's own index.
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
    to_import: int | None = None
    imported: int | None = None
    unimported: int | None = None
    indexed: int | None = None
    custodians: int | None = None
    executors: int | None = None
    confirmed: int | None = None
    due: int | None = None
    preserved: int | None = None
    in_grace: int | None = None
    ripe: int | None = None
    disposed: int | None = None
    certified: int | None = None
    left: int | None = None
    indexed_left: int | None = None
    found: int | None = None
    matching: int | None = None
    in_scope: int | None = None
    produced: int | None = None
    excluded: int | None = None
    in_error: int | None = None


def disagreements(counts: Counts, gateways: int, testimony: Testimony) -> list[str]:
    """Return what does not agree, one sentence each; nothing when all is well."""
    return _live(counts, gateways, testimony) + _afterwards(counts) + testimony.sentences


def left_out(counts: Counts) -> list[str]:
    """Return which steps were not taken, one sentence each."""
    return [
        sentence
        for count, sentence in (
            (counts.imported, "nothing was imported"),
            (counts.indexed, "nothing was counted in the index"),
            (counts.confirmed, "no hold was placed"),
            (counts.disposed, "no rule was carried out"),
            (counts.found, "nothing was searched"),
            (counts.produced, "no production was made"),
        )
        if count is None
    ]


def _live(counts: Counts, gateways: int, testimony: Testimony) -> list[str]:
    imported = counts.imported or 0
    came = f" and {imported} imported" if imported else ""
    return [
        sentence
        for is_wrong, sentence in (
            (counts.sent != counts.messages, f"{counts.sent} of {counts.messages} messages were sent"),
            (counts.acked != counts.sent, f"{counts.acked} of {counts.sent} sent messages were acknowledged"),
            (
                counts.stored != counts.acked + imported,
                f"{counts.stored} messages are stored, {counts.acked} were acknowledged{came}",
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


def _afterwards(counts: Counts) -> list[str]:
    return [*_imported(counts), *_held(counts), *_disposed(counts), *_searched(counts), *_produced(counts)]


def _imported(counts: Counts) -> Iterator[str]:
    if counts.imported is not None and counts.to_import != counts.imported + (counts.unimported or 0):
        yield (
            f"of {counts.to_import} lines {counts.imported} were imported and {counts.unimported} refused:"
            " the others are not accounted for"
        )
    if counts.imported == 0:
        yield "no line was imported"
    if counts.indexed is not None and counts.indexed != counts.stored:
        yield f"{counts.indexed} messages are in the index, {counts.stored} are stored"


def _held(counts: Counts) -> Iterator[str]:
    if counts.confirmed is None:
        return
    if not counts.custodians:
        yield "the hold names no custodian"
    if not counts.executors:
        yield "the hold waited for no executor"
    if counts.confirmed != counts.executors:
        yield f"{counts.confirmed} of {counts.executors} executors confirmed the hold that is in force"


def _disposed(counts: Counts) -> Iterator[str]:
    if counts.due is None:
        return
    disposed, preserved, in_grace = counts.disposed or 0, counts.preserved or 0, counts.in_grace or 0
    if counts.due != disposed + preserved + in_grace:
        yield (
            f"{counts.due} bodies were due, but {disposed} are disposed of,"
            f" {preserved} preserved and {in_grace} in their time of grace"
        )
    if counts.certified != disposed:
        yield f"{disposed} bodies are gone, {counts.certified} are certified"
    if disposed != counts.ripe:
        yield f"{disposed} bodies are gone, {counts.ripe} were approved"
    if counts.indexed_left != counts.left:
        yield f"{counts.indexed_left} messages are still in the index, {counts.left} still have a body"


def _searched(counts: Counts) -> Iterator[str]:
    if counts.found is None:
        return
    if counts.found != counts.matching:
        yield f"{counts.found} messages were found, the word stands in {counts.matching}"
    if not counts.matching:
        yield "there was nothing to be found"


def _produced(counts: Counts) -> Iterator[str]:
    if counts.produced is None:
        return
    produced, excluded = counts.produced, counts.excluded or 0
    if counts.in_scope != produced + excluded:
        yield f"{counts.in_scope} entries are in scope, but {produced} were produced and {excluded} excluded"
    if counts.in_error:
        yield f"{counts.in_error} entries could not be produced"
    if not produced:
        yield "there was nothing to produce"
