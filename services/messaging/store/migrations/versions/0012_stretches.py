"""What is disposed of is kept by stretches of a conversation instead of by items.

Revision ID: 0012
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables anew. No installation has anything in the old ones."""
    for table in ("disposal", "disposed"):
        op.execute(f"DROP TABLE messaging.{table}")
    op.execute("""
        ALTER TABLE messaging.disposition_order
         DROP COLUMN reached_conversation, DROP COLUMN reached_seq,
          ADD COLUMN reached bigint NOT NULL DEFAULT 0""")
    _create_plan()
    _create_hidden()
    _create_destroyed()


def _create_plan() -> None:
    """Make what an order is to dispose of: boxes of items for whom the same voices speak.

    A box is of one conversation; its items are those with `seq` and `sent_at` within its bounds that
    `sender` sent, or, where that is NULL, nobody whom a hold or a request for erasure names.
    """
    op.execute("""
        CREATE TABLE messaging.disposal (
            tenant uuid NOT NULL, order_id uuid NOT NULL, place bigint NOT NULL CHECK (place > 0),
            conversation uuid NOT NULL, kind smallint NOT NULL, sender uuid,
            first_seq bigint NOT NULL, last_seq bigint NOT NULL,
            first_at timestamptz NOT NULL, last_at timestamptz NOT NULL CHECK (last_at >= first_at),
            items integer NOT NULL CHECK (items BETWEEN 1 AND last_seq - first_seq + 1),
            PRIMARY KEY (tenant, order_id, place)
        )""")
    tenant_table(op, "messaging.disposal")


def _create_hidden() -> None:
    """Make the stretches that participants do not see, though their payloads were there still.

    Each `seq` of a stretch is an item, and in one stretch alone; it stays when the item is destroyed.
    """
    op.execute("""
        CREATE TABLE messaging.hidden (
            tenant uuid NOT NULL, conversation uuid NOT NULL,
            first_seq bigint NOT NULL, last_seq bigint NOT NULL CHECK (last_seq >= first_seq),
            hidden_by uuid NOT NULL, hidden_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, conversation, last_seq)
        )""")
    tenant_table(op, "messaging.hidden", app="SELECT")


def _create_destroyed() -> None:
    """Make the stretches that runs destroyed, with what had sealed each, and the size of each body.

    Each `seq` of a stretch was an item, and is in one stretch alone. Why it was destroyed is what the terms
    of the order say of it, which stay as they are.
    """
    op.execute("""
        CREATE TABLE messaging.destroyed (
            tenant uuid NOT NULL, conversation uuid NOT NULL,
            first_seq bigint NOT NULL, last_seq bigint NOT NULL CHECK (last_seq >= first_seq),
            order_id uuid NOT NULL, dek uuid NOT NULL, sizes integer[] NOT NULL,
            destroyed_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, conversation, last_seq),
            CHECK (cardinality(sizes) = last_seq - first_seq + 1 AND array_position(sizes, NULL) IS NULL)
        )""")
    op.execute("""
        CREATE INDEX destroyed_of_order ON messaging.destroyed (tenant, order_id, conversation, first_seq)""")
    tenant_table(op, "messaging.destroyed", app="SELECT")
