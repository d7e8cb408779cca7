"""Signed notes: a text, and lines of signatures under it. Source: C2SP signed-note 1.0.0.

Only Ed25519 signatures (type 0x01) are made and verified; others are read over, as those of unknown keys.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.merkle.errors import NoteRefused

PUBLIC_KEY_BYTES = 32
MOST_BYTES = 1_000_000
"""A longer note is refused unread; it leaves room for far more than the 16 signatures that must fit."""
MOST_SIGNATURES = 100

_KEY_ID_BYTES = 4
_ED25519 = b"\x01"
_BEGINNING = "— "
_FIRST_PRINTABLE = 0x20


class Signature(NamedTuple):
    """One line of signature: the key's name, its id (4 bytes) and the signature itself."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Return the line as it stands in a note, with its newline."""
        return f"{_BEGINNING}{self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


class Note(NamedTuple):
    """A text, which ends with a newline, and the signatures over it, none of them verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """Return the note as it is stored and sent."""
        return (self.text + "\n" + "".join(signature.line() for signature in self.signatures)).encode()


class Verifier(NamedTuple):
    """An Ed25519 key that is trusted under a name; `public` are its 32 bytes."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which a signature names the key."""
        return key_id_of(self.name, self.public)

    def accepts(self, text: bytes, signature: bytes) -> bool:
        """Tell whether `signature` (64 bytes) is this key's over `text`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


def key_id_of(name: str, public: bytes) -> bytes:
    """Return the 4 bytes that name an Ed25519 key: of SHA-256(name, newline, 0x01, key)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]


def vkey_of(name: str, public: bytes) -> str:
    """Return the key as text that other programs take: `name+id+key`."""
    return f"{name}+{key_id_of(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def parse_vkey(text: str) -> Verifier:
    """Read what `vkey_of` writes. Raises NoteRefused for another type of key or an id that does not fit."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    material = _decoded(encoded)
    if not is_name(name) or material[:1] != _ED25519 or len(material) != 1 + PUBLIC_KEY_BYTES:
        raise NoteRefused("this is not the text of an Ed25519 verifier key")
    verifier = Verifier(name, material[1:])
    if key_id != verifier.key_id.hex():
        raise NoteRefused("the id of the verifier key is not that of its name and key")
    return verifier


def is_name(name: str) -> bool:
    """Tell whether `name` can be a key's: not empty, without spaces (of any script), controls and plus."""
    return bool(name) and name.isprintable() and "+" not in name and not any(c.isspace() for c in name)


def parse_note(data: bytes) -> Note:
    """Read a note; verifies nothing. Raises NoteRefused for what is none."""
    if len(data) > MOST_BYTES:
        raise NoteRefused("the note is too long")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise NoteRefused("the note is not UTF-8") from None
    if any(ord(character) < _FIRST_PRINTABLE for character in whole.replace("\n", "")):
        raise NoteRefused("the note has control characters")
    body, separator, lines = whole.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise NoteRefused("the note has no lines of signatures after an empty line")
    signatures = tuple(_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MOST_SIGNATURES:
        raise NoteRefused("the note has too many signatures")
    return Note(body + "\n", signatures)


def sign_note(text: str, name: str, public: bytes, sign: Callable[[bytes], bytes]) -> Note:
    """Return a note of `text` with one signature; `sign` is given its bytes and answers 64.

    Raises NoteRefused for a text or a name that no note can have.
    """
    if not is_name(name):
        raise NoteRefused("a key's name has no spaces and no plus")
    if not text.endswith("\n"):
        raise NoteRefused("the text of a note ends with a newline")
    signature = Signature(name, key_id_of(name, public), sign(text.encode()))
    note = Note(text, (signature,))
    if parse_note(note.encode()) != note:
        raise NoteRefused("the note would be read as another")
    return note


def verify_note(note: Note, verifiers: Sequence[Verifier]) -> tuple[Signature, ...]:
    """Return the signatures of keys that are trusted; those of unknown keys are ignored.

    Raises NoteRefused when a trusted key's signature is wrong, and when no trusted key signed.
    """
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    text, verified = note.text.encode(), []
    for signature in note.signatures:
        verifier = known.get((signature.name, signature.key_id))
        if verifier is None:
            continue
        if not verifier.accepts(text, signature.value):
            raise NoteRefused(f"the signature of {signature.name} is wrong")
        verified.append(signature)
    if not verified:
        raise NoteRefused("no key that is trusted signed it")
    return tuple(verified)


def _signature(line: str) -> Signature:
    """Read one line of signature, without its newline."""
    name, separator, encoded = line.removeprefix(_BEGINNING).partition(" ")
    if not line.startswith(_BEGINNING) or not separator or not is_name(name):
        raise NoteRefused("a line of signature is malformed")
    value = _decoded(encoded)
    if len(value) <= _KEY_ID_BYTES:
        raise NoteRefused("a signature is too short")
    return Signature(name, value[:_KEY_ID_BYTES], value[_KEY_ID_BYTES:])


def _decoded(encoded: str) -> bytes:
    """Return the bytes of standard base64, and of no other spelling of them."""
    try:
        value = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoteRefused("the base64 is malformed") from None
    if base64.b64encode(value).decode() != encoded:
        raise NoteRefused("the base64 is malformed")
    return value
