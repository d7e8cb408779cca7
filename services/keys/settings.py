"""The key service's settings."""

import msgspec

from libs.kernel.secrets import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [keys] of the settings file, or MUNIMENT_KEYS_… in the environment."""

    listen: str
    """`unix:/path` or `host:port`."""
    database: Secret
    """Where the service's own PostgreSQL is, as the role keys_app."""
    database_publisher: Secret
    """The same, as the role keys_publisher."""
    database_projector: Secret
    """The same, as the role keys_projector, which takes in the holds of all tenants."""
    database_shredder: Secret
    """The same, as the role keys_shredder, which alone can remove a wrapped key."""
    redis: Secret
    """Where the streams are: a URL for redis-py."""
    holds_url: str
    """Of the hold service, whose holds this service preserves the keys of."""
    messaging_url: str
    """Of messaging-relay, which says under which keys nothing is left."""
    vault_url: str
    vault_role_id: str
    vault_secret_id: Secret
    kek_mount: str = "transit"
    """The Transit mount, which belongs to this service alone (see policies/vault/keys.hcl)."""
    vault_ca: str = ""
    """A file of certificates by which the vault is known; empty for the system's."""
    service_key: Secret
    """Base64 of this service's raw Ed25519 seed."""
    peer_keys: dict[str, str]
    """Service → base64 of its raw Ed25519 public key."""
    signing_key_days: int = 30
    """For how long one key signs, where it is not rotated; at least two days."""
    backup_days: int = 7
    """For how long a backup or WAL of this service's database is kept: then a shredded key is nowhere."""
    wipe_seconds: float = 60.0
    """How often the bytes of shredded keys are wiped out of the live database, if there are any."""
    instance: str = "muniment.local"
    """The name of this deployment in trust.json, with which the origin of every log begins."""
