"""The key service's copy of the holds, the generation that it has confirmed, and its reader's cursors."""

from alembic import op

from libs.barrier.tables import create_barrier
from libs.db.migrations import create_projection

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    create_projection(op, "keys")
    create_barrier(op, "keys")
