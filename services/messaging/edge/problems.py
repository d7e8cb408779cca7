"""What the world is told of messaging's refusals."""

from libs.envelope.errors import KeyExhausted, RecordRefused
from libs.host.approvals import APPROVAL_PROBLEMS
from libs.host.problems import ProblemRow, ProblemTable
from services.messaging.domain.errors import (
    AdministratorsWrite,
    AlreadySo,
    AmendmentTooLate,
    BatchDiffers,
    BatchOutOfOrder,
    BodyRefused,
    ClientIdConflict,
    ConversationArchived,
    ConversationNotFound,
    DestroyedUndue,
    DirectIsFixed,
    DispositionsStopped,
    EntriesNotFound,
    EntryUnproved,
    ImportDiffers,
    ImportNotBegun,
    ImportNotFound,
    ImportRefused,
    ImportUnfinished,
    KeyClosed,
    KeyGone,
    KeysUnavailable,
    LastAdministrator,
    LogUnavailable,
    MapNotFound,
    MarkRefused,
    MessageDisposed,
    MessageNotFound,
    MessageRetracted,
    NotPermitted,
    Overloaded,
    ParticipantUnknown,
    ReasonMissing,
    RulesPassed,
    SealingDiffers,
    SizeRefused,
    StretchRefused,
)

PROBLEMS: ProblemTable = {
    **APPROVAL_PROBLEMS,
    ConversationNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    MessageNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    MessageRetracted: ProblemRow(409, "urn:problem:message-retracted", "The message was retracted"),
    MessageDisposed: ProblemRow(
        409, "urn:problem:message-disposed", "What the message said is destroyed, or about to be"
    ),
    AmendmentTooLate: ProblemRow(409, "urn:problem:amendment-too-late", "The message can be changed no more"),
    ReasonMissing: ProblemRow(
        422, "urn:problem:reason-missing", "Whoever retracts another's message says why"
    ),
    RulesPassed: ProblemRow(
        409, "urn:problem:version-passed", "The rules were changed meanwhile", "version {version} is in force"
    ),
    NotPermitted: ProblemRow(403, "urn:problem:not-permitted", "Your roles do not allow this"),
    ClientIdConflict: ProblemRow(
        409, "urn:problem:client-id-conflict", "This id was used for another message"
    ),
    ParticipantUnknown: ProblemRow(
        404, "urn:problem:participant-unknown", "No such person", "{principal} is not known here"
    ),
    SizeRefused: ProblemRow(
        422,
        "urn:problem:participants-refused",
        "Too few or too many participants",
        "{count} participants; allowed are {least} to {most}",
    ),
    DirectIsFixed: ProblemRow(
        409, "urn:problem:direct-is-fixed", "The participants of a one-to-one conversation never change"
    ),
    LastAdministrator: ProblemRow(
        409, "urn:problem:last-administrator", "A group keeps an administrator while others are in it"
    ),
    ConversationArchived: ProblemRow(
        409, "urn:problem:conversation-archived", "The conversation is archived: it is read, and no more"
    ),
    AdministratorsWrite: ProblemRow(
        403, "urn:problem:administrators-write", "In this conversation its administrators write"
    ),
    AlreadySo: ProblemRow(409, "urn:problem:already-so", "Somebody else has done it meanwhile"),
    BodyRefused: ProblemRow(
        422, "urn:problem:body-refused", "The message is too large", "{size} bytes; allowed are {most}"
    ),
    MarkRefused: ProblemRow(
        422,
        "urn:problem:mark-refused",
        "The conversation has not come so far",
        "{seq} was marked, {last_seq} is the last",
    ),
    StretchRefused: ProblemRow(
        422,
        "urn:problem:stretch-refused",
        "Evidence is given of entries in a row, and not of so many",
        "{first} to {last}; at most {most}",
    ),
    MapNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    EntriesNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    EntryUnproved: ProblemRow(
        409,
        "urn:problem:entry-unproved",
        "The entry is older than the audit log, which cannot prove it",
        "{seq}",
    ),
    ImportNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    ImportRefused: ProblemRow(422, "urn:problem:import-refused", "This describes no import", "{why}"),
    ImportDiffers: ProblemRow(
        409, "urn:problem:import-differs", "The same source was asked for in another way", "import {run}"
    ),
    ImportNotBegun: ProblemRow(
        409, "urn:problem:import-not-begun", "The import has not begun", "import {run}"
    ),
    BatchDiffers: ProblemRow(
        409, "urn:problem:batch-differs", "These are not the lines that were approved", "batch {number}"
    ),
    DispositionsStopped: ProblemRow(
        503, "urn:problem:dispositions-stopped", "Nothing is destroyed while an event is parked"
    ),
    BatchOutOfOrder: ProblemRow(
        409, "urn:problem:batch-out-of-order", "Batches come in their order", "the next one is {expected}"
    ),
    ImportUnfinished: ProblemRow(
        409, "urn:problem:import-unfinished", "Not everything has come yet", "{missing} batches are missing"
    ),
    KeysUnavailable: ProblemRow(
        503, "urn:problem:key-service-unavailable", "Messages cannot be sealed or opened now"
    ),
    KeyGone: ProblemRow(
        503, "urn:problem:key-service-unavailable", "Messages were sealed anew at this moment; read again"
    ),
    KeyClosed: ProblemRow(503, "urn:problem:key-service-unavailable", "A new key is needed first"),
    SealingDiffers: ProblemRow(500, "urn:problem:record-refused", "A stored message does not open"),
    DestroyedUndue: ProblemRow(500, "urn:problem:destroyed-undue", "Something was destroyed before its time"),
    LogUnavailable: ProblemRow(503, "urn:problem:log-unavailable", "The message log cannot be reached now"),
    Overloaded: ProblemRow(503, "urn:problem:overloaded", "Too many messages wait; send it again shortly"),
    KeyExhausted: ProblemRow(503, "urn:problem:key-service-unavailable", "A new key is needed first"),
    RecordRefused: ProblemRow(500, "urn:problem:record-refused", "A stored message does not open"),
}
"""A row for every error that messaging raises."""
