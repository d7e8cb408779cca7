"""The terms of conversations, and from where who was brought in may see.

Revision ID: 0013
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them.

    Only a conversation of which somebody has settled something has terms. When somebody took part, and what
    he may see, are two things: `sees_from` is NULL where he sees from his first entry on, as older code has
    it.
    """
    op.execute("""
        CREATE TABLE messaging.conversation_terms (
            tenant uuid NOT NULL, conversation uuid NOT NULL,
            announcements boolean NOT NULL, archived boolean NOT NULL, open_history boolean NOT NULL,
            name_seq bigint NOT NULL CHECK (name_seq > 0), topic_seq bigint CHECK (topic_seq > 0),
            PRIMARY KEY (tenant, conversation)
        )""")
    op.execute("ALTER TABLE messaging.participant_span ADD COLUMN sees_from bigint")
    tenant_table(op, "messaging.conversation_terms", app="SELECT")
