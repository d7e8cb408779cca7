"""Who asks for keys in clear, and for what: each answer is an entry of the key-access log."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.kernel.ids import DekId
from services.keys.domain.deks import Dek, has_conversation
from services.keys.domain.errors import InvalidAccess

MATTER: Final = "matter"
"""How the purposes of legal access begin: `matter:<its id>`."""
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

    @property
    def matter(self) -> UUID | None:
        """The legal matter that the keys serve, where the purpose names one."""
        kind, _, name = self.purpose.partition(":")
        try:
            return UUID(name) if kind == MATTER else None
        except ValueError:
            return None

    @property
    def is_legal(self) -> bool:
        """Whether only those may know of it who may know of legal acts."""
        return self.purpose.partition(":")[0] == MATTER


class Given(StrEnum):
    """What a service was given: each is an act of its own."""

    DEKS = "deks"
    FINGERPRINT_KEY = "fingerprint-key"


def given_of(deks: Iterable[Dek]) -> dict[Given, list[DekId]]:
    """Return the names of the keys that were given, in order, by what they are."""
    given: dict[Given, list[DekId]] = {}
    for dek in deks:
        kind = Given.DEKS if has_conversation(dek.scope) else Given.FINGERPRINT_KEY
        given.setdefault(kind, []).append(dek.dek)
    return given


def _refuse_unless_said(name: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest or not text.isprintable():
        raise InvalidAccess(f"`{name}` takes 1 to {longest} printable characters")
