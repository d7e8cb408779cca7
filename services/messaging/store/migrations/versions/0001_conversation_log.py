"""The conversation log, its heads and participants, receipts, the outbox and the copy of the directory.

Revision ID: 0001
"""

from alembic import op

from libs.db.migrations import create_outbox, create_projection, tenant_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ENTRY_PARTITIONS = 16
PAYLOAD_MONTHS_AHEAD = 3


def upgrade() -> None:
    """Make messaging's tables."""
    _create_heads_and_participants()
    _create_log()
    _create_payloads()
    _create_receipts()
    _create_principals()
    create_outbox(op, "messaging")
    create_projection(op, "messaging")


def _create_heads_and_participants() -> None:
    op.execute("""
        CREATE TABLE messaging.conversation_head (
            tenant uuid NOT NULL, conversation uuid NOT NULL, kind smallint NOT NULL,
            last_seq bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
            members_version bigint NOT NULL DEFAULT 0 CHECK (members_version BETWEEN 0 AND last_seq),
            PRIMARY KEY (tenant, conversation)
        ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)""")
    op.execute("""
        CREATE TABLE messaging.participant_span (
            tenant uuid NOT NULL, conversation uuid NOT NULL, principal uuid NOT NULL,
            from_seq bigint NOT NULL, until_seq bigint CHECK (until_seq >= from_seq),
            administrator boolean NOT NULL,
            PRIMARY KEY (tenant, conversation, principal, from_seq)
        )""")
    op.execute("""
        CREATE UNIQUE INDEX participant_span_open
            ON messaging.participant_span (tenant, principal, conversation) WHERE until_seq IS NULL""")
    op.execute("""
        CREATE INDEX participant_span_of_principal
            ON messaging.participant_span (tenant, principal, conversation)""")
    tenant_table(op, "messaging.conversation_head", app="SELECT")
    tenant_table(op, "messaging.participant_span", app="SELECT")


def _create_log() -> None:
    """Make the entries, hash-partitioned by conversation, so that (conversation, seq) stays unique."""
    op.execute("""
        CREATE TABLE messaging.entry (
            tenant uuid NOT NULL, conversation uuid NOT NULL, seq bigint NOT NULL CHECK (seq > 0),
            kind smallint NOT NULL, revision integer NOT NULL,
            message uuid NOT NULL, actor uuid NOT NULL, device uuid,
            sent_at timestamptz NOT NULL, members_version bigint NOT NULL,
            subjects uuid[] NOT NULL, metadata_salt bytea,
            metadata_commitment bytea NOT NULL, body_commitment bytea, certificate uuid,
            PRIMARY KEY (tenant, conversation, seq)
        ) PARTITION BY HASH (tenant, conversation)""")
    for remainder in range(ENTRY_PARTITIONS):
        op.execute(
            f"CREATE TABLE messaging.entry_{remainder:02} PARTITION OF messaging.entry"
            f" FOR VALUES WITH (MODULUS {ENTRY_PARTITIONS}, REMAINDER {remainder})"
        )
    op.execute("""
        CREATE TABLE messaging.client_send (
            tenant uuid NOT NULL, principal uuid NOT NULL, client_id uuid NOT NULL,
            conversation uuid NOT NULL, seq bigint NOT NULL, message uuid NOT NULL,
            fingerprint bytea NOT NULL,
            PRIMARY KEY (tenant, principal, client_id)
        )""")
    tenant_table(op, "messaging.entry", app="SELECT")
    tenant_table(op, "messaging.client_send")


def _create_payloads() -> None:
    """Make the payloads, partitioned by the month of `sent_at`, with a function that makes months ahead."""
    op.execute("""
        CREATE TABLE messaging.payload (
            tenant uuid NOT NULL, conversation uuid NOT NULL, seq bigint NOT NULL,
            sent_at timestamptz NOT NULL, dek uuid NOT NULL, sealed bytea NOT NULL,
            PRIMARY KEY (tenant, conversation, seq, sent_at)
        ) PARTITION BY RANGE (sent_at)""")
    op.execute("CREATE TABLE messaging.payload_rest PARTITION OF messaging.payload DEFAULT")
    op.execute("""
        CREATE FUNCTION messaging.make_payload_months(first date, months integer) RETURNS SETOF date
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
        DECLARE month date; next_month date; name text;
        BEGIN
            IF months NOT BETWEEN 1 AND 24 THEN RAISE EXCEPTION 'between 1 and 24 months at a time'; END IF;
            FOR ahead IN 0 .. months - 1 LOOP
                month := (date_trunc('month', first) + make_interval(months => ahead))::date;
                next_month := (month + interval '1 month')::date;
                name := 'payload_' || to_char(month, 'YYYYMM');
                CONTINUE WHEN to_regclass('messaging.' || name) IS NOT NULL;
                -- a month whose rows already lie in the rest cannot have a partition of its own
                CONTINUE WHEN EXISTS (
                    SELECT FROM messaging.payload_rest p
                     WHERE p.sent_at >= (month::timestamp AT TIME ZONE 'UTC')
                       AND p.sent_at < (next_month::timestamp AT TIME ZONE 'UTC'));
                EXECUTE format('CREATE TABLE messaging.%I PARTITION OF messaging.payload '
                               'FOR VALUES FROM (%L) TO (%L)', name,
                               month::timestamp AT TIME ZONE 'UTC', next_month::timestamp AT TIME ZONE 'UTC');
                RETURN NEXT month;
            END LOOP;
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION messaging.make_payload_months FROM PUBLIC")
    op.execute(
        f"SELECT messaging.make_payload_months((now() AT TIME ZONE 'UTC')::date, {PAYLOAD_MONTHS_AHEAD})"
    )
    tenant_table(op, "messaging.payload", app="SELECT")


def _create_receipts() -> None:
    """Make the marks as they stand, and every advance that led there."""
    op.execute("""
        CREATE TABLE messaging.receipt (
            tenant uuid NOT NULL, conversation uuid NOT NULL, principal uuid NOT NULL, device uuid NOT NULL,
            delivered_seq bigint NOT NULL, read_seq bigint NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (tenant, conversation, principal, device)
        ) WITH (fillfactor = 50)""")
    op.execute("""
        CREATE TABLE messaging.receipt_advance (
            tenant uuid NOT NULL, conversation uuid NOT NULL, principal uuid NOT NULL, device uuid NOT NULL,
            at timestamptz NOT NULL,
            delivered_from bigint NOT NULL, delivered_to bigint NOT NULL,
            read_from bigint NOT NULL, read_to bigint NOT NULL,
            PRIMARY KEY (tenant, conversation, principal, device, at)
        )""")
    tenant_table(op, "messaging.receipt", app="SELECT")
    tenant_table(op, "messaging.receipt_advance", app="SELECT")


def _create_principals() -> None:
    op.execute("""
        CREATE TABLE messaging.principal (
            tenant uuid NOT NULL, principal uuid NOT NULL, active boolean NOT NULL,
            PRIMARY KEY (tenant, principal)
        )""")
    tenant_table(op, "messaging.principal", app="SELECT")
