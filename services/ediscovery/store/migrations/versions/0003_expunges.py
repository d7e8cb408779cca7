"""What was destroyed, and whose words have yet to vanish from the index.

Revision ID: 0003
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the list; a row goes when its words are gone."""
    op.execute("""
        CREATE TABLE ediscovery.expunge_due (
            tenant uuid NOT NULL, conversation uuid NOT NULL, seq bigint NOT NULL,
            PRIMARY KEY (tenant, conversation, seq)
        )""")
    tenant_table(op, "ediscovery.expunge_due", app="SELECT")
