"""The autoscaler of GPU pools: sizes node groups by the work that waits for nodes, within bounds and budgets."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from falaj.components.autoscaler_rules import AutoscaledPool, GiveBack, TierGrowth, autoscaler_rules, known_pools
from falaj.components.checks import bounded
from falaj.components.classification import Classification
from falaj.components.controller_pod import controller_pod, controller_rights
from falaj.components.documents import allow, document
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import ClusterRef, NetworkRef, pick
from falaj.components.regime import Regime, check_regime
from falaj.components.tenant_access import check_boundary, pod_trust
from falaj.components.tenant_network import NAMESPACE_NAME, POD_IDENTITY_AGENT
from falaj.components.triton_service import check_image

ACCOUNT = "gpu-autoscaler"
"""Name of the service account and of everything else that belongs to the autoscaler."""
PORT = 9441


class GpuAutoscalerArgs(TypedDict):
    """What may be said of the autoscaler."""

    cluster: pulumi.Input[ClusterRef]
    """The cluster: ``ref`` of a ``Cluster``, with the add-on for Pod Identity."""
    network: pulumi.Input[NetworkRef]
    """Where the API server and AWS's endpoints are: ``ref`` of a ``Network``."""
    pools: list[AutoscaledPool]
    """The pools that it sizes."""
    image: str
    """Image with ``falaj-scheduler``, by digest."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for it."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace in which it runs, for example ``namespace`` of a ``SlaScheduler``. Default: ``falaj-system``."""
    tiers: NotRequired[dict[str, TierGrowth]]
    """Rules of tiers, by name: members of ``Tier``. Default: production and interactive make pools grow at once, batch
    after 300 seconds, scavenger never."""
    usd_per_hour: NotRequired[float]
    """Most that all pools together may cost in an hour. Default: what the pools may."""
    tenant_budgets: NotRequired[dict[str, float]]
    """Most US dollars per hour that a tenant's work may make pools cost, by tenant. Default: no bound of its own."""
    cost_centre_budgets: NotRequired[dict[str, float]]
    """The same by cost centre, whose tenants share it. Default: no bound of its own."""
    idle_seconds: NotRequired[int]
    """Seconds that a node is empty before it is given back, 30 to 86400. Default: 600."""
    cooldown_seconds: NotRequired[int]
    """Seconds after a pool grew in which it gives nothing back, 0 to 86400. Default: 120."""
    step_nodes: NotRequired[int]
    """Most nodes that a pool gains, or loses, within a minute, 1 to 1000. Default: 20."""
    give_back: NotRequired[GiveBack]
    """How nodes are given back. Default: ``terminate``."""
    replicas: NotRequired[int]
    """Pods, of which one leads, 1 to 5. Default: 2."""
    permissions_boundary: NotRequired[pulumi.Input[str]]
    """ARN of the policy that bounds its role in AWS, as a ``RegionGuard`` makes one. Default: none."""
    metrics_namespace: NotRequired[str]
    """Namespace whose pods may scrape the metrics. Default: ``monitoring``."""
    ready_timeout: NotRequired[str]
    """How long an update waits for the pods to be ready. Default: ``5m``."""


class GpuAutoscaler(pulumi.ComponentResource):
    """One Deployment that sizes the named node groups of one cluster, and may do nothing else in AWS.

    Pools have to leave their size to it: ``autoscaled`` of a ``GpuNodePool``.
    One for each cluster, after Kueue. Needs the ``aws`` and ``kubernetes`` providers in its options.
    Serves ISO/IEC 27001:2022 A.5.15, A.8.2, A.8.6 and A.8.18.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists if the values are known by then.
    """

    role_arn: pulumi.Output[str]
    """ARN of the role that its pods have in AWS."""
    service_account: pulumi.Output[str]
    """Name of its service account."""
    policy: pulumi.Output[str]
    """What it is told, as JSON: what ``falaj-scheduler autoscale --policy`` reads."""

    def __init__(self, name: str, args: GpuAutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime = args["regime"]
        check_regime(f"{name}.regime", regime)
        image = check_image(f"{name}.image", args["image"])
        replicas = bounded(f"{name}.replicas", args.get("replicas", 2), 1, 5)
        tags = labels(f"{name}.ownership", args["ownership"], Classification.INTERNAL)
        rules = autoscaler_rules(name, args)
        known = known_pools(name, args["pools"])
        boundary = None
        if "permissions_boundary" in args:
            boundary = check_boundary(f"{name}.permissions_boundary", args["permissions_boundary"])

        super().__init__("falaj:index:GpuAutoscaler", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = pick(args["cluster"], "cluster_name")
        namespace = pulumi.Output.from_input(args.get("namespace", "falaj-system"))
        self.policy = pulumi.Output.all(cluster, known).apply(
            lambda told: json.dumps({"cluster": told[0], "pools": told[1], **rules}, indent=2, sort_keys=True)
        )
        role = aws.iam.Role(
            f"{name}-role",
            description="Sizes GPU pools",
            assume_role_policy=pulumi.Output.all(cluster, namespace).apply(
                lambda told: json.dumps(pod_trust(regime, told[0], told[1], [ACCOUNT]))
            ),
            permissions_boundary=boundary,
            tags=tags,
            opts=child,
        )
        grant = aws.iam.RolePolicy(
            f"{name}-reach",
            role=role.id,
            policy=pulumi.Output.all(cluster, known).apply(
                lambda told: json.dumps(autoscaler_permissions(regime, told[0], list(told[1])))
            ),
            opts=child,
        )
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": ACCOUNT, "namespace": namespace, "labels": tags}
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account", metadata=metadata, automount_service_account_token=False, opts=child
        )
        rights = controller_rights(name, metadata, ACCOUNT, rules=cluster_rules(), lease=ACCOUNT, opts=child)
        identity = aws.eks.PodIdentityAssociation(
            f"{name}-identity",
            cluster_name=cluster,
            namespace=namespace,
            service_account=ACCOUNT,
            role_arn=role.arn,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[grant]),
        )
        config = k8s.core.v1.ConfigMap(
            f"{name}-policy", metadata=metadata, data={"policy.json": self.policy}, opts=child
        )
        selector = {"app.kubernetes.io/name": ACCOUNT}
        closed = _network_policy(name, metadata, selector, args, child)
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-disruption-budget",
            metadata=metadata,
            spec={"max_unavailable": 1, "selector": {"match_labels": selector}},
            opts=child,
        )
        timeout = args.get("ready_timeout", "5m")
        k8s.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=metadata,
            spec={
                "replicas": replicas,
                "selector": {"match_labels": selector},
                "template": {
                    "metadata": {
                        "labels": tags | selector,
                        # Pods read the policy once: another policy is other pods.
                        "annotations": {
                            "falaj.dev/policy": self.policy.apply(
                                lambda text: hashlib.sha256(text.encode()).hexdigest()[:16]
                            )
                        },
                    },
                    "spec": controller_pod(
                        "autoscaler",
                        image,
                        "autoscale",
                        PORT,
                        namespace=namespace,
                        selector=selector,
                        environment=[{"name": "AWS_REGION", "value": regime["home_region"]}],
                    ),
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[account, config, identity, closed, *rights],
                custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout),
            ),
        )

        self.role_arn = role.arn
        self.service_account = account.metadata.name.apply(lambda made: made or ACCOUNT)
        self.register_outputs({"roleArn": self.role_arn, "serviceAccount": self.service_account, "policy": self.policy})


def autoscaler_permissions(regime: Regime, cluster: str, pools: Sequence[str]) -> dict[str, Any]:
    """Return what the pods may do in AWS: size the named node groups of the cluster, and end instances of these.

    Auto Scaling's reading actions know no resources.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html
    """
    region, account = regime["home_region"], regime["account_id"]
    groups = [f"arn:aws:eks:{region}:{account}:nodegroup/{cluster}/{pool}/*" for pool in pools]
    here = {"StringEquals": {"aws:RequestedRegion": region}}
    ours = {"aws:ResourceTag/eks:cluster-name": cluster, "aws:ResourceTag/eks:nodegroup-name": pools}
    end = allow(
        ["autoscaling:TerminateInstanceInAutoScalingGroup"],
        f"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/eks-*",
    )
    return document(
        allow(["eks:DescribeNodegroup", "eks:UpdateNodegroupConfig"], groups),
        {**allow(["autoscaling:DescribeAutoScalingGroups"], "*"), "Condition": here},
        {**end, "Condition": {"StringEquals": ours}},
    )


def cluster_rules() -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    """Return the rights in the whole cluster: to read work, pods and nodes, to mark nodes, to tell of work.

    Kubernetes knows no right to a part of an object: who may cordon a node may change its labels and taints too.
    """
    read = ["get", "list", "watch"]
    kueue = ["workloads", "clusterqueues", "localqueues", "resourceflavors"]
    return [
        {"api_groups": [""], "resources": ["nodes", "pods", "namespaces"], "verbs": read},
        {"api_groups": [""], "resources": ["nodes"], "verbs": ["patch"]},
        {"api_groups": [""], "resources": ["events"], "verbs": ["get", "create", "patch"]},
        {"api_groups": ["kueue.x-k8s.io"], "resources": kueue, "verbs": read},
    ]


def _network_policy(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    selector: dict[str, str],
    args: GpuAutoscalerArgs,
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.NetworkPolicy:
    """Open the way to the API server, to AWS's endpoints and to Pod Identity; let metrics alone be asked for."""
    scrapers: k8s.meta.v1.LabelSelectorArgsDict = {
        "match_labels": {NAMESPACE_NAME: args.get("metrics_namespace", "monitoring")}
    }
    cluster: k8s.meta.v1.LabelSelectorArgsDict = {"match_labels": {NAMESPACE_NAME: "kube-system"}}
    dns: k8s.meta.v1.LabelSelectorArgsDict = {"match_labels": {"k8s-app": "kube-dns"}}
    ways: list[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict] = [
        {
            "to": [{"namespace_selector": cluster, "pod_selector": dns}],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        },
        {"to": [{"ip_block": {"cidr": pick(args["network"], "cidr")}}], "ports": [{"protocol": "TCP", "port": 443}]},
        {"to": [{"ip_block": {"cidr": POD_IDENTITY_AGENT}}], "ports": [{"protocol": "TCP", "port": 80}]},
    ]
    return k8s.networking.v1.NetworkPolicy(
        f"{name}-network-policy",
        metadata=metadata,
        spec={
            "pod_selector": {"match_labels": selector},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [{"from_": [{"namespace_selector": scrapers}], "ports": [{"protocol": "TCP", "port": PORT}]}],
            "egress": ways,
        },
        opts=opts,
    )
