"""Orders of disposition as they came, and when each was answered.

Revision ID: 0006
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.execute("""
        CREATE TABLE messaging.disposition_order (
            tenant uuid NOT NULL, order_id uuid NOT NULL, body bytea NOT NULL,
            received_at timestamptz NOT NULL, answered_at timestamptz,
            PRIMARY KEY (tenant, order_id)
        )""")
    op.execute("""
        CREATE INDEX disposition_order_open ON messaging.disposition_order (tenant, order_id)
         WHERE answered_at IS NULL""")
    tenant_table(op, "messaging.disposition_order", app="SELECT, UPDATE (answered_at)")
