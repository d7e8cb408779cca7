"""Rules and locks in versions, requests for erasure, orders and their answers, requests that need four eyes.

Revision ID: 0001
"""

from alembic import op

from libs.approvals.tables import create_approvals
from libs.db.migrations import create_outbox, create_projection, tenant_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INSERT_ONLY = ("rule_version", "lock_version", "erasure", "disposition_order", "answer")


def upgrade() -> None:
    """Make them; what they hold is added to and never changed, not even by their owner."""
    _create_claims()
    _create_orders()
    op.execute("""
        CREATE TABLE retention.denial (
            tenant uuid NOT NULL, act uuid NOT NULL, principal uuid NOT NULL, denied text NOT NULL,
            minute timestamptz NOT NULL, count bigint NOT NULL CHECK (count > 0),
            PRIMARY KEY (tenant, act)
        )""")
    tenant_table(op, "retention.denial", app="SELECT, INSERT")
    _refuse_changes()
    create_approvals(op, "retention")
    create_outbox(op, "retention")
    create_projection(op, "retention")


def _create_claims() -> None:
    op.execute("""
        CREATE TABLE retention.rule_version (
            tenant uuid NOT NULL, rule uuid NOT NULL, version integer NOT NULL CHECK (version > 0),
            kind text NOT NULL CHECK (kind IN ('floor', 'deletion')),
            years integer NOT NULL CHECK (years >= 0), months integer NOT NULL CHECK (months >= 0),
            days integer NOT NULL CHECK (days >= 0), grace_seconds bigint NOT NULL CHECK (grace_seconds >= 0),
            conversation_types text[], conversations uuid[], preset text, ended boolean NOT NULL,
            made_by uuid NOT NULL, made_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, rule, version)
        )""")
    op.execute("""
        CREATE TABLE retention.lock_version (
            tenant uuid NOT NULL, lock uuid NOT NULL, version integer NOT NULL CHECK (version > 0),
            years integer NOT NULL CHECK (years >= 0), months integer NOT NULL CHECK (months >= 0),
            days integer NOT NULL CHECK (days >= 0), conversation_types text[],
            made_by uuid NOT NULL, made_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, lock, version)
        )""")
    op.execute("""
        CREATE TABLE retention.erasure (
            tenant uuid NOT NULL, erasure uuid NOT NULL, subject uuid NOT NULL,
            requested_at timestamptz NOT NULL, taken_by uuid NOT NULL,
            PRIMARY KEY (tenant, erasure)
        )""")
    tenant_table(op, "retention.rule_version", app="SELECT, INSERT")
    tenant_table(op, "retention.lock_version", app="SELECT, INSERT")
    tenant_table(op, "retention.erasure", app="SELECT, INSERT")


def _create_orders() -> None:
    """Make the orders, each with the claims by which it is decided, and one answer of each executor."""
    op.execute("""
        CREATE TABLE retention.disposition_order (
            tenant uuid NOT NULL, order_id uuid NOT NULL, kind text NOT NULL CHECK (kind IN ('dry-run')),
            claims jsonb NOT NULL, issued_by uuid NOT NULL, issued_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, order_id)
        )""")
    op.execute("""
        CREATE TABLE retention.answer (
            tenant uuid NOT NULL, order_id uuid NOT NULL, executor text NOT NULL,
            generation bigint NOT NULL CHECK (generation >= 0),
            digest bytea NOT NULL CHECK (octet_length(digest) = 32), refused text NOT NULL,
            found jsonb NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, order_id, executor)
        )""")
    tenant_table(op, "retention.disposition_order", app="SELECT, INSERT")
    tenant_table(op, "retention.answer", app="SELECT")


def _refuse_changes() -> None:
    op.execute("""
        CREATE FUNCTION retention.refuse_change() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            RAISE EXCEPTION 'versions and orders are only added: % of %.% is refused',
                TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION retention.refuse_change FROM PUBLIC")
    for table in _INSERT_ONLY:
        op.execute(
            f"CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON retention.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION retention.refuse_change()"
        )
