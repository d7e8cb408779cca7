"""Entries are found by their commit, and who took evidence of them is kept.

Revision ID: 0003
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    # Ids of commits grow with time and so does the table: a few bytes a range find them, and cost the
    # writer, whose every other index is a page to dirty, almost nothing.
    op.execute("""
        CREATE INDEX entry_by_commit ON messaging.entry
         USING brin (commit uuid_minmax_ops) WITH (pages_per_range = 16, autosummarize = on)""")
    op.execute("""
        CREATE TABLE messaging.evidence_taking (
            tenant uuid NOT NULL, taking uuid NOT NULL, principal uuid NOT NULL, conversation uuid NOT NULL,
            first_seq bigint NOT NULL, last_seq bigint NOT NULL CHECK (last_seq >= first_seq),
            at timestamptz NOT NULL,
            PRIMARY KEY (tenant, taking)
        )""")
    tenant_table(op, "messaging.evidence_taking", app="SELECT, INSERT")
