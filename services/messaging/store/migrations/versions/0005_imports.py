"""Imports: what was asked for and approved, batch by batch what came, and where each entry comes from.

Revision ID: 0005
"""

from alembic import op

from libs.approvals.tables import create_approvals
from libs.db.migrations import tenant_table

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    create_approvals(op, "messaging")
    _create_runs()
    _create_what_came()


def _create_runs() -> None:
    op.execute("""
        CREATE TABLE messaging.import_run (
            tenant uuid NOT NULL, run uuid NOT NULL,
            source bytea NOT NULL CHECK (octet_length(source) = 32), name text NOT NULL,
            lines bigint NOT NULL CHECK (lines > 0), batches integer NOT NULL CHECK (batches > 0),
            digest bytea NOT NULL CHECK (octet_length(digest) = 32),
            requested_at timestamptz NOT NULL, begun_at timestamptz, finished_at timestamptz,
            PRIMARY KEY (tenant, run),
            CHECK (finished_at IS NULL OR begun_at IS NOT NULL)
        )""")
    op.execute("""
        CREATE TABLE messaging.import_person (
            tenant uuid NOT NULL, run uuid NOT NULL, author uuid NOT NULL, principal uuid NOT NULL,
            PRIMARY KEY (tenant, run, author)
        )""")
    tenant_table(op, "messaging.import_run", app="SELECT, INSERT, UPDATE (begun_at, finished_at)")
    tenant_table(op, "messaging.import_person", app="SELECT, INSERT")


def _create_what_came() -> None:
    """Make the batches as they were approved and as they came, and the provenance of entries.

    A line of an import is one entry of each kind at most, whoever writes it how often.
    """
    op.execute("""
        CREATE TABLE messaging.import_batch (
            tenant uuid NOT NULL, run uuid NOT NULL, number integer NOT NULL CHECK (number >= 0),
            digest bytea NOT NULL CHECK (octet_length(digest) = 32), lines integer NOT NULL CHECK (lines > 0),
            done_at timestamptz, imported integer, opened integer, first_at timestamptz, last_at timestamptz,
            PRIMARY KEY (tenant, run, number),
            CHECK (num_nulls(done_at, imported, opened) IN (0, 3) AND imported <= lines)
        )""")
    op.execute("""
        CREATE TABLE messaging.import_refusal (
            tenant uuid NOT NULL, run uuid NOT NULL, line bigint NOT NULL, why text NOT NULL,
            PRIMARY KEY (tenant, run, line)
        )""")
    op.execute("""
        CREATE TABLE messaging.imported_line (
            tenant uuid NOT NULL, conversation uuid NOT NULL, seq bigint NOT NULL,
            run uuid NOT NULL, line bigint NOT NULL, kind smallint NOT NULL,
            PRIMARY KEY (tenant, conversation, seq),
            CONSTRAINT imported_once UNIQUE (tenant, run, line, kind)
        )""")
    tenant_table(op, "messaging.import_batch", app="SELECT, INSERT")
    tenant_table(op, "messaging.import_refusal", app="SELECT")
    tenant_table(op, "messaging.imported_line", app="SELECT")
