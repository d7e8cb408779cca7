"""`trust.json`: every key that ever signed, with its range; what a stranger needs besides the evidence."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from libs.evidence.canonical import Fields, encoded, parse_json
from libs.evidence.errors import EvidenceRefused
from libs.merkle.note import PUBLIC_KEY_BYTES, Verifier

CHECKPOINTS = "checkpoints"
PRODUCTIONS = "productions"
CERTIFICATES = "certificates"
ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that signs for one use, from `not_before` to `not_after` (None: no end is set)."""

    kid: str
    use: str
    algorithm: str
    public: bytes
    not_before: datetime
    not_after: datetime | None


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys of one instance of the platform."""

    instance: str
    keys: tuple[TrustedKey, ...]

    def verifiers(self, origin: str, use: str = CHECKPOINTS) -> tuple[Verifier, ...]:
        """Return the keys that may sign for `use`, under the name `origin`."""
        return tuple(
            Verifier(origin, key.public) for key in self.keys if key.use == use and key.algorithm == ED25519
        )


def origin_of(instance: str, tenant: UUID) -> str:
    """Return the origin of a tenant's log."""
    return f"{instance}/log/{tenant}"


def log_of(instance: str, origin: str) -> UUID:
    """Return the tenant whose log has this origin. Raises EvidenceRefused for another instance's."""
    head, _, last = origin.rpartition("/")
    try:
        tenant = UUID(last)
    except ValueError:
        tenant = None
    if tenant is None or origin != origin_of(instance, tenant) or head != f"{instance}/log":
        raise EvidenceRefused("the checkpoint is of no log of the instance that is trusted", "checkpoint")
    return tenant


def dump_trust(trust: Trust) -> bytes:
    """Return `trust.json`."""
    keys = [
        {
            "kid": key.kid,
            "use": key.use,
            "algorithm": key.algorithm,
            "public": encoded(key.public),
            "not_before": _text(key.not_before),
            "not_after": None if key.not_after is None else _text(key.not_after),
        }
        for key in trust.keys
    ]
    return json.dumps({"v": 1, "instance": trust.instance, "keys": keys}, indent=1).encode()


def parse_trust(data: bytes) -> Trust:
    """Read `trust.json`. Members that it does not know are read over. Raises EvidenceRefused."""
    fields = Fields(parse_json(data, "trust"), "trust")
    if fields.raw("v") != 1:
        raise EvidenceRefused("this is no version of trust.json that is known", "trust.v")
    keys = tuple(_key(each, f"trust.keys[{at}]") for at, each in enumerate(fields.items("keys")))
    return Trust(fields.text("instance"), keys)


def _key(value: object, where: str) -> TrustedKey:
    fields = Fields(value, where)
    key = TrustedKey(
        kid=fields.text("kid"),
        use=fields.text("use"),
        algorithm=fields.text("algorithm"),
        public=fields.base64("public"),
        not_before=_instant(fields.text("not_before"), where),
        not_after=_instant(fields.text("not_after"), where) if _set(value, "not_after") else None,
    )
    if key.algorithm == ED25519 and len(key.public) != PUBLIC_KEY_BYTES:
        raise EvidenceRefused("an Ed25519 key has 32 bytes", where)
    return key


def _set(value: object, name: str) -> bool:
    return isinstance(value, dict) and value.get(name) is not None


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _instant(text: str, where: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise EvidenceRefused("an instant with its time zone is missing", where)
    return instant
