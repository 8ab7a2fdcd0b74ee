"""What makes a cluster's GPUs usable and shared: NVIDIA's and AWS's agents on the nodes, metrics, and Kueue."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.chart_values import VALUES, ImageAt, Values, Wishes, operator_values
from falaj.components.charts import chart_versions, charts, check_digests, release, repository
from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import NetworkRef, RegistryRef, pick
from falaj.components.regime import Regime, check_regime
from falaj.components.tenant import POD_SECURITY
from falaj.components.tenant_network import NAMESPACE_NAME

KUEUE_NAMESPACE = "kueue-system"
# The agents open the kubelet's sockets, which the Pod Security Standards call privileged: they live where EKS's own do.
AGENTS_NAMESPACE = "kube-system"
_TIMEOUT_SECONDS = 600
_VISIBILITY, _METRICS, _WEBHOOKS = 8082, 8443, 9443


class GpuAgent(StrEnum):
    """What tells the kubelet of GPUs."""

    DEVICE_PLUGIN = "device-plugin"
    """NVIDIA's device plugin alone: whole GPUs and time slices."""
    GPU_OPERATOR = "gpu-operator"
    """NVIDIA's operator: the same plugin, and a manager that cuts GPUs into MIG partitions. More runs, and as root."""


class MigStrategy(StrEnum):
    """What pods ask for to get a MIG partition."""

    MIXED = "mixed"
    """A resource for each profile, such as ``nvidia.com/mig-1g.18gb``, as ``GpuNodePool`` tells it."""
    SINGLE = "single"
    """``nvidia.com/gpu``, each of them a partition; all GPUs of a node are cut alike."""
    NONE = "none"
    """Partitions are not handed out."""


class GpuOperatorsArgs(TypedDict):
    """What may be said of the GPU operators."""

    registry: pulumi.Input[RegistryRef]
    """Where charts and images come from: ``ref`` of an ``ImageRegistry``."""
    network: pulumi.Input[NetworkRef]
    """Where the API server is, which calls Kueue and is called by it: ``ref`` of a ``Network``."""
    regime: Regime
    """Home region and account, whose registry it has to be."""
    ownership: Ownership
    """Who answers for them and pays."""
    classification: NotRequired[Classification]
    """Classification of what runs in the cluster. Default: ``restricted``."""
    agent: NotRequired[GpuAgent]
    """What tells the kubelet of GPUs. Default: ``device-plugin``."""
    mig_strategy: NotRequired[MigStrategy]
    """What pods ask for to get a MIG partition. Default: ``mixed``."""
    time_slices: NotRequired[list[int]]
    """Numbers of slices that pools cut a GPU into, 2 to 16; each is a configuration of the plugin. Default: none."""
    metrics: NotRequired[bool]
    """Whether the DCGM exporter serves the GPUs' metrics. Default: true."""
    efa: NotRequired[bool]
    """Whether the EFA plugin hands out ``vpc.amazonaws.com/efa``. Default: false."""
    kueue: NotRequired[bool]
    """Whether Kueue shares the GPUs out among tenants. Default: true."""
    metrics_namespace: NotRequired[str]
    """Namespace whose pods may scrape Kueue's metrics. Default: ``monitoring``."""
    versions: NotRequired[dict[str, str]]
    """Versions other than the pinned ones: of images by name, of charts as ``charts/<name>``. Default: as pinned."""
    digests: NotRequired[dict[str, str]]
    """Digests of images by name, ``sha256:...``. Default: none, since tags of an ``ImageRegistry`` never move."""


class GpuOperators(pulumi.ComponentResource):
    """The agents of GPU nodes and Kueue, each a pinned Helm chart whose chart and images are in the home region.

    Serves ISO/IEC 27001:2022 A.5.21, A.8.6, A.8.9, A.8.16, A.8.19 and A.8.32.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    releases: pulumi.Output[dict[str, str]]
    """Versions of the charts that are installed, by name."""

    def __init__(self, name: str, args: GpuOperatorsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime = args["regime"]
        check_regime(f"{name}.regime", regime)
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        tags = labels(f"{name}.ownership", args["ownership"], classification)
        slices = [bounded(f"{name}.time_slices", each, 2, 16) for each in args.get("time_slices", [])]
        wishes = Wishes(MigStrategy(args.get("mig_strategy", MigStrategy.MIXED)).value, sorted(set(slices)))
        chosen = _charts(args)
        versions = chart_versions(f"{name}.versions", chosen, args.get("versions", {}))
        if "kueue" in chosen:
            _check_kueue(f"{name}.versions.kueue", versions["kueue"])
        digests = check_digests(f"{name}.digests", chosen, args.get("digests", {}))
        scrapers = dns_label(f"{name}.metrics_namespace", args.get("metrics_namespace", "monitoring"))
        host = check_registry(f"{name}.registry", args["registry"], regime)

        super().__init__("falaj:index:GpuOperators", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        known = pulumi.Output.all(host, pick(args["registry"], "prefixes"))
        images = versions | {image: f"{versions[image]}@{digest}" for image, digest in digests.items()}
        for chart in chosen:
            before: list[pulumi.Resource] = []
            namespace = AGENTS_NAMESPACE
            if chart == "kueue":
                api_server = pick(args["network"], "cidr")
                namespace, before = KUEUE_NAMESPACE, _kueue_namespace(name, api_server, scrapers, tags, child)
            k8s.helm.v3.Release(
                f"{name}-{chart}",
                name=chart,
                namespace=namespace,
                chart=pulumi.Output.concat("oci://", host, "/", charts()[chart].place),
                version=versions[charts()[chart].place],
                values=known.apply(lambda found, chart=chart: _values(chart, (found[0], found[1]), images, wishes)),
                # Halfway is worse than not at all: what fails is taken back.
                atomic=True,
                timeout=_TIMEOUT_SECONDS,
                max_history=5,
                opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=before)),
            )
        self.releases = pulumi.Output.from_input({chart: versions[charts()[chart].place] for chart in chosen})
        self.register_outputs({"releases": self.releases})


def check_registry(field: str, registry: pulumi.Input[RegistryRef], regime: Regime) -> pulumi.Output[str]:
    """Return the registry's host, refusing one that is not of the home region and account: at once if it is known."""
    ours = f"{regime['account_id']}.dkr.ecr.{regime['home_region']}.amazonaws.com"

    def checked(host: str) -> str:
        if host != ours:
            raise ConfigError(field, host, f"must be the registry of the home region and account, {ours}")
        return host

    if isinstance(registry, Mapping) and isinstance(registry["registry"], str):
        return pulumi.Output.from_input(checked(registry["registry"]))
    return pick(registry, "registry").apply(checked)


def _check_kueue(field: str, version: str) -> None:
    """Refuse a Kueue that does not know the feature gates of its configuration, and would not start."""
    (image,) = charts()["kueue"].images
    if image.version and release(version) < release(image.version):
        raise ConfigError(field, version, f"must be {image.version} or later, which has its feature gates")


def _charts(args: GpuOperatorsArgs) -> list[str]:
    """Return the names of the charts that are wanted."""
    agents = {GpuAgent.DEVICE_PLUGIN: "nvidia-device-plugin", GpuAgent.GPU_OPERATOR: "gpu-operator"}
    wanted = {
        agents[GpuAgent(args.get("agent", GpuAgent.DEVICE_PLUGIN))]: True,
        "dcgm-exporter": args.get("metrics", True),
        "aws-efa-k8s-device-plugin": args.get("efa", False),
        "kueue": args.get("kueue", True),
    }
    return [chart for chart, is_wanted in wanted.items() if is_wanted]


def _values(chart: str, registry: tuple[str, Mapping[str, str]], tags: Mapping[str, str], wishes: Wishes) -> Values:
    """Return the values of a chart, whose images lie in the registry under these tags."""
    host, prefixes = registry
    images = {
        image.name: ImageAt(repository(host, prefixes, image.upstream), tags[image.name])
        for image in charts()[chart].images
    }
    if chart == "gpu-operator":
        return operator_values(images, wishes)
    (image,) = images.values()
    return VALUES[chart](image, wishes)


def _kueue_namespace(
    name: str, api_server: pulumi.Input[str], scrapers: str, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Make Kueue's namespace: restricted pods, and only the traffic that Kueue has."""
    namespace = k8s.core.v1.Namespace(
        f"{name}-kueue-namespace",
        metadata={"name": KUEUE_NAMESPACE, "labels": tags | POD_SECURITY},
        opts=opts,
    )
    within = namespace.metadata.name
    everything = k8s.networking.v1.NetworkPolicy(
        f"{name}-kueue-denied",
        metadata={"name": "default-deny", "namespace": within, "labels": tags},
        spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
        opts=opts,
    )
    its_own = k8s.networking.v1.NetworkPolicy(
        f"{name}-kueue-traffic",
        metadata={"name": "kueue", "namespace": within, "labels": tags},
        spec=_traffic(api_server, scrapers),
        opts=opts,
    )
    return [namespace, everything, its_own]


def _traffic(api_server: pulumi.Input[str], scrapers: str) -> k8s.networking.v1.NetworkPolicySpecArgsDict:
    """Return what Kueue's pods take part in: calls of the API server's and to it, and scrapes of the metrics.

    The API server calls the visibility API and the webhooks, from the network of the nodes and not from that of a pod.
    """
    server: k8s.networking.v1.NetworkPolicyPeerArgsDict = {"ip_block": {"cidr": api_server}}
    monitoring: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
        "namespace_selector": {"match_labels": {NAMESPACE_NAME: scrapers}}
    }
    return {
        "pod_selector": {"match_labels": {"app.kubernetes.io/name": "kueue"}},
        "policy_types": ["Ingress", "Egress"],
        "ingress": [
            {"from_": [server], "ports": [_port(_VISIBILITY), _port(_WEBHOOKS)]},
            {"from_": [monitoring], "ports": [_port(_METRICS)]},
        ],
        "egress": [{"to": [server], "ports": [_port(443)]}],
    }


def _port(number: int) -> k8s.networking.v1.NetworkPolicyPortArgsDict:
    return {"protocol": "TCP", "port": number}
