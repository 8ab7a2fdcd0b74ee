"""Kubernetes: what leads out of the cluster, and where its volumes and pods are told to be."""

from collections.abc import Iterator

from falaj.policies.model import Context, Resource, Rule, Severity
from falaj.policies.pods import POD_TYPES, pod_specs
from falaj.policies.residency.crossings import (
    HOST,
    REGION,
    ZONE,
    Crossing,
    Reader,
    Way,
    crossing,
    follow,
    residency_rule,
)
from falaj.policies.values import View

_REGION_LABELS = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.ebs.csi.aws.com/zone",
    "topology.k8s.aws/zone-id",
)
_MESSAGE = "is not in the home region"
_POOL = "kubernetes:karpenter.sh/v1:NodePool"


@residency_rule(
    "FJ-RES-080",
    "Services stand for nothing outside the home region",
    Severity.HIGH,
    ("RES-5", "A.8.22", "A.8.12"),
    ("kubernetes:core/v1:Service", "kubernetes:discovery.k8s.io/v1:EndpointSlice"),
    "Point the service at a host of the home region; name hosts outside AWS that are at home in homeDomains.",
)
def external_names(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A name inside the cluster can stand for any host of the world."""
    ways = [Way("spec.externalName", HOST)]
    if resource.type.endswith(":EndpointSlice"):
        ways = [Way("endpoints.addresses", HOST)]
    yield from follow(resource, ways, context, _MESSAGE)


@residency_rule(
    "FJ-RES-081",
    "Volumes are in zones of the home region",
    Severity.HIGH,
    ("RES-1", "RES-4", "A.5.34"),
    ("kubernetes:core/v1:PersistentVolume", "kubernetes:storage.k8s.io/v1:StorageClass"),
    "Name zones of the home region; leave out what places a volume elsewhere.",
)
def volumes(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A volume, and what makes volumes, may name a region or a zone."""
    terms = resource["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    for term in terms.each():
        yield from _expressions(resource, term["matchExpressions"], context)
    for topology in resource["allowedTopologies"].each():
        yield from _expressions(resource, topology["matchLabelExpressions"], context)
    yield from _labels(resource, resource["metadata"]["labels"], context)
    parameters = resource["parameters"]
    for key, read in (("region", REGION), ("zone", ZONE), ("availabilityZone", ZONE)):
        if parameters[key].value is not None:
            yield crossing(resource, parameters[key], Way("parameters", read), context, _MESSAGE)


@residency_rule(
    "FJ-RES-082",
    "Pods are placed in the home region",
    Severity.HIGH,
    ("RES-1", "A.5.34"),
    (*POD_TYPES, _POOL),
    "Select nodes of the home region's zones.",
)
def placement(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A cluster may have nodes elsewhere: local zones, outposts, machines on premises."""
    if resource.type == _POOL:
        yield from _expressions(resource, resource["spec"]["template"]["spec"]["requirements"], context)
        return
    for spec in pod_specs(resource):
        yield from _labels(resource, spec["nodeSelector"], context)
        required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        for term in required["nodeSelectorTerms"].each():
            yield from _expressions(resource, term["matchExpressions"], context)


def _expressions(resource: Resource, expressions: View, context: Context) -> Iterator[Crossing]:
    for expression in expressions.each():
        operator = expression["operator"]
        if operator.value in ("NotIn", "DoesNotExist"):
            continue
        if read := _reader(expression["key"].value):
            for value in expression["values"].each():
                yield crossing(resource, value, Way("", read), context, _MESSAGE)


def _labels(resource: Resource, labels: View, context: Context) -> Iterator[Crossing]:
    for key in (*_REGION_LABELS, *_ZONE_LABELS):
        if labels[key].value is not None and (read := _reader(key)):
            yield crossing(resource, View(labels[key].value, labels.path), Way("", read), context, _MESSAGE)


def _reader(label: object) -> Reader | None:
    if label in _REGION_LABELS:
        return REGION
    return ZONE if label in _ZONE_LABELS else None


RULES: tuple[Rule, ...] = (external_names, volumes, placement)
