"""Every act that the audit log is told of can be counted by the rows that it made.

Rows from before that nobody told the log of are counted once, in `act_untold`, so that they are no
difference. What a process of the version before still does beside this revision is one, and shows.
"""

from alembic import op

from libs.db.migrations import tenant_table

revision = "0002"
down_revision = "0001"

UNTOLD = {
    "identity.tenant.created": "SELECT tenant, count(*) AS acts FROM identity.tenant GROUP BY tenant",
    "identity.principal.provisioned": (
        "SELECT tenant, count(*) AS acts FROM identity.principal GROUP BY tenant"
    ),
    "identity.principal.updated": (
        "SELECT tenant, sum(version - 1) AS acts FROM identity.principal GROUP BY tenant"
    ),
    "identity.principal.removed": (
        "SELECT tenant, count(removed_at) AS acts FROM identity.principal GROUP BY tenant"
    ),
    "identity.session.started": "SELECT tenant, count(*) AS acts FROM identity.session GROUP BY tenant",
    "identity.session.ended": "SELECT tenant, count(ended_at) AS acts FROM identity.session GROUP BY tenant",
    "identity.role.granted": "SELECT tenant, count(*) AS acts FROM identity.role_grant GROUP BY tenant",
    "identity.code.issued": "SELECT tenant, count(*) AS acts FROM identity.sign_in_code GROUP BY tenant",
    "identity.password.set": "SELECT tenant, count(*) AS acts FROM identity.password GROUP BY tenant",
    "identity.scim-token.issued": "SELECT tenant, count(*) AS acts FROM identity.scim_token GROUP BY tenant",
}
"""What the rows at hand tell of, counted as the service counts them from now on."""
_COUNTED = ("tenant", "principal", "session", "role_grant", "sign_in_code", "password", "scim_token")


def upgrade() -> None:
    _add_counters()
    _create_role_revocations()
    _create_denials()
    _count_untold()


def _add_counters() -> None:
    op.execute("""
        ALTER TABLE identity.principal ADD COLUMN deactivations integer NOT NULL DEFAULT 0,
                                       ADD COLUMN reactivations integer NOT NULL DEFAULT 0""")
    op.execute("GRANT UPDATE (deactivations, reactivations) ON identity.principal TO identity_app")
    op.execute("ALTER TABLE identity.password ADD COLUMN version integer NOT NULL DEFAULT 1")
    op.execute("GRANT UPDATE (version) ON identity.password TO identity_app")
    op.execute("ALTER TABLE identity.scim_token ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()")
    op.execute("CREATE UNIQUE INDEX scim_token_id ON identity.scim_token (tenant, token)")


def _create_role_revocations() -> None:
    op.execute("""
        CREATE TABLE identity.role_revocation (
            tenant uuid NOT NULL, revocation uuid NOT NULL DEFAULT gen_random_uuid(),
            principal uuid NOT NULL, role text NOT NULL, source text NOT NULL,
            granted_at timestamptz NOT NULL, revoked_at timestamptz NOT NULL,
            PRIMARY KEY (tenant, revocation),
            FOREIGN KEY (tenant, principal) REFERENCES identity.principal
        )""")
    tenant_table(op, "identity.role_revocation", app="SELECT, INSERT")


def _create_denials() -> None:
    op.execute("""
        CREATE TABLE identity.denial (
            tenant uuid NOT NULL REFERENCES identity.tenant, denial uuid NOT NULL, principal uuid,
            act text NOT NULL, minute timestamptz NOT NULL, count bigint NOT NULL CHECK (count > 0),
            PRIMARY KEY (tenant, denial)
        )""")
    tenant_table(op, "identity.denial", app="INSERT")


def _count_untold() -> None:
    op.execute("""
        CREATE TABLE identity.act_untold (
            tenant uuid NOT NULL, action text NOT NULL, count bigint NOT NULL, PRIMARY KEY (tenant, action)
        )""")
    # The owner, who has no policy, would see none of the rows.
    for table in _COUNTED:
        op.execute(f"ALTER TABLE identity.{table} NO FORCE ROW LEVEL SECURITY")
    for action, counted in UNTOLD.items():
        op.execute(f"""
            INSERT INTO identity.act_untold (tenant, action, count)
            SELECT tenant, '{action}', acts FROM ({counted}) AS untold WHERE acts > 0""")
    for table in _COUNTED:
        op.execute(f"ALTER TABLE identity.{table} FORCE ROW LEVEL SECURITY")
    tenant_table(op, "identity.act_untold")
    op.execute("""
        CREATE FUNCTION identity.untold(of_tenant uuid, of_action text) RETURNS bigint
        LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
            SELECT coalesce((SELECT u.count FROM identity.act_untold u
                              WHERE u.tenant = of_tenant AND u.action = of_action), 0) $$""")
    op.execute("REVOKE ALL ON FUNCTION identity.untold FROM PUBLIC")
