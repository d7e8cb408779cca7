"""Runs: orders that name the result that was approved, and what executors did.

Revision ID: 0002
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.execute("ALTER TABLE retention.disposition_order DROP CONSTRAINT disposition_order_kind_check")
    op.execute("""
        ALTER TABLE retention.disposition_order
          ADD COLUMN dry_run uuid, ADD COLUMN generation bigint,
          ADD COLUMN digest bytea CHECK (octet_length(digest) = 32),
          ADD CONSTRAINT disposition_order_kind_check CHECK (
              kind = 'dry-run' AND num_nulls(dry_run, generation, digest) = 3
              OR kind = 'run' AND num_nulls(dry_run, generation, digest) = 0)""")
    # One run of one result: two approvals of it would be two persons' one act.
    op.execute("""
        CREATE UNIQUE INDEX run_once ON retention.disposition_order (tenant, dry_run)
         WHERE dry_run IS NOT NULL""")
    op.execute("""
        CREATE TABLE retention.completion (
            tenant uuid NOT NULL, order_id uuid NOT NULL, executor text NOT NULL,
            told jsonb NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, order_id, executor)
        )""")
    tenant_table(op, "retention.completion", app="SELECT")
    op.execute(
        "CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON retention.completion"
        " FOR EACH STATEMENT EXECUTE FUNCTION retention.refuse_change()"
    )
