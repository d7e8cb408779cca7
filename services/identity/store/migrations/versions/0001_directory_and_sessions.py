"""The directory, what proves who someone is, sessions and their revocations."""

from alembic import op

from libs.db.migrations import create_outbox, tenant_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_directory()
    _create_credentials()
    _create_sessions()
    _create_revocations()
    create_outbox(op, "identity")


def _create_directory() -> None:
    op.execute("""
        CREATE TABLE identity.tenant (
            tenant uuid PRIMARY KEY, slug text NOT NULL UNIQUE, name text NOT NULL,
            local_sign_in boolean NOT NULL, created_at timestamptz NOT NULL
        )""")
    tenant_table(op, "identity.tenant", app="SELECT, INSERT")
    op.execute("""
        CREATE TABLE identity.principal (
            tenant uuid NOT NULL REFERENCES identity.tenant, principal uuid NOT NULL,
            user_name text NOT NULL, name_key text NOT NULL, external_id text, display_name text NOT NULL,
            active boolean NOT NULL, email_keys text[] NOT NULL, search_key text NOT NULL,
            document jsonb NOT NULL, version integer NOT NULL,
            created_at timestamptz NOT NULL, modified_at timestamptz NOT NULL, removed_at timestamptz,
            PRIMARY KEY (tenant, principal)
        )""")
    # The names of who was removed are free again; the id is not.
    op.execute("""
        CREATE UNIQUE INDEX principal_user_name ON identity.principal (tenant, name_key)
         WHERE removed_at IS NULL""")
    op.execute("""
        CREATE UNIQUE INDEX principal_external_id ON identity.principal (tenant, external_id)
         WHERE removed_at IS NULL AND external_id IS NOT NULL""")
    op.execute("CREATE INDEX principal_email ON identity.principal USING gin (email_keys)")
    tenant_table(
        op,
        "identity.principal",
        app="SELECT, INSERT, UPDATE (user_name, name_key, external_id, display_name, active, email_keys,"
        " search_key, document, version, modified_at, removed_at)",
    )
    op.execute("""
        CREATE TABLE identity.role_grant (
            tenant uuid NOT NULL, principal uuid NOT NULL, role text NOT NULL,
            source text NOT NULL CHECK (source IN ('scim', 'operator')),
            granted_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant, principal, role, source),
            FOREIGN KEY (tenant, principal) REFERENCES identity.principal
        )""")
    tenant_table(op, "identity.role_grant", app="SELECT, INSERT, DELETE")


def _create_credentials() -> None:
    op.execute("""
        CREATE TABLE identity.password (
            tenant uuid NOT NULL, principal uuid NOT NULL, hash text NOT NULL,
            changed_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, principal),
            FOREIGN KEY (tenant, principal) REFERENCES identity.principal
        )""")
    tenant_table(op, "identity.password", app="SELECT, INSERT, UPDATE (hash, changed_at)")
    op.execute("""
        CREATE TABLE identity.sign_in_code (
            tenant uuid NOT NULL, digest bytea NOT NULL, principal uuid NOT NULL,
            issued_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, used_at timestamptz,
            PRIMARY KEY (tenant, digest),
            FOREIGN KEY (tenant, principal) REFERENCES identity.principal
        )""")
    op.execute("""
        CREATE INDEX sign_in_code_unused ON identity.sign_in_code (tenant, principal)
         WHERE used_at IS NULL""")
    tenant_table(op, "identity.sign_in_code", app="SELECT, INSERT, UPDATE (used_at)")
    op.execute("""
        CREATE TABLE identity.scim_token (
            tenant uuid NOT NULL REFERENCES identity.tenant, digest bytea NOT NULL,
            issued_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, revoked_at timestamptz,
            PRIMARY KEY (tenant, digest)
        )""")
    tenant_table(op, "identity.scim_token", app="SELECT, INSERT, UPDATE (revoked_at)")


def _create_sessions() -> None:
    op.execute("""
        CREATE TABLE identity.device (
            tenant uuid NOT NULL, device uuid NOT NULL, principal uuid NOT NULL, name text NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, device),
            FOREIGN KEY (tenant, principal) REFERENCES identity.principal
        )""")
    tenant_table(op, "identity.device", app="SELECT, INSERT")
    op.execute("""
        CREATE TABLE identity.session (
            tenant uuid NOT NULL, session uuid NOT NULL, principal uuid NOT NULL, device uuid NOT NULL,
            started_at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
            number bigint NOT NULL, digest bytea NOT NULL, mark_key bytea NOT NULL,
            ended_at timestamptz, end_reason text,
            PRIMARY KEY (tenant, session),
            FOREIGN KEY (tenant, device) REFERENCES identity.device
        ) WITH (fillfactor = 80)""")
    op.execute("""
        CREATE INDEX session_live ON identity.session (tenant, principal) WHERE ended_at IS NULL""")
    tenant_table(
        op,
        "identity.session",
        app="SELECT, INSERT, UPDATE (expires_at, number, digest, ended_at, end_reason)",
    )


def _create_revocations() -> None:
    # One row for the whole platform: its lock is held to commit, so that the numbers of revocations are
    # dense and become visible in their order, whichever tenant they belong to.
    op.execute("""
        CREATE TABLE identity.revocation_head (
            one boolean PRIMARY KEY DEFAULT true CHECK (one), position bigint NOT NULL CHECK (position >= 0)
        ) WITH (fillfactor = 10)""")
    op.execute("INSERT INTO identity.revocation_head (position) VALUES (0)")
    op.execute("GRANT SELECT, UPDATE (position) ON identity.revocation_head TO identity_app")
    op.execute("""
        CREATE TABLE identity.revocation (
            tenant uuid NOT NULL, position bigint NOT NULL, principal uuid NOT NULL, session uuid NOT NULL,
            revoked_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, position)
        )""")
    op.execute("CREATE UNIQUE INDEX revocation_in_order ON identity.revocation (position)")
    op.execute("CREATE INDEX revocation_by_time ON identity.revocation USING brin (revoked_at)")
    tenant_table(op, "identity.revocation", app="INSERT")
