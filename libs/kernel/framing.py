"""One unambiguous way to put several byte strings into one."""

import struct

_LENGTH = struct.Struct(">I")


def framed(*parts: bytes) -> bytes:
    """Return the parts, each behind its length (4 bytes, big-endian), so that no two lists collide."""
    length = _LENGTH.pack
    return b"".join([length(len(part)) + part for part in parts])
