"""Rights inside a cluster: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import RBAC, Case, simple

from falaj.policies.values import UNKNOWN

ROLE, CLUSTER_ROLE = f"{RBAC}:Role", f"{RBAC}:ClusterRole"
BINDING, CLUSTER_BINDING = f"{RBAC}:RoleBinding", f"{RBAC}:ClusterRoleBinding"


def granting(resources: Any, verbs: Any, **more: Any) -> dict[str, Any]:
    """Return a role that grants these verbs on these resources."""
    return {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, one(resources, verbs, **more)]}


def one(resources: Any, verbs: Any, **more: Any) -> dict[str, Any]:
    """Return one rule of a role."""
    return {"apiGroups": [""], "resources": resources, "verbs": verbs} | more


def to(name: Any, kind: str = "ServiceAccount", namespace: Any = "team", role: Any = "view") -> dict[str, Any]:
    """Return a binding of a role to somebody."""
    subject = {"kind": kind, "name": name} | ({} if kind == "Group" else {"namespace": namespace})
    return {"metadata": {"namespace": "team"}, "roleRef": {"name": role}, "subjects": [subject]}


def of_roles(
    rule: str,
    bad: tuple[list[str], list[str]],
    good: dict[str, Any] | None = None,
    types: tuple[str, ...] = (CLUSTER_ROLE,),
) -> list[Case]:
    """Return cases of a rule about what a role must not grant; to name the objects is the way out."""
    sound = good or granting(*bad, resourceNames=["mine"])
    return [simple(rule, type_, sound, granting(*bad), granting(UNKNOWN, bad[1])) for type_ in types]


CASES: list[Case] = [
    *(
        simple(
            "FJ-RBC-001",
            type_,
            granting(["pods"], ["get", "list"]),
            granting(["pods"], ["*"]),
            {"rules": UNKNOWN},
        )
        for type_ in (ROLE, CLUSTER_ROLE)
    ),
    *(
        simple("FJ-RBC-002", type_, to("viewers", "Group"), bad, to(UNKNOWN, "Group"))
        for type_ in (BINDING, CLUSTER_BINDING)
        for bad in (
            to("admins", "Group", role="cluster-admin"),
            to("system:authenticated", "Group"),
            to("system:anonymous", "User"),
        )
    ),
    *(
        simple(
            "FJ-RBC-003",
            type_,
            granting(["configmaps"], ["get"]),
            {"rules": [one(["configmaps"], ["get"]) | bad]},
            granting([UNKNOWN], ["get"]),
        )
        for type_ in (ROLE, CLUSTER_ROLE)
        for bad in ({"resources": ["*"]}, {"apiGroups": ["*"]}, {"resources": ["*/exec"]})
    ),
    *(
        simple(
            "FJ-RBC-004",
            type_,
            granting(["roles"], ["bind"], resourceNames=["viewer"]),
            granting([kind], [verb]),
            granting([kind], UNKNOWN),
        )
        for type_ in (ROLE, CLUSTER_ROLE)
        for verb, kind in (("escalate", "roles"), ("bind", "clusterroles"), ("impersonate", "users"))
    ),
    *of_roles("FJ-RBC-005", (["secrets"], ["get"])),
    *of_roles("FJ-RBC-005", (["secrets"], ["list", "watch"]), granting(["secrets"], ["create"])),
    *of_roles("FJ-RBC-006", (["pods/exec"], ["create"]), granting(["pods", "pods/log"], ["get"])),
    *of_roles("FJ-RBC-006", (["nodes/proxy"], ["get"]), granting(["nodes", "nodes/metrics"], ["get"])),
    *of_roles("FJ-RBC-007", (["mutatingwebhookconfigurations"], ["update"])),
    *of_roles("FJ-RBC-007", (["validatingadmissionpolicybindings"], ["delete"])),
    *of_roles("FJ-RBC-008", (["serviceaccounts/token"], ["create"]), types=(ROLE, CLUSTER_ROLE)),
    *of_roles("FJ-RBC-008", (["certificatesigningrequests/approval"], ["update"])),
    *of_roles("FJ-RBC-008", (["signers"], ["approve"])),
    *of_roles("FJ-RBC-009", (["persistentvolumes"], ["create"]), granting(["persistentvolumes"], ["get"])),
    simple("FJ-RBC-010", BINDING, to("app"), to("app", namespace="another"), to("app", namespace=UNKNOWN)),
    simple("FJ-RBC-010", BINDING, to("watcher", namespace="kube-system"), to("app", namespace="another"), None),
    *(simple("FJ-RBC-011", type_, to("app"), to("default"), to(UNKNOWN)) for type_ in (BINDING, CLUSTER_BINDING)),
]

_RULE: list[str | int] = ["rules", 0]
_SUBJECT: list[str | int] = ["subjects", 0]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (ROLE, [*_RULE, "resources"], ["*"], {"FJ-RBC-003"}),
    (ROLE, [*_RULE, "apiGroups"], ["*"], {"FJ-RBC-003"}),
    (CLUSTER_ROLE, [*_RULE, "resources"], ["*/status"], {"FJ-RBC-003"}),
    (CLUSTER_ROLE, [*_RULE, "verbs"], ["*"], {"FJ-RBC-001"}),
    (CLUSTER_ROLE, _RULE, one(["clusterroles"], ["escalate"]), {"FJ-RBC-004"}),
    (CLUSTER_ROLE, _RULE, one(["users"], ["impersonate"]), {"FJ-RBC-004"}),
    (ROLE, _RULE, one(["roles"], ["bind"]), {"FJ-RBC-004"}),
    (CLUSTER_ROLE, _RULE, one(["secrets"], ["list"]), {"FJ-RBC-005"}),
    (CLUSTER_ROLE, _RULE, one(["pods/exec"], ["create"]), {"FJ-RBC-006"}),
    (CLUSTER_ROLE, _RULE, one(["nodes/proxy"], ["get"]), {"FJ-RBC-006"}),
    (CLUSTER_ROLE, _RULE, one(["validatingadmissionpolicies"], ["delete"]), {"FJ-RBC-007"}),
    (ROLE, _RULE, one(["serviceaccounts/token"], ["create"]), {"FJ-RBC-008"}),
    (CLUSTER_ROLE, _RULE, one(["persistentvolumes"], ["create"]), {"FJ-RBC-009"}),
    (BINDING, [*_SUBJECT, "namespace"], "another", {"FJ-RBC-010"}),
    (BINDING, [*_SUBJECT, "name"], "default", {"FJ-RBC-011"}),
    (CLUSTER_BINDING, [*_SUBJECT, "name"], "system:serviceaccounts", {"FJ-RBC-002", "FJ-SAC-002"}),
]
