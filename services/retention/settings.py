"""The retention service's settings; read by the wiring alone."""

import msgspec

from libs.kernel.secrets import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [retention] of the settings file, or MUNIMENT_RETENTION_… in the environment."""

    listen: str
    """`unix:/path` or `host:port`."""
    database: Secret
    """The database as the role retention_app, which row-level security binds to one tenant."""
    database_projector: Secret
    """The same as retention_projector."""
    database_publisher: Secret
    """The same as retention_publisher."""
    redis: Secret
    """Where the streams are: a URL for redis-py."""
    keys_url: str
    identity_url: str
    ediscovery_url: str
    audit_url: str
    messaging_url: str
    """Of messaging-relay, which serves messaging's internal routes."""
    instance: str = "muniment.local"
    """What the names begin with under which certificates are signed; never changed once it signed."""
    service_key: Secret
    """Base64 of this service's raw Ed25519 seed."""
    peer_keys: dict[str, str]
    """Service → base64 of its raw Ed25519 public key."""
