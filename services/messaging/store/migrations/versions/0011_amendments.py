"""Which entries amend which message, how amended messages stand, and who may amend in a tenant.

Revision ID: 0011
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them.

    A message is named by the `seq` of its first entry. Only what was amended has rows here, so that a send
    costs nothing more. `version_seq` is the entry whose text is in force, NULL where that is the first one.
    """
    op.execute("""
        CREATE TABLE messaging.amendment (
            tenant uuid NOT NULL, conversation uuid NOT NULL, seq bigint NOT NULL,
            message_seq bigint NOT NULL CHECK (message_seq > 0 AND message_seq < seq),
            retracts boolean NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, conversation, seq)
        )""")
    op.execute("""
        CREATE INDEX amendment_by_message ON messaging.amendment (tenant, conversation, message_seq, seq)""")
    op.execute("""
        CREATE TABLE messaging.amended (
            tenant uuid NOT NULL, conversation uuid NOT NULL, message_seq bigint NOT NULL,
            revision integer NOT NULL CHECK (revision > 0),
            version_seq bigint CHECK (version_seq > message_seq), version_at timestamptz,
            retracted_at timestamptz,
            PRIMARY KEY (tenant, conversation, message_seq),
            CHECK ((version_seq IS NULL) = (version_at IS NULL))
        )""")
    op.execute("""
        CREATE TABLE messaging.amendment_rules (
            tenant uuid NOT NULL, version integer NOT NULL CHECK (version > 0),
            revise_seconds bigint CHECK (revise_seconds >= 0),
            retract_seconds bigint CHECK (retract_seconds >= 0),
            administrators_retract boolean NOT NULL,
            changed_by uuid NOT NULL, changed_at timestamptz NOT NULL, act uuid NOT NULL,
            PRIMARY KEY (tenant, version)
        )""")
    tenant_table(op, "messaging.amendment", app="SELECT")
    tenant_table(op, "messaging.amended", app="SELECT")
    tenant_table(op, "messaging.amendment_rules", app="SELECT, INSERT")
    op.execute("GRANT SELECT ON messaging.client_send TO messaging_app")
