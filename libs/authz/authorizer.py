"""Decides by the Cedar policies of `policies/authz`, and remembers decisions by their facts."""

import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

import cedarpy

from libs.authz.errors import NotFound
from libs.authz.facts import ResourceFacts, RoleBearer

_NAMESPACE: Final = "Muniment"
_REMEMBERED: Final = 4096
_ENTITY: Final = re.compile(r"entity (\w+) = \{(.*?)\}", re.DOTALL)
_FACT: Final = re.compile(r"(\w+): Bool")
_Key = tuple[frozenset[str], bool, str, str, frozenset[str]]


class PoliciesRefused(ValueError):
    """The policies do not parse, or contradict their schema."""


class Authorizer:
    """Allows what a policy permits and none forbids.

    A decision depends on the actor's roles, on whether actor and resource share a tenant, on the action
    and on the facts of the resource, and on nothing else; so it is remembered by exactly these.
    """

    def __init__(self, policies_dir: Path, remembered: int = _REMEMBERED) -> None:
        """Read every `*.cedar` of the folder under its `schema.cedarschema`; raises PoliciesRefused."""
        schema = (policies_dir / "schema.cedarschema").read_text(encoding="utf-8")
        text = "\n".join(each.read_text(encoding="utf-8") for each in sorted(policies_dir.glob("*.cedar")))
        verdict = cedarpy.validate_policies(text, schema)
        if not verdict:
            raise PoliciesRefused("; ".join(str(error) for error in verdict.errors))
        self._policies = cedarpy.PolicySet.from_str(text)
        self._schema = cedarpy.Schema.from_str(schema)
        self._facts_of_kind = _facts_by_kind(self._schema)
        self._remembered = remembered
        self._decisions: OrderedDict[_Key, bool] = OrderedDict()

    def allows(self, actor: RoleBearer, action: str, resource: ResourceFacts) -> bool:
        """Return whether `actor` may do `action` (e.g. "ReadConversation") to `resource`."""
        key = (actor.roles, actor.tenant == resource.tenant, action, resource.kind, resource.holding)
        decision = self._decisions.get(key)
        if decision is None:
            decision = self._decide(*key)
            if len(self._decisions) >= self._remembered:
                self._decisions.popitem(last=False)
            self._decisions[key] = decision
        return decision

    def access(
        self, actor: RoleBearer, action: str, resource: ResourceFacts | None, *, kind: str = ""
    ) -> None:
        """Return if `actor` may do `action` to `resource`; absent (None) and forbidden are alike.

        Raises NotFound(kind); `kind` names what was looked for when there is no resource to say it.
        """
        if resource is None or not self.allows(actor, action, resource):
            raise NotFound(kind or (resource.kind if resource is not None else "Resource"))

    def _decide(
        self,
        roles: frozenset[str],
        same_tenant: bool,  # noqa: FBT001 - the parts of the key, in its order
        action: str,
        kind: str,
        holding: frozenset[str],
    ) -> bool:
        """Ask Cedar; what it cannot decide (an unknown action, kind or fact) is a ValueError."""
        known = self._facts_of_kind.get(kind)
        if known is None or not holding <= known - {"same_tenant"}:
            msg = f"no facts {sorted(holding)} of a {kind or 'nameless kind'} stand in the schema"
            raise ValueError(msg)
        attributes: dict[str, Any] = {fact: fact in holding for fact in sorted(known)}
        attributes["same_tenant"] = same_tenant
        principal = {"type": f"{_NAMESPACE}::Principal", "id": "actor"}
        target = {"type": f"{_NAMESPACE}::{kind}", "id": "resource"}
        entities = [
            {"uid": principal, "attrs": {"roles": sorted(roles)}, "parents": []},
            {"uid": target, "attrs": attributes, "parents": []},
        ]
        request = {
            "principal": principal,
            "action": {"type": f"{_NAMESPACE}::Action", "id": action},
            "resource": target,
            "context": {},
        }
        result = cedarpy.is_authorized(request, self._policies, json.dumps(entities), self._schema)
        if result.diagnostics.errors:
            msg = f"the policies cannot decide {action} on {kind}: {result.diagnostics.errors}"
            raise ValueError(msg)
        return result.allowed


def _facts_by_kind(schema: cedarpy.Schema) -> dict[str, frozenset[str]]:
    """Return the names of the yes-or-no attributes of each entity type.

    cedarpy prints a schema in one canonical form, whatever the file looked like.
    """
    return {kind: frozenset(_FACT.findall(body)) for kind, body in _ENTITY.findall(str(schema))}
