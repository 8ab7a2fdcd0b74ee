"""What to ask an authorizer about a request: which actions it means, on whose resource, under which policy.

S3, KMS and the assuming of roles are told in full. A request to another service is one action on ``*``, bound by
identities' policies alone, and its account's root user may do it.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from moto.iam.access_control import IAMRequestBase, S3IAMRequest
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.kms.models import Key, kms_backends
from moto.s3.models import FakeBucket, s3_backends

from falaj.lab.moto_gaps.iam_callers import Caller, Document, caller_of, organization_of, scps_of

_ENCRYPTION = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_S3_HEADERS = (_ENCRYPTION, _KEY, "x-amz-acl", "x-amz-storage-class")

# IAM's names of what a request to a bucket does, where moto's table of actions names another or none.
_BUCKET_ACTIONS = {
    "encryption": ("GetEncryptionConfiguration", "PutEncryptionConfiguration"),
    "publicAccessBlock": ("GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock"),
    "ownershipControls": ("GetBucketOwnershipControls", "PutBucketOwnershipControls"),
    "object-lock": ("GetBucketObjectLockConfiguration", "PutBucketObjectLockConfiguration"),
    "replication": ("GetReplicationConfiguration", "PutReplicationConfiguration"),
    "intelligent-tiering": ("GetIntelligentTieringConfiguration", "PutIntelligentTieringConfiguration"),
    "inventory": ("GetInventoryConfiguration", "PutInventoryConfiguration"),
    "analytics": ("GetAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    "metrics": ("GetMetricsConfiguration", "PutMetricsConfiguration"),
    "requestPayment": ("GetBucketRequestPayment", "PutBucketRequestPayment"),
}
_BUCKET_OF = {"HeadBucket": "ListBucket", "ListBuckets": "ListAllMyBuckets"}


@dataclass(frozen=True)
class _Act:
    """One action on one resource."""

    action: str
    resource: str
    account: str
    region: str
    policy: Document | None = None
    context: dict[str, str] = field(default_factory=dict[str, str])


def questions(request: IAMRequestBase, resource: str) -> Iterator[dict[str, Any]]:
    """Yield the questions that must all be answered with yes before the request is carried out."""
    caller = caller_of(request)
    service, region = request._service, request._region  # pyright: ignore[reportPrivateUsage]  # moto has no public place for them
    if isinstance(request, S3IAMRequest):
        acts = _s3(request, resource)
    elif service == "kms":
        acts = _kms(request)
    elif request._action == "sts:GetCallerIdentity" or caller.is_root:  # pyright: ignore[reportPrivateUsage]
        acts = iter(())
    else:
        act = _Act(request._action, "*", caller.account, region)  # pyright: ignore[reportPrivateUsage]
        acts = iter([_assume(act, resource) if ":role/" in resource else act])
    for act in acts:
        yield _question(caller, act)


def _question(caller: Caller, act: _Act) -> dict[str, Any]:
    organization = organization_of(act.account)
    return {
        "principal": caller.arn,
        "action": act.action,
        "resource": act.resource,
        "account": act.account,
        "context": {
            **caller.context,
            "aws:RequestedRegion": act.region,
            "aws:ResourceAccount": act.account,
            # Nothing of the lab leaves the machine: its loopback stands for TLS.
            "aws:SecureTransport": "true",
            **({"aws:ResourceOrgID": organization} if organization else {}),
            **act.context,
        },
        "identity_policies": caller.identity_policies,
        "permission_boundaries": caller.permission_boundaries,
        "session_policy": caller.session_policy,
        "resource_policy": act.policy,
        "scps": scps_of(caller.account),
    }


def _assume(act: _Act, role: str) -> _Act:
    account = role.split(":")[4]
    try:
        trust = iam_backends[account]["aws"].get_role_by_arn(role).assume_role_policy_document
    except NotFoundException:
        return replace(act, resource=role, account=account)
    return replace(act, resource=role, account=account, policy=json.loads(trust))


def _s3(request: Any, resource: str) -> Iterator[_Act]:
    """Yield what S3 checks of a request, and then what it asks of KMS on the caller's behalf."""
    bucket_name, _, object_key = resource.removeprefix("arn:aws:s3:::").partition("/")
    bucket = _bucket(bucket_name)
    act = _Act(
        f"s3:{_s3_action(request, bool(object_key))}",
        resource,
        s3_backends.bucket_accounts[bucket_name][1] if bucket else request.account_id,
        request._region,
        json.loads(bucket.policy) if bucket and bucket.policy else None,
        {"s3:TlsVersion": "1.3"} | {f"s3:{name}": request._headers[name] for name in _named(request)},
    )
    if act.action == "s3:ListAllMyBuckets":
        act = replace(act, resource="*")
    elif act.action in {"s3:DeleteObject", "s3:PutObject"} and not object_key:
        act = replace(act, resource=f"{resource}/*")  # of many objects, named in the body
    yield act
    if bucket is None:
        return
    if act.action in {"s3:GetObject", "s3:GetObjectVersion"}:
        yield from _decrypt(bucket, act.account, object_key)
    if act.action == "s3:PutObject" and object_key:
        yield from _copied(request, act)
        yield from _encrypt(request, bucket, act)


def _named(request: Any) -> list[str]:
    return [name for name in _S3_HEADERS if name in request._headers]


def _s3_action(request: Any, on_object: bool) -> str:
    """Return IAM's name of the action."""
    named: str = request._action.removeprefix("s3:")
    if on_object:
        return named
    asked = parse_qs(urlsplit(request._path).query, keep_blank_values=True)
    pair = next((pair for part, pair in _BUCKET_ACTIONS.items() if part in asked), None)
    if pair:
        return pair[request._method not in {"GET", "HEAD"}]
    return _BUCKET_OF.get(named, named)


def _bucket(name: str) -> FakeBucket | None:
    partition, account = s3_backends.bucket_accounts.get(name, ("", ""))
    return s3_backends[account][partition].buckets.get(name) if account else None


def _copied(request: Any, act: _Act) -> Iterator[_Act]:
    """Yield the reading of an object that is copied."""
    if "x-amz-copy-source" not in request._headers:
        return
    source = unquote(request._headers["x-amz-copy-source"]).lstrip("/").partition("?")[0]
    name, _, key = source.partition("/")
    bucket = _bucket(name)
    if bucket is None:
        return  # S3 says that there is no such bucket
    account = s3_backends.bucket_accounts[name][1]
    policy = json.loads(bucket.policy) if bucket.policy else None
    yield replace(
        act, action="s3:GetObject", resource=f"arn:aws:s3:::{source}", account=account, policy=policy, context={}
    )
    yield from _decrypt(bucket, account, key)


def _decrypt(bucket: FakeBucket, account: str, object_key: str) -> Iterator[_Act]:
    held = bucket.keys.get(object_key)
    if held is not None and held.encryption == "aws:kms" and held.kms_key_id:
        yield _through_s3(bucket, account, "kms:Decrypt", held.kms_key_id)


def _encrypt(request: Any, bucket: FakeBucket, act: _Act) -> Iterator[_Act]:
    default = ((bucket.encryption or {}).get("Rule") or {}).get("ApplyServerSideEncryptionByDefault") or {}
    algorithm = request._headers.get(_ENCRYPTION) or default.get("SSEAlgorithm")
    key = request._headers.get(_KEY) or default.get("KMSMasterKeyID")
    if algorithm == "aws:kms" and key:
        yield _through_s3(bucket, act.account, "kms:GenerateDataKey", key)


def _through_s3(bucket: FakeBucket, account: str, action: str, key: str) -> _Act:
    region = bucket.region_name
    context = {
        "kms:ViaService": f"s3.{region}.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket.name}",
        "aws:ViaAWSService": "true",
    }
    return _on_key(action, key, account, region, context)


def _kms(request: Any) -> Iterator[_Act]:
    """Yield what KMS checks: the action on the key that is named, or that encrypted what is handed over."""
    asked = json.loads(request._body or b"{}")
    named = asked.get("KeyId") or asked.get("TargetKeyId")
    account, region = request.account_id, request._region
    context = {"kms:CallerAccount": account}
    for name, value in (asked.get("EncryptionContext") or {}).items():
        context[f"kms:EncryptionContext:{name}"] = value
    blob = asked.get("CiphertextBlob")
    if request._action == "kms:ReEncrypt":
        yield _on_key("kms:ReEncryptFrom", asked.get("SourceKeyId") or _of_blob(blob), account, region, context)
        yield _on_key("kms:ReEncryptTo", asked["DestinationKeyId"], account, region, context)
    elif named or blob:
        yield _on_key(request._action, named or _of_blob(blob), account, region, context)
    else:
        yield _Act(request._action, "*", account, region, context=context)


def _of_blob(blob: str) -> str:
    """Return the id of the key that encrypted: moto puts it in front."""
    return base64.b64decode(blob)[:36].decode(errors="replace")


def _on_key(action: str, name: str, account: str, region: str, context: dict[str, str]) -> _Act:
    """Return an action on a key named by id, ARN, alias or alias ARN; an ARN may be of another account."""
    owner, place = (name.split(":")[4], name.split(":")[3]) if name.startswith("arn:") else (account, region)
    key = _key(owner, place, name)
    resource = key.arn if key else f"arn:aws:kms:{place}:{owner}:key/{name.rpartition('/')[2]}"
    return _Act(action, resource, owner, region, json.loads(key.policy) if key else None, context)


def _key(account: str, region: str, name: str) -> Key | None:
    # Without making the backend of an account or a region that nobody has used.
    backend = kms_backends.get(account, {}).get(region)
    return backend.keys.get(backend.any_id_to_key_id(name)) if backend else None
