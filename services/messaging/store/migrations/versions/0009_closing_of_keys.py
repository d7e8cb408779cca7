"""Data keys under which something was destroyed: each is closed, until the key service has shredded it.

Revision ID: 0009
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    _create_closings()
    _refuse_closed_keys()


def _create_closings() -> None:
    """Make the closings, order by order; rows stay for ever, and with them the refusal to seal."""
    op.execute("""
        CREATE TABLE messaging.closing (
            tenant uuid NOT NULL, order_id uuid NOT NULL, dek uuid NOT NULL,
            conversation uuid NOT NULL,
            since timestamptz NOT NULL, until timestamptz NOT NULL CHECK (until > since),
            noted_at timestamptz NOT NULL, retired_at timestamptz, fenced_at timestamptz,
            stated_at timestamptz, stated_generation bigint, shredded_at timestamptz,
            again_at timestamptz, again_generation bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (tenant, order_id, dek),
            CHECK (fenced_at IS NULL OR retired_at IS NOT NULL),
            CHECK (num_nulls(stated_at, stated_generation) IN (0, 2)),
            CHECK (stated_at IS NULL OR fenced_at IS NOT NULL)
        )""")
    op.execute("""
        CREATE INDEX closing_open ON messaging.closing (tenant, order_id)
         WHERE stated_at IS NULL AND shredded_at IS NULL""")
    op.execute("CREATE INDEX closing_of_dek ON messaging.closing (tenant, dek) WHERE fenced_at IS NOT NULL")
    tenant_table(op, "messaging.closing")


def _refuse_closed_keys() -> None:
    """Let no payload come to lie under a key that is closed, however late whoever sealed it may be.

    The function looks with a snapshot of its own, which is taken behind the lock of the conversation's
    head: whoever states that a key is empty takes that lock too, and so misses nothing.
    """
    op.execute("""
        CREATE FUNCTION messaging.refuse_closed_keys() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF EXISTS (SELECT FROM written w
                         JOIN messaging.closing c ON c.tenant = w.tenant AND c.dek = w.dek
                        WHERE c.fenced_at IS NOT NULL) THEN
                RAISE EXCEPTION 'a data key that is closed seals nothing more' USING ERRCODE = 'MU001';
            END IF;
            RETURN NULL;
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION messaging.refuse_closed_keys FROM PUBLIC")
    for act in ("INSERT", "UPDATE"):
        op.execute(
            f"CREATE TRIGGER no_closed_key_after_{act.lower()} AFTER {act} ON messaging.payload"
            " REFERENCING NEW TABLE AS written"
            " FOR EACH STATEMENT EXECUTE FUNCTION messaging.refuse_closed_keys()"
        )
