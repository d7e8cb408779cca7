"""A checkpoint is its note and nothing beside it: a time that no signature covers proves nothing."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE audit.checkpoint DROP COLUMN at")
