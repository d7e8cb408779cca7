"""Messaging's copy of the holds, and the generation of them that it has confirmed.

Revision ID: 0004
"""

from alembic import op

from libs.barrier.tables import create_barrier

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    create_barrier(op, "messaging")
