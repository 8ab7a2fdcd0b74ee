"""EKS clusters and what belongs to them."""

from collections.abc import Iterator

from listing import Client, Listing, Thing, Things, ask, pages, shows


def _clusters(eks: Client) -> Iterator[Thing]:
    for name in pages(eks, "list_clusters", "clusters"):
        yield name, ask(eks, "describe_cluster", name=name)["cluster"]


def _of_cluster(listed: str, key: str, described: str, parameter: str) -> Things:
    """List what belongs to each cluster and is described by its name there."""

    def things(eks: Client) -> Iterator[Thing]:
        for cluster in pages(eks, "list_clusters", "clusters"):
            for item in pages(eks, listed, key, clusterName=cluster):
                name = item["associationId"] if isinstance(item, dict) else item
                yield f"{cluster}/{name}", ask(eks, described, clusterName=cluster, **{parameter: name})

    return things


def _access_entries(eks: Client) -> Iterator[Thing]:
    entries = _of_cluster("list_access_entries", "accessEntries", "describe_access_entry", "principalArn")
    for identity, facts in entries(eks):
        cluster, _, principal = identity.partition("/")
        policies = ask(eks, "list_associated_access_policies", clusterName=cluster, principalArn=principal)
        yield identity, {**facts, "policies": policies.get("associatedAccessPolicies", policies)}


LISTINGS = (
    Listing("cluster", "eks", _clusters, shows("eks/cluster:Cluster")),
    Listing(
        "node group",
        "eks",
        _of_cluster("list_nodegroups", "nodegroups", "describe_nodegroup", "nodegroupName"),
        shows("eks/nodeGroup:NodeGroup"),
    ),
    Listing(
        "access entry",
        "eks",
        _access_entries,
        shows("eks/accessEntry:AccessEntry", "eks/accessPolicyAssociation:AccessPolicyAssociation"),
    ),
    Listing(
        "add-on",
        "eks",
        _of_cluster("list_addons", "addons", "describe_addon", "addonName"),
        shows("eks/addon:Addon"),
    ),
    Listing(
        "pod identity association",
        "eks",
        _of_cluster(
            "list_pod_identity_associations", "associations", "describe_pod_identity_association", "associationId"
        ),
        shows("eks/podIdentityAssociation:PodIdentityAssociation"),
    ),
)
