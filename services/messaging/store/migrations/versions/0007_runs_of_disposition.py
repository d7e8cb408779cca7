"""Runs of dispositions: what each is to dispose of, how far it has come, and what was hidden and destroyed.

Revision ID: 0007
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them. What was disposed of is kept: it outlives its payload, and its order."""
    op.execute("""
        ALTER TABLE messaging.disposition_order
          ADD COLUMN kind text NOT NULL DEFAULT 'dry-run', ADD COLUMN begun_at timestamptz,
          ADD COLUMN completed_at timestamptz,
          ADD COLUMN reached_conversation uuid, ADD COLUMN reached_seq bigint,
          ADD COLUMN hidden bigint NOT NULL DEFAULT 0, ADD COLUMN destroyed bigint NOT NULL DEFAULT 0,
          ADD COLUMN spared bigint NOT NULL DEFAULT 0, ADD COLUMN bytes bigint NOT NULL DEFAULT 0""")
    op.execute("""
        CREATE TABLE messaging.disposal (
            tenant uuid NOT NULL, order_id uuid NOT NULL, conversation uuid NOT NULL, seq bigint NOT NULL,
            PRIMARY KEY (tenant, order_id, conversation, seq)
        )""")
    op.execute("""
        CREATE TABLE messaging.disposed (
            tenant uuid NOT NULL, conversation uuid NOT NULL, seq bigint NOT NULL,
            hidden_by uuid NOT NULL, hidden_at timestamptz NOT NULL,
            destroyed_by uuid, destroyed_at timestamptz,
            PRIMARY KEY (tenant, conversation, seq),
            CHECK (num_nulls(destroyed_by, destroyed_at) IN (0, 2))
        )""")
    op.execute("""
        CREATE TABLE messaging.disposal_batch (
            tenant uuid NOT NULL, batch uuid NOT NULL, order_id uuid NOT NULL,
            hidden integer NOT NULL, destroyed integer NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, batch)
        )""")
    tenant_table(op, "messaging.disposal")
    tenant_table(op, "messaging.disposed", app="SELECT")
    tenant_table(op, "messaging.disposal_batch")
