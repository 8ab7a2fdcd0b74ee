"""The SLA scheduler: turns deadlines, measured progress and waiting into the priorities that Kueue goes by."""

import hashlib
import json
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.controller_pod import controller_pod, controller_rights
from falaj.components.ownership import Ownership, labels
from falaj.components.queue_admission import TENANT_LABEL
from falaj.components.refs import NetworkRef, pick
from falaj.components.tenant import POD_SECURITY
from falaj.components.tenant_network import NAMESPACE_NAME
from falaj.components.tiers import tiers
from falaj.components.training_checks import POD_LABEL, PROGRESS_PORT
from falaj.components.triton_service import check_image

ACCOUNT = "sla-scheduler"
"""Name of the service account and of everything else that belongs to the scheduler."""
LEASE = "falaj-scheduler"
"""Name of the lease that the replicas share, as ``falaj-scheduler run`` has it."""
SYSTEM_NAMESPACE = "falaj-system"
PORT = 9440


class SlaSchedulerArgs(TypedDict):
    """What may be said of the SLA scheduler."""

    network: pulumi.Input[NetworkRef]
    """Where the API server is: ``ref`` of a ``Network``."""
    image: str
    """Image with ``falaj-scheduler``, by digest, from the home region's registry."""
    ownership: Ownership
    """Who answers for it and pays."""
    namespace: NotRequired[str]
    """Namespace in which it runs. Default: ``falaj-system``."""
    make_namespace: NotRequired[bool]
    """Whether the namespace is made here; false where something else has made it. Default: true."""
    rescue: NotRequired[bool]
    """Whether work about to miss its deadline may displace work of its own tier that can afford it. Default: true."""
    consolidate: NotRequired[bool]
    """Whether small work that can afford it moves, so that work of whole nodes finds them. Default: true."""
    checkpoint_seconds: NotRequired[int]
    """Work that is lost at most when work that measures its progress is displaced, 1 to 86400. Default: 600."""
    turn_seconds: NotRequired[int]
    """How long a queue's turn waits for one work to be admitted, 10 to 86400. Default: 900."""
    replicas: NotRequired[int]
    """Pods, of which one leads, 1 to 5. Default: 2."""
    metrics_namespace: NotRequired[str]
    """Namespace whose pods may scrape the metrics. Default: ``monitoring``."""
    ready_timeout: NotRequired[str]
    """How long an update waits for the pods to be ready. Default: ``5m``."""


class SlaScheduler(pulumi.ComponentResource):
    """One Deployment that gives Kueue's Workloads priorities within the bands of their tiers, and moves small ones.

    One for each cluster, after Kueue. Needs the ``kubernetes`` provider in its options.
    Serves ISO/IEC 27001:2022 A.5.15, A.8.2, A.8.6, A.8.14 and A.8.18.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    namespace: pulumi.Output[str]
    """Namespace in which it runs."""
    service_account: pulumi.Output[str]
    """Name of its service account."""
    policy: pulumi.Output[str]
    """The tiers and numbers that it goes by, as JSON: what ``falaj-scheduler run --policy`` reads."""

    def __init__(self, name: str, args: SlaSchedulerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        image = check_image(f"{name}.image", args["image"])
        space = dns_label(f"{name}.namespace", args.get("namespace", SYSTEM_NAMESPACE))
        replicas = bounded(f"{name}.replicas", args.get("replicas", 2), 1, 5)
        policy = json.dumps(scheduler_policy(name, args), indent=2, sort_keys=True)
        tags = labels(f"{name}.ownership", args["ownership"], Classification.INTERNAL)

        super().__init__("falaj:index:SlaScheduler", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        self.namespace = pulumi.Output.from_input(space)
        if args.get("make_namespace", True):
            self.namespace = _closed_namespace(name, space, tags, child)
        selector = {"app.kubernetes.io/name": ACCOUNT}
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": ACCOUNT, "namespace": self.namespace, "labels": tags}
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account", metadata=metadata, automount_service_account_token=False, opts=child
        )
        rights = controller_rights(name, metadata, ACCOUNT, rules=cluster_rules(), lease=LEASE, opts=child)
        config = k8s.core.v1.ConfigMap(f"{name}-policy", metadata=metadata, data={"policy.json": policy}, opts=child)
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
                        "annotations": {"falaj.dev/policy": hashlib.sha256(policy.encode()).hexdigest()[:16]},
                    },
                    "spec": controller_pod("scheduler", image, "run", PORT, namespace=space, selector=selector),
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[account, config, closed, *rights],
                custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout),
            ),
        )

        self.service_account = account.metadata.name.apply(lambda known: known or ACCOUNT)
        self.policy = pulumi.Output.from_input(policy)
        self.register_outputs(
            {"namespace": self.namespace, "serviceAccount": self.service_account, "policy": self.policy}
        )


def scheduler_policy(name: str, args: SlaSchedulerArgs) -> dict[str, Any]:
    """Return what the scheduler goes by: the tiers as they are for all components, and the numbers of the arguments."""
    bands = {
        tier.value: {
            "priority": rules.priority,
            "band": rules.band,
            "longest_wait_minutes": rules.longest_wait_minutes,
        }
        for tier, rules in tiers().items()
    }
    return {
        "tiers": bands,
        "rescue": args.get("rescue", True),
        "consolidate": args.get("consolidate", True),
        "checkpoint_seconds": bounded(f"{name}.checkpoint_seconds", args.get("checkpoint_seconds", 600), 1, 86400),
        "turn_seconds": bounded(f"{name}.turn_seconds", args.get("turn_seconds", 900), 10, 86400),
    }


def cluster_rules() -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    """Return the rights in the whole cluster: to read work, queues and nodes, to change Workloads, and to tell of it.

    Kubernetes knows no right to a part of an object: who may set a Workload's priority may patch the rest of it too,
    but not its status, by which alone Kueue lets work in.
    """
    read = ["get", "list", "watch"]
    kueue = ["localqueues", "clusterqueues", "resourceflavors"]
    return [
        {"api_groups": ["kueue.x-k8s.io"], "resources": ["workloads"], "verbs": [*read, "patch"]},
        {"api_groups": ["kueue.x-k8s.io"], "resources": kueue, "verbs": read},
        {"api_groups": ["batch"], "resources": ["jobs"], "verbs": read},
        {"api_groups": [""], "resources": ["pods"], "verbs": ["list"]},  # the address of one that tells its progress
        {"api_groups": [""], "resources": ["nodes"], "verbs": read},
        {"api_groups": [""], "resources": ["events"], "verbs": ["create"]},
    ]


def _closed_namespace(name: str, space: str, tags: dict[str, str], opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Make the namespace, in which pods are restricted and reach nothing that no policy names."""
    made = k8s.core.v1.Namespace(
        f"{name}-namespace", metadata={"name": space, "labels": tags | POD_SECURITY}, opts=opts
    )
    within = made.metadata.name.apply(lambda known: known or space)
    k8s.networking.v1.NetworkPolicy(
        f"{name}-default-deny",
        metadata={"name": "default-deny", "namespace": within, "labels": tags},
        spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
        opts=opts,
    )
    return within


def _network_policy(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    selector: dict[str, str],
    args: SlaSchedulerArgs,
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.NetworkPolicy:
    """Open the ways to the API server, whose address the kubelet tells, and to what trainings tell of their progress.

    Metrics alone may be asked for.
    """
    scrapers: k8s.meta.v1.LabelSelectorArgsDict = {
        "match_labels": {NAMESPACE_NAME: args.get("metrics_namespace", "monitoring")}
    }
    trainings: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
        "namespace_selector": {"match_expressions": [{"key": TENANT_LABEL, "operator": "Exists"}]},
        "pod_selector": {"match_expressions": [{"key": POD_LABEL, "operator": "Exists"}]},
    }
    cidr = pick(args["network"], "cidr")
    return k8s.networking.v1.NetworkPolicy(
        f"{name}-network-policy",
        metadata=metadata,
        spec={
            "pod_selector": {"match_labels": selector},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [{"from_": [{"namespace_selector": scrapers}], "ports": [{"protocol": "TCP", "port": PORT}]}],
            "egress": [
                {"to": [{"ip_block": {"cidr": cidr}}], "ports": [{"protocol": "TCP", "port": 443}]},
                {"to": [trainings], "ports": [{"protocol": "TCP", "port": PROGRESS_PORT}]},
            ],
        },
        opts=opts,
    )
