"""Identity's acts, counted over the rows that they left: not over its outbox, nor over facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.identity.domain import acts

# `identity.untold` is how many acts of a kind there were before the audit log was told of any.
ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        acts.TENANT_CREATED: (
            "SELECT tenant, count(*) - identity.untold(tenant, 'identity.tenant.created') AS acts"
            " FROM identity.tenant GROUP BY tenant"
        ),
        acts.PRINCIPAL_PROVISIONED: (
            "SELECT tenant, count(*) - identity.untold(tenant, 'identity.principal.provisioned') AS acts"
            " FROM identity.principal GROUP BY tenant"
        ),
        acts.PRINCIPAL_UPDATED: (
            "SELECT tenant, sum(version - 1 - deactivations - reactivations)"
            " - identity.untold(tenant, 'identity.principal.updated') AS acts"
            " FROM identity.principal GROUP BY tenant"
        ),
        acts.PRINCIPAL_DEACTIVATED: (
            "SELECT tenant, sum(deactivations) AS acts FROM identity.principal GROUP BY tenant"
        ),
        acts.PRINCIPAL_REACTIVATED: (
            "SELECT tenant, sum(reactivations) AS acts FROM identity.principal GROUP BY tenant"
        ),
        acts.PRINCIPAL_REMOVED: (
            "SELECT tenant, count(removed_at) - identity.untold(tenant, 'identity.principal.removed') AS acts"
            " FROM identity.principal GROUP BY tenant"
        ),
        acts.SESSION_STARTED: (
            "SELECT tenant, count(*) - identity.untold(tenant, 'identity.session.started') AS acts"
            " FROM identity.session GROUP BY tenant"
        ),
        acts.SESSION_ENDED: (
            "SELECT tenant, count(ended_at) - identity.untold(tenant, 'identity.session.ended') AS acts"
            " FROM identity.session GROUP BY tenant"
        ),
        acts.ROLE_GRANTED: (
            "SELECT tenant, count(*) - identity.untold(tenant, 'identity.role.granted') AS acts"
            " FROM (SELECT tenant FROM identity.role_grant"
            " UNION ALL SELECT tenant FROM identity.role_revocation) AS granted GROUP BY tenant"
        ),
        acts.ROLE_REVOKED: "SELECT tenant, count(*) AS acts FROM identity.role_revocation GROUP BY tenant",
        acts.CODE_ISSUED: (
            "SELECT tenant, count(*) - identity.untold(tenant, 'identity.code.issued') AS acts"
            " FROM identity.sign_in_code GROUP BY tenant"
        ),
        acts.PASSWORD_SET: (
            "SELECT tenant, sum(version) - identity.untold(tenant, 'identity.password.set') AS acts"
            " FROM identity.password GROUP BY tenant"
        ),
        acts.SCIM_TOKEN_ISSUED: (
            "SELECT tenant, count(*) - identity.untold(tenant, 'identity.scim-token.issued') AS acts"
            " FROM identity.scim_token GROUP BY tenant"
        ),
        acts.SIGN_IN_REFUSED: (
            "SELECT tenant, count(*) AS acts FROM identity.denial WHERE act = 'SignIn' GROUP BY tenant"
        ),
        acts.ACCESS_DENIED: (
            "SELECT tenant, count(*) AS acts FROM identity.denial WHERE act <> 'SignIn' GROUP BY tenant"
        ),
    }
)
"""Each kind of act → how many each tenant's rows tell of; of denials the rows, each of which is one fact."""
