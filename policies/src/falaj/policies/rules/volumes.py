"""Storage of a cluster: encrypted with a customer key, of the efficient kind, and never a node's own disk."""

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact

_CLASSES = ("kubernetes:storage.k8s.io/v1:StorageClass",)
_VOLUME = "kubernetes:core/v1:PersistentVolume"
_EBS = ("ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com", "kubernetes.io/aws-ebs")


def _on_ebs(storage: Resource) -> Fact:
    return storage["provisioner"].among(_EBS)


@rule(
    "FJ-VOL-001",
    "Volumes are not a node's own disk",
    Severity.HIGH,
    ("A.8.18", "A.8.22", "A.8.13"),
    (_VOLUME,),
    "Use a storage driver.",
)
def host_paths(volume: Resource, _: Context) -> Checks:
    """A claim on such a volume reads the node's files, past what the namespace's standard forbids pods."""
    yield never(volume["spec"]["hostPath"].test(lambda _: True), "is a folder of the node")


@rule(
    "FJ-VOL-002",
    "Storage classes encrypt with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    _CLASSES,
    'Set parameters.encrypted to "true" and parameters.kmsKeyId.',
)
def encrypted(storage: Resource, _: Context) -> Checks:
    """The driver's default is the account's; AWS's own key is nobody's to revoke."""
    if _on_ebs(storage).truth is False:
        return
    parameters = storage["parameters"]
    yield must(parameters["encrypted"].is_true() | ~_on_ebs(storage), "disks are not encrypted")
    yield must(parameters["kmsKeyId"].is_set() | ~_on_ebs(storage), "disks have no customer key")


@rule(
    "FJ-VOL-003",
    "Storage classes make disks of the efficient generation",
    Severity.LOW,
    ("CE-5",),
    _CLASSES,
    "Set parameters.type to gp3, or io2 where it must be.",
)
def generation(storage: Resource, _: Context) -> Checks:
    """A gp3 disk, the default, costs a fifth less than gp2 and does more."""
    if _on_ebs(storage).truth is False:
        return
    old = storage["parameters"]["type"].among(("gp2", "io1", "standard"))
    yield never(old & _on_ebs(storage), "is of an old generation")


RULES: tuple[Rule, ...] = (host_paths, encrypted, generation)
