"""The copy of the holds with the generation that is confirmed, and whose words vanished by which order.

Revision ID: 0004
"""

from alembic import op

from libs.barrier.tables import create_barrier
from libs.db.migrations import tenant_table

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them; what was due before has no order, and is told of to nobody."""
    create_barrier(op, "ediscovery")
    op.execute("""
        ALTER TABLE ediscovery.expunge_due
            ADD COLUMN order_id uuid,
            ADD COLUMN generation bigint NOT NULL DEFAULT 0""")
    op.execute("""
        CREATE TABLE ediscovery.expunged (
            tenant uuid NOT NULL, act uuid NOT NULL, order_id uuid NOT NULL,
            items bigint NOT NULL CHECK (items > 0), at timestamptz NOT NULL,
            PRIMARY KEY (tenant, act)
        )""")
    tenant_table(op, "ediscovery.expunged", app="SELECT")
    op.execute(
        "CREATE TRIGGER written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ediscovery.expunged"
        " FOR EACH STATEMENT EXECUTE FUNCTION ediscovery.refuse_change()"
    )
