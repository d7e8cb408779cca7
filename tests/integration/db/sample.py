"""The sample service: what libs/db and libs/events are tried on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.db.migrations import migrate
from libs.db.roles import CrossingRole, read_crossing_roles
from libs.kernel.secrets import Secret
from tests.support.engines import Engines

_HERE = Path(__file__).parent
HISTORY = _HERE / "sample_history"
ROLES = _HERE / "sample_roles.toml"
LOGINS = ("sample_app", "sample_publisher", "sample_writer", "sample_consumer")


@dataclass(frozen=True)
class SampleDatabase:
    """A database of the sample service, and the addresses by which its roles reach it."""

    name: str
    admin: Secret
    logins: dict[str, Secret]

    def dsn(self, role: str) -> Secret:
        """Return the address for `role`, e.g. "sample_app"."""
        return self.logins[role]


def sample_roles() -> tuple[CrossingRole, ...]:
    """Return the crossing roles of the sample service."""
    return read_crossing_roles(ROLES)


def migrate_sample(engines: Engines, database: str) -> None:
    """Migrate `database`; the caller holds the lock of migrations."""
    passwords = {role: engines.password_of(role) for role in LOGINS}
    migrate(
        "sample", engines.postgres.admin_dsn(database), passwords, history=HISTORY, crossing=sample_roles()
    )


def sample_template(engines: Engines) -> str:
    """Return a migrated database to copy, made by the first who asks."""
    done = engines.folder / "template_sample.name"
    with engines.alone("migrations"):
        if not done.exists():
            name = engines.create_database()
            migrate_sample(engines, name)
            done.write_text(name)
    return done.read_text()


@contextmanager
def sample_database_of(engines: Engines, template: str | None = None) -> Iterator[SampleDatabase]:
    """Give a fresh copy, dropped afterwards."""
    name = engines.create_database(template or sample_template(engines))
    postgres = engines.postgres
    logins = {role: postgres.dsn(role, engines.password_of(role), name) for role in LOGINS}
    yield SampleDatabase(name, postgres.admin_dsn(name), logins)
    engines.drop_database(name)
