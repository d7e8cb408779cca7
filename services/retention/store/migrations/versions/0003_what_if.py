"""Orders that suppose something.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow them: they name no result, and no run names theirs."""
    op.execute("ALTER TABLE retention.disposition_order DROP CONSTRAINT disposition_order_kind_check")
    op.execute("""
        ALTER TABLE retention.disposition_order ADD CONSTRAINT disposition_order_kind_check CHECK (
            kind IN ('dry-run', 'what-if') AND num_nulls(dry_run, generation, digest) = 3
            OR kind = 'run' AND num_nulls(dry_run, generation, digest) = 0)""")
