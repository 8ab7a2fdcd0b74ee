"""A model served by NVIDIA Triton: verified before it is loaded, taken over from by measure, reachable by name only."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.node_pool import Taint
from falaj.components.refs import PoolRef, StoreRef, TenantRef, pick
from falaj.components.rollout_objects import ARGO, make_deployment, make_rollout, make_services
from falaj.components.rollout_strategies import RolloutStrategy
from falaj.components.serving_envoy_gateway import EnvoyGateway, make_policies
from falaj.components.serving_monitoring import make_monitoring
from falaj.components.serving_recorder import Recorder, make_recorder
from falaj.components.serving_routes import egress_rules, host_names, ingress_rules, make_routes
from falaj.components.serving_scaling import Autoscaling, make_scaler
from falaj.components.serving_watch import Drift, watch_ingress, watch_mirror
from falaj.components.serving_watch_alerts import make_watch_monitoring
from falaj.components.serving_watch_pod import make_watch
from falaj.components.tiers import TIER_LABEL, Tier
from falaj.components.triton_checks import check_image
from falaj.components.triton_plan import ServicePlan, check_service
from falaj.components.triton_pod import HTTP, annotations, pod_spec, publisher_key, selector

__all__ = ["TritonService", "TritonServiceArgs", "check_image"]


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
    envoy_gateway: NotRequired[EnvoyGateway]
    """That the gateway is one of Envoy Gateway, whose policies are made too. Default: it is none."""
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
    recorder: NotRequired[Recorder]
    """Who writes into the model's audit log what Argo decides by itself. Default: none, see ``unrecorded``."""
    unrecorded: NotRequired[bool]
    """Whether a strategy may decide over a published model, and nobody here writes down why. Default: false."""
    drift: NotRequired[Drift]
    """How requests are watched for drift, against what the published model was judged on. Default: they are not."""
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
        plan = check_service(name, {**args})
        pod, access, strategy, scaling = plan.pod, plan.access, plan.strategy, plan.scaling
        service_name = pod.service_name

        super().__init__("falaj:index:TritonService", name, dict(args), opts)
        _say_unpinned(name, plan, self)
        child = pulumi.ResourceOptions(parent=self)
        namespace = pick(args["tenant"], "namespace")
        chosen = selector(pod)
        labels = pick(args["tenant"], "labels").apply(lambda owner: owner | chosen | {TIER_LABEL: plan.tier.value})
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": service_name, "namespace": namespace, "labels": labels}
        scrapers = args.get("metrics_namespace", "monitoring")
        ingress = [*ingress_rules(access, scrapers), *watch_ingress(plan.drift, service_name)]
        policy = _bounds(name, metadata, chosen, ingress=ingress, storage=plan.storage, opts=child)
        template_metadata: k8s.meta.v1.ObjectMetaArgsDict = {"labels": labels}
        if words := annotations(pod):
            template_metadata["annotations"] = words
        publisher = publisher_key(name, pod, namespace, labels, child)
        template: k8s.core.v1.PodTemplateSpecArgsDict = {
            "metadata": template_metadata,
            "spec": pod_spec(pod, namespace, publisher),
        }
        after_policy = pulumi.ResourceOptions(parent=self, depends_on=[policy])
        before_service, running = child, policy
        if strategy is None:
            running = make_deployment(
                name,
                metadata,
                template,
                replicas=plan.replicas,
                selector=chosen,
                ready_timeout=plan.ready,
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
            make_routes(
                name,
                service_name,
                access,
                strategy,
                metadata={**metadata},
                hosts=hosts,
                copied=watch_mirror(plan.drift, service_name),
                opts=child,
            )
        if access.envoys is not None:
            make_policies(
                name,
                service_name,
                clients=access.clients,
                idempotent=access.idempotent,
                largest_request=pod.largest_request,
                metadata={**metadata},
                opts=child,
            )
        if strategy is not None:
            running = make_rollout(
                name,
                metadata,
                template,
                strategy,
                plan.promise,
                service=service_name,
                replicas=plan.replicas,
                selector=chosen,
                ready_seconds=plan.ready_seconds,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, service]),
            )
        if plan.recorder is not None:
            make_recorder(
                name,
                plan.recorder,
                pod,
                namespace=namespace,
                labels=pick(args["tenant"], "labels"),
                store=args.get("store"),
                storage_cidrs=plan.storage,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[running]),
            )
        if plan.drift is not None and publisher is not None:
            make_watch(
                name,
                plan.drift,
                pod,
                access,
                namespace=namespace,
                labels=pick(args["tenant"], "labels"),
                publisher=publisher,
                metrics_namespace=scrapers,
                storage_cidrs=plan.storage,
                opts=child,
            )
            if plan.monitoring:
                make_watch_monitoring(name, plan.drift, service_name, metadata, child)
        kind = ("apps/v1", "Deployment") if strategy is None else (ARGO, "Rollout")
        if scaling is not None:
            target = {"apiVersion": kind[0], "kind": kind[1], "name": service_name}
            make_scaler(name, service_name, scaling, metadata, target=target, opts=child)
        if plan.monitoring:
            make_monitoring(
                name,
                service_name,
                metadata,
                plan.promise,
                chosen,
                may_sleep=plan.may_sleep,
                gpus=pod.gpus > 0,
                opts=child,
            )

        self.service_name = service.metadata.name.apply(lambda known: known or service_name)
        self.namespace = namespace
        if access.gateway is None:
            self.url = pulumi.Output.concat("http://", self.service_name, ".", namespace, f".svc:{HTTP}")
        else:
            self.url = hosts[0].apply(lambda known: f"https://{known[0]}")
        self.register_outputs({"serviceName": self.service_name, "namespace": self.namespace, "url": self.url})


def _say_unpinned(name: str, plan: ServicePlan, service: pulumi.Resource) -> None:
    """Warn of a first version whose pods a rollback would not find again: it asks for them by their digest."""
    model = plan.pod.model
    if plan.strategy is not None and model is not None and model.digest is None:
        remedy = f"give the manifest_digest that falaj-serve publish told of version {model.version}"
        pulumi.log.warn(f"{name}.digest is not said: a way back to that version is measured again; {remedy}", service)


def _bounds(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    chosen: dict[str, str],
    *,
    ingress: list[k8s.networking.v1.NetworkPolicyIngressRuleArgsDict],
    storage: Sequence[str],
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.NetworkPolicy:
    """Say who reaches the pods and what they reach, and that one of them at a time may be taken away."""
    k8s.policy.v1.PodDisruptionBudget(
        f"{name}-disruption-budget",
        metadata=metadata,
        spec={"max_unavailable": 1, "selector": {"match_labels": chosen}},
        opts=opts,
    )
    return k8s.networking.v1.NetworkPolicy(
        f"{name}-network-policy",
        metadata=metadata,
        spec={
            "pod_selector": {"match_labels": chosen},
            "policy_types": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress_rules((cidr, 443) for cidr in storage),
        },
        opts=opts,
    )
