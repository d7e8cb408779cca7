"""Why each item was destroyed, kept by the statement that destroys it, and read by order for its certificate.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. What was destroyed before has none of them, and no certificate."""
    op.execute("""
        ALTER TABLE messaging.disposed
          ADD COLUMN dek uuid, ADD COLUMN bytes bigint,
          ADD COLUMN due_at timestamptz, ADD COLUMN destroy_at timestamptz,
          ADD COLUMN voice text, ADD COLUMN source uuid, ADD COLUMN version integer""")
    op.execute("""
        ALTER TABLE messaging.disposed ADD CONSTRAINT disposed_why CHECK (
            destroyed_by IS NULL OR num_nulls(dek, bytes, due_at, destroy_at, voice) = 0) NOT VALID""")
    # by the key of what an order was to dispose of, its items are found in order
    op.execute("GRANT SELECT ON messaging.disposal TO messaging_app")
