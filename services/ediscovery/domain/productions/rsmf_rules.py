"""What an RSMF file must be: the official schema, and the rules that no schema says.

The names of the findings are those of Relativity's validator where it has one. The schema is Relativity's
own, unchanged, under the licence that lies beside it.
"""

import functools
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from importlib import resources
from typing import Any

from libs.evidence.canonical import parse_json
from libs.evidence.errors import EvidenceRefused
from services.ediscovery.domain.productions.rsmf import MANIFEST_NAME, ZIP_NAME

MOST_MANIFEST_BYTES = 1 << 28
SCHEMA_VIOLATION = "ManifestSchemaViolation"
EXTRA_ATTACHMENT = "ExtraAttachment"
NO_ATTACHMENT = "MissingAttachment"
BAD_MAIL = "MailMalformed"
BAD_ZIP = "ZipMalformed"
BAD_HEADER = "HeaderInvalid"
INVALID_CONVERSATION_PARTICIPANT = "ManifestInvalidConversationParticipant"
INVALID_EVENT_PARTICIPANT = "ManifestInvalidEventParticipant"
INVALID_EVENT_CONVERSATION = "ManifestInvalidEventConversation"
INVALID_EVENT_PARENT = "ManifestInvalidEventParent"
UNDEFINED_PROPERTY = "ManifestUndefinedProperty"
MISSING_FILE = "MissingFile"

_SEVEN_BITS = 0x80
_NO_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # a password is asked for, a method is not known
    ValueError,  # an offset leads before the beginning
    OverflowError,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where; both for a person."""

    name: str
    says: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a validator finds: with errors the file is refused, with warnings alone it is taken."""

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Whether there is no error."""
        return not self.errors


def judge_rsmf(data: bytes) -> Verdict:
    """Judge a `.rsmf` file."""
    verdict = Verdict()
    mail = message_from_bytes(data)
    if any(byte >= _SEVEN_BITS for byte in data) or mail.defects:
        verdict.errors.append(Finding(BAD_MAIL, "the mail is not 7-bit, or not well formed"))
    if not mail["X-RSMF-Version"]:
        verdict.errors.append(Finding(BAD_HEADER, "X-RSMF-Version is missing"))
    zipped = _only_attachment(mail, verdict)
    if zipped is not None:
        manifest = _judge_zip(zipped, verdict)
        count = mail["X-RSMF-EventCount"]
        events = _rows(manifest, "events")
        if manifest is not None and count is not None and count != str(len(events)):
            verdict.errors.append(Finding(BAD_HEADER, "X-RSMF-EventCount is not the number of events"))
    return verdict


def judge_zip(data: bytes) -> Verdict:
    """Judge an `rsmf.zip`."""
    verdict = Verdict()
    _judge_zip(data, verdict)
    return verdict


def judge_manifest(data: bytes, files: Iterable[str] = ()) -> Verdict:
    """Judge an `rsmf_manifest.json`, beside which `files` lie in the zip."""
    verdict = Verdict()
    _judge_manifest(data, frozenset(files), verdict)
    return verdict


@functools.cache
def official_schema() -> Mapping[str, Any]:
    """Return Relativity's schema of version 2.0.0 (draft-07)."""
    data = resources.files(__package__).joinpath("rsmf_schema_2_0_0.json").read_bytes()
    schema: Mapping[str, Any] = parse_json(data, "rsmf_schema_2_0_0.json")
    return schema


def _only_attachment(mail: Message, verdict: Verdict) -> bytes | None:
    """Return the bytes of `rsmf.zip`, when it is the one attachment of the mail and base64."""
    attached = [part for part in mail.walk() if part.get_filename() is not None]
    others = [part for part in attached if part.get_filename() != ZIP_NAME]
    own = [part for part in attached if part.get_filename() == ZIP_NAME]
    if others or len(own) > 1:
        verdict.errors.append(Finding(EXTRA_ATTACHMENT, f"{ZIP_NAME} must be the only attachment"))
    if not own:
        verdict.errors.append(Finding(NO_ATTACHMENT, f"{ZIP_NAME} is missing"))
        return None
    if (
        own[0].get_content_disposition() != "attachment"
        or str(own[0]["Content-Transfer-Encoding"]).strip().lower() != "base64"
    ):
        verdict.errors.append(Finding(BAD_MAIL, f"{ZIP_NAME} must be attached in base64"))
    data = own[0].get_payload(decode=True)
    return data if isinstance(data, bytes) else None


def _judge_zip(data: bytes, verdict: Verdict) -> Mapping[str, Any] | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            with archive.open(MANIFEST_NAME) as file:
                manifest = file.read(MOST_MANIFEST_BYTES)
    except KeyError:
        verdict.errors.append(Finding(BAD_ZIP, f"{MANIFEST_NAME} is not at its root"))
        return None
    except _NO_ZIP:
        verdict.errors.append(Finding(BAD_ZIP, "it is no zip, or a broken one"))
        return None
    return _judge_manifest(manifest, frozenset(names), verdict)


def _judge_manifest(data: bytes, files: frozenset[str], verdict: Verdict) -> Mapping[str, Any] | None:
    from jsonschema import (  # type: ignore[import-untyped] # noqa: PLC0415 - who judges a file pays for it
        Draft7Validator,
    )

    try:
        manifest = parse_json(data.removeprefix(b"\xef\xbb\xbf"), MANIFEST_NAME)
    except EvidenceRefused as refused:
        verdict.errors.append(Finding(SCHEMA_VIOLATION, refused.reason))
        return None
    errors = sorted(
        Draft7Validator(official_schema()).iter_errors(manifest), key=lambda error: error.json_path
    )
    verdict.errors.extend(Finding(SCHEMA_VIOLATION, f"{each.json_path}: {each.message}") for each in errors)
    if errors or not isinstance(manifest, Mapping):
        return None
    verdict.warnings.extend(_references(manifest))
    verdict.warnings.extend(_undefined(manifest, official_schema(), "$"))
    verdict.warnings.extend(
        Finding(MISSING_FILE, f"{name} is not in the zip")
        for name in _files_of(manifest)
        if name not in files
    )
    return manifest


def _references(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Give every id that leads nowhere."""
    people = {person["id"] for person in manifest["participants"]}
    conversations = {each["id"]: each for each in manifest["conversations"]}
    events = {(each.get("conversation"), each.get("id")) for each in manifest["events"]}
    for conversation in manifest["conversations"]:
        named = [*conversation["participants"], *_given(conversation, "custodian")]
        if not people.issuperset(named):
            yield Finding(INVALID_CONVERSATION_PARTICIPANT, f"conversation {conversation['id']}")
    for at, event in enumerate(manifest["events"]):
        if not people.issuperset(_people_in(event)):
            yield Finding(INVALID_EVENT_PARTICIPANT, f"event {at}")
        if not conversations.keys() >= set(_given(event, "conversation")):
            yield Finding(INVALID_EVENT_CONVERSATION, f"event {at}")
        if any((event.get("conversation"), parent) not in events for parent in _given(event, "parent")):
            yield Finding(INVALID_EVENT_PARENT, f"event {at}")


def _people_in(event: Mapping[str, Any]) -> Iterator[str]:
    yield from _given(event, "participant")
    for edit in _rows(event, "edits"):
        yield edit["participant"]
    for receipt in _rows(event, "read_receipts"):
        yield receipt["participant"]
    for reaction in _rows(event, "reactions"):
        yield from reaction.get("participants", [])


def _undefined(value: object, schema: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """Give every property that the schema does not name."""
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        for name, each in value.items():
            if name not in known:
                yield Finding(UNDEFINED_PROPERTY, f"{where}.{name}")
            else:
                yield from _undefined(each, known[name], f"{where}.{name}")
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _undefined(each, schema.get("items", {}), f"{where}[{at}]")


def _files_of(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Give the names of files that should lie in the zip."""
    for person in manifest["participants"]:
        yield from _given(person, "avatar")
    for conversation in manifest["conversations"]:
        yield from _given(conversation, "icon")
    for event in manifest["events"]:
        for attachment in _rows(event, "attachments"):
            yield attachment["id"]


def _given(members: Mapping[str, Any], name: str) -> list[str]:
    return [members[name]] if name in members else []


def _rows(members: Mapping[str, Any] | None, name: str) -> list[Any]:
    return [] if members is None else members.get(name, [])
