"""A model served by NVIDIA Triton: GPU pods by image digest, probed, spread, bounded, reachable by name only."""

import re
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, dns_label, quantity
from falaj.components.errors import ConfigError
from falaj.components.gpu_node_pool import GPU_LABEL, GPU_TAINT
from falaj.components.refs import TenantRef, pick
from falaj.components.tiers import TIER_LABEL, Tier, check_tiers

HTTP, GRPC, METRICS = 8000, 8001, 8002
_DIGEST = re.compile(r"[\w.-]+(:\d+)?(/[\w.-]+)+@sha256:[0-9a-f]{64}")
_NOBODY = 65532


class TritonServiceArgs(TypedDict):
    """What may be said of a Triton service."""

    tenant: pulumi.Input[TenantRef]
    """The tenant that serves: ``ref`` of a ``Tenant``."""
    image: str
    """Triton's image by digest, ``registry/repository@sha256:...``; a tag can change its meaning and is refused."""
    model_repository: pulumi.Input[str]
    """Where the models are, as Triton takes it, for example ``s3://bucket/models``."""
    replicas: NotRequired[int]
    """Pods that serve. Default: 2, so that one can be replaced."""
    gpus: NotRequired[int]
    """GPUs of each pod, 1 to 16. Default: 1."""
    cpus: NotRequired[int]
    """CPUs of each pod. Default: 4."""
    memory: NotRequired[str]
    """Memory of each pod. Default: ``16Gi``."""
    service_name: NotRequired[str]
    """Name of the Service and of what belongs to it. Default: the component's name."""
    service_account: NotRequired[str]
    """Identity of the pods. Default: ``workload``."""
    pool: NotRequired[str]
    """Name of the node pool to run on. Default: any with GPUs."""
    clients: NotRequired[dict[str, str]]
    """Labels of the pods that may call, in the tenant's namespace. Default: ``{"triton-client": <service_name>}``."""
    tier: NotRequired[Tier]
    """What the tenant's queue may displace for it; one that the tenant allows. Default: ``production``."""
    metrics_namespace: NotRequired[str]
    """Namespace whose pods may scrape the metrics. Default: ``monitoring``."""
    storage_cidrs: NotRequired[list[str]]
    """Address ranges of the model repository, reached over TLS. Default: none."""
    ready_timeout: NotRequired[str]
    """How long an update waits for the pods to be ready. Default: ``5m``."""


class TritonService(pulumi.ComponentResource):
    """One Deployment of Triton and the Service in front of it, for one tenant.

    Needs the ``kubernetes`` provider in its options.
    Serves ISO/IEC 27001:2022 A.8.9, A.8.14, A.8.18 and A.8.22.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    service_name: pulumi.Output[str]
    """Name of the Service."""
    namespace: pulumi.Output[str]
    """Namespace of the Service."""
    url: pulumi.Output[str]
    """URL of the HTTP endpoint within the cluster."""

    def __init__(self, name: str, args: TritonServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        service_name = dns_label(f"{name}.service_name", args.get("service_name", name))
        image = check_image(f"{name}.image", args["image"])
        replicas = bounded(f"{name}.replicas", args.get("replicas", 2), 1, 1000)
        resources = pod_resources(
            bounded(f"{name}.gpus", args.get("gpus", 1), 1, 16),
            bounded(f"{name}.cpus", args.get("cpus", 4), 1, 512),
            quantity(f"{name}.memory", args.get("memory", "16Gi")),
        )
        (tier,) = check_tiers(f"{name}.tier", [args.get("tier", Tier.PRODUCTION)])
        clients = args.get("clients", {"triton-client": service_name})
        if not clients:
            raise ConfigError(f"{name}.clients", clients, "must name at least one label, else every pod could call")

        super().__init__("falaj:index:TritonService", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = pick(args["tenant"], "namespace")
        selector = {"app.kubernetes.io/name": "triton", "app.kubernetes.io/instance": service_name}
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": service_name,
            "namespace": namespace,
            "labels": pick(args["tenant"], "labels").apply(lambda owner: owner | selector | {TIER_LABEL: tier.value}),
        }
        policy = k8s.networking.v1.NetworkPolicy(
            f"{name}-network-policy",
            metadata=metadata,
            spec={
                "pod_selector": {"match_labels": selector},
                "policy_types": ["Ingress", "Egress"],
                "ingress": ingress_rules(clients, args.get("metrics_namespace", "monitoring")),
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
            spec={"max_unavailable": 1, "selector": {"match_labels": selector}},
            opts=child,
        )
        deployment = k8s.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=metadata,
            spec={
                "replicas": replicas,
                "selector": {"match_labels": selector},
                # A spare GPU for a surge is seldom there: replace pods one by one instead.
                "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 0, "max_unavailable": 1}},
                "template": {
                    "metadata": {"labels": metadata["labels"]},
                    "spec": pod_spec(
                        image,
                        pulumi.Output.from_input(args["model_repository"]),
                        resources=resources,
                        service_account=args.get("service_account", "workload"),
                        selector=selector,
                        pool=args.get("pool"),
                    ),
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[policy],
                custom_timeouts=pulumi.CustomTimeouts(
                    create=args.get("ready_timeout", "5m"), update=args.get("ready_timeout", "5m")
                ),
            ),
        )
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata=metadata,
            spec={
                "type": "ClusterIP",
                "selector": selector,
                "ports": [
                    {"name": "http", "port": HTTP, "target_port": "http"},
                    {"name": "grpc", "port": GRPC, "target_port": "grpc"},
                    {"name": "metrics", "port": METRICS, "target_port": "metrics"},
                ],
            },
            # The Service is ready when its pods are; waiting for them once is enough.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[deployment],
                custom_timeouts=pulumi.CustomTimeouts(create="2m", update="2m"),
            ),
        )

        self.service_name = service.metadata.name.apply(lambda known: known or service_name)
        self.namespace = namespace
        self.url = pulumi.Output.concat("http://", self.service_name, ".", namespace, f".svc:{HTTP}")
        self.register_outputs({"serviceName": self.service_name, "namespace": self.namespace, "url": self.url})


def check_image(field: str, image: str) -> str:
    """Return the image if it is named by digest and registry, so that it is the same everywhere and for ever."""
    if not _DIGEST.fullmatch(image):
        raise ConfigError(field, image, "must be an image by digest, registry/repository@sha256:<64 hex digits>")
    return image


def pod_resources(gpus: int, cpus: int, memory: str) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """Return requests and limits; CPU has no limit, since throttling a server only makes it slow."""
    return {
        "requests": {"cpu": str(cpus), "memory": memory, "nvidia.com/gpu": str(gpus)},
        "limits": {"memory": memory, "nvidia.com/gpu": str(gpus)},
    }


def ingress_rules(
    clients: dict[str, str], metrics_namespace: str
) -> list[k8s.networking.v1.NetworkPolicyIngressRuleArgsDict]:
    """Return who may call: the tenant's own clients for inference, the monitoring namespace for metrics."""
    return [
        {
            "from_": [{"pod_selector": {"match_labels": clients}}],
            "ports": [{"protocol": "TCP", "port": port} for port in (HTTP, GRPC)],
        },
        {
            "from_": [{"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": metrics_namespace}}}],
            "ports": [{"protocol": "TCP", "port": METRICS}],
        },
    ]


def pod_spec(
    image: str,
    model_repository: pulumi.Output[str],
    *,
    resources: k8s.core.v1.ResourceRequirementsArgsDict,
    service_account: str,
    selector: dict[str, str],
    pool: str | None,
) -> k8s.core.v1.PodSpecArgsDict:
    """Return the pod: restricted as Pod Security wants it, on GPU nodes only, replicas apart from each other."""
    return {
        "service_account_name": service_account,
        "automount_service_account_token": False,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": _NOBODY,
            "run_as_group": _NOBODY,
            "fs_group": _NOBODY,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "node_selector": {GPU_LABEL: "true"} | ({"pool": pool} if pool else {}),
        "tolerations": [{"key": GPU_TAINT["key"], "operator": "Exists", "effect": "NoSchedule"}],
        "topology_spread_constraints": [
            {
                "max_skew": 1,
                "topology_key": key,
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": selector},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "termination_grace_period_seconds": 60,
        "containers": [
            {
                "name": "triton",
                "image": image,
                "args": [
                    "tritonserver",
                    pulumi.Output.concat("--model-repository=", model_repository),
                    f"--http-port={HTTP}",
                    f"--grpc-port={GRPC}",
                    f"--metrics-port={METRICS}",
                    "--exit-timeout-secs=45",
                ],
                "ports": [
                    {"name": "http", "container_port": HTTP},
                    {"name": "grpc", "container_port": GRPC},
                    {"name": "metrics", "container_port": METRICS},
                ],
                "resources": resources,
                # Loading models takes minutes; only after that is silence a fault.
                "startup_probe": _probe("live", failures=60),
                "liveness_probe": _probe("live", failures=3),
                "readiness_probe": _probe("ready", failures=3),
                "security_context": {
                    "allow_privilege_escalation": False,
                    "read_only_root_filesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volume_mounts": [
                    {"name": "scratch", "mount_path": "/tmp"},  # noqa: S108 - the pod's own, empty volume
                    {"name": "shared-memory", "mount_path": "/dev/shm"},  # noqa: S108 - the same
                ],
            }
        ],
        "volumes": [
            {"name": "scratch", "empty_dir": {"size_limit": "10Gi"}},
            {"name": "shared-memory", "empty_dir": {"medium": "Memory", "size_limit": "2Gi"}},
        ],
    }


def _probe(state: str, failures: int) -> k8s.core.v1.ProbeArgsDict:
    return {
        "http_get": {"path": f"/v2/health/{state}", "port": "http"},
        "period_seconds": 10,
        "timeout_seconds": 5,
        "failure_threshold": failures,
    }
