"""Keys that serve a legal matter are given by an act of its own, which shows to fewer."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE keys.key_access DROP CONSTRAINT key_access_action_check")
    op.execute("""
        ALTER TABLE keys.key_access ADD CONSTRAINT key_access_action_check CHECK (action IN (
            'keys.dek.unwrapped', 'keys.dek.unwrapped-for-matter', 'keys.fingerprint-key.obtained'))""")
