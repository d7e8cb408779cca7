"""The tables of an executor: its copy of the holds, and the generation that it has confirmed."""

from libs.db.names import identifier_of
from libs.db.tables import Operations, tenant_table


def create_barrier(op: Operations, schema: str) -> None:
    """Make `schema.hold` and `schema.hold_generation`; the schema has an outbox and a projection already.

    The app role may destroy behind the barrier: PostgreSQL lets only those lock a row who may update a
    column of it, so it may set a tenant to itself, and nothing else. The generation is the projector's.
    """
    identifier_of(schema)
    op.execute(f"""
        CREATE TABLE {schema}.hold_generation (
            tenant uuid PRIMARY KEY, generation bigint NOT NULL DEFAULT 0 CHECK (generation >= 0)
        ) WITH (fillfactor = 50)""")
    tenant_table(op, f"{schema}.hold_generation", app="SELECT, INSERT (tenant), UPDATE (tenant)")
    op.execute(f"""
        CREATE TABLE {schema}.hold (
            tenant uuid NOT NULL, hold uuid NOT NULL,
            custodians uuid[] NOT NULL, conversations uuid[] NOT NULL,
            since timestamptz, until timestamptz CHECK (until > since),
            placed_generation bigint NOT NULL CHECK (placed_generation > 0),
            released_generation bigint CHECK (released_generation > placed_generation),
            PRIMARY KEY (tenant, hold)
        )""")
    op.execute(f"CREATE INDEX hold_unreleased ON {schema}.hold (tenant) WHERE released_generation IS NULL")
    tenant_table(op, f"{schema}.hold", app="SELECT")
