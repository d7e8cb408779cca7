"""Checkpoints: what a log says of itself at a size, signed. Source: C2SP tlog-checkpoint."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from libs.merkle.errors import NoteRefused
from libs.merkle.hashing import EMPTY_ROOT, HASH_BYTES
from libs.merkle.note import Verifier, parse_note, sign_note, verify_note

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_LEAST_LINES = 3


class Checkpoint(NamedTuple):
    """The tree of the log `origin` at `size` entries has this 32-byte root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the text that is signed: origin, size, root and extensions, a line each."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "\n".join(lines) + "\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint, in the one spelling that it has. Raises NoteRefused."""
    lines = text.split("\n")
    if len(lines) <= _LEAST_LINES or lines[-1] or not all(lines[:-1]):
        raise NoteRefused("a checkpoint is three or more lines, none of them empty")
    origin, size, encoded = lines[:_LEAST_LINES]
    if not _SIZE.fullmatch(size):
        raise NoteRefused("the size of the checkpoint is not a decimal number")
    checkpoint = Checkpoint(origin, int(size), _root(encoded), tuple(lines[_LEAST_LINES:-1]))
    if checkpoint.text() != text:
        raise NoteRefused("the checkpoint is not in its one spelling")
    if not checkpoint.size and checkpoint.root != EMPTY_ROOT:
        raise NoteRefused("the checkpoint of an empty log has the root of another")
    return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, public: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the checkpoint as a note signed in the name of its origin.

    `public` is the signing key's public half (32 bytes); `sign` gets the text's bytes and answers 64.
    Raises NoteRefused for a checkpoint that could not be read back.
    """
    text = checkpoint.text()
    parse_checkpoint(text)
    return sign_note(text, checkpoint.origin, public, sign).encode()


def open_checkpoint(data: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Return the checkpoint in a note that a trusted key signed in the name of its origin.

    Raises NoteRefused otherwise.
    """
    note = parse_note(data)
    signed = verify_note(note, verifiers)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin not in {signature.name for signature in signed}:
        raise NoteRefused("the checkpoint is signed in the name of another log")
    return checkpoint


def _root(encoded: str) -> bytes:
    try:
        root = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != HASH_BYTES:
        raise NoteRefused("the root of the checkpoint is not 32 bytes of base64")
    return root
