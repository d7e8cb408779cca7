"""One append-only Merkle log for each tenant: entries, what they tell of, tiles, checkpoints."""

from alembic import op

from libs.db.migrations import create_outbox, create_projection, tenant_table

revision = "0001"
down_revision = None

_INSERT_ONLY = ("entry", "detail", "detail_entity", "tile", "checkpoint")


def upgrade() -> None:
    # The one row that moves: how many entries have an index, and how many of them are in the tree.
    op.execute("""
        CREATE TABLE audit.log (
            tenant uuid PRIMARY KEY,
            sequenced bigint NOT NULL DEFAULT 0,
            integrated bigint NOT NULL DEFAULT 0,
            CHECK (0 <= integrated AND integrated <= sequenced)
        ) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)""")
    tenant_table(op, "audit.log", app="SELECT")

    # `leaf_hash` is generated: not even its owner can let it differ from the leaf. `source`, `part` and
    # `position` name the outbox record that the entry came of: one entry for each, whatever is replayed.
    op.execute(r"""
        CREATE TABLE audit.entry (
            tenant uuid NOT NULL, index bigint NOT NULL CHECK (index >= 0),
            leaf bytea NOT NULL CHECK (length(leaf) BETWEEN 1 AND 65535),
            leaf_hash bytea NOT NULL GENERATED ALWAYS AS (sha256('\x00'::bytea || leaf)) STORED,
            fact uuid NOT NULL,
            source text NOT NULL, part smallint NOT NULL, position bigint NOT NULL,
            PRIMARY KEY (tenant, index),
            UNIQUE (tenant, source, part, position)
        )""")
    tenant_table(op, "audit.entry", app="SELECT")

    # What a leaf commits to, beside the leaf: ids for search, and the salt of the commitment.
    op.execute("""
        CREATE TABLE audit.detail (
            tenant uuid NOT NULL, index bigint NOT NULL,
            salt bytea NOT NULL CHECK (length(salt) = 16),
            actor_kind text NOT NULL, actor_id uuid, actor_name text,
            action text NOT NULL, outcome text NOT NULL, count bigint NOT NULL CHECK (count > 0),
            at timestamptz NOT NULL,
            matter uuid, approvals uuid[] NOT NULL,
            visibility text NOT NULL CHECK (visibility IN ('operations', 'legal', 'platform')),
            runs jsonb NOT NULL,
            PRIMARY KEY (tenant, index)
        )""")
    op.execute("CREATE INDEX detail_by_action ON audit.detail (tenant, action, index)")
    op.execute("CREATE INDEX detail_by_time ON audit.detail (tenant, at, index)")
    op.execute(
        "CREATE INDEX detail_by_actor ON audit.detail (tenant, actor_id, index) WHERE actor_id IS NOT NULL"
    )
    op.execute(
        "CREATE INDEX detail_by_matter ON audit.detail (tenant, matter, index) WHERE matter IS NOT NULL"
    )
    tenant_table(op, "audit.detail", app="SELECT")

    # `place` keeps their order: the commitment is over the list as it was told.
    op.execute("""
        CREATE TABLE audit.detail_entity (
            tenant uuid NOT NULL, kind text NOT NULL, id text NOT NULL, index bigint NOT NULL,
            place integer NOT NULL CHECK (place >= 0),
            PRIMARY KEY (tenant, kind, id, index),
            UNIQUE (tenant, index, place)
        )""")
    tenant_table(op, "audit.detail_entity", app="SELECT")

    # Full tiles alone: 256 hashes of 32 bytes; a partial one follows from the tiles and leaves below it.
    op.execute("""
        CREATE TABLE audit.tile (
            tenant uuid NOT NULL, level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
            number bigint NOT NULL CHECK (number >= 0),
            hashes bytea NOT NULL CHECK (length(hashes) = 8192),
            PRIMARY KEY (tenant, level, number)
        )""")
    op.execute("ALTER TABLE audit.tile ALTER COLUMN hashes SET STORAGE EXTERNAL")  # hashes do not compress
    tenant_table(op, "audit.tile", app="SELECT")

    op.execute("""
        CREATE TABLE audit.checkpoint (
            tenant uuid NOT NULL, size bigint NOT NULL CHECK (size > 0),
            root bytea NOT NULL CHECK (length(root) = 32), note text NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, size)
        )""")
    tenant_table(op, "audit.checkpoint", app="SELECT")

    _refuse_changes()
    create_outbox(op, "audit")
    create_projection(op, "audit")


def _refuse_changes() -> None:
    """Refuse UPDATE, DELETE and TRUNCATE to everybody, the owner and superusers included.

    By the statement, not by the row: what finds no row is refused too.
    """
    op.execute("""
        CREATE FUNCTION audit.refuse_change() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            RAISE EXCEPTION 'the log is only added to: % of %.% is refused',
                TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION audit.refuse_change FROM PUBLIC")
    for table in _INSERT_ONLY:
        op.execute(
            f"CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()"
        )
