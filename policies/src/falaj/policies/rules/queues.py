"""Scarce machines: work that waits in queues, shares that come back, pools of nodes that have a bound and an end."""

from collections.abc import Iterator

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.namespaced import NAMESPACE, beside, lies_in
from falaj.policies.pods import containers, pod_specs
from falaj.policies.values import Fact, any_of

_KUEUE = ("kubernetes:kueue.x-k8s.io/v1beta1", "kubernetes:kueue.x-k8s.io/v1beta2")
_CLUSTER_QUEUES = tuple(f"{group}:ClusterQueue" for group in _KUEUE)
_LOCAL_QUEUES = tuple(f"{group}:LocalQueue" for group in _KUEUE)
_FLAVORS = tuple(f"{group}:ResourceFlavor" for group in _KUEUE)
_NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
_NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
# Kueue holds these back by themselves; other controllers have their own fields for it, or none.
_QUEUED = (
    "kubernetes:core/v1:Pod",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:batch/v1:Job",
    "kubernetes:jobset.x-k8s.io/v1alpha2:JobSet",
    "kubernetes:kubeflow.org/v1:PyTorchJob",
    "kubernetes:kubeflow.org/v2beta1:MPIJob",
    "kubernetes:ray.io/v1:RayJob",
    "kubernetes:ray.io/v1:RayCluster",
)
_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
# Kueue takes the queue of this name for work that names none.
_DEFAULT_QUEUE = "default"


@rule(
    "FJ-QUE-001",
    "Queues name the namespaces that they serve",
    Severity.HIGH,
    ("A.5.15", "A.8.22", "CE-4"),
    _CLUSTER_QUEUES,
    "Set namespaceSelector to the namespaces of the queue's tenant.",
)
def serves(queue: Resource, _: Context) -> Checks:
    """An empty selector lets every namespace spend the tenant's quota; none at all lets nobody in."""
    selector = queue["spec"]["namespaceSelector"]
    everyone = (
        selector.test(lambda _: True) & ~selector["matchLabels"].is_set() & ~selector["matchExpressions"].is_set()
    )
    yield never(everyone, "every namespace spends its quota")


@rule(
    "FJ-QUE-002",
    "A queue gets back what it lends",
    Severity.MEDIUM,
    ("A.8.6", "A.8.14", "CE-4"),
    _CLUSTER_QUEUES,
    "Set preemption.reclaimWithinCohort to Any or LowerPriority.",
)
def gets_back(queue: Resource, _: Context) -> Checks:
    """Never is the default: what is lent comes back when the borrower is done, which may be weeks."""
    spec = queue["spec"]
    in_cohort = spec["cohortName"].is_set() | spec["cohort"].is_set()
    if in_cohort.truth is False:
        return
    reclaims = spec["preemption"]["reclaimWithinCohort"].among(("Any", "LowerPriority"))
    yield must(reclaims | ~in_cohort, "what it lends does not come back")


@rule(
    "FJ-QUE-003",
    "Nobody is stopped for the sake of a loan",
    Severity.MEDIUM,
    ("A.8.6", "CE-4"),
    _CLUSTER_QUEUES,
    "Set preemption.borrowWithinCohort.policy to Never, or give it a maxPriorityThreshold.",
)
def borrows(queue: Resource, _: Context) -> Checks:
    """Without a threshold a borrower stops any work of a lower priority, also of those who are within their share."""
    borrowing = queue["spec"]["preemption"]["borrowWithinCohort"]
    bounded = borrowing["maxPriorityThreshold"].is_set()
    yield never(borrowing["policy"].equals("LowerPriority") & ~bounded, "stops others without a bound")


@rule(
    "FJ-QUE-004",
    "A flavor names its nodes",
    Severity.MEDIUM,
    ("A.8.6", "CE-4"),
    _FLAVORS,
    "Set nodeLabels to the labels of the pool.",
)
def flavors(flavor: Resource, _: Context) -> Checks:
    """Without labels the quota of one kind of machine is spent on any."""
    yield must(flavor["spec"]["nodeLabels"].is_set(), "stands for any node")


@rule(
    "FJ-QUE-005",
    "Work on GPUs goes through a queue",
    Severity.MEDIUM,
    ("CE-4", "A.8.6"),
    _QUEUED,
    f"Label the work with {_QUEUE_LABEL}, or declare a LocalQueue named {_DEFAULT_QUEUE} in its namespace.",
    reads=(*_LOCAL_QUEUES, NAMESPACE),
)
def queued(work: Resource, context: Context) -> Checks:
    """What goes past the queue is counted on nobody's quota."""
    asks = any_of(_asks_gpus(work))
    if asks.truth is False:
        return
    named = work["metadata"]["labels"][_QUEUE_LABEL].is_set()
    by_default = any_of(
        queue["metadata"]["name"].equals(_DEFAULT_QUEUE) & beside(work, queue)
        for queue in context.graph.of(_LOCAL_QUEUES)
    )
    here = any_of(lies_in(work, namespace) for namespace in context.graph.of((NAMESPACE,)))
    # Another stack that declares the namespace may declare its queue as well.
    elsewhere = ~here & Fact(None, "metadata.namespace")
    yield must(~asks | named | by_default | elsewhere, "is counted on nobody's quota")


def _asks_gpus(work: Resource) -> Iterator[Fact]:
    for pod in pod_specs(work):
        for container in containers(pod):
            for name, amount in container["resources"]["limits"].entries():
                if not name or name.endswith("/gpu") or "/mig-" in name:
                    yield amount.test(lambda number: str(number) not in ("0", "0.0"))


@rule(
    "FJ-KRP-001",
    "Pools of nodes have a bound, and give back what is idle",
    Severity.MEDIUM,
    ("CE-4", "CE-1", "A.8.6"),
    (_NODE_POOL,),
    "Set limits, and disruption.consolidateAfter other than Never.",
)
def bounded(pool: Resource, _: Context) -> Checks:
    """Without a limit one mistaken job buys machines until the account's quota ends."""
    yield must(pool["spec"]["limits"].is_set(), "buys without a bound")
    yield never(pool["spec"]["disruption"]["consolidateAfter"].equals("Never"), "keeps what is idle")


@rule(
    "FJ-KRP-002",
    "Nodes of pools hand their credentials to nobody else",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "ZT-5"),
    (_NODE_CLASS,),
    "Set metadataOptions.httpTokens to required and httpPutResponseHopLimit to 1, or leave both out.",
)
def node_metadata(nodes: Resource, _: Context) -> Checks:
    """Both are Karpenter's default; a pod is one hop further than its node."""
    options = nodes["spec"]["metadataOptions"]
    yield never(options["httpTokens"].equals("optional"), "answers without a session token")
    yield never(options["httpPutResponseHopLimit"].test(lambda hops: hops > 1), "answers pods")


@rule(
    "FJ-KRP-003",
    "Nodes of pools start from an image that is named",
    Severity.MEDIUM,
    ("A.8.9", "A.8.32", "A.8.19", "ZT-5"),
    (_NODE_CLASS,),
    "Name a release of the alias, such as al2023@v20261106, or an id.",
)
def node_images(nodes: Resource, _: Context) -> Checks:
    """With latest, tomorrow's nodes run what nobody has tried."""
    terms = nodes["spec"]["amiSelectorTerms"]
    yield must(terms.is_set(), "no image is named")
    for term in terms.each():
        named = term["id"].is_set() | term["alias"].test(lambda text: not str(text).endswith("@latest"))
        yield must(named, "moves by itself")


@rule(
    "FJ-KRP-004",
    "Disks of pools' nodes are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    (_NODE_CLASS,),
    "Give each of blockDeviceMappings ebs.encrypted and ebs.kmsKeyID.",
)
def node_disks(nodes: Resource, _: Context) -> Checks:
    """Nodes keep copies of models and data that pods have read."""
    mappings = nodes["spec"]["blockDeviceMappings"]
    yield must(mappings.is_set(), "disks have no customer key")
    for mapping in mappings.each():
        disk = mapping["ebs"]
        yield must(disk["encrypted"].is_true(), "the disk is not encrypted")
        yield must(disk["kmsKeyID"].is_set(), "the disk has no customer key")


RULES: tuple[Rule, ...] = (
    serves,
    gets_back,
    borrows,
    flavors,
    queued,
    bounded,
    node_metadata,
    node_images,
    node_disks,
)
