"""Zips in one spelling: the same files are the same bytes on every machine, and nothing is hidden in them.

Nothing is compressed, as compressors differ. What reads a zip back takes this spelling alone, because
programs disagree about zips that say one thing twice.
"""

import io
import struct
import zipfile

from libs.evidence.errors import EvidenceRefused

_OLDEST = (1980, 1, 1, 0, 0, 0)
_HEADER_BYTES = 30
_SIZE_AT = 22


def stored(name: str, data: bytes) -> bytes:
    """Return a zip of one file, without a time."""
    buffer = io.BytesIO()
    info = zipfile.ZipInfo(name, _OLDEST)
    info.create_system = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(info, data)
    return buffer.getvalue()


def unstored(name: str, data: bytes, where: str) -> bytes:
    """Return the file `name` of a zip that `stored` made. Raises EvidenceRefused for every other zip."""
    begin = _HEADER_BYTES + len(name.encode())
    if len(data) > begin:
        (size,) = struct.unpack_from("<I", data, _SIZE_AT)
        found = data[begin : begin + size]
        if stored(name, found) == data:
            return found
    raise EvidenceRefused("the zip is not in its one spelling", where)
