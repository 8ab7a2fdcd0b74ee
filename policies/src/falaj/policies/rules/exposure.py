"""What a cluster shows to the outside: services and ingresses, over TLS and to named hosts."""

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact, View, any_of

_SERVICE = "kubernetes:core/v1:Service"
_INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
_AWS = "service.beta.kubernetes.io/aws-load-balancer"
# What makes a load balancer internal, cloud by cloud, and the value that does.
_INTERNAL = {
    f"{_AWS}-scheme": "internal",
    f"{_AWS}-internal": "true",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "networking.gke.io/load-balancer-type": "Internal",
}
_SNIPPETS = ("configuration-snippet", "server-snippet", "auth-snippet", "stream-snippet", "modsecurity-snippet")


@rule(
    "FJ-SVC-001",
    "Services are not shown to the outside",
    Severity.HIGH,
    ("A.8.20", "A.8.22", "ZT-2"),
    (_SERVICE,),
    "Use ClusterIP behind a gateway, or make the load balancer internal by its annotation.",
)
def shown(service: Resource, _: Context) -> Checks:
    """A node port is open on every node, and a load balancer is public unless it is told otherwise."""
    kind = service["spec"]["type"]
    yield never(kind.equals("NodePort"), "a port is open on every node")
    notes = service["metadata"]["annotations"]
    internal = any_of((notes[key].equals(value) for key, value in _INTERNAL.items()), notes.path)
    yield never(kind.equals("LoadBalancer") & ~internal, "the load balancer is public")


@rule(
    "FJ-SVC-002",
    "Services take no address that is another's",
    Severity.HIGH,
    ("A.8.20", "A.8.12", "ZT-2"),
    (_SERVICE,),
    "Remove externalIPs.",
)
def external_addresses(service: Resource, _: Context) -> Checks:
    """Traffic from the cluster to that address is led to the service's pods instead (CVE-2020-8554)."""
    yield never(service["spec"]["externalIPs"].is_set(), "traffic to another's address is taken")


@rule(
    "FJ-ING-001",
    "Ingresses encrypt every host",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    (_INGRESS,),
    "Name each host of the rules in tls as well.",
)
def encrypted(ingress: Resource, _: Context) -> Checks:
    """A host that tls does not name is served in plain text."""
    tls = ingress["spec"]["tls"]
    yield must(tls.is_set(), "nothing is encrypted")
    covered = [host for entry in tls.each() for host in entry["hosts"].each()]
    for entry in ingress["spec"]["rules"].each():
        host = entry["host"]
        certified = any_of((_covers(each, host) for each in covered), host.path)
        yield never(host.is_set() & ~certified, "has no certificate")


def _covers(covering: View, host: View) -> Fact:
    """Return whether a certificate's host, which may begin with a wildcard for one label, covers the rule's."""
    if not isinstance(covering.value, str):
        return Fact(None, covering.path)
    return host.among((covering.value,)) | host.test(lambda name: f"*.{str(name).partition('.')[2]}" == covering.value)


@rule(
    "FJ-ING-002",
    "Ingresses name their hosts",
    Severity.MEDIUM,
    ("A.8.20", "A.8.21", "ZT-6"),
    (_INGRESS,),
    "Give each rule a host without a wildcard; declare no default backend.",
)
def named_hosts(ingress: Resource, _: Context) -> Checks:
    """A rule without a host answers for every name, also for those of other teams."""
    yield never(ingress["spec"]["defaultBackend"].is_set(), "answers for every name")
    for entry in ingress["spec"]["rules"].each():
        host = entry["host"]
        yield must(host.test(lambda name: name != "" and "*" not in str(name)), "answers for others' names")


@rule(
    "FJ-ING-003",
    "Ingresses add no settings to the proxy by hand",
    Severity.HIGH,
    ("A.8.9", "A.8.2", "A.8.20"),
    (_INGRESS,),
    "Remove the snippet annotations.",
)
def snippets(ingress: Resource, _: Context) -> Checks:
    """A snippet runs in the shared proxy, with its rights and its certificates (CVE-2021-25742)."""
    for key, note in ingress["metadata"]["annotations"].entries():
        if not key or key.rpartition("/")[2] in _SNIPPETS:
            yield never(note.is_set(), "text of its own goes into the proxy's settings")


@rule(
    "FJ-ING-004",
    "Ingresses are not shown to the internet",
    Severity.HIGH,
    ("A.8.20", "A.8.22", "A.8.12"),
    (_INGRESS,),
    "Set alb.ingress.kubernetes.io/scheme to internal.",
)
def internal(ingress: Resource, _: Context) -> Checks:
    """Without the annotation the load balancer is internal."""
    scheme = ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/scheme"]
    yield never(scheme.equals("internet-facing"), "is open to the internet")


RULES: tuple[Rule, ...] = (shown, external_addresses, encrypted, named_hosts, snippets, internal)
