"""`muniment verify`: checks evidence off line, and says in one sentence what it shows or why it does not."""

import json
import sys
from pathlib import Path

from libs.evidence.errors import EvidenceRefused
from libs.evidence.trust import Trust, parse_trust
from libs.evidence.verify import verify_path
from services.runner.errors import printable


def verify(path: Path, trust: Path, *, as_json: bool = False) -> int:
    """Check the evidence at `path` against the keys in the file `trust`; return 0 when it holds, or else 1.

    Needs no server, no database and no network.
    """
    try:
        report = verify_path(path, _read_trust(trust))
    except EvidenceRefused as refused:
        facts = {"ok": False, "reason": refused.reason, "where": refused.where}
        if as_json:
            print(json.dumps({**facts, "index": getattr(refused, "index", None)}))
        said = f"muniment: {path} does not hold: {refused.reason} ({refused.where})"
        print(printable(said), file=sys.stderr)
        return 1
    print(json.dumps({"ok": True, **report.as_json()}) if as_json else printable(" ".join(report.says)))
    return 0


def _read_trust(path: Path) -> Trust:
    try:
        data = path.read_bytes()
    except OSError:
        raise EvidenceRefused("the file of trusted keys cannot be read", path.name) from None
    return parse_trust(data)
