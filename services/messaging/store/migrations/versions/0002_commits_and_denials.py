"""Which commit brought an entry, and what was denied.

Revision ID: 0002
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NIL = "00000000-0000-0000-0000-000000000000"


def upgrade() -> None:
    """Make them."""
    # Entries from before the audit log carry the nil commit, which counts as none.
    op.execute(f"ALTER TABLE messaging.entry ADD COLUMN commit uuid NOT NULL DEFAULT '{NIL}'")
    op.execute("ALTER TABLE messaging.entry ALTER COLUMN commit DROP DEFAULT")
    op.execute("""
        CREATE TABLE messaging.denial (
            tenant uuid NOT NULL, denial uuid NOT NULL, principal uuid, act text NOT NULL,
            minute timestamptz NOT NULL, count integer NOT NULL CHECK (count > 0),
            PRIMARY KEY (tenant, denial)
        )""")
    tenant_table(op, "messaging.denial", app="SELECT")
