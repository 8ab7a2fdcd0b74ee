"""Cost and energy: what is idle ends, what is cold moves, what costs has an owner, and what runs is efficient."""

import re

from falaj.policies.demands import Table, demanded, not_off
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.rules.objects import LIFECYCLES, enabled
from falaj.policies.rules.storage import FILE_SYSTEM
from falaj.policies.values import Fact, View, any_of

_INSTANCE = "aws:ec2/instance:Instance"
_LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_VOLUME = "aws:ebs/volume:Volume"
_NODES = "aws:eks/nodeGroup:NodeGroup"
_BATCH = "aws:batch/computeEnvironment:ComputeEnvironment"
_NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
_EMR = "aws:emr/cluster:Cluster"
_DOMAIN = "aws:sagemaker/domain:Domain"
_RDS = "aws:rds/instance:Instance"
_GPU = re.compile(r"(ml\.)?(g\d|gr\d|p\d|trn\d|inf\d)[a-z0-9-]*\..*")
_SIZES = {
    _INSTANCE: "instanceType",
    _LAUNCH_TEMPLATE: "instanceType",
    _NODES: "instanceTypes",
    _NOTEBOOK: "instanceType",
    _RDS: "instanceClass",
    "aws:rds/clusterInstance:ClusterInstance": "instanceClass",
    "aws:elasticache/replicationGroup:ReplicationGroup": "nodeType",
}
_DISK_TYPES = {_VOLUME: "type", _INSTANCE: "volumeType", _LAUNCH_TEMPLATE: "volumeType", _RDS: "storageType"}
# Each has a successor that does the same work for less money and less energy.
_OLD_FAMILIES = ("t1", "t2", "m1", "m2", "m3", "m4", "c1", "c3", "c4", "r3", "r4", "i2", "x1", "d2", "g2", "g3", "p2")
_SPARE = ("SPOT", "CAPACITY_BLOCK")
_IDLE: Table = {
    "aws:emrserverless/application:Application": {"autoStopConfiguration.enabled": not_off},
    "aws:rds/cluster:Cluster": {"scalingConfiguration.autoPause": not_off},
}
_STRINGS = {"type": "array", "items": {"type": "string"}}


@rule(
    "FJ-CST-001",
    "Pools of accelerators can shrink",
    Severity.MEDIUM,
    ("CE-1",),
    (_NODES, _BATCH),
    "Set scalingConfig.minSize below maxSize, and to 0 on spare capacity; set minVcpus to 0.",
)
def shrinking(pool: Resource, _: Context) -> Checks:
    """A pool that serves may keep a few nodes; one whose size is fixed pays for its busiest hour all day."""
    if pool.type == _BATCH:
        least = pool["computeResources"]["minVcpus"]
        yield never(least.test(lambda number: float(number) > 0), "machines wait for work")
        return
    size = pool["scalingConfig"]
    fixed = size["maxSize"].test(lambda most: float(most) <= float(size["minSize"].value))
    reserved = pool["capacityType"].equals("CAPACITY_BLOCK")
    yield never(_accelerated(pool) & fixed & ~reserved, "the pool cannot shrink")
    some = size["minSize"].test(lambda least: float(least) > 0)
    yield never(_accelerated(pool) & pool["capacityType"].equals("SPOT") & some, "spare machines wait for work")


def _accelerated(pool: Resource) -> Fact:
    """Return whether machines have GPUs or other accelerators, by their type or their image."""
    sizes = any_of(size.test(lambda name: bool(_GPU.fullmatch(str(name)))) for size in pool[_SIZES[pool.type]].each())
    return sizes | pool["amiType"].test(lambda name: bool(re.search("NVIDIA|NEURON|_GPU", str(name))))


@rule(
    "FJ-CST-002",
    "Work that can be interrupted runs on spare capacity",
    Severity.MEDIUM,
    ("CE-2",),
    (_NODES,),
    "Set capacityType to SPOT, or take the label off a pool whose work cannot be interrupted.",
    settings={
        "interruptibleTiers": Setting(
            {**_STRINGS, "description": "Values of the label or tag tier whose work can be interrupted"},
            ("batch", "scavenger"),
        )
    },
)
def spare_capacity(pool: Resource, context: Context) -> Checks:
    """A pool says by a label or tag of the name tier, whatever its prefix, for which work it is."""
    tiers = context.settings["interruptibleTiers"]
    for name in ("labels", "tags"):
        for key, value in pool[name].entries():
            if key.lower().rpartition("/")[2] in ("", "tier"):
                yield never(value.among(tiers) & ~pool["capacityType"].among(_SPARE), "the pool is paid in full")


@rule(
    "FJ-CST-003",
    "Clusters for a piece of work end with it",
    Severity.MEDIUM,
    ("CE-1",),
    (_EMR, _DOMAIN, *_IDLE),
    "Set autoTerminationPolicy.idleTimeout; switch idleSettings, autoStopConfiguration and autoPause on.",
)
def idle(cluster: Resource, _: Context) -> Checks:
    """The evening's experiment is otherwise paid for all night."""
    message = "it runs on when nobody uses it"
    if cluster.type == _EMR:
        kept = cluster["keepJobFlowAliveWhenNoSteps"]
        ends = kept.equals(False) | cluster["autoTerminationPolicy"]["idleTimeout"].is_set()
        yield must(ends, message)
    elif cluster.type == _DOMAIN:
        for name in ("jupyterLabAppSettings", "codeEditorAppSettings"):
            settings = cluster["defaultUserSettings"][name]["appLifecycleManagement"]["idleSettings"]
            yield must(settings["lifecycleManagement"].equals("ENABLED"), message)
    else:
        yield from demanded(cluster, _IDLE, message)


@rule(
    "FJ-CST-004",
    "Uploads that were given up are forgotten",
    Severity.LOW,
    ("CE-3", "A.8.10"),
    LIFECYCLES,
    "Set abortIncompleteMultipartUpload.daysAfterInitiation on an enabled rule without a narrow filter.",
)
def uploads(lifecycle: Resource, _: Context) -> Checks:
    """Their parts are paid for, and no listing shows them."""
    ends = any_of(
        (
            enabled(part) & part["abortIncompleteMultipartUpload"]["daysAfterInitiation"].is_set()
            for part in lifecycle["rules"].each()
        ),
        "rules",
    )
    yield must(ends, "parts of given-up uploads are kept for ever")


@rule(
    "FJ-CST-005",
    "Files that nobody reads move to colder storage",
    Severity.LOW,
    ("CE-3",),
    (FILE_SYSTEM,),
    "Set transitionToIa in lifecyclePolicies.",
)
def cold_files(system: Resource, _: Context) -> Checks:
    """They stay where they are, and cost a tenth."""
    moves = any_of(
        (policy["transitionToIa"].is_set() for policy in system["lifecyclePolicies"].each()), "lifecyclePolicies"
    )
    yield must(moves, "files stay in the dearest class")


@rule(
    "FJ-CST-006",
    "Accelerators are paid for by a cost centre",
    Severity.MEDIUM,
    ("CE-4", "A.5.9"),
    (_NODES, _INSTANCE, _LAUNCH_TEMPLATE, _NOTEBOOK),
    "Tag the resource, or its provider's default tags, with cost-centre.",
    settings={
        "costTags": Setting(
            {**_STRINGS, "minItems": 1, "description": "Tags of which each resource with accelerators has all"},
            ("cost-centre",),
        )
    },
)
def cost_centres(resource: Resource, context: Context) -> Checks:
    """Tags are compared without regard to case; a provider's default tags count."""
    holders = [resource["tags"], resource["tagsAll"], resource.provider["defaultTags"]["tags"]]
    for wanted in context.settings["costTags"]:
        names = ("", wanted.lower())
        found = any_of(
            (tag.is_set() for holder in holders for key, tag in holder.entries() if key.lower() in names), "tags"
        )
        yield never(_accelerated(resource) & ~found, f"there is no {wanted}")


@rule(
    "FJ-CST-007",
    "Disks are of the efficient kind",
    Severity.LOW,
    ("CE-5",),
    (_VOLUME, _INSTANCE, _LAUNCH_TEMPLATE, _RDS),
    "Set the type (volumeType, storageType) to gp3: faster than gp2 and a fifth cheaper.",
)
def disk_types(resource: Resource, _: Context) -> Checks:
    """Left out, it is gp2, but for a machine's disks, which are as its image says."""
    disks = [resource.properties] if resource.type == _RDS else _disks(resource)
    for disk in disks:
        kind = disk[_DISK_TYPES[resource.type]]
        yield never(kind.among(("gp2", "standard", "io1")), "is of an older kind")
        # A database that is a copy says no size, and has the disks of what it is a copy of.
        said = disk["size"] if resource.type == _VOLUME else disk["allocatedStorage"]
        yield never(said.is_set() & ~kind.is_set() & ~disk["iops"].is_set(), "is gp2 unless it says otherwise")


def _disks(resource: Resource) -> list[View]:
    """Return what a volume, a machine or a template says of its disks."""
    if resource.type == _LAUNCH_TEMPLATE:
        return [mapping["ebs"] for mapping in resource["blockDeviceMappings"].each() if mapping["ebs"].value]
    if resource.type == _INSTANCE:
        return [*resource["rootBlockDevice"].each(), *resource["ebsBlockDevices"].each()]
    return [resource.properties]


@rule(
    "FJ-CST-008",
    "Machines are of the efficient generation",
    Severity.LOW,
    ("CE-5",),
    tuple(_SIZES),
    "Move to the family's successor, for example m4 to m7i or m7g, p2 to g6.",
    settings={
        "oldFamilies": Setting(
            {**_STRINGS, "description": "Families of machines that have an efficient successor"}, _OLD_FAMILIES
        )
    },
)
def generations(machine: Resource, context: Context) -> Checks:
    """Databases, caches and notebooks have machines of the same names."""
    old = tuple(context.settings["oldFamilies"])
    for size in machine[_SIZES[machine.type]].each():
        family = size.test(lambda name: re.sub(r"^(db|cache|ml)\.", "", str(name)).partition(".")[0] in old)
        yield never(family, "is of a family that has an efficient successor")


@rule(
    "FJ-CST-009",
    "Queries have a bound",
    Severity.LOW,
    ("CE-4",),
    ("aws:athena/workgroup:Workgroup",),
    "Set configuration.bytesScannedCutoffPerQuery.",
)
def query_bounds(workgroup: Resource, _: Context) -> Checks:
    """One query over everything costs what a month of careful ones does."""
    yield must(workgroup["configuration"]["bytesScannedCutoffPerQuery"].is_set(), "a query may scan everything")


RULES: tuple[Rule, ...] = (
    shrinking,
    spare_capacity,
    idle,
    uploads,
    cold_files,
    cost_centres,
    disk_types,
    generations,
    query_bounds,
)
