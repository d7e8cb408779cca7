"""What the director and a crowd process say to each other: MessagePack behind its length, over pipes."""

import asyncio
import struct
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from services.runner.demo.script import Script
from services.runner.demo.witness import Testimony

_LENGTH: Final = struct.Struct(">I")


class _Cue(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something to be done; the answer carries the same `number`."""

    number: int


class Cast(_Cue, frozen=True, kw_only=True):
    """Sign these people in: person's number → one-time code. Answered by Done."""

    origin: str
    gateways: dict[str, str]
    script: Script
    principals: tuple[UUID, ...]
    codes: dict[int, str]

    def __repr__(self) -> str:
        """Return how many there are, without their codes."""
        return f"Cast({len(self.codes)} people)"


class Begin(_Cue, frozen=True, kw_only=True):
    """Let the first person of a conversation make it. Answered by Begun."""

    conversation: int


class Open(_Cue, frozen=True, kw_only=True):
    """Put everybody on line; `logs` are the conversations, in order. Answered by Done."""

    logs: tuple["Begun", ...]


class Say(_Cue, frozen=True, kw_only=True):
    """Let the speaker of a line send it. Answered by Said."""

    conversation: int
    line: int


class Leave(_Cue, frozen=True, kw_only=True):
    """Take a person off line. Answered by Done."""

    person: int
    abrupt: bool


class Return(_Cue, frozen=True, kw_only=True):
    """Put a person on line again. Answered by Done once he has seen everything that he missed."""

    person: int


class Finish(_Cue, frozen=True, kw_only=True):
    """Mark what was received, close every socket and tell what was seen. Answered by Finished."""

    lines_said: tuple[int, ...]


class Done(_Cue, frozen=True, kw_only=True):
    """It is done."""


class Failed(_Cue, frozen=True, kw_only=True):
    """It could not be done, and why, in a sentence."""

    sentence: str


class Begun(_Cue, frozen=True, kw_only=True):
    """The conversation stands; `seq` is that of its last entry."""

    conversation: UUID
    seq: int


class Said(_Cue, frozen=True, kw_only=True):
    """The line was acknowledged."""

    seq: int


class Finished(_Cue, frozen=True, kw_only=True):
    """What the people of one process counted."""

    sent: int
    acked: int
    off_line: int
    came_back: int
    connections: int
    repeated: int
    repaired: int
    gateways: tuple[str, ...]
    testimony: Testimony


class Seen(_Cue, frozen=True, kw_only=True):
    """How many deliveries were seen so far; told unasked, with number 0."""

    delivered: int


Cue = Cast | Begin | Open | Say | Leave | Return | Finish
Answer = Done | Failed | Begun | Said | Finished | Seen
T = TypeVar("T")

_ENCODER = msgspec.msgpack.Encoder()
CUES: Final[msgspec.msgpack.Decoder[Cue]] = msgspec.msgpack.Decoder(Cue)
ANSWERS: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)


def packed(message: Any) -> bytes:
    """Return a message behind its length."""
    body = _ENCODER.encode(message)
    return _LENGTH.pack(len(body)) + body


async def unpacked(reader: asyncio.StreamReader, decoder: "msgspec.msgpack.Decoder[T]") -> T | None:
    """Return the next message, None at the end of the pipe."""
    try:
        length = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0]
        return decoder.decode(await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return None
