"""Holds, what became of them, who confirmed them, and the requests for their release."""

from alembic import op

from libs.approvals.tables import create_approvals
from libs.db.migrations import create_outbox, create_projection, tenant_table

revision = "0001"
down_revision = None

WRITTEN_ONCE = ("hold", "in_force", "release", "confirmation", "denial")


def upgrade() -> None:
    _create_holds()
    _create_what_becomes_of_them()
    _create_denials()
    _refuse_changes()
    create_approvals(op, "holds")
    create_outbox(op, "holds")
    create_projection(op, "holds")


def _create_holds() -> None:
    # Whoever changes a tenant's holds holds this row to the commit.
    op.execute("""
        CREATE TABLE holds.generation (
            tenant uuid PRIMARY KEY, generation bigint NOT NULL DEFAULT 0 CHECK (generation >= 0)
        ) WITH (fillfactor = 50)""")
    tenant_table(op, "holds.generation", app="SELECT, INSERT (tenant), UPDATE (generation)")

    # `reason` is a person's own words: it is shown to those who may know the hold, and goes nowhere else.
    op.execute("""
        CREATE TABLE holds.hold (
            tenant uuid NOT NULL, hold uuid NOT NULL, generation bigint NOT NULL CHECK (generation > 0),
            custodians uuid[] NOT NULL, conversations uuid[] NOT NULL,
            since timestamptz, until timestamptz CHECK (until > since),
            silent boolean NOT NULL, reason text NOT NULL, matter uuid,
            placed_by uuid NOT NULL, placed_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, hold),
            UNIQUE (tenant, generation)
        )""")
    tenant_table(op, "holds.hold", app="SELECT, INSERT")

    op.execute("""
        CREATE TABLE holds.notice (
            tenant uuid NOT NULL, hold uuid NOT NULL, custodian uuid NOT NULL,
            state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'sent', 'acknowledged')),
            PRIMARY KEY (tenant, hold, custodian),
            FOREIGN KEY (tenant, hold) REFERENCES holds.hold (tenant, hold)
        )""")
    tenant_table(op, "holds.notice", app="SELECT, INSERT, UPDATE (state)")


def _create_what_becomes_of_them() -> None:
    op.execute("""
        CREATE TABLE holds.confirmation (
            tenant uuid NOT NULL, executor text NOT NULL, generation bigint NOT NULL CHECK (generation > 0),
            at timestamptz NOT NULL,
            PRIMARY KEY (tenant, executor, generation)
        )""")
    tenant_table(op, "holds.confirmation", app="SELECT")
    op.execute("""
        CREATE TABLE holds.in_force (
            tenant uuid NOT NULL, hold uuid NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, hold),
            FOREIGN KEY (tenant, hold) REFERENCES holds.hold (tenant, hold)
        )""")
    tenant_table(op, "holds.in_force", app="SELECT")
    op.execute("""
        CREATE TABLE holds.release (
            tenant uuid NOT NULL, hold uuid NOT NULL, generation bigint NOT NULL CHECK (generation > 1),
            request uuid NOT NULL, released_by uuid NOT NULL, released_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, hold),
            UNIQUE (tenant, generation),
            UNIQUE (tenant, request),
            FOREIGN KEY (tenant, hold) REFERENCES holds.hold (tenant, hold)
        )""")
    tenant_table(op, "holds.release", app="SELECT, INSERT")


def _create_denials() -> None:
    op.execute("""
        CREATE TABLE holds.denial (
            tenant uuid NOT NULL, denial uuid NOT NULL, principal uuid, act text NOT NULL,
            minute timestamptz NOT NULL, count bigint NOT NULL CHECK (count > 0),
            PRIMARY KEY (tenant, denial)
        )""")
    tenant_table(op, "holds.denial", app="SELECT, INSERT")


def _refuse_changes() -> None:
    """Refuse changes to whoever has the right to make them, the owner and a superuser included."""
    op.execute("""
        CREATE FUNCTION holds.refuse_change() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            RAISE EXCEPTION '%.% is written once', TG_TABLE_SCHEMA, TG_TABLE_NAME
                  USING ERRCODE = 'integrity_constraint_violation';
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION holds.refuse_change FROM PUBLIC")
    for table in WRITTEN_ONCE:
        op.execute(
            f"CREATE TRIGGER written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON holds.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION holds.refuse_change()"
        )
