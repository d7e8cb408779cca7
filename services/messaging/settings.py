"""Messaging's settings; read by the wiring alone."""

import msgspec

from libs.kernel.secrets import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [messaging] of the settings file, or MUNIMENT_MESSAGING_… in the environment."""

    listen: str
    """`unix:/path` or `host:port`; each gateway has its own."""
    gateway: str = "gw-1"
    """The name of this gateway, unique among those that share a Redis."""
    database: Secret
    """The database as the role messaging_app, which row-level security binds to one tenant."""
    database_writer: Secret
    """The same as messaging_writer, which commits for many tenants."""
    database_projector: Secret
    """The same as messaging_projector."""
    database_disposer: Secret
    """The same as messaging_disposer, which destroys by approved orders."""
    database_closer: Secret
    """The same as messaging_closer, which seals survivors anew and says which keys are empty."""
    database_mapper: Secret
    """The same as messaging_mapper, which commits to what conversations there are."""
    database_publisher: Secret
    """The same as messaging_publisher."""
    redis: Secret
    """Where streams and Pub/Sub are: a URL for redis-py."""
    keys_url: str
    identity_url: str
    holds_url: str
    """Of the hold service, whose holds messaging-relay takes in."""
    retention_url: str
    """Of the retention service, whose orders messaging-relay answers."""
    service_key: Secret
    """Base64 of this service's raw Ed25519 seed."""
    peer_keys: dict[str, str]
    """Service → base64 of its raw Ed25519 public key."""
    origins: tuple[str, ...] = ()
    """Origins of pages that may open sockets, beside the host that serves them (`https://chat.example`)."""
    dek_cache_seconds: float = 300.0
    """How long a data key stays in memory: the published time after which a lost key service stops sends."""
    dek_under_way_seconds: float = 60.0
    """How much longer is waited before a retired key is refused: for keys and sends that are under way."""
    dek_cache_keys: int = 20_000
    disposal_items: int = 20_000
    """Items after which a transaction of a run takes up no more: for so long a hold that arrives may wait."""
    map_seconds: float = 60.0
    """How often a map of all conversations is committed to the audit log, of each tenant that had entries."""
    writers: int = 1
    """Group commits under way at a time; conversations are spread over them."""
    live_channels: int = 1
    """Pub/Sub channels over which live entries are spread (1 to 64), the same for all gateways."""
    socket_buffer_bytes: int = 1_048_576
    """What may wait for a slow socket before it is closed to be resynchronised."""
    heartbeat_seconds: int = 25
    """How often a device that has nothing to say should ping."""
    audit_facts: bool = True
    """Whether commits are told to the audit log; off only to measure what that costs."""
