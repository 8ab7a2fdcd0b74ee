"""What people may do in their tenant's namespace; no role reaches beyond it or changes its bounds."""

from enum import StrEnum

import pulumi
import pulumi_kubernetes as k8s

_LOOK = ["get", "list", "watch"]
_WORK = [*_LOOK, "create", "update", "patch", "delete"]
_RBAC = "rbac.authorization.k8s.io"


class Role(StrEnum):
    """A kind of membership in a tenant; each includes the one before."""

    VIEWER = "viewer"
    """Looks at work and its logs, and where it stands in the queue."""
    DEVELOPER = "developer"
    """Runs work."""
    OPERATOR = "operator"
    """Opens a shell in pods and sees secrets, when something is wrong."""


def role_rules(role: Role) -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    """Return the rules of a role: named resources and verbs, never ``*``."""
    rules = [
        _rule("", ["pods", "pods/log", "services", "configmaps", "events", "persistentvolumeclaims"], _LOOK),
        _rule("", ["resourcequotas", "limitranges", "serviceaccounts"], _LOOK),
        _rule("apps", ["deployments", "replicasets", "statefulsets"], _LOOK),
        _rule("batch", ["jobs", "cronjobs"], _LOOK),
        _rule("kueue.x-k8s.io", ["localqueues", "workloads"], _LOOK),
        _rule("networking.k8s.io", ["networkpolicies"], _LOOK),
        _rule("policy", ["poddisruptionbudgets"], _LOOK),
    ]
    if role in (Role.DEVELOPER, Role.OPERATOR):
        rules += [
            _rule("", ["pods", "services", "configmaps", "persistentvolumeclaims"], _WORK),
            _rule("apps", ["deployments", "statefulsets"], _WORK),
            _rule("apps", ["deployments/scale", "statefulsets/scale"], ["get", "update", "patch"]),
            _rule("batch", ["jobs", "cronjobs"], _WORK),
        ]
    if role is Role.OPERATOR:
        rules += [
            _rule("", ["secrets"], _WORK),
            _rule("", ["pods/exec", "pods/portforward"], ["create"]),
            _rule("policy", ["poddisruptionbudgets"], _WORK),
        ]
    return rules


def bind_people(
    name: str,
    namespace: pulumi.Output[str],
    groups: dict[Role, str],
    department: str | None,
    *,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Bind each group of people to its role within the namespace, and a department's operators to looking at it."""
    for kind, group in groups.items():
        role = k8s.rbac.v1.Role(
            f"{name}-role-{kind}",
            metadata={"name": f"tenant-{kind}", "namespace": namespace, "labels": tags},
            rules=role_rules(kind),
            opts=opts,
        )
        bound = {f"tenant-{kind}": group}
        if department and kind is Role.VIEWER:
            bound["department-viewer"] = f"{department}-operators"
        for binding, whom in bound.items():
            k8s.rbac.v1.RoleBinding(
                f"{name}-binding-{binding.removeprefix('tenant-')}",
                metadata={"name": binding, "namespace": namespace, "labels": tags},
                role_ref={"api_group": _RBAC, "kind": "Role", "name": role.metadata.name},
                subjects=[{"api_group": _RBAC, "kind": "Group", "name": whom}],
                opts=opts,
            )


def _rule(group: str, resources: list[str], verbs: list[str]) -> k8s.rbac.v1.PolicyRuleArgsDict:
    return {"api_groups": [group], "resources": resources, "verbs": verbs}
