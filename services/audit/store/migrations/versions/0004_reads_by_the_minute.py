"""Reads of the log itself are told of together: by reader and minute, with their number."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE audit.reading ADD COLUMN count bigint NOT NULL DEFAULT 1 CHECK (count > 0)")
