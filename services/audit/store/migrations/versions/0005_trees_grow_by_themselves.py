"""How far a log's tree goes stands in a row of its own: whoever adds entries need not wait for it to grow.

Both were in one row, and each held it to his commit: the integrator waited for every sequencer in turn, and
the sequencers of all logs that he had locked by then waited for him.
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE audit.tree (
            tenant uuid PRIMARY KEY,
            integrated bigint NOT NULL DEFAULT 0 CHECK (0 <= integrated)
        ) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)""")
    # The owner, who has no policy, would see none of the rows.
    op.execute("ALTER TABLE audit.log NO FORCE ROW LEVEL SECURITY")
    op.execute("INSERT INTO audit.tree (tenant, integrated) SELECT tenant, integrated FROM audit.log")
    op.execute("ALTER TABLE audit.log FORCE ROW LEVEL SECURITY")
    tenant_table(op, "audit.tree", app="SELECT")
    op.execute("ALTER TABLE audit.log DROP COLUMN integrated")  # and the check of both with it
    op.execute("ALTER TABLE audit.log ADD CHECK (0 <= sequenced)")
