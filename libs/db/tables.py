"""What migrations are made of: tenant tables, the outbox of a publisher, the projection of a reader.

Every function takes Alembic's `op` and runs as the owner of the schema.
"""

from typing import Protocol

from libs.contracts.streams import PARTITIONS
from libs.db.names import app_role_of, identifier_of, table_of

TENANT_MATCHES = "tenant = NULLIF(current_setting('app.tenant', true), '')::uuid"
"""The one row policy: a tenant that was never set is NULL, one that was reset is '', and neither matches."""


class Operations(Protocol):
    """The part of `alembic.op` that these functions need."""

    def execute(self, sqltext: str) -> None:
        """Run one statement."""
        ...


def tenant_table(op: Operations, table: str, app: str = "") -> None:
    """Bind "schema.table", which has a column `tenant uuid`, to the transaction's tenant.

    Row-level security is forced, so that not even the owner passes it. `app` lists what the service's
    own role may do, as in "SELECT, INSERT, UPDATE (state)"; the default grants nothing.
    """
    schema, name = table_of(table)
    role = app_role_of(schema)
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY {name}_tenant ON {table} TO {role}"
        f" USING ({TENANT_MATCHES}) WITH CHECK ({TENANT_MATCHES})"
    )
    if app:
        op.execute(f"GRANT {app} ON {table} TO {role}")


def create_outbox(op: Operations, schema: str) -> None:
    """Make the outbox of a service that publishes, with its heads, its consumers' cursors and its days.

    The app role may append for its own tenant and advance heads; everything else is the publisher's.
    """
    _create_outbox_tables(op, identifier_of(schema))
    _create_make_days(op, schema)
    _create_drop_days(op, schema)
    op.execute(f"SELECT {schema}.make_outbox_days((now() AT TIME ZONE 'UTC')::date, 4)")


def create_projection(op: Operations, schema: str) -> None:
    """Make what a reader of other services' streams needs: cursors, inbox, parked events, dead letters."""
    identifier_of(schema)
    op.execute(f"""
        CREATE TABLE {schema}.projection_cursor (
            consumer text NOT NULL, source text NOT NULL, part smallint NOT NULL, position bigint NOT NULL,
            PRIMARY KEY (consumer, source, part)
        ) WITH (fillfactor = 50)""")
    op.execute(f"""
        CREATE TABLE {schema}.parked (
            tenant uuid NOT NULL, consumer text NOT NULL, source text NOT NULL, part smallint NOT NULL,
            position bigint NOT NULL, name text NOT NULL, body bytea NOT NULL, reason text NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant, consumer, source, part, position)
        )""")
    op.execute(f"""
        CREATE TABLE {schema}.inbox (
            worker text NOT NULL, event_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (worker, event_id)
        )""")
    op.execute(f"CREATE INDEX inbox_by_time ON {schema}.inbox USING brin (at)")
    op.execute(f"""
        CREATE TABLE {schema}.dead_letter (
            tenant uuid NOT NULL, worker text NOT NULL, source text NOT NULL, part smallint NOT NULL,
            position bigint NOT NULL, name text NOT NULL, body bytea NOT NULL, reason text NOT NULL,
            tries integer NOT NULL, at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant, worker, source, part, position)
        )""")
    tenant_table(op, f"{schema}.parked", app="SELECT")
    tenant_table(op, f"{schema}.dead_letter", app="SELECT")


def _create_outbox_tables(op: Operations, schema: str) -> None:
    op.execute(f"""
        CREATE TABLE {schema}.outbox_head (
            part smallint PRIMARY KEY CHECK (part BETWEEN 0 AND {PARTITIONS - 1}),
            position bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
        ) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)""")
    op.execute(f"INSERT INTO {schema}.outbox_head (part) SELECT generate_series(0, {PARTITIONS - 1})")
    op.execute(f"""
        CREATE TABLE {schema}.outbox (
            part smallint NOT NULL, position bigint NOT NULL, day date NOT NULL,
            tenant uuid NOT NULL, name text NOT NULL, body bytea NOT NULL,
            PRIMARY KEY (part, position, day)
        ) PARTITION BY RANGE (day)""")
    op.execute(f"CREATE TABLE {schema}.outbox_rest PARTITION OF {schema}.outbox DEFAULT")
    op.execute(f"""
        CREATE TABLE {schema}.outbox_consumer (
            consumer text NOT NULL, part smallint NOT NULL, position bigint NOT NULL CHECK (position >= 0),
            PRIMARY KEY (consumer, part)
        ) WITH (fillfactor = 50)""")
    tenant_table(op, f"{schema}.outbox", app="INSERT")
    op.execute(f"GRANT SELECT, UPDATE (position) ON {schema}.outbox_head TO {app_role_of(schema)}")


def _create_make_days(op: Operations, schema: str) -> None:
    """Make the function by which the publisher, who owns nothing, makes partitions ahead."""
    op.execute(f"""
        CREATE FUNCTION {schema}.make_outbox_days(first date, days integer) RETURNS SETOF date
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
        DECLARE today date;
        BEGIN
            IF days NOT BETWEEN 1 AND 32 THEN RAISE EXCEPTION 'between 1 and 32 days at a time'; END IF;
            FOR offset_days IN 0 .. days - 1 LOOP
                today := first + offset_days;
                CONTINUE WHEN to_regclass(format('{schema}.outbox_%s', to_char(today, 'YYYYMMDD')))
                              IS NOT NULL;
                -- a day whose rows already lie in the rest cannot have a partition of its own
                CONTINUE WHEN EXISTS (SELECT FROM {schema}.outbox_rest o WHERE o.day = today);
                EXECUTE format('CREATE TABLE {schema}.outbox_%s PARTITION OF {schema}.outbox '
                               'FOR VALUES FROM (%L) TO (%L)', to_char(today, 'YYYYMMDD'), today, today + 1);
                RETURN NEXT today;
            END LOOP;
        END $$""")
    op.execute(f"REVOKE ALL ON FUNCTION {schema}.make_outbox_days FROM PUBLIC")


def _create_drop_days(op: Operations, schema: str) -> None:
    """Make the function that drops the days before `before` that every consumer has passed.

    It reads the partitions themselves: the row policies of the parent would show their owner nothing, and
    "nothing unread" would then be true of every day.
    """
    unread = f"""
        SELECT FROM generate_series(0, {PARTITIONS - 1}) p
         CROSS JOIN LATERAL (SELECT max(position) AS last FROM {schema}.%I o WHERE o.part = p) m
         WHERE m.last > (
             SELECT coalesce(min(position), m.last) FROM (
                 SELECT coalesce(c.position, 0) AS position FROM unnest(%L::text[]) k
                   LEFT JOIN {schema}.outbox_consumer c ON c.consumer = k AND c.part = p
                 UNION ALL
                 SELECT c.position FROM {schema}.outbox_consumer c WHERE c.part = p) cursors)
    """
    op.execute(f"""
        CREATE FUNCTION {schema}.drop_outbox_days(before date, consumers text[]) RETURNS SETOF date
        LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $$
        DECLARE
            leaf text;
            unread boolean;
        BEGIN
            FOR leaf IN
                SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = '{schema}.outbox'::regclass AND c.relname ~ '^outbox_[0-9]{{8}}$'
                   AND to_date(right(c.relname, 8), 'YYYYMMDD') < before
                 ORDER BY 1
            LOOP
                EXECUTE format($q$SELECT EXISTS ({unread})$q$, leaf, consumers) INTO unread;
                CONTINUE WHEN unread;
                EXECUTE format('DROP TABLE {schema}.%I', leaf);
                RETURN NEXT to_date(right(leaf, 8), 'YYYYMMDD');
            END LOOP;
            EXECUTE format($q$SELECT EXISTS ({unread})$q$, 'outbox_rest', consumers) INTO unread;
            IF NOT unread THEN
                DELETE FROM {schema}.outbox_rest o WHERE o.day < before;
            END IF;
        END $$""")
    op.execute(f"REVOKE ALL ON FUNCTION {schema}.drop_outbox_days FROM PUBLIC")
