"""Indexes that are dropped because the key of their tenant was revoked.

Revision ID: 0008
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the notes of what was dropped, each written once."""
    op.execute("""
        CREATE TABLE ediscovery.index_dropped (
            tenant uuid NOT NULL, act uuid NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (tenant, act)
        )""")
    tenant_table(op, "ediscovery.index_dropped", app="SELECT")
    op.execute(
        "CREATE TRIGGER written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ediscovery.index_dropped"
        " FOR EACH STATEMENT EXECUTE FUNCTION ediscovery.refuse_change()"
    )
