"""What an account gives its machines where nobody says otherwise."""

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule

_SNAPSHOTS = "aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess"
_IMAGES = "aws:ec2/imageBlockPublicAccess:ImageBlockPublicAccess"
_LAUNCH_PERMISSION = "aws:ec2/amiLaunchPermission:AmiLaunchPermission"
_VOLUME_PERMISSION = "aws:ec2/snapshotCreateVolumePermission:SnapshotCreateVolumePermission"


@rule(
    "FJ-EC2-010",
    "New disks of the account are encrypted",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    ("aws:ebs/encryptionByDefault:EncryptionByDefault",),
    "Set enabled to true.",
    fix={"enabled": True},
)
def encryption_by_default(default: Resource, _: Context) -> Checks:
    """Disks that no program of ours makes are encrypted then too; to declare it is to switch it on."""
    yield never(default["enabled"].equals(False), "new disks are in the clear")


@rule(
    "FJ-EC2-011",
    "New machines of the account demand tokens of whoever asks for credentials",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "ZT-5"),
    ("aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults",),
    "Set httpTokens to required and httpPutResponseHopLimit to 1.",
    fix={"httpTokens": "required", "httpPutResponseHopLimit": 1},
)
def metadata_defaults(default: Resource, _: Context) -> Checks:
    """Machines that no template of ours makes have IMDSv2 then too."""
    off = default["httpEndpoint"].equals("disabled")
    yield must(off | default["httpTokens"].equals("required"), "the metadata service answers without a token")
    yield must(off | default["httpPutResponseHopLimit"].equals(1), "is not 1: pods reach the machine's credentials")


@rule(
    "FJ-EC2-012",
    "Snapshots and images are not for everyone",
    Severity.CRITICAL,
    ("A.8.3", "A.5.15", "A.8.12"),
    (_SNAPSHOTS, _IMAGES, _LAUNCH_PERMISSION, _VOLUME_PERMISSION),
    "Set state to block-all-sharing (snapshots) or block-new-sharing (images); share with named accounts.",
)
def sharing(resource: Resource, _: Context) -> Checks:
    """A public snapshot is a public disk."""
    if resource.type == _SNAPSHOTS:
        yield must(resource["state"].equals("block-all-sharing"), "snapshots can be, or stay, public")
    elif resource.type == _IMAGES:
        yield must(resource["state"].equals("block-new-sharing"), "images can be made public")
    else:
        yield never(resource["group"].is_set() | resource["accountId"].equals("all"), "everyone may use it")


@rule(
    "FJ-EC2-013",
    "The serial console is off",
    Severity.MEDIUM,
    ("A.8.18", "A.8.2", "A.8.5"),
    ("aws:ec2/serialConsoleAccess:SerialConsoleAccess",),
    "Set enabled to false; switch it on for the hour in which it is needed.",
    fix={"enabled": False},
)
def serial_console(console: Resource, _: Context) -> Checks:
    """It gets past the network and its rules; to declare it is to switch it on."""
    yield must(console["enabled"].equals(False), "machines are reached past every network rule")


@rule(
    "FJ-EC2-014",
    "Machines start from images of allowed owners only",
    Severity.MEDIUM,
    ("A.5.21", "A.8.19", "ZT-5"),
    ("aws:ec2/allowedImagesSettings:AllowedImagesSettings",),
    "Set state to enabled, with imageCriterions that name the owners.",
)
def allowed_images(settings: Resource, _: Context) -> Checks:
    """An image that looks like a known one by its name may be anybody's."""
    yield must(settings["state"].equals("enabled"), "images of others are told of, and used")
    yield must(settings["imageCriterions"].is_set(), "nobody says which images are allowed")


RULES: tuple[Rule, ...] = (encryption_by_default, metadata_defaults, sharing, serial_console, allowed_images)
