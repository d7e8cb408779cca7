"""A service of the tests' own: a tenant table, an outbox and a projection."""

from alembic import op

from libs.db.migrations import create_outbox, create_projection, tenant_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE sample.note (tenant uuid NOT NULL, note uuid NOT NULL, body text NOT NULL DEFAULT '',"
        " PRIMARY KEY (tenant, note))"
    )
    tenant_table(op, "sample.note", app="SELECT, INSERT, UPDATE, DELETE")
    op.execute(
        "CREATE TABLE sample.effect (tenant uuid NOT NULL, event_id uuid NOT NULL,"
        " source_part smallint NOT NULL, position bigint NOT NULL, times integer NOT NULL DEFAULT 1,"
        " place bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (tenant, event_id))"
    )
    tenant_table(op, "sample.effect", app="SELECT")
    create_outbox(op, "sample")
    create_projection(op, "sample")
