"""Productions whose files are removed: the record of each stays.

Revision ID: 0007
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the notes of what was removed, each written once."""
    op.execute("""
        CREATE TABLE ediscovery.production_removed (
            tenant uuid NOT NULL, production uuid NOT NULL, act uuid NOT NULL,
            removed_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, production),
            FOREIGN KEY (tenant, production) REFERENCES ediscovery.production_made (tenant, production)
        )""")
    tenant_table(op, "ediscovery.production_removed", app="SELECT, INSERT")
    op.execute(
        "CREATE TRIGGER written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ediscovery.production_removed"
        " FOR EACH STATEMENT EXECUTE FUNCTION ediscovery.refuse_change()"
    )
