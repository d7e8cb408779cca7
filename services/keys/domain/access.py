"""Who asks for keys in clear, and for what: each answer is an entry of the key-access log."""

from dataclasses import dataclass
from typing import Final

from services.keys.domain.errors import InvalidAccess

LONGEST_PURPOSE: Final = 64
LONGEST_ACT: Final = 200


@dataclass(frozen=True, slots=True)
class Access:
    """A service's reason: `purpose` is a class of acts (`seal`, `deliver`), `act` names the one it serves."""

    service: str
    purpose: str
    act: str

    def __post_init__(self) -> None:
        """Refuse a reason that says nothing. Raises InvalidAccess."""
        _refuse_unless_said("purpose", self.purpose, LONGEST_PURPOSE)
        _refuse_unless_said("act", self.act, LONGEST_ACT)


def _refuse_unless_said(name: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest or not text.isprintable():
        raise InvalidAccess(f"`{name}` takes 1 to {longest} printable characters")
