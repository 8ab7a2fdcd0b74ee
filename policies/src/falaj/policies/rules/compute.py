"""Machines: private, encrypted and watched, with credentials that cannot be stolen and nobody who logs in by a key."""

import base64
from collections.abc import Iterator

from falaj.policies.clear_text import assigns_secret
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact, View, any_of

_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_INSTANCE = "aws:ec2/instance:Instance"
_SPOT = "aws:ec2/spotInstanceRequest:SpotInstanceRequest"
_VOLUME = "aws:ebs/volume:Volume"
_CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
_KEY_PAIR = "aws:ec2/keyPair:KeyPair"
_AUTOSCALING = "aws:autoscaling/group:Group"


@rule(
    "FJ-EC2-001",
    "Machines hand their credentials to nobody else",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "ZT-5"),
    (_TEMPLATE, _INSTANCE, _SPOT, _CONFIGURATION),
    "Set metadataOptions.httpTokens to required (IMDSv2) and httpPutResponseHopLimit to 1.",
)
def metadata_service(machine: Resource, _: Context) -> Checks:
    """With a hop limit of 1 the answer does not reach pods."""
    options = machine["metadataOptions"]
    off = options["httpEndpoint"].equals("disabled")
    yield must(off | options["httpTokens"].equals("required"), "the metadata service answers without a token")
    yield must(off | options["httpPutResponseHopLimit"].equals(1), "is not 1: pods reach the machine's credentials")


@rule(
    "FJ-EC2-002",
    "Disks are encrypted",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    (_TEMPLATE, _INSTANCE, _SPOT, _CONFIGURATION, _VOLUME),
    "Set encrypted on every disk, the root disk included, and name the customer key.",
)
def disks(resource: Resource, _: Context) -> Checks:
    """A template that names no disk gets what the image says, which is in the clear."""
    if resource.type == _TEMPLATE:
        described = any_of((m["ebs"].is_set() for m in resource["blockDeviceMappings"].each()), "blockDeviceMappings")
        yield must(described, "no disk is described")
    for disk in _disks(resource):
        yield must(disk["encrypted"].is_true(), "the disk is not encrypted")


@rule(
    "FJ-EC2-003",
    "Disks are encrypted with a customer key",
    Severity.MEDIUM,
    ("A.8.24", "A.5.34"),
    (_TEMPLATE, _INSTANCE, _SPOT, _VOLUME),
    "Set kmsKeyId on every disk, the root disk included.",
)
def disk_keys(resource: Resource, _: Context) -> Checks:
    """AWS's own key is nobody's to revoke, and what is encrypted with it cannot be given to another account."""
    for disk in _disks(resource):
        yield must(disk["kmsKeyId"].is_set(), "the disk is not encrypted with a customer key")


@rule(
    "FJ-EC2-004",
    "Nobody logs into machines by a key pair",
    Severity.MEDIUM,
    ("A.8.5", "A.5.17", "A.8.2", "ZT-3"),
    (_KEY_PAIR, _INSTANCE, _SPOT, _TEMPLATE, _CONFIGURATION),
    "Remove the key pair; open sessions through Session Manager, which knows who comes and writes it down.",
)
def key_pairs(resource: Resource, _: Context) -> Checks:
    """A private key is passed on, and works for ever."""
    if resource.type == _KEY_PAIR:
        yield never(Fact(True), "a key pair knows no person and no end")
    yield never(resource["keyName"].is_set(), "whoever holds the private key gets in")


@rule(
    "FJ-EC2-005",
    "There are no secrets in user data",
    Severity.CRITICAL,
    ("A.5.17", "A.8.3"),
    (_INSTANCE, _SPOT, _TEMPLATE, _CONFIGURATION),
    "Let the machine fetch the secret by its role, from Secrets Manager or Vault.",
)
def user_data(machine: Resource, _: Context) -> Checks:
    """Everything that runs on the machine, and everyone who may describe it, reads its user data."""
    # A launch template takes base64 only; for the others that has a property of its own.
    plain = machine["userData"] if machine.type != _TEMPLATE else View(None, "userData")
    coded = machine["userData"] if machine.type == _TEMPLATE else machine["userDataBase64"]
    yield never(plain.test(assigns_secret), "holds a secret in the clear")
    yield never(coded.test(_decoded_holds_secret), "holds a secret in the clear")


@rule(
    "FJ-EC2-006",
    "Machines report in detail",
    Severity.LOW,
    ("A.8.16", "A.8.6", "ZT-7"),
    (_INSTANCE, _SPOT, _TEMPLATE, _CONFIGURATION),
    "Set monitoring (enabled) to true.",
)
def monitoring(machine: Resource, _: Context) -> Checks:
    """Five minutes between two values hide what happened between them."""
    if machine.type == _CONFIGURATION:
        yield never(machine["enableMonitoring"].equals(False), "values come every five minutes only")
        return
    given = machine["monitoring"]
    yield must(given["enabled"].is_true() if machine.type == _TEMPLATE else given.is_true(), "values come too seldom")


@rule(
    "FJ-EC2-007",
    "Machines that are declared one by one are not removed by mistake",
    Severity.LOW,
    ("A.8.32", "A.8.14"),
    (_INSTANCE,),
    "Set disableApiTermination to true, or let a group of machines replace the one.",
)
def termination(instance: Resource, _: Context) -> Checks:
    """What stands alone is replaced by nothing; spot capacity ends anyhow."""
    spot = instance["instanceMarketOptions"]["marketType"].is_set()
    yield must(spot | instance["disableApiTermination"].is_true(), "one call removes the machine")


@rule(
    "FJ-EC2-008",
    "Groups of machines come from launch templates",
    Severity.MEDIUM,
    ("A.8.9", "A.8.5", "ZT-5"),
    (_CONFIGURATION, _AUTOSCALING),
    "Declare a launch template, which is judged on its own, and name it in the group.",
)
def launch_configurations(resource: Resource, _: Context) -> Checks:
    """AWS takes no new launch configurations from new accounts, and they know nothing of what came since."""
    if resource.type == _CONFIGURATION:
        yield never(Fact(True), "launch configurations are superseded")
    yield never(resource["launchConfiguration"].is_set(), "the group has a launch configuration")


@rule(
    "FJ-EC2-009",
    "Copies of disks and images are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.8.13", "A.5.34"),
    ("aws:ec2/amiCopy:AmiCopy", "aws:ebs/snapshotCopy:SnapshotCopy", "aws:ebs/snapshotImport:SnapshotImport"),
    "Set encrypted to true and kmsKeyId.",
)
def copies(copy: Resource, _: Context) -> Checks:
    """A copy of something in the clear is in the clear unless told otherwise."""
    yield must(copy["encrypted"].is_true(), "the copy is not encrypted")
    yield must(copy["kmsKeyId"].is_set(), "the copy is not encrypted with a customer key")


def _disks(resource: Resource) -> Iterator[View]:
    """Yield every disk that a machine, a template or a volume describes."""
    if resource.type == _TEMPLATE:
        mappings = resource["blockDeviceMappings"].each()
        yield from (mapping["ebs"] for mapping in mappings if mapping["ebs"].value is not None)
    elif resource.type != _VOLUME:
        yield resource["rootBlockDevice"]
        yield from resource["ebsBlockDevices"].each()
    else:
        yield resource.properties


def _decoded_holds_secret(text: str) -> bool:
    return assigns_secret(base64.b64decode(text, validate=True).decode(errors="replace"))


RULES: tuple[Rule, ...] = (
    metadata_service,
    disks,
    disk_keys,
    key_pairs,
    user_data,
    monitoring,
    termination,
    launch_configurations,
    copies,
)
