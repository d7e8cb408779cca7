"""eDiscovery's settings; read by the wiring alone."""

from typing import Literal

import msgspec

from libs.kernel.secrets import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [ediscovery] of the settings file, or MUNIMENT_EDISCOVERY_… in the environment."""

    listen: str
    """`unix:/path` or `host:port`."""
    database: Secret
    """The database as the role ediscovery_app, which row-level security binds to one tenant."""
    database_projector: Secret
    """The same as ediscovery_projector."""
    database_publisher: Secret
    """The same as ediscovery_publisher."""
    redis: Secret
    """Where the streams are: a URL for redis-py."""
    keys_url: str
    identity_url: str
    holds_url: str
    audit_url: str
    messaging_url: str
    """Of messaging-relay, which serves messaging's internal routes."""
    service_key: Secret
    """Base64 of this service's raw Ed25519 seed."""
    peer_keys: dict[str, str]
    """Service → base64 of its raw Ed25519 public key."""
    search: Literal["tantivy", "opensearch"] = "tantivy"
    """The engine of the index."""
    index_folder: str = ""
    """Where tantivy keeps its files: clear words, so a folder that nobody else can read."""
    opensearch_url: str = ""
    """Where OpenSearch answers, without a user: `https://host:9200`.

    Beside `search = "tantivy"` it is a cluster that was searched before: what is taken away is taken away
    there, too.
    """
    opensearch_user: str = ""
    """Who eDiscovery is there; empty where nobody is asked."""
    opensearch_password: Secret = Secret("")
    """That user's password."""
    opensearch_ca: str = ""
    """A file with the certificates (PEM) that https is trusted by; empty for the usual ones."""
    productions_folder: str = ""
    """Where productions are made and kept: clear text, so a folder that nobody else can read."""
    production_days: int = 30
    """For how long a production can be taken after it was made; then its files are removed."""
    instance: str = "muniment.local"
    """The host name of the platform: it stands in the origin of its logs and of what it signs."""
    revoked_seconds: float = 300.0
    """For how long the vault has to refuse the key of a tenant before his index is dropped."""
    dek_cache_seconds: float = 300.0
    """How long a data key stays in memory, for its purpose and matter alone."""
    dek_cache_keys: int = 10_000

    def __post_init__(self) -> None:
        """Refuse what would search elsewhere than is meant, and an address that would show a password."""
        if self.search == "opensearch" and not self.opensearch_url:
            msg = "opensearch_url says where OpenSearch answers"
            raise ValueError(msg)
        if "@" in self.opensearch_url:
            msg = "opensearch_url names no user; opensearch_user and opensearch_password do"
            raise ValueError(msg)
