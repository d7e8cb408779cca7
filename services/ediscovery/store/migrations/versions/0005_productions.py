"""Productions: who asked for what, who approved it, what came of it, and who was given it.

Revision ID: 0005
"""

from alembic import op

from libs.approvals.tables import create_approvals
from libs.db.migrations import tenant_table

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WRITTEN_ONCE = ("production", "production_made", "production_failed", "production_taken")


def upgrade() -> None:
    """Make them; all but requests and what is due is written once."""
    create_approvals(op, "ediscovery")
    # a query is a person's own words: it stays in this row, and in what is made
    op.execute("""
        CREATE TABLE ediscovery.production (
            tenant uuid NOT NULL, production uuid NOT NULL, matter uuid NOT NULL, request uuid NOT NULL,
            format text NOT NULL, query text, bates_prefix text, bates_width integer, bates_start bigint,
            bates_page_characters integer, custodians uuid[], conversations uuid[],
            since timestamptz, until timestamptz NOT NULL,
            seen_conversations bigint NOT NULL, seen_entries bigint NOT NULL,
            asked_by uuid NOT NULL, asked_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, production),
            FOREIGN KEY (tenant, matter) REFERENCES ediscovery.matter (tenant, matter),
            FOREIGN KEY (tenant, request) REFERENCES ediscovery.approval (tenant, request)
        )""")
    op.execute("CREATE INDEX production_of ON ediscovery.production (tenant, matter, production)")
    op.execute("""
        CREATE TABLE ediscovery.production_made (
            tenant uuid NOT NULL, production uuid NOT NULL, act uuid NOT NULL,
            digest bytea NOT NULL CHECK (octet_length(digest) = 32), counts jsonb NOT NULL,
            made_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, production),
            FOREIGN KEY (tenant, production) REFERENCES ediscovery.production (tenant, production)
        )""")
    op.execute("""
        CREATE TABLE ediscovery.production_failed (
            tenant uuid NOT NULL, production uuid NOT NULL, act uuid NOT NULL, reason text NOT NULL,
            failed_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, production),
            FOREIGN KEY (tenant, production) REFERENCES ediscovery.production (tenant, production)
        )""")
    op.execute("""
        CREATE TABLE ediscovery.production_taken (
            tenant uuid NOT NULL, act uuid NOT NULL, production uuid NOT NULL, principal uuid NOT NULL,
            at timestamptz NOT NULL,
            PRIMARY KEY (tenant, act),
            FOREIGN KEY (tenant, production) REFERENCES ediscovery.production (tenant, production)
        )""")
    for table in WRITTEN_ONCE:
        tenant_table(op, f"ediscovery.{table}", app="SELECT, INSERT")
        op.execute(
            f"CREATE TRIGGER written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ediscovery.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION ediscovery.refuse_change()"
        )
    op.execute("""
        CREATE TABLE ediscovery.production_due (
            tenant uuid NOT NULL, production uuid NOT NULL,
            PRIMARY KEY (tenant, production),
            FOREIGN KEY (tenant, production) REFERENCES ediscovery.production (tenant, production)
        )""")
    tenant_table(op, "ediscovery.production_due", app="SELECT, INSERT, DELETE")
