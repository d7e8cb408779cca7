"""The key-access log, the leases and the early ends of signing keys: rows that are never changed."""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0002"
down_revision = "0001"

INSERT_ONLY = (
    "keys.signing_key",
    "keys.key_access",
    "keys.signing_key_lease",
    "keys.signing_key_retirement",
)


def upgrade() -> None:
    _mark_what_predates_audit()
    _create_logs()
    _refuse_changes()


def _mark_what_predates_audit() -> None:
    """Mark the rows whose making no fact told of; whatever is inserted from now on counts as an act."""
    for table in ("keys.kek", "keys.dek", "keys.signing_key"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN predates_audit boolean NOT NULL DEFAULT true")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN predates_audit SET DEFAULT false")
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT nothing_new_predates_audit"
            " CHECK (NOT predates_audit) NOT VALID"
        )


def _create_logs() -> None:
    # Names of keys are values here, no foreign keys: a log outlives what it tells of.
    op.execute("""
        CREATE TABLE keys.key_access (
            tenant uuid NOT NULL, access uuid NOT NULL,
            action text NOT NULL CHECK (action IN ('keys.dek.unwrapped', 'keys.fingerprint-key.obtained')),
            service text NOT NULL, purpose text NOT NULL, act text NOT NULL,
            deks uuid[] NOT NULL CHECK (cardinality(deks) > 0),
            at timestamptz NOT NULL,
            PRIMARY KEY (tenant, access)
        )""")
    tenant_table(op, "keys.key_access", app="SELECT, INSERT")

    op.execute("""
        CREATE TABLE keys.signing_key_lease (
            lease uuid PRIMARY KEY, kid text NOT NULL, service text NOT NULL,
            at timestamptz NOT NULL, not_after timestamptz NOT NULL CHECK (not_after >= at)
        )""")
    op.execute("GRANT SELECT, INSERT ON keys.signing_key_lease TO keys_app")

    # The end of a key before the one that was foreseen.
    op.execute("""
        CREATE TABLE keys.signing_key_retirement (
            kid text PRIMARY KEY, retirement uuid NOT NULL, successor text NOT NULL,
            at timestamptz NOT NULL, not_after timestamptz NOT NULL CHECK (not_after >= at)
        )""")
    op.execute("GRANT SELECT, INSERT ON keys.signing_key_retirement TO keys_app")


def _refuse_changes() -> None:
    """Refuse changes to whoever has the right to make them, the owner and a superuser included."""
    op.execute("""
        CREATE FUNCTION keys.refuse_change() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            RAISE EXCEPTION '%.% is written once', TG_TABLE_SCHEMA, TG_TABLE_NAME
                  USING ERRCODE = 'integrity_constraint_violation';
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION keys.refuse_change FROM PUBLIC")
    for table in INSERT_ONLY:
        op.execute(
            f"CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION keys.refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION keys.refuse_change()"
        )
