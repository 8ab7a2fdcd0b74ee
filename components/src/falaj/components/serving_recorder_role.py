"""What a service's recorder is in AWS: a role that reads and adds to one model's audit log, and writes over nothing."""

import json
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from falaj.components.documents import document
from falaj.components.refs import ClusterRef, KeyRef, pick
from falaj.components.regime import Regime
from falaj.components.tenant_access import pod_trust


class RecorderIdentity(TypedDict):
    """What the recorder is in AWS: a role that adds to the model's audit log in ``store``, and does nothing else."""

    cluster: pulumi.Input[ClusterRef]
    """The cluster on which it runs: ``ref`` of a ``Cluster``, with the add-on for Pod Identity."""
    regime: Regime
    """Home region and account."""
    key: pulumi.Input[KeyRef]
    """Key of the store: ``ref`` of its ``ResidencyKey``."""
    boundary: NotRequired[pulumi.Input[str]]
    """ARN of the policy beyond which the role may nothing. Default: none."""


def log_writer(
    name: str,
    identity: RecorderIdentity,
    account: k8s.meta.v1.ObjectMetaArgsDict,
    *,
    store: pulumi.Output[str],
    log: pulumi.Output[str],
    tags: pulumi.Output[dict[str, str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """Give a service account the role; ``store`` is the bucket's ARN, ``log`` the folder of the log in it."""
    regime, cluster = identity["regime"], pick(identity["cluster"], "cluster_name")
    namespace, called = (pulumi.Output.from_input(account.get(each, "")) for each in ("namespace", "name"))
    role = aws.iam.Role(
        f"{name}-recorder-identity",
        description=pulumi.Output.concat("Pods of ", namespace, "/", called),
        assume_role_policy=pulumi.Output.all(cluster, namespace, called).apply(
            lambda known: json.dumps(pod_trust(regime, known[0], known[1], [known[2]]))
        ),
        permissions_boundary=identity.get("boundary"),
        tags=tags,
        opts=opts,
    )
    grant = aws.iam.RolePolicy(
        f"{name}-recorder-reach",
        role=role.id,
        policy=pulumi.Output.all(store, pick(identity["key"], "arn"), log).apply(
            lambda known: json.dumps(log_permissions(regime, *known))
        ),
        opts=opts,
    )
    return aws.eks.PodIdentityAssociation(
        f"{name}-recorder-association",
        cluster_name=cluster,
        namespace=namespace,
        service_account=called,
        role_arn=role.arn,
        tags=tags,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[grant])),
    )


def log_permissions(regime: Regime, bucket_arn: str, key_arn: str, log: str) -> dict[str, Any]:
    """Return what the role may do in AWS: read the log's events, and add ones whose numbers are free.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html has the last condition.
    """
    events = f"{bucket_arn}/{log}*"
    through_s3 = {
        "StringEquals": {"kms:ViaService": f"s3.{regime['home_region']}.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket_arn, events]},
    }
    new = {"Null": {"s3:if-none-match": "false"}}
    return document(
        _allow(["s3:ListBucket"], bucket_arn, {"StringLike": {"s3:prefix": f"{log}*"}}),
        _allow(["s3:GetObject"], events, {}),
        _allow(["s3:PutObject"], events, new),
        _allow(["kms:Decrypt", "kms:GenerateDataKey"], key_arn, through_s3),
    )


def _allow(actions: list[str], resource: str, condition: dict[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})
