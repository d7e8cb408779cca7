"""What is noted of each tenant's index, and how one that was lost is made anew.

Revision ID: 0006
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the notes. `leftover` is the generation that was replaced, until its files are gone."""
    op.execute("""
        CREATE TABLE ediscovery.index_note (
            tenant uuid PRIMARY KEY, generation integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
            periods text[] NOT NULL DEFAULT '{}', leftover integer, lost_at timestamptz
        )""")
    tenant_table(op, "ediscovery.index_note", app="SELECT")
    op.execute("""
        CREATE TABLE ediscovery.index_followed (
            tenant uuid NOT NULL, stream text NOT NULL, position bigint NOT NULL,
            PRIMARY KEY (tenant, stream)
        )""")
    tenant_table(op, "ediscovery.index_followed", app="SELECT")
    op.execute("""
        CREATE TABLE ediscovery.index_rebuild (
            tenant uuid NOT NULL, act uuid NOT NULL, generation integer NOT NULL,
            lost boolean NOT NULL, begun_at timestamptz NOT NULL, entries bigint NOT NULL DEFAULT 0,
            done bigint NOT NULL DEFAULT 0, conversation uuid, seq bigint NOT NULL DEFAULT 0,
            periods text[] NOT NULL DEFAULT '{}', ended_act uuid, ended_at timestamptz,
            PRIMARY KEY (tenant, act), UNIQUE (tenant, generation)
        )""")
    op.execute("CREATE UNIQUE INDEX one_rebuild ON ediscovery.index_rebuild (tenant) WHERE ended_at IS NULL")
    tenant_table(op, "ediscovery.index_rebuild", app="SELECT")
    # without a key of its own a message comes as often as it is told of: the last word must not get lost
    op.execute("""
        CREATE TABLE ediscovery.index_touched (
            tenant uuid NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY,
            conversation uuid NOT NULL, seq bigint NOT NULL,
            PRIMARY KEY (tenant, number)
        )""")
    tenant_table(op, "ediscovery.index_touched", app="SELECT")
