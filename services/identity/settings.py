"""The identity service's settings."""

import msgspec

from libs.kernel.secrets import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [identity] of the settings file, or MUNIMENT_IDENTITY_… in the environment."""

    listen: str
    """`unix:/path` or `host:port`."""
    database: Secret
    """Where the service's PostgreSQL is, as the role identity_app."""
    database_publisher: Secret
    """The same, as the role identity_publisher."""
    database_resolver: Secret
    """The same, as the role identity_resolver."""
    redis: Secret
    """Where the streams are: a URL for redis-py."""
    keys_url: str
    """Where the keys service listens: `unix:/path` or `http://host:port`."""
    service_key: Secret
    """Base64 of this service's raw Ed25519 seed."""
    peer_keys: dict[str, str]
    """Service → base64 of its raw Ed25519 public key; "operator" is one of them."""
