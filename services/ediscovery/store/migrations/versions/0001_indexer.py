"""How far the indexer has come, who was denied what, and the outbox.

Revision ID: 0001
"""

from alembic import op

from libs.db.migrations import create_outbox, create_projection, tenant_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them; a denial is written once."""
    op.execute("""
        CREATE TABLE ediscovery.denial (
            tenant uuid NOT NULL, act uuid NOT NULL, principal uuid, denied text NOT NULL,
            minute timestamptz NOT NULL, count bigint NOT NULL CHECK (count > 0),
            PRIMARY KEY (tenant, act)
        )""")
    tenant_table(op, "ediscovery.denial", app="SELECT, INSERT")
    op.execute("""
        CREATE FUNCTION ediscovery.refuse_change() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            RAISE EXCEPTION '%.% is written once', TG_TABLE_SCHEMA, TG_TABLE_NAME
                  USING ERRCODE = 'integrity_constraint_violation';
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION ediscovery.refuse_change FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ediscovery.denial"
        " FOR EACH STATEMENT EXECUTE FUNCTION ediscovery.refuse_change()"
    )
    create_outbox(op, "ediscovery")
    create_projection(op, "ediscovery")
