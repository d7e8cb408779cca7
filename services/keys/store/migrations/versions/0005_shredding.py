"""Data keys that are retired, and that are shredded: `wrapped` is gone then, and later its bytes too."""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0005"
down_revision = "0004"

INSERT_ONLY = ("keys.dek_retirement", "keys.shredding")


def upgrade() -> None:
    _let_keys_be_shredded()
    _create_retirements()
    _create_shreddings()
    _create_wiping()
    for table in INSERT_ONLY:
        op.execute(
            f"CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION keys.refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION keys.refuse_change()"
        )


def _let_keys_be_shredded() -> None:
    """Let a key have its wrapped text, or the time at which it lost it for ever.

    The text must not lie in statistics either: ANALYZE keeps values of columns in the catalogue.
    """
    op.execute("ALTER TABLE keys.dek ADD COLUMN shredded_at timestamptz")
    op.execute("ALTER TABLE keys.dek ALTER COLUMN wrapped DROP NOT NULL")
    op.execute(
        "ALTER TABLE keys.dek ADD CONSTRAINT wrapped_unless_shredded"
        " CHECK ((wrapped IS NULL) = (shredded_at IS NOT NULL))"
    )
    op.execute("ALTER TABLE keys.dek ALTER COLUMN wrapped SET STATISTICS 0")
    op.execute("CREATE INDEX dek_shredded ON keys.dek (tenant) WHERE shredded_at IS NOT NULL")
    op.execute("""
        CREATE FUNCTION keys.refuse_return() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            RAISE EXCEPTION 'a key that was shredded does not come back'
                  USING ERRCODE = 'integrity_constraint_violation';
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION keys.refuse_return FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER shredded_for_ever BEFORE UPDATE ON keys.dek FOR EACH ROW"
        " WHEN (OLD.shredded_at IS NOT NULL)"
        " EXECUTE FUNCTION keys.refuse_return()"
    )


def _create_retirements() -> None:
    op.execute("""
        CREATE TABLE keys.dek_retirement (
            tenant uuid NOT NULL, dek uuid NOT NULL, retirement uuid NOT NULL, order_id uuid NOT NULL,
            service text NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, dek)
        )""")
    tenant_table(op, "keys.dek_retirement", app="SELECT, INSERT")


def _create_shreddings() -> None:
    """Make what was told of shredded keys, order by order: a key may be emptied by two of them."""
    op.execute("""
        CREATE TABLE keys.shredding (
            tenant uuid NOT NULL, order_id uuid NOT NULL, dek uuid NOT NULL,
            generation bigint NOT NULL, at timestamptz NOT NULL, unrecoverable_after timestamptz NOT NULL,
            PRIMARY KEY (tenant, order_id, dek)
        )""")
    tenant_table(op, "keys.shredding")


def _create_wiping() -> None:
    """Make the function that writes keys.dek anew, and the row that says how much of it was wiped so.

    VACUUM leaves the bytes of a dead row in the free space of its page. A table that is written anew has
    the rows that live and nothing else, and the old file is gone with the commit. Whoever reads meanwhile
    waits: this form of ALTER TABLE copies what is committed when it has its lock, whatever snapshots there
    are.
    """
    op.execute("""
        CREATE TABLE keys.wiping (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            shredded bigint NOT NULL CHECK (shredded >= 0), at timestamptz
        )""")
    op.execute("INSERT INTO keys.wiping (shredded) VALUES (0)")
    op.execute("""
        CREATE FUNCTION keys.write_deks_anew() RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
        BEGIN
            ALTER TABLE keys.dek ALTER COLUMN wrapped TYPE text USING wrapped || '';
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION keys.write_deks_anew FROM PUBLIC")
