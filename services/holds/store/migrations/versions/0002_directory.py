"""The hold service's copy of the directory: who a custodian can be."""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE holds.principal (
            tenant uuid NOT NULL, principal uuid NOT NULL,
            PRIMARY KEY (tenant, principal)
        )""")
    tenant_table(op, "holds.principal", app="SELECT")
