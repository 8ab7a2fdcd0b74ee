"""A model served by NVIDIA Triton: verified before it is loaded, taken over from by measure, reachable by name only."""

import re
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded
from falaj.components.errors import ConfigError
from falaj.components.node_pool import Taint
from falaj.components.refs import PoolRef, StoreRef, TenantRef, pick
from falaj.components.rollout_analysis import check_promise
from falaj.components.rollout_objects import ARGO, make_deployment, make_rollout, make_services
from falaj.components.rollout_strategies import RolloutStrategy, check_strategy
from falaj.components.serving_monitoring import make_monitoring
from falaj.components.serving_routes import check_access, host_names, ingress_rules, make_routes
from falaj.components.serving_scaling import Autoscaling, check_scaling, make_scaler
from falaj.components.tiers import TIER_LABEL, Tier, check_tiers
from falaj.components.triton_checks import check_image, check_pod
from falaj.components.triton_pod import HTTP, annotations, pod_spec, publisher_key, selector

__all__ = ["TritonService", "TritonServiceArgs", "check_image"]

_DURATION = re.compile(r"(\d+)([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class TritonServiceArgs(TypedDict):
    """What may be said of a Triton service."""

    tenant: pulumi.Input[TenantRef]
    """The tenant that serves: ``ref`` of a ``Tenant``."""
    image: str
    """Triton's image by digest, ``registry/repository@sha256:...``; a tag can change its meaning and is refused."""
    model_repository: NotRequired[pulumi.Input[str]]
    """URL of the models, as ``s3://bucket/models``; with ``model``, of their store. Default: none, see ``store``."""
    model: NotRequired[str]
    """Published model to serve, fetched, opened and verified by each pod. Default: all of ``model_repository``."""
    version: NotRequired[int]
    """Version of the model to begin with; ``falaj-serve`` changes it from then on. Default: none, see ``model``."""
    digest: NotRequired[str]
    """Digest of that version's manifest, ``sha256:...``. Default: none; whatever is signed under the version."""
    store: NotRequired[pulumi.Input[StoreRef]]
    """Where published models are: ``ref`` of a ``DataStore`` of that kind. Default: none, see ``model_repository``."""
    store_prefix: NotRequired[str]
    """Folder of the store in which the tenant's models are. Default: the tenant's namespace."""
    signing_key: NotRequired[pulumi.Input[str]]
    """Public key, PEM, that the model must be signed with. Default: none, see ``model``."""
    sealing_key: NotRequired[pulumi.Input[str]]
    """Key that opens the model: ARN of a KMS key, or ``vault:MOUNT/KEY``. Default: none, see ``model``."""
    fetcher_image: NotRequired[str]
    """Image with ``falaj-serve``, by digest. Default: none, see ``model``."""
    model_size: NotRequired[str]
    """Memory that the opened model may take; it never reaches a disk. Default: ``8Gi``."""
    environment: NotRequired[dict[str, str]]
    """Further variables of the step that fetches, such as ``VAULT_ADDR``; none of them a secret. Default: none."""
    replicas: NotRequired[int]
    """Pods that serve. Default: 2, so that one can be replaced."""
    autoscaling: NotRequired[Autoscaling]
    """Bounds between which the number of pods moves. Default: none; there are ``replicas``."""
    gpus: NotRequired[int]
    """GPUs of each pod, or partitions in a pool that has those, 0 to 16; 0 serves on CPUs. Default: 1."""
    cpus: NotRequired[int]
    """CPUs of each pod. Default: 4."""
    memory: NotRequired[str]
    """Memory of each pod, that of models, cache and shared memory included. Default: ``16Gi``."""
    service_name: NotRequired[str]
    """Name of the Service and of what belongs to it. Default: the component's name."""
    service_account: NotRequired[str]
    """Identity of the pods. Default: ``workload``."""
    pool: NotRequired[str]
    """Name of the node pool to run on. Default: any with GPUs."""
    gpu_pool: NotRequired[pulumi.Input[PoolRef]]
    """Pool whose GPUs, or partitions of them, it asks for: ``ref`` of a ``GpuNodePool``. Default: see ``pool``."""
    node_labels: NotRequired[dict[str, str]]
    """Further labels of the nodes to run on. Default: none."""
    taints: NotRequired[list[Taint]]
    """Taints of the nodes that are no obstacle, beside those of GPUs and of the tenant's own pool. Default: none."""
    auto_complete_config: NotRequired[bool]
    """Whether Triton may guess what a model's configuration leaves out. Default: false."""
    response_cache: NotRequired[str]
    """Memory for answers that are given again to equal requests, of models that allow it. Default: none."""
    rate_limits: NotRequired[dict[str, int]]
    """How much there is of each resource that models' rate limiters name. Default: none; models run as they can."""
    largest_request: NotRequired[str]
    """Largest HTTP request, for a Triton that has ``--http-max-input-size``. Default: Triton's own, if it has one."""
    clients: NotRequired[dict[str, str]]
    """Labels of the pods that may call, in the tenant's namespace. Default: ``{"triton-client": <service_name>}``."""
    gateway: NotRequired[str]
    """Gateway through which alone it is called, ``NAMESPACE/NAME``. Default: none; ``clients`` call it directly."""
    client_names: NotRequired[list[str]]
    """Names in the certificates of those who may call. Default: none; a gateway needs at least one."""
    hostnames: NotRequired[list[str]]
    """Names of the service at the gateway, for HTTP. Default: ``<service_name>.<namespace>.svc``."""
    grpc_hostnames: NotRequired[list[str]]
    """Names of the service at the gateway, for gRPC. Default: ``<service_name>-grpc.<namespace>.svc``."""
    idempotent: NotRequired[bool]
    """Whether a request may be done twice, so that the gateway repeats what a dying pod took along. Default: false."""
    strategy: NotRequired[RolloutStrategy]
    """How a new version takes over, by Argo Rollouts and a gateway. Default: pods are replaced one by one."""
    p99_milliseconds: NotRequired[int]
    """Milliseconds within which 99 of 100 requests are answered; alerts and the analysis hold to it. Default: 1000."""
    error_percent: NotRequired[float]
    """Percent of requests that may fail; alerts and the analysis hold to it. Default: 1."""
    monitoring: NotRequired[bool]
    """Whether a PodMonitor, alerts and a dashboard are made, where the operator's CRDs exist. Default: false."""
    tier: NotRequired[Tier]
    """What the tenant's queue may displace for it; one that the tenant allows. Default: ``production``."""
    metrics_namespace: NotRequired[str]
    """Namespace whose pods may scrape the metrics. Default: ``monitoring``."""
    storage_cidrs: NotRequired[list[str]]
    """Address ranges of the models' store and of the key, reached over TLS. Default: none."""
    ready_timeout: NotRequired[str]
    """How long new pods may take to be ready, such as ``90s``; a rollout then goes back. Default: ``5m``."""


class TritonService(pulumi.ComponentResource):
    """Pods of Triton and the Service in front of them, for one tenant; with a strategy, taken over from by measure.

    Needs the ``kubernetes`` provider in its options; Argo Rollouts only with a strategy, the Gateway API only with a
    gateway.
    Serves ISO/IEC 27001:2022 A.5.15, A.8.9, A.8.14, A.8.18, A.8.22, A.8.24, A.8.29 and A.8.32.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    service_name: pulumi.Output[str]
    """Name of the Service."""
    namespace: pulumi.Output[str]
    """Namespace of the Service."""
    url: pulumi.Output[str]
    """URL of the HTTP endpoint: at the gateway if there is one, else within the cluster."""

    def __init__(self, name: str, args: TritonServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        pod = check_pod(name, {**args})
        service_name = pod.service_name
        access = check_access(name, {**args}, service_name)
        scaling = check_scaling(name, {**args})
        replicas = None if scaling else bounded(f"{name}.replicas", args.get("replicas", 2), 1, 1000)
        promise = check_promise(name, args.get("p99_milliseconds", 1000), args.get("error_percent", 1))
        strategy = check_strategy(f"{name}.strategy", args["strategy"]) if "strategy" in args else None
        if strategy and access.gateway is None:
            raise ConfigError(f"{name}.gateway", None, "must be given for a strategy: versions are told apart there")
        (tier,) = check_tiers(f"{name}.tier", [args.get("tier", Tier.PRODUCTION)])
        ready = args.get("ready_timeout", "5m")
        ready_seconds = check_duration(f"{name}.ready_timeout", ready)

        super().__init__("falaj:index:TritonService", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = pick(args["tenant"], "namespace")
        chosen = selector(pod)
        labels = pick(args["tenant"], "labels").apply(lambda owner: owner | chosen | {TIER_LABEL: tier.value})
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": service_name, "namespace": namespace, "labels": labels}
        policy = k8s.networking.v1.NetworkPolicy(
            f"{name}-network-policy",
            metadata=metadata,
            spec={
                "pod_selector": {"match_labels": chosen},
                "policy_types": ["Ingress", "Egress"],
                "ingress": ingress_rules(access, args.get("metrics_namespace", "monitoring")),
                "egress": [
                    {"to": [{"ip_block": {"cidr": cidr}}], "ports": [{"protocol": "TCP", "port": 443}]}
                    for cidr in args.get("storage_cidrs", [])
                ],
            },
            opts=child,
        )
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-disruption-budget",
            metadata=metadata,
            spec={"max_unavailable": 1, "selector": {"match_labels": chosen}},
            opts=child,
        )
        template_metadata: k8s.meta.v1.ObjectMetaArgsDict = {"labels": labels}
        if words := annotations(pod):
            template_metadata["annotations"] = words
        template: k8s.core.v1.PodTemplateSpecArgsDict = {
            "metadata": template_metadata,
            "spec": pod_spec(pod, namespace, publisher_key(name, pod, namespace, labels, child)),
        }
        after_policy = pulumi.ResourceOptions(parent=self, depends_on=[policy])
        before_service = child
        if strategy is None:
            running = make_deployment(
                name,
                metadata,
                template,
                replicas=replicas,
                selector=chosen,
                ready_timeout=ready,
                opts=after_policy,
            )
            before_service = pulumi.ResourceOptions(parent=self, depends_on=[running])
        service = make_services(
            name,
            service_name,
            metadata,
            chosen,
            strategy,
            behind_gateway=access.gateway is not None,
            opts=before_service,
        )
        hosts = host_names(access, service_name, namespace)
        if access.gateway is not None:
            make_routes(name, service_name, access, strategy, metadata={**metadata}, hosts=hosts, opts=child)
        if strategy is not None:
            make_rollout(
                name,
                metadata,
                template,
                strategy,
                promise,
                service=service_name,
                replicas=replicas,
                selector=chosen,
                ready_seconds=ready_seconds,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, service]),
            )
        kind = ("apps/v1", "Deployment") if strategy is None else (ARGO, "Rollout")
        if scaling is not None:
            target = {"apiVersion": kind[0], "kind": kind[1], "name": service_name}
            make_scaler(name, service_name, scaling, metadata, target=target, opts=child)
        if args.get("monitoring", False):
            may_sleep = scaling is not None and scaling.least == 0
            make_monitoring(name, service_name, metadata, promise, chosen, may_sleep=may_sleep, opts=child)

        self.service_name = service.metadata.name.apply(lambda known: known or service_name)
        self.namespace = namespace
        if access.gateway is None:
            self.url = pulumi.Output.concat("http://", self.service_name, ".", namespace, f".svc:{HTTP}")
        else:
            self.url = hosts[0].apply(lambda known: f"https://{known[0]}")
        self.register_outputs({"serviceName": self.service_name, "namespace": self.namespace, "url": self.url})


def check_duration(field: str, text: str) -> int:
    """Return a duration in seconds."""
    found = _DURATION.fullmatch(text)
    if found is None or found[1] == "0":
        raise ConfigError(field, text, "must be a duration such as 90s, 5m or 1h")
    return int(found[1]) * _SECONDS[found[2]]
