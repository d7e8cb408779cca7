"""The table of requests, for the migration of a service whose acts need four eyes."""

from libs.approvals.request import DIGEST_BYTES
from libs.db.names import identifier_of
from libs.db.tables import Operations, tenant_table


def create_approvals(op: Operations, schema: str) -> None:
    """Make `<schema>.approval`; the app role asks, decides and uses, and can take nothing back.

    The database itself refuses a decision by who asked or whom it concerns, and a use without approval.
    """
    identifier_of(schema)
    op.execute(f"""
        CREATE TABLE {schema}.approval (
            tenant uuid NOT NULL, request uuid NOT NULL, act text NOT NULL, subject uuid NOT NULL,
            digest bytea NOT NULL CHECK (octet_length(digest) = {DIGEST_BYTES}),
            requester uuid NOT NULL, reason text NOT NULL, barred uuid[] NOT NULL,
            requested_at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
            decided_by uuid, decided_at timestamptz, approved boolean, used_at timestamptz,
            PRIMARY KEY (tenant, request),
            CONSTRAINT approval_is_decided_whole CHECK (
                num_nulls(decided_by, decided_at, approved) IN (0, 3)),
            CONSTRAINT approval_by_another CHECK (decided_by <> requester AND decided_by <> ALL (barred)),
            CONSTRAINT approval_before_use CHECK (
                used_at IS NULL OR (approved IS TRUE AND used_at < expires_at))
        )""")
    op.execute(f"CREATE INDEX approval_of_subject ON {schema}.approval (tenant, subject, requested_at)")
    tenant_table(
        op,
        f"{schema}.approval",
        app="SELECT, INSERT, UPDATE (decided_by, decided_at, approved, used_at)",
    )
