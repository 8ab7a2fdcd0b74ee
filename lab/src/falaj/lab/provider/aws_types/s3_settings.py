"""The companions of a bucket: in AWS provider 7 each of its settings is a resource of its own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Put, as_pairs, resource
from falaj.lab.provider.kind import GoneError, Kind, ProviderError
from falaj.lab.provider.values import Props, is_empty

RENAMED = {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID", "id": "ID", "mfaDelete": "MFADelete"}
RESTORED = {theirs: ours for ours, theirs in RENAMED.items()}


def to_s3(value: Any) -> Any:
    """Return a setting as S3's API takes it."""
    if isinstance(value, Mapping):
        return {
            RENAMED.get(name, name[0].upper() + name[1:]): as_pairs(item) if name == "tags" else to_s3(item)
            for name, item in value.items()
            if not is_empty(item)
        }
    return [to_s3(item) for item in value] if isinstance(value, list) else value


def from_s3(value: Any) -> Any:
    """Return a setting that S3's API answered as Pulumi has it."""
    if isinstance(value, Mapping):
        items: Props = {}
        for name, item in value.items():
            ours = RESTORED.get(str(name)) or str(name)[0].lower() + str(name)[1:]
            items[ours] = {t["Key"]: t["Value"] for t in item} if name == "Tags" else from_s3(item)
        return items
    if isinstance(value, list):
        return [from_s3(item) for item in value]
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(value, "strftime") else value


def setting(
    token: str,
    name: str,
    properties: str,
    parameters: Callable[[Props], Props],
    observe: Callable[[Props], Props | None],
    *,
    delete: Callable[[Aws, str], Any] | None = None,
    local: str = "",
    defaults: Mapping[str, Any] | None = None,
    computed: str = "",
    documents: str = "",
    sets: str = "",
    replace: str = "",
) -> Kind[Aws]:
    """Return the kind of a setting: put as a whole, read as a whole, identified by its bucket."""

    def put(aws: Aws, bucket: str, props: Props) -> None:
        aws.call(f"s3.put_{name}", Bucket=bucket, **parameters(props))

    def create(aws: Aws, props: Props) -> str:
        put(aws, props["bucket"], props)
        return props["bucket"]

    def read(aws: Aws, identifier: str, known: Props) -> Props | None:
        del known
        try:
            found = observe(aws.call(f"s3.get_{name}", Bucket=identifier))
        except GoneError:
            return None
        return None if found is None else {**found, "bucket": identifier}

    def remove(aws: Aws, identifier: str, state: Props) -> None:
        if state.get("skipDestroy"):
            return
        if delete:
            delete(aws, identifier)
        else:
            aws.call(f"s3.delete_{name}", Bucket=identifier)

    return resource(
        token,
        create=create,
        read=read,
        update=[Put(properties, lambda aws, bucket, change: put(aws, bucket, {**change.observed, **change.wanted}))],
        delete=remove,
        replace=f"bucket {replace}",
        local=local,
        defaults=defaults,
        computed=computed,
        documents=documents,
        sets=sets,
        key="bucket",
    )


def _versioning(answer: Props) -> Props | None:
    if not answer.get("Status"):
        return None
    status = {"status": answer["Status"], "mfaDelete": answer.get("MFADelete")}
    return {"versioningConfiguration": status}


def _suspend(aws: Aws, bucket: str) -> None:
    """Suspend what cannot be taken back; under an object lock it is left, as HashiCorp's provider leaves it."""
    try:
        aws.call("s3.put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    except ProviderError as error:
        if "(InvalidBucketState)" not in str(error):
            raise


VERSIONING = setting(
    "aws:s3/bucketVersioning:BucketVersioning",
    "bucket_versioning",
    "versioningConfiguration",
    lambda p: {"VersioningConfiguration": to_s3(p["versioningConfiguration"])},
    _versioning,
    delete=_suspend,
)

ENCRYPTION = setting(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "bucket_encryption",
    "rules",
    lambda p: {"ServerSideEncryptionConfiguration": {"Rules": to_s3(p["rules"])}},
    lambda a: {"rules": from_s3(a["ServerSideEncryptionConfiguration"]["Rules"])},
)

_PUBLIC = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

PUBLIC_ACCESS_BLOCK = setting(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "public_access_block",
    " ".join(_PUBLIC),
    lambda p: {"PublicAccessBlockConfiguration": {n[0].upper() + n[1:]: bool(p.get(n)) for n in _PUBLIC}},
    lambda a: from_s3(a["PublicAccessBlockConfiguration"]),
    local="skipDestroy",
    defaults=dict.fromkeys(_PUBLIC, False),
)

OWNERSHIP = setting(
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "bucket_ownership_controls",
    "rule",
    lambda p: {"OwnershipControls": {"Rules": [to_s3(p["rule"])]}},
    lambda a: {"rule": from_s3(a["OwnershipControls"]["Rules"][0])},
)

POLICY = setting(
    "aws:s3/bucketPolicy:BucketPolicy",
    "bucket_policy",
    "policy",
    lambda p: {"Policy": p["policy"]},
    lambda a: {"policy": a["Policy"]},
    documents="policy",
)


def _lifecycle_rule(rule: Props) -> Props:
    converted = to_s3(rule)
    # A rule without a filter means the whole bucket, which the API wants said.
    return converted if converted.get("Filter") or "Prefix" in converted else {**converted, "Filter": {"Prefix": ""}}


def _lifecycle_rules(answer: Props) -> Props:
    rules = [{**rule, "filter": rule.get("filter") or {"prefix": ""}} for rule in from_s3(answer["Rules"])]
    return {"rules": rules, "transitionDefaultMinimumObjectSize": answer.get("TransitionDefaultMinimumObjectSize")}


def _no_lifecycle(aws: Aws, bucket: str) -> None:
    aws.call("s3.delete_bucket_lifecycle", Bucket=bucket)


LIFECYCLE = setting(
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "bucket_lifecycle_configuration",
    "rules",
    lambda p: {"LifecycleConfiguration": {"Rules": [_lifecycle_rule(rule) for rule in p.get("rules") or []]}},
    _lifecycle_rules,
    delete=_no_lifecycle,
    replace="expectedBucketOwner",
    computed="transitionDefaultMinimumObjectSize",
)


def _logging(answer: Props) -> Props | None:
    found = answer.get("LoggingEnabled")
    if not found:
        return None
    return {
        "targetBucket": found["TargetBucket"],
        "targetPrefix": found.get("TargetPrefix", ""),
        "targetObjectKeyFormat": from_s3(found.get("TargetObjectKeyFormat")),
    }


def _no_logging(aws: Aws, bucket: str) -> None:
    aws.call("s3.put_bucket_logging", Bucket=bucket, BucketLoggingStatus={})


def _logging_status(props: Props) -> Props:
    enabled = {"TargetBucket": props["targetBucket"], "TargetPrefix": props.get("targetPrefix") or ""}
    return {"BucketLoggingStatus": {"LoggingEnabled": enabled}}


LOGGING = setting(
    "aws:s3/bucketLogging:BucketLogging",
    "bucket_logging",
    "targetBucket targetPrefix",
    _logging_status,
    _logging,
    delete=_no_logging,
)


def _object_lock(answer: Props) -> Props | None:
    found = answer["ObjectLockConfiguration"]
    rule = from_s3(found.get("Rule"))
    if rule:  # moto answers 0 for whichever of days and years was not given
        rule = {"defaultRetention": {name: value for name, value in rule["defaultRetention"].items() if value}}
    return {"objectLockEnabled": found.get("ObjectLockEnabled"), "rule": rule}


def _no_object_lock(aws: Aws, bucket: str) -> None:
    """Object lock itself stays with its bucket; what goes is the default retention."""
    try:
        aws.call(
            "s3.put_object_lock_configuration",
            Bucket=bucket,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"},
        )
    except ProviderError as error:
        if "NoSuchBucket" not in str(error):
            raise


OBJECT_LOCK = setting(
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "object_lock_configuration",
    "objectLockEnabled rule",
    lambda p: {
        "ObjectLockConfiguration": {
            "ObjectLockEnabled": p.get("objectLockEnabled") or "Enabled",
            **({"Rule": to_s3(p["rule"])} if p.get("rule") else {}),
        }
    },
    _object_lock,
    delete=_no_object_lock,
    replace="expectedBucketOwner objectLockEnabled",
    defaults={"objectLockEnabled": "Enabled"},
)

_NEW = [VERSIONING, ENCRYPTION, PUBLIC_ACCESS_BLOCK, OWNERSHIP, POLICY, LIFECYCLE, LOGGING, OBJECT_LOCK]
_WITH_OLD_NAME = [VERSIONING, ENCRYPTION, LIFECYCLE, LOGGING, OBJECT_LOCK]

KINDS = [*_NEW, *(replace(k, token=k.token.replace(":Bucket", "V2:Bucket") + "V2") for k in _WITH_OLD_NAME)]
"""The settings, and those that the SDK still knows by their names of AWS provider 6 too."""
