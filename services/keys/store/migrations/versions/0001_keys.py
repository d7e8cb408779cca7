"""Key-encryption keys by name, wrapped data keys, sealed signing keys, and the outbox."""

from alembic import op

from libs.db.migrations import create_outbox, tenant_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE keys.kek (
            tenant uuid NOT NULL, kek text NOT NULL, created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, kek)
        )""")
    tenant_table(op, "keys.kek", app="SELECT, INSERT")

    # `wrapped` is the vault's text; the key itself never reaches this database.
    op.execute("""
        CREATE TABLE keys.dek (
            tenant uuid NOT NULL, dek uuid NOT NULL,
            conversation uuid NOT NULL, epoch text NOT NULL,
            generation integer NOT NULL CHECK (generation > 0),
            kek text NOT NULL, kek_version integer NOT NULL CHECK (kek_version > 0),
            wrapped text NOT NULL CHECK (wrapped LIKE 'vault:v%'),
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, dek),
            UNIQUE (tenant, conversation, epoch, generation),
            FOREIGN KEY (tenant, kek) REFERENCES keys.kek (tenant, kek)
        )""")
    tenant_table(op, "keys.dek", app="SELECT, INSERT")

    # The platform's own keys belong to no tenant.
    op.execute("""
        CREATE TABLE keys.signing_key (
            kid text PRIMARY KEY, purpose text NOT NULL, ordinal integer NOT NULL CHECK (ordinal > 0),
            public bytea NOT NULL CHECK (length(public) = 32),
            sealed text NOT NULL CHECK (sealed LIKE 'vault:v%'),
            not_before timestamptz NOT NULL,
            not_after timestamptz NOT NULL CHECK (not_after > not_before),
            published_until timestamptz NOT NULL CHECK (published_until >= not_after),
            UNIQUE (purpose, ordinal)
        )""")
    op.execute("GRANT SELECT, INSERT ON keys.signing_key TO keys_app")

    create_outbox(op, "keys")
