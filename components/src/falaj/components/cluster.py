"""A private EKS cluster: reached from inside the network only, secrets encrypted, every control-plane log kept."""

import base64
import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import yaml

from falaj.components.checks import dns_label, principals
from falaj.components.classification import Classification
from falaj.components.cluster_access import ClusterMember, check_members, let_in
from falaj.components.cluster_addons import ClusterAddon, check_addons, make_addons, pod_trust
from falaj.components.documents import allow, document, service_trust
from falaj.components.errors import ConfigError
from falaj.components.kubernetes_versions import check_day, check_version
from falaj.components.log_group import check_retention, encrypted_log_group
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import ClusterRef, KeyRef, NetworkRef, key_arn, pick
from falaj.components.regime import Regime, check_regime

LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


class ClusterArgs(TypedDict):
    """What may be said of a cluster."""

    version: str
    """Kubernetes version, for example ``1.35``; one in EKS's standard support, up one minor version at a time."""
    network: pulumi.Input[NetworkRef]
    """Where the cluster lives: ``ref`` of a ``Network``."""
    key: pulumi.Input[KeyRef]
    """Key of the Kubernetes secrets and of the logs: ``ref`` of a ``ResidencyKey`` used by eks and logs."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the cluster and pays for it."""
    classification: NotRequired[Classification]
    """Classification of what runs in the cluster. Default: ``restricted``."""
    cluster_name: NotRequired[str]
    """Name of the cluster. Default: the component's name."""
    administrators: NotRequired[list[str]]
    """ARNs of the roles that administer the cluster; its creator is none by itself. Default: nobody."""
    members: NotRequired[list[ClusterMember]]
    """IAM roles as members of Kubernetes groups, for example of a tenant's. Default: nobody."""
    addons: NotRequired[list[ClusterAddon]]
    """Further add-ons, or what is to be different about one of the four. Default: the four, as pinned."""
    protected: NotRequired[bool]
    """Whether EKS refuses to delete the cluster, until this is false. Default: true."""
    log_days: NotRequired[int]
    """Days that control-plane logs are kept. Default: 365."""
    kubeconfig_path: NotRequired[str]
    """Kubeconfig of an API server that stands in for the cluster's, as in the lab. Default: the cluster's own."""
    as_of: NotRequired[str]
    """Day on which the version has to be supported, for example ``2027-01-31``. Default: today."""


class Cluster(pulumi.ComponentResource):
    """One EKS control plane with its add-ons, and the Kubernetes provider for what runs on it.

    Serves ISO/IEC 27001:2022 A.8.2, A.8.5, A.8.8, A.8.15, A.8.19, A.8.21, A.8.22 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    cluster_name: pulumi.Output[str]
    """Name of the cluster."""
    arn: pulumi.Output[str]
    """ARN of the cluster."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig of the cluster (it holds no secret: ``aws eks get-token`` gives the credentials), or its path."""
    ref: ClusterRef
    """The cluster as other components take it."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime = args["regime"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        cluster_name = dns_label(f"{name}.cluster_name", args.get("cluster_name", name), longest=100)
        path = args.get("kubeconfig_path")
        stand_in = read_kubeconfig(f"{name}.kubeconfig_path", path) if path else None
        version, day = args["version"], check_day(f"{name}.as_of", args.get("as_of"))
        warning = check_version(f"{name}.version", version, day, served=stand_in is None)
        addons = check_addons(f"{name}.addons", args.get("addons", []), version, classification)
        days = check_retention(f"{name}.log_days", args.get("log_days", 365))
        administrators = principals(f"{name}.administrators", args.get("administrators", []))
        members = check_members(f"{name}.members", args.get("members", []), administrators)
        tags = labels(f"{name}.ownership", args["ownership"], classification)
        secrets_key = key_arn(f"{name}.key", args["key"], classification)

        super().__init__("falaj:index:Cluster", name, dict(args), opts)
        if warning:
            pulumi.log.warn(warning, self)
        child = pulumi.ResourceOptions(parent=self)
        role, grants = _cluster_role(name, secrets_key, regime, tags, child)
        # EKS would make this log group itself, unencrypted and kept for ever: it has to be there first.
        logs = encrypted_log_group(
            f"{name}-logs", f"/aws/eks/{cluster_name}/cluster", key=secrets_key, days=days, tags=tags, opts=child
        )
        cluster = aws.eks.Cluster(
            f"{name}-cluster",
            name=cluster_name,
            version=version,
            role_arn=role.arn,
            vpc_config={
                "subnet_ids": pick(args["network"], "subnet_ids"),
                "endpoint_private_access": True,
                "endpoint_public_access": False,
            },
            encryption_config={"provider": {"key_arn": secrets_key}, "resources": ["secrets"]},
            enabled_cluster_log_types=LOG_TYPES,
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
            # Never pay for, nor rest on, a version past its standard support.
            upgrade_policy={"support_type": "STANDARD"},
            deletion_protection=args.get("protected", True),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs, *grants]),
        )
        let_in(name, cluster, administrators, members, tags=tags, opts=child)
        make_addons(name, cluster, addons, trust=pod_trust(regime, cluster_name), tags=tags, opts=child)

        self.cluster_name = cluster.name
        self.arn = cluster.arn
        if stand_in and path:
            self.kubeconfig = pulumi.Output.from_input(path)
            server, authority = stand_in
            self.ref = _ref(cluster, server, authority)
        else:
            encoded = cluster.certificate_authority.apply(lambda authority: authority.data or "")
            self.kubeconfig = pulumi.Output.all(cluster.name, cluster.endpoint, encoded).apply(
                lambda known: json.dumps(exec_kubeconfig(known[0], known[1], known[2], regime["home_region"]))
            )
            self.ref = _ref(cluster, cluster.endpoint, encoded.apply(lambda data: base64.b64decode(data).decode()))
        self._kubernetes = k8s.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            # Another address of the same cluster is no reason to replace what runs on it.
            cluster_identifier=f"{regime['account_id']}/{regime['home_region']}/{cluster_name}",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[cluster]),
        )
        self.register_outputs(
            {"clusterName": self.cluster_name, "arn": self.arn, "kubeconfig": self.kubeconfig, "ref": self.ref}
        )

    @property
    def provider(self) -> k8s.Provider:
        """The Kubernetes provider of this cluster, for ``ResourceOptions(providers=[cluster.provider])``."""
        return self._kubernetes


def read_kubeconfig(field: str, path: str) -> tuple[str, str]:
    """Return the API server's address and certificate authority (PEM) from the current context of a kubeconfig."""
    try:
        config = yaml.safe_load(Path(path).read_text())
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        if "certificate-authority-data" in cluster:
            return cluster["server"], base64.b64decode(cluster["certificate-authority-data"]).decode()
        return cluster["server"], Path(path).parent.joinpath(cluster["certificate-authority"]).read_text()
    except (OSError, KeyError, TypeError, ValueError, StopIteration, yaml.YAMLError) as error:
        raise ConfigError(
            field, path, f"must be a readable kubeconfig with a certificate authority: {error}"
        ) from error


def exec_kubeconfig(cluster_name: str, endpoint: str, authority: str, region: str) -> dict[str, Any]:
    """Return a kubeconfig without secrets: the AWS CLI exchanges the caller's identity for a short-lived token."""
    token = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["--region", region, "eks", "get-token", "--cluster-name", cluster_name, "--output", "json"],
        "interactiveMode": "Never",
    }
    cluster = {"server": endpoint, "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster_name,
        "contexts": [{"name": cluster_name, "context": {"cluster": cluster_name, "user": cluster_name}}],
        "clusters": [{"name": cluster_name, "cluster": cluster}],
        "users": [{"name": cluster_name, "user": {"exec": token}}],
    }


def secrets_permissions(key: str) -> dict[str, Any]:
    """Return what the cluster's role may do with the key of the secrets."""
    return document(allow(["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:CreateGrant", "kms:ListGrants"], key))


def _cluster_role(
    name: str, key: pulumi.Output[str], regime: Regime, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """Make the role of the control plane; return it with the grants that must outlive the cluster."""
    source = {"StringEquals": {"aws:SourceAccount": regime["account_id"]}}
    role = aws.iam.Role(
        f"{name}-role",
        description=f"Control plane of {name}",
        assume_role_policy=json.dumps(service_trust("eks.amazonaws.com", source)),
        tags=tags,
        opts=opts,
    )
    policy = aws.iam.RolePolicyAttachment(
        f"{name}-role-eks", role=role.name, policy_arn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy", opts=opts
    )
    secrets = aws.iam.RolePolicy(
        f"{name}-role-secrets",
        role=role.id,
        policy=key.apply(lambda arn: json.dumps(secrets_permissions(arn))),
        opts=opts,
    )
    return role, [policy, secrets]


def _ref(cluster: aws.eks.Cluster, endpoint: pulumi.Input[str], authority: pulumi.Input[str]) -> ClusterRef:
    return {
        "cluster_name": cluster.name,
        "version": cluster.version,
        "endpoint": endpoint,
        "certificate_authority": authority,
        "security_group_id": cluster.vpc_config.apply(lambda config: config.cluster_security_group_id or ""),
    }
