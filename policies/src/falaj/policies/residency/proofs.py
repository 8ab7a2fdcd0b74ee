"""The proof of residency: for each store, key, image, log sink, endpoint and state, where it is and what says so."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.policies.model import Context, Graph, Resource, Verdict
from falaj.policies.residency.crossings import SETTINGS, Crossing, ResidencyRule, homes_of, settle
from falaj.policies.residency.places import GLOBAL, HERE, REGIONS
from falaj.policies.rules import RULES
from falaj.policies.values import Fact

STATE = "urn:pulumi:stack"
"""Subject of the proof of the stack's own state, which is no resource."""
OUTSIDE = "elsewhere"
"""Stands for every place that is no region: its name may hold a secret."""

_SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "store": (
        "aws:s3/bucket:Bucket",
        "aws:s3/bucketV2:BucketV2",
        "aws:s3/directoryBucket:DirectoryBucket",
        "aws:s3tables/tableBucket:TableBucket",
        "aws:efs/fileSystem:FileSystem",
        "aws:fsx/lustreFileSystem:LustreFileSystem",
        "aws:fsx/ontapFileSystem:OntapFileSystem",
        "aws:fsx/openZfsFileSystem:OpenZfsFileSystem",
        "aws:fsx/windowsFileSystem:WindowsFileSystem",
        "aws:ebs/volume:Volume",
        "aws:rds/instance:Instance",
        "aws:rds/cluster:Cluster",
        "aws:docdb/cluster:Cluster",
        "aws:neptune/cluster:Cluster",
        "aws:dynamodb/table:Table",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "aws:memorydb/cluster:Cluster",
        "aws:redshift/cluster:Cluster",
        "aws:opensearch/domain:Domain",
        "aws:secretsmanager/secret:Secret",
        "aws:ssm/parameter:Parameter",
        "aws:sqs/queue:Queue",
        "aws:kinesis/stream:Stream",
        "aws:ecr/repository:Repository",
        "aws:backup/vault:Vault",
        "aws:backup/logicallyAirGappedVault:LogicallyAirGappedVault",
    ),
    "key": (
        "aws:kms/key:Key",
        "aws:kms/externalKey:ExternalKey",
        "aws:kms/replicaKey:ReplicaKey",
        "aws:kms/replicaExternalKey:ReplicaExternalKey",
    ),
    "log sink": (
        "aws:cloudwatch/logGroup:LogGroup",
        "aws:cloudtrail/trail:Trail",
        "aws:cloudtrail/eventDataStore:EventDataStore",
        "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
    ),
    "compute": (
        "aws:eks/cluster:Cluster",
        "aws:eks/nodeGroup:NodeGroup",
        "aws:ec2/instance:Instance",
        "aws:ecs/cluster:Cluster",
        "aws:lambda/function:Function",
        "aws:sagemaker/endpoint:Endpoint",
        "aws:sagemaker/notebookInstance:NotebookInstance",
    ),
}
KIND_OF: Mapping[str, str] = {type_: kind for kind, types in _SUBJECTS.items() for type_ in types}
"""The kind of each type whose own place is proven."""
KINDS = ("store", "key", "image", "log sink", "telemetry", "compute", "edge", "path", "state")
"""Every kind of subject, in the order of a report."""
_OWN_PLACE = "FJ-RES-001"
_WORST = (Verdict.FAIL, Verdict.UNDETERMINED, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class Proof:
    """Where one subject is, or leads, and what says so."""

    subject: str
    """URN of the resource."""
    kind: str
    """One of ``KINDS``."""
    regions: tuple[str, ...]
    """Regions found; ``here`` for what stays inside, ``global`` for the edge, ``elsewhere`` for hosts of others."""
    source: str
    """The property that says so."""
    verdict: Verdict
    why: str
    rule: str
    """Id of the rule that judged it."""


def proofs(resources: Iterable[Resource], settings: Mapping[str, Any] | None = None) -> list[Proof]:
    """Return the proofs of a stack, sorted by kind and subject; what cannot be told is undetermined, never left out."""
    graph = Graph(resources)
    given = dict(settings or {})
    found = [proof for rule in RULES if isinstance(rule, ResidencyRule) for proof in _of_rule(rule, graph, given)]
    if not any(proof.kind == "state" for proof in found):
        why = "nobody said where the state is kept: set stateBackend"
        found.append(Proof(STATE, "state", (), "stateBackend", Verdict.UNDETERMINED, why, "FJ-RES-006"))
    order = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(found, key=lambda proof: (order[proof.kind], proof.subject, proof.source, proof.rule))


def summary(given: Sequence[Proof]) -> dict[str, dict[Verdict, int]]:
    """Return how many proofs there are of each kind, by verdict."""
    return {
        kind: {
            verdict: sum(1 for proof in given if (proof.kind, proof.verdict) == (kind, verdict)) for verdict in _WORST
        }
        for kind in KINDS
    }


def _of_rule(rule: ResidencyRule, graph: Graph, given: Mapping[str, Any]) -> Iterator[Proof]:
    defaults = {name: setting.default for name, setting in {**SETTINGS, **rule.settings}.items()}
    context = Context({**defaults, **given}, graph)
    for resource in graph.judged_by(rule):
        if kind := _kind(rule, resource):
            for crossing in _found(rule, resource, context):
                proof = _proof(rule, kind, resource, crossing, context)
                if proof is not None:
                    yield proof


def _found(rule: ResidencyRule, resource: Resource, context: Context) -> Iterator[Crossing]:
    """Yield what the rule finds; where it breaks, that is undetermined."""
    try:
        yield from rule.find(resource, context)
    except Exception:
        # Its text may quote a property's value.
        yield Crossing(Fact(None, ""), "the rule could not be run on this resource")


def _kind(rule: ResidencyRule, resource: Resource) -> str:
    """Return what a finding is about; a resource's own place is proven for stores, keys, sinks and compute alone."""
    if rule.id == _OWN_PLACE:
        return KIND_OF.get(resource.type, "")
    if rule.kind in KINDS:
        return rule.kind
    return "" if resource.type.startswith("pulumi:") else KIND_OF.get(resource.type, "path")


def _proof(rule: ResidencyRule, kind: str, resource: Resource, crossing: Crossing, context: Context) -> Proof | None:
    """Return the proof of one finding; what would lead to the edge but is not there needs none."""
    check = settle(rule.id, resource, crossing, context.settings)
    truth = check.violated.truth
    verdict = Verdict.FAIL if truth else Verdict.UNDETERMINED if truth is None else Verdict.PASS
    if verdict is Verdict.PASS and crossing.place == GLOBAL and not check.note:
        return None
    place = crossing.place or (_only_home(context) if verdict is Verdict.PASS else "")
    shown = (place if place in REGIONS or place in (GLOBAL, HERE) else OUTSIDE,) if place else ()
    source = crossing.leaves.at
    why = {
        Verdict.PASS: check.note or (crossing.because if not homes_of(context).hold(place) else "") or "is at home",
        Verdict.FAIL: check.message,
        Verdict.UNDETERMINED: f"is not known, or not readable (fails if: {check.message})",
    }[verdict]
    subject = STATE if kind == "state" and rule.kind == "state" else resource.urn
    return Proof(subject, kind, shown, source, verdict, why, rule.id)


def _only_home(context: Context) -> str:
    """Return the home region if there is one alone: what passes without naming its place is in it."""
    regions = homes_of(context).regions
    return next(iter(regions)) if len(regions) == 1 else ""
