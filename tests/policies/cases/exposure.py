"""What a cluster shows to the outside: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, simple

from falaj.policies.values import UNKNOWN

SERVICE = "kubernetes:core/v1:Service"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
ALB = "alb.ingress.kubernetes.io/scheme"
SNIPPET = "nginx.ingress.kubernetes.io/configuration-snippet"


def service(kind: Any, **notes: Any) -> dict[str, Any]:
    """Return a service of a kind, with annotations."""
    return {"metadata": {"annotations": notes}, "spec": {"type": kind}}


def ingress(host: Any, covered: Any, **spec: Any) -> dict[str, Any]:
    """Return an ingress for a host, with a certificate for another or the same."""
    return {"spec": {"rules": [{"host": host}], "tls": [{"hosts": [covered], "secretName": "it"}]} | spec}


def noted(key: str, value: Any) -> dict[str, Any]:
    """Return an ingress with an annotation."""
    return {"metadata": {"annotations": {key: value}}}


CASES: list[Case] = [
    simple("FJ-SVC-001", SERVICE, service("ClusterIP"), service("NodePort"), service(UNKNOWN)),
    simple(
        "FJ-SVC-001",
        SERVICE,
        service("LoadBalancer", **{SCHEME: "internal"}),
        service("LoadBalancer", **{SCHEME: "internet-facing"}),
        service("LoadBalancer", **{SCHEME: UNKNOWN}),
    ),
    simple(
        "FJ-SVC-002",
        SERVICE,
        {"spec": {}},
        {"spec": {"externalIPs": ["192.0.2.1"]}},
        {"spec": {"externalIPs": UNKNOWN}},
    ),
    simple(
        "FJ-ING-001",
        INGRESS,
        ingress("a.example", "a.example"),
        ingress("a.example", "b.example"),
        ingress("a.example", UNKNOWN),
    ),
    simple("FJ-ING-001", INGRESS, ingress("a.example", "*.example"), ingress("a.b.example", "*.example"), None),
    simple("FJ-ING-001", INGRESS, ingress("a.example", "a.example"), {"spec": {}}, {"spec": {"tls": UNKNOWN}}),
    simple(
        "FJ-ING-002",
        INGRESS,
        ingress("a.example", "a.example"),
        ingress("*.example", "a.example"),
        ingress(UNKNOWN, "a.example"),
    ),
    simple(
        "FJ-ING-002",
        INGRESS,
        ingress("a.example", "a.example"),
        ingress("a.example", "a.example", defaultBackend={"service": {"name": "one"}}),
        ingress("a.example", "a.example", defaultBackend=UNKNOWN),
    ),
    simple("FJ-ING-002", INGRESS, ingress("a.example", "a.example"), {"spec": {"rules": [{"http": {}}]}}, None),
    simple("FJ-ING-003", INGRESS, noted(ALB, "internal"), noted(SNIPPET, "return 200;"), noted(SNIPPET, UNKNOWN)),
    simple("FJ-ING-003", INGRESS, {}, noted(SNIPPET, "return 200;"), {"metadata": {"annotations": UNKNOWN}}),
    simple("FJ-ING-004", INGRESS, noted(ALB, "internal"), noted(ALB, "internet-facing"), noted(ALB, UNKNOWN)),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (SERVICE, ["spec", "type"], "NodePort", {"FJ-SVC-001"}),
    (SERVICE, ["spec", "type"], "LoadBalancer", {"FJ-SVC-001"}),
    (SERVICE, ["spec", "externalIPs"], ["192.0.2.1"], {"FJ-SVC-002"}),
]
