"""Matters, their members, and what was searched and looked at in them: all of it written once.

Revision ID: 0002
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WRITTEN_ONCE = ("matter", "member", "search_made", "message_viewed")


def upgrade() -> None:
    """Make them."""
    op.execute("""
        CREATE TABLE ediscovery.matter (
            tenant uuid NOT NULL, matter uuid NOT NULL, name text NOT NULL,
            custodians uuid[] NOT NULL, conversations uuid[] NOT NULL,
            since timestamptz, until timestamptz CHECK (until > since),
            made_by uuid NOT NULL, made_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, matter)
        )""")
    op.execute("""
        CREATE TABLE ediscovery.member (
            tenant uuid NOT NULL, matter uuid NOT NULL, principal uuid NOT NULL, act uuid NOT NULL,
            added_by uuid NOT NULL, added_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, matter, principal),
            FOREIGN KEY (tenant, matter) REFERENCES ediscovery.matter (tenant, matter)
        )""")
    op.execute("CREATE INDEX member_of ON ediscovery.member (tenant, principal, matter)")
    # a query is a person's own words: it stays in this row
    op.execute("""
        CREATE TABLE ediscovery.search_made (
            tenant uuid NOT NULL, act uuid NOT NULL, matter uuid NOT NULL, principal uuid NOT NULL,
            query text NOT NULL, hits integer NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, act),
            FOREIGN KEY (tenant, matter) REFERENCES ediscovery.matter (tenant, matter)
        )""")
    op.execute("""
        CREATE TABLE ediscovery.message_viewed (
            tenant uuid NOT NULL, act uuid NOT NULL, matter uuid NOT NULL, principal uuid NOT NULL,
            conversation uuid NOT NULL, seq bigint NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, act),
            FOREIGN KEY (tenant, matter) REFERENCES ediscovery.matter (tenant, matter)
        )""")
    for table in WRITTEN_ONCE:
        tenant_table(op, f"ediscovery.{table}", app="SELECT, INSERT")
        op.execute(
            f"CREATE TRIGGER written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ediscovery.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION ediscovery.refuse_change()"
        )
