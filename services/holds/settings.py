"""The hold service's settings; read by the wiring alone."""

import msgspec

from libs.kernel.secrets import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [holds] of the settings file, or MUNIMENT_HOLDS_… in the environment."""

    listen: str
    """`unix:/path` or `host:port`."""
    database: Secret
    """The database as the role holds_app, which row-level security binds to one tenant."""
    database_projector: Secret
    """The same as holds_projector, which takes in the confirmations of all tenants."""
    database_publisher: Secret
    """The same as holds_publisher."""
    redis: Secret
    """Where the streams are: a URL for redis-py."""
    ediscovery_url: str
    keys_url: str
    identity_url: str
    messaging_url: str
    """Of messaging-relay, which serves messaging's internal routes."""
    service_key: Secret
    """Base64 of this service's raw Ed25519 seed."""
    peer_keys: dict[str, str]
    """Service → base64 of its raw Ed25519 public key."""
    late_seconds: float = 60.0
    """How long a hold may wait for an executor before that is called an error."""
