"""File systems and copies of disks: encrypted with customer keys, shared with nobody, entered by known users."""

from falaj.policies.demands import Table, customer_key, demanded, not_on, on
from falaj.policies.documents import Statement, statements
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, rule
from falaj.policies.values import Fact, all_of, any_of

FILE_SYSTEM = "aws:efs/fileSystem:FileSystem"
_FILE_SYSTEM_POLICY = "aws:efs/fileSystemPolicy:FileSystemPolicy"
_FILE_SYSTEM_KEYS: Table = {
    FILE_SYSTEM: {"encrypted": on, "kmsKeyId": customer_key},
    "aws:fsx/fileCache:FileCache": {"kmsKeyId": customer_key},
    "aws:fsx/lustreFileSystem:LustreFileSystem": {"kmsKeyId": customer_key},
    "aws:fsx/ontapFileSystem:OntapFileSystem": {"kmsKeyId": customer_key},
    "aws:fsx/openZfsFileSystem:OpenZfsFileSystem": {"kmsKeyId": customer_key},
    "aws:fsx/windowsFileSystem:WindowsFileSystem": {"kmsKeyId": customer_key},
}
_SHARED = {
    "aws:ec2/snapshotCreateVolumePermission:SnapshotCreateVolumePermission": "accountId",
    "aws:ec2/amiLaunchPermission:AmiLaunchPermission": "accountId",
    "aws:rds/snapshot:Snapshot": "sharedAccounts",
    "aws:rds/clusterSnapshot:ClusterSnapshot": "sharedAccounts",
}
_EMPTIED: Table = {
    "aws:backup/vault:Vault": {"forceDestroy": not_on},
    "aws:ecr/repository:Repository": {"forceDelete": not_on},
    "aws:s3/bucket:Bucket": {"forceDestroy": not_on},
    "aws:s3/bucketV2:BucketV2": {"forceDestroy": not_on},
    "aws:s3/directoryBucket:DirectoryBucket": {"forceDestroy": not_on},
}
_MOUNTING = ("*", "elasticfilesystem:*", "elasticfilesystem:client*", "elasticfilesystem:clientmount")


@rule(
    "FJ-STO-001",
    "File systems are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    tuple(_FILE_SYSTEM_KEYS),
    "Set kmsKeyId to a key of your own (and encrypted on EFS); a scratch file system of Lustre cannot have one.",
)
def file_system_keys(system: Resource, _: Context) -> Checks:
    """FSx encrypts always, but by itself with AWS's own key."""
    yield from demanded(system, _FILE_SYSTEM_KEYS, "the file system is not encrypted with a customer key")


@rule(
    "FJ-STO-002",
    "Snapshots and machine images are shared with allowed accounts only",
    Severity.CRITICAL,
    ("A.8.12", "A.8.3", "RES-3"),
    tuple(_SHARED),
    "Share with nobody, or list the account in allowedAccounts.",
    settings={
        "allowedAccounts": Setting(
            {
                "type": "array",
                "items": {"type": "string", "pattern": "^[0-9]{12}$"},
                "description": "Accounts that snapshots and images may be shared with",
            },
            (),
        )
    },
)
def shared_copies(share: Resource, context: Context) -> Checks:
    """A snapshot is all the data, without the disk's access rules; an image for everybody is judged elsewhere."""
    for account in share[_SHARED[share.type]].each():
        yield must(account.among(context.settings["allowedAccounts"]), "is not an account that may have a copy")


@rule(
    "FJ-STO-003",
    "What still holds data is not emptied to be removed",
    Severity.HIGH,
    ("A.5.33", "A.8.13", "A.8.32"),
    tuple(_EMPTIED),
    "Leave forceDestroy or forceDelete false: a store is emptied on purpose before it goes.",
)
def emptied(store: Resource, _: Context) -> Checks:
    """A renamed resource is otherwise enough to lose everything in it."""
    yield from demanded(store, _EMPTIED, "the store is removed with all that it holds")


@rule(
    "FJ-EFS-001",
    "File systems are reached over TLS only",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    (FILE_SYSTEM,),
    "Declare a FileSystemPolicy that denies everyone every action where aws:SecureTransport is false.",
    reads=(_FILE_SYSTEM_POLICY,),
)
def file_system_tls(system: Resource, context: Context) -> Checks:
    """NFS by itself is in the clear."""
    found = context.graph.companions(system, (_FILE_SYSTEM_POLICY,), "fileSystemId")
    denied = any_of(
        refers & _denies_plain_mounts(statement)
        for policy, refers in found
        for statement in statements(policy["policy"])
    )
    yield must(denied, "no policy denies access to the file system without TLS")


@rule(
    "FJ-EFS-002",
    "Access points have a folder and a user of their own",
    Severity.HIGH,
    ("A.8.3", "A.8.2", "ZT-6"),
    ("aws:efs/accessPoint:AccessPoint",),
    "Set rootDirectory.path to a folder and posixUser.uid and gid to a user that is not root.",
)
def access_points(point: Resource, _: Context) -> Checks:
    """Without them a client chooses its user itself and sees everybody's files."""
    path = point["rootDirectory"]["path"]
    yield must(path.is_set() & ~path.equals("/"), "the whole file system is reached")
    for number in ("uid", "gid"):
        user = point["posixUser"][number]
        yield must(user.is_set() & ~user.test(lambda id: float(id) == 0), "is root, or whoever the client says")


def _denies_plain_mounts(statement: Statement) -> Fact:
    """Return whether a statement denies everyone to mount without TLS, whatever else holds."""
    condition = statement.view["Condition"]
    operators = [keys for operator, keys in condition.entries() if operator.lower() in ("", "bool")]
    plain = any_of(
        all_of(value.test(lambda text: str(text).lower() == "false") for value in values.each())
        for keys in operators
        for key, values in keys.entries()
        if key.lower() in ("", "aws:securetransport")
    )
    # A second operator or key would narrow the denial.
    alone = condition.test(lambda value: len(value) == 1) & all_of(
        keys.test(lambda value: len(value) == 1) for keys in operators
    )
    action = any_of(
        action.test(lambda text: str(text).lower() in _MOUNTING) for action in statement.view["Action"].each()
    )
    return statement.view["Effect"].equals("Deny") & statement.names_anyone() & action & plain & alone


RULES: tuple[Rule, ...] = (
    file_system_keys,
    shared_copies,
    emptied,
    file_system_tls,
    access_points,
)
