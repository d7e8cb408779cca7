"""What stores confirm of runs, and the certificates of disposition with their segments.

Revision ID: 0004
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INSERT_ONLY = ("confirmation", "shredded", "certificate_segment", "certificate")


def upgrade() -> None:
    """Make them; what they hold is added to and never changed, not even by their owner."""
    op.execute("""
        CREATE TABLE retention.confirmation (
            tenant uuid NOT NULL, event uuid NOT NULL, order_id uuid NOT NULL, store text NOT NULL,
            items bigint NOT NULL CHECK (items > 0), at timestamptz NOT NULL,
            PRIMARY KEY (tenant, event)
        )""")
    op.execute("CREATE INDEX confirmation_of_order ON retention.confirmation (tenant, order_id)")
    op.execute("""
        CREATE TABLE retention.shredded (
            tenant uuid NOT NULL, order_id uuid NOT NULL, dek uuid NOT NULL,
            unrecoverable_after timestamptz NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, order_id, dek)
        )""")
    op.execute("""
        CREATE TABLE retention.certificate_segment (
            tenant uuid NOT NULL, certificate uuid NOT NULL, number integer NOT NULL CHECK (number > 0),
            items integer NOT NULL CHECK (items > 0),
            last_conversation uuid NOT NULL, last_seq bigint NOT NULL,
            last_destroyed_at timestamptz NOT NULL, bytes bigint NOT NULL, deks uuid[] NOT NULL,
            sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32), body bytea NOT NULL,
            at timestamptz NOT NULL,
            PRIMARY KEY (tenant, certificate, number)
        )""")
    op.execute("""
        CREATE TABLE retention.certificate (
            tenant uuid NOT NULL, certificate uuid NOT NULL, act uuid NOT NULL,
            digest bytea NOT NULL CHECK (octet_length(digest) = 32),
            items bigint NOT NULL, bytes bigint NOT NULL, deks bigint NOT NULL,
            statement bytea NOT NULL, note bytea NOT NULL, issued_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, certificate)
        )""")
    tenant_table(op, "retention.confirmation", app="SELECT")
    tenant_table(op, "retention.shredded", app="SELECT")
    tenant_table(op, "retention.certificate_segment", app="SELECT, INSERT")
    tenant_table(op, "retention.certificate", app="SELECT, INSERT")
    for table in _INSERT_ONLY:
        op.execute(
            f"CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON retention.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION retention.refuse_change()"
        )
