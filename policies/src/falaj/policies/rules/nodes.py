"""Nodes of a cluster: from a template, of images made for containers, in private subnets, changed a few at a time."""

import re

from falaj.policies.links import leading, sharing, targets
from falaj.policies.model import Checks, Context, Graph, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, any_of

_NODES = "aws:eks/nodeGroup:NodeGroup"
_FARGATE = "aws:eks/fargateProfile:FargateProfile"
_SUBNET = "aws:ec2/subnet:Subnet"
_ROUTE = "aws:ec2/route:Route"
_ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
_GATEWAY = "aws:ec2/internetGateway:InternetGateway"
_ACCELERATED = re.compile(r"(g\d\w*|gr\d\w*|p\d\w*|trn\d\w*|inf\d\w*|dl\d\w*)\..+")


@rule(
    "FJ-EKS-005",
    "Node groups come from a launch template",
    Severity.HIGH,
    ("A.8.9", "A.8.5"),
    (_NODES,),
    "Set launchTemplate (which is judged on its own), and no remoteAccess.",
)
def node_groups(group: Resource, _: Context) -> Checks:
    """Without one, EKS's own template decides on metadata service and disks."""
    template = group["launchTemplate"]
    yield must(template["id"].is_set() | template["name"].is_set(), "the node group has no launch template")
    yield never(group["remoteAccess"].is_set(), "nodes can be logged into by SSH")


@rule(
    "FJ-EKS-010",
    "Nodes are changed a few at a time, and wait for their pods",
    Severity.MEDIUM,
    ("A.8.14", "A.8.32"),
    (_NODES, "aws:eks/cluster:Cluster"),
    "Set updateConfig.maxUnavailable, or its percentage within the setting; leave out forceUpdateVersion.",
    settings={
        "mostUnavailablePercent": Setting(
            {"type": "integer", "minimum": 1, "maximum": 100, "description": "Share of nodes that may be missing"}, 33
        )
    },
)
def updates(resource: Resource, context: Context) -> Checks:
    """A forced update evicts pods against their disruption budgets, and passes over AWS's findings."""
    yield never(resource["forceUpdateVersion"].is_true(), "the update does not wait for what stands against it")
    most = context.settings["mostUnavailablePercent"]
    share = resource["updateConfig"]["maxUnavailablePercentage"]
    yield never(share.test(lambda percent: percent > most), "too many nodes are missing at a time")


@rule(
    "FJ-EKS-011",
    "Nodes are in private subnets",
    Severity.HIGH,
    ("A.8.20", "A.8.22"),
    (_NODES, _FARGATE),
    "Name subnets whose route table has no route to an internet gateway.",
    reads=(_SUBNET, _ROUTE, _ASSOCIATION, _GATEWAY),
)
def private_nodes(nodes: Resource, context: Context) -> Checks:
    """Nothing is said about subnets of another stack."""
    for subnet, inside in targets(context.graph, nodes, "subnetIds", _SUBNET):
        yield never(inside & _is_public(context.graph, subnet), "nodes have a way to the internet")


@rule(
    "FJ-EKS-012",
    "Nodes run images made for containers",
    Severity.MEDIUM,
    ("A.8.8", "A.8.9", "A.8.19", "ZT-5"),
    (_NODES,),
    "Set amiType to one of AL2023_… or BOTTLEROCKET_….",
    settings={
        "imageFamilies": Setting(
            {"type": "array", "items": {"type": "string"}, "description": "How the names of allowed kinds begin"},
            ("AL2023_", "BOTTLEROCKET_"),
        )
    },
)
def images(nodes: Resource, context: Context) -> Checks:
    """Amazon Linux 2 is no longer cared for; an image of one's own is nobody's but one's own to patch."""
    families = tuple(context.settings["imageFamilies"])
    yield must(nodes["amiType"].test(lambda kind: kind.startswith(families)), "the image is of no allowed kind")


@rule(
    "FJ-EKS-013",
    "Nodes with accelerators take only work that asks for them",
    Severity.MEDIUM,
    ("CE-1", "A.8.6"),
    (_NODES,),
    "Give the node group a taint with effect NO_SCHEDULE, for example nvidia.com/gpu.",
)
def tainted(nodes: Resource, _: Context) -> Checks:
    """Pods that need no GPU keep the node from ending, and others from its GPUs."""
    kinds = any_of((kind.test(_is_accelerated) for kind in nodes["instanceTypes"].each()), "instanceTypes")
    accelerated = kinds | nodes["amiType"].test(lambda kind: "NVIDIA" in kind or "NEURON" in kind or "GPU" in kind)
    if accelerated.truth is not False:
        effects = (taint["effect"].among(("NO_SCHEDULE", "NO_EXECUTE")) for taint in nodes["taints"].each())
        yield never(accelerated & ~any_of(effects, "taints"), "work without need of its accelerators runs here")


@rule(
    "FJ-EKS-015",
    "Nodes that fail are replaced by themselves",
    Severity.LOW,
    ("A.8.14", "A.8.16"),
    (_NODES,),
    "Set nodeRepairConfig.enabled to true.",
)
def repaired(nodes: Resource, _: Context) -> Checks:
    """A GPU that fell off the bus stays in the node until somebody looks."""
    yield must(nodes["nodeRepairConfig"]["enabled"].is_true(), "a broken node stays")


def _is_public(graph: Graph, subnet: Resource) -> Fact:
    """Return whether the subnet's route table leads to an internet gateway, as far as the stack tells."""

    def leads_out(association: Resource) -> Fact:
        table = "routeTableId"
        ways = (
            same & out
            for route, same in sharing(graph, association, table, _ROUTE)
            for _, out in targets(graph, route, "gatewayId", _GATEWAY)
        )
        # Subnets share route tables.
        return graph.once(("leads out", leading(association, table)), lambda: any_of(ways))

    return graph.once(
        ("public", subnet.urn),
        lambda: any_of(
            serves & leads_out(association)
            for association, serves in graph.companions(subnet, (_ASSOCIATION,), "subnetId")
        ),
    )


def _is_accelerated(instance_type: str) -> bool:
    return bool(_ACCELERATED.fullmatch(instance_type))


RULES: tuple[Rule, ...] = (node_groups, updates, private_nodes, images, tainted, repaired)
