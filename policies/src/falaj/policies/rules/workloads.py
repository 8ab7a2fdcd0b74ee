"""Pods, whatever controller makes them: no way to the node, images that cannot change, no secrets in the clear."""

import re
from typing import Any

from falaj.policies.clear_text import is_literal, looks_secret, names_secret
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.pods import POD_TYPES, containers, decides, pod_rule, pod_specs
from falaj.policies.values import Fact, View

_DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
# A host is told from a folder of the public registry by a dot, a port, or by being this machine.
_WITH_HOST = re.compile(r"([^/\s]*[.:][^/\s]*|localhost)/\S+")
_REGISTRIES = Setting(
    {
        "type": "array",
        "items": {"type": "string"},
        "description": "Registries, or folders in them, that images may come from, for example registry.example/team; "
        "none given means any that the image names",
    },
    (),
)


@pod_rule(
    "FJ-POD-001",
    "Containers have no privileges",
    Severity.CRITICAL,
    ("A.8.18", "A.8.2"),
    "Remove privileged, and set securityContext.allowPrivilegeEscalation to false.",
)
def privileged(pod: View) -> Checks:
    """A privileged container is root on the node."""
    for container in containers(pod):
        context = container["securityContext"]
        yield never(context["privileged"].is_true(), "the container is root on its node")
        escalation = context["allowPrivilegeEscalation"]
        yield must(escalation.equals(False), "the container can gain privileges")


@pod_rule(
    "FJ-POD-002",
    "Pods stay apart from their node",
    Severity.CRITICAL,
    ("A.8.18", "A.8.22"),
    "Remove hostNetwork, hostPID, hostIPC, hostPath volumes and hostPort.",
)
def host(pod: View) -> Checks:
    """What belongs to the node belongs to every pod on it."""
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        yield never(pod[key].is_true(), "the pod shares the node's own")
    for volume in pod["volumes"].each():
        yield never(volume["hostPath"].test(lambda _: True), "the pod reads the node's files")
    for container in containers(pod):
        for port in container["ports"].each():
            yield never(port["hostPort"].test(lambda number: number != 0), "the container takes a port of the node")


@pod_rule(
    "FJ-POD-003",
    "Containers drop every capability",
    Severity.HIGH,
    ("A.8.18", "A.8.2"),
    'Set securityContext.capabilities.drop to ["ALL"]; add nothing but NET_BIND_SERVICE.',
)
def capabilities(pod: View) -> Checks:
    """The container runtime's default set is more than programs need."""
    for container in containers(pod):
        given = container["securityContext"]["capabilities"]
        yield must(given["drop"].contains("ALL"), "does not drop ALL")
        for added in given["add"].each():
            yield must(added.equals("NET_BIND_SERVICE"), "a capability is added")


@pod_rule(
    "FJ-POD-004",
    "Containers do not run as root",
    Severity.HIGH,
    ("A.8.18", "A.8.2"),
    "Set securityContext.runAsNonRoot to true, on the pod or on each container, and no runAsUser 0.",
)
def non_root(pod: View) -> Checks:
    """A container's own setting comes before its pod's."""
    yield never(pod["securityContext"]["runAsUser"].equals(0), "is root")
    for container in containers(pod):
        yield must(decides(pod, container, "runAsNonRoot").is_true(), "the container may run as root")
        yield never(container["securityContext"]["runAsUser"].equals(0), "is root")


@pod_rule(
    "FJ-POD-005",
    "Images are named by digest",
    Severity.HIGH,
    ("A.8.9", "A.8.32", "A.5.21", "ZT-5"),
    "Name the image as name@sha256:<64 hex digits>.",
)
def digest(pod: View) -> Checks:
    """A tag can be moved to other content after the review."""
    for container in containers(pod):
        yield must(container["image"].test(lambda image: bool(_DIGEST.fullmatch(str(image)))), "is not by digest")


@pod_rule(
    "FJ-POD-006",
    "Pods get no token of the API server unasked",
    Severity.MEDIUM,
    ("A.8.5", "A.5.17", "ZT-3"),
    "Set automountServiceAccountToken to false; project a short-lived token where one is needed.",
)
def token(pod: View) -> Checks:
    """The pod's setting comes before its service account's."""
    yield must(pod["automountServiceAccountToken"].equals(False), "a token is mounted into the pod")


@pod_rule(
    "FJ-POD-007",
    "There are no secrets in environment variables",
    Severity.CRITICAL,
    ("A.5.17", "A.8.3"),
    "Take the value from a Secret by valueFrom.secretKeyRef, or better from a mounted file.",
)
def literal_secrets(pod: View) -> Checks:
    """The pod's specification is read by many who must not know the secret."""
    for container in containers(pod):
        for variable in container["env"].each():
            value = variable["value"]
            named = value.test(is_literal) & variable["name"].test(names_secret)
            yield never(named | value.test(looks_secret), "holds a secret in the clear")


@rule(
    "FJ-POD-009",
    "Images come from a registry that is named",
    Severity.HIGH,
    ("A.5.21", "A.8.19", "A.5.19", "ZT-5"),
    POD_TYPES,
    "Begin the image with the host of an allowed registry.",
    settings={"registries": _REGISTRIES},
)
def registries(resource: Resource, context: Context) -> Checks:
    """A name without a host is looked up in whatever public registry the node's runtime was told."""
    allowed = tuple(f"{str(each).rstrip('/')}/" for each in context.settings["registries"])

    def is_allowed(image: Any) -> bool:
        return str(image).startswith(allowed) if allowed else bool(_WITH_HOST.fullmatch(str(image)))

    for pod in pod_specs(resource):
        for container in containers(pod):
            yield must(container["image"].test(is_allowed), "is not from an allowed registry")


def declared_whole() -> tuple[str, ...]:
    """Return the types that patch or list what rules judge."""
    judged = (
        *POD_TYPES,
        "kubernetes:core/v1:Namespace",
        *(f"kubernetes:core/v1:{kind}" for kind in ("Service", "ServiceAccount", "Secret", "ConfigMap")),
        *(f"kubernetes:networking.k8s.io/v1:{kind}" for kind in ("NetworkPolicy", "Ingress")),
        "kubernetes:storage.k8s.io/v1:StorageClass",
        "kubernetes:core/v1:PersistentVolume",
        *(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("Role", "ClusterRole")),
        *(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}Binding" for kind in ("Role", "ClusterRole")),
    )
    return tuple(f"{type_}{suffix}" for type_ in judged for suffix in ("Patch", "List"))


@rule(
    "FJ-POD-008",
    "Objects are declared whole, one by one",
    Severity.HIGH,
    ("A.8.9", "A.8.32"),
    declared_whole(),
    "Declare the whole object as a resource of its own.",
)
def whole(_resource: Resource, _: Context) -> Checks:
    """Half an object, or a list, says too little for any rule to pass it."""
    yield never(Fact(True), "a part of an object, or a list of objects, cannot be judged")


RULES: tuple[Rule, ...] = (privileged, host, capabilities, non_root, digest, token, literal_secrets, whole, registries)
