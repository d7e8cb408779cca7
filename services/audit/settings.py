"""The audit service's settings; read by the wiring alone."""

import msgspec

from libs.kernel.secrets import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [audit] of the settings file, or MUNIMENT_AUDIT_… in the environment."""

    listen: str
    """`unix:/path` or `host:port`."""
    database: Secret
    """The database as the role audit_app, which row-level security binds to one tenant."""
    database_sequencer: Secret
    """The same as audit_sequencer, which writes the logs of all tenants."""
    database_publisher: Secret
    """The same as audit_publisher."""
    redis: Secret
    """Where the streams are: a URL for redis-py."""
    ediscovery_url: str
    keys_url: str
    identity_url: str
    holds_url: str
    retention_url: str
    messaging_url: str
    """Of messaging-relay, which serves messaging's internal routes."""
    service_key: Secret
    """Base64 of this service's raw Ed25519 seed."""
    peer_keys: dict[str, str]
    """Service → base64 of its raw Ed25519 public key."""
    log_origin: str = "muniment.local"
    """What every log's origin begins with (`<log_origin>/log/<tenant>`); never changed once it signed."""
    reconcile_seconds: float = 300.0
    """How often acts and entries are compared."""
