"""Who read the logs, and who was denied it: the acts of the audit service itself."""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # `said` is what was asked for, for those who investigate: the entry of the act does not repeat it,
    # because a search for a silent hold would tell of the hold.
    op.execute("""
        CREATE TABLE audit.reading (
            tenant uuid NOT NULL, act uuid NOT NULL, principal uuid, action text NOT NULL,
            log uuid NOT NULL, said text NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, act)
        )""")
    tenant_table(op, "audit.reading", app="SELECT, INSERT")
    op.execute("""
        CREATE TABLE audit.denial (
            tenant uuid NOT NULL, act uuid NOT NULL, principal uuid, denied text NOT NULL,
            minute timestamptz NOT NULL, count bigint NOT NULL CHECK (count > 0),
            PRIMARY KEY (tenant, act)
        )""")
    tenant_table(op, "audit.denial", app="SELECT, INSERT")
    for table in ("reading", "denial"):
        op.execute(
            f"CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()"
        )
    # A page of a search goes on behind the entry that its reader knows by the name of its fact alone.
    op.execute("CREATE INDEX entry_by_fact ON audit.entry (tenant, fact)")
    op.execute("CREATE INDEX detail_visible ON audit.detail (tenant, visibility, index)")
