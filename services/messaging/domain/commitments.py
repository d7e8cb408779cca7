"""Salted commitments to an entry's metadata and to its body, each provable without the other.

A commitment is SHA-256 over a label, a 16-byte salt and the canonical bytes, framed by their lengths.
The salts lie inside the sealed payload and die with it: what stays in the log cannot be guessed.
"""

from services.messaging.domain.entries import Draft

SALT_BYTES = 16


def metadata_of(draft: Draft, seq: int) -> bytes:
    """Return an entry's metadata as canonical JSON (RFC 8785): sorted keys, ASCII, integers only.

    Every value is a UUID, an integer or a timestamp, so that no string needs an escape.
    """
    subjects = ",".join(f'"{subject}"' for subject in draft.subjects)
    return (
        f'{{"actor":"{draft.actor}","conversation":"{draft.key.conversation}","kind":{int(draft.kind)},'
        f'"message":"{draft.message}","revision":{draft.revision},'
        f'"sent_at":"{draft.sent_at.replace(tzinfo=None).isoformat(timespec="microseconds")}Z","seq":{seq},"subjects":[{subjects}],'
        f'"tenant":"{draft.key.tenant}"}}'
    ).encode()
