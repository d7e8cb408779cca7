"""Maps of all conversations of a tenant, as they were committed to the audit log one after the other.

Revision ID: 0010
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them.

    Where a conversation stands is written when it moved, under the number of the map that has it first, so
    that every map can be given again. `hashed` is its leaf in the newest map.
    """
    op.execute("""
        CREATE TABLE messaging.map (
            tenant uuid NOT NULL, number bigint NOT NULL CHECK (number > 0), act uuid NOT NULL,
            at timestamptz NOT NULL, root bytea NOT NULL CHECK (octet_length(root) = 32),
            conversations bigint NOT NULL CHECK (conversations > 0),
            PRIMARY KEY (tenant, number), UNIQUE (tenant, act)
        )""")
    op.execute("""
        CREATE TABLE messaging.mapped_conversation (
            tenant uuid NOT NULL, conversation uuid NOT NULL,
            salt bytea NOT NULL CHECK (octet_length(salt) = 16), last_seq bigint NOT NULL,
            participants bytea NOT NULL CHECK (octet_length(participants) = 32),
            hashed bytea NOT NULL CHECK (octet_length(hashed) = 32),
            PRIMARY KEY (tenant, conversation)
        ) WITH (fillfactor = 70)""")
    op.execute("""
        CREATE TABLE messaging.mapped_head (
            tenant uuid NOT NULL, conversation uuid NOT NULL, map bigint NOT NULL,
            last_seq bigint NOT NULL, participants bytea NOT NULL,
            PRIMARY KEY (tenant, conversation, map)
        )""")
    op.execute("""
        CREATE TABLE messaging.mapped_participant (
            tenant uuid NOT NULL, conversation uuid NOT NULL, principal uuid NOT NULL, map bigint NOT NULL,
            PRIMARY KEY (tenant, conversation, principal)
        )""")
    tenant_table(op, "messaging.map", app="SELECT")
    tenant_table(op, "messaging.mapped_conversation", app="SELECT")
    tenant_table(op, "messaging.mapped_head", app="SELECT")
    tenant_table(op, "messaging.mapped_participant", app="SELECT")
