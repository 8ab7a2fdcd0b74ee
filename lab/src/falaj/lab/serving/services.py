"""The services that `falaj-lab up --serving` adds: what measures, routes and progresses models in service.

Prometheus, Envoy and Argo Rollouts are the real ones, on loopback alone. The kubelet and the gateway are the lab's own,
in the place of a cluster's. Prometheus reads its targets and Envoy its routes from files below the lab's ``data``
folder: who writes one there, whole and by renaming, changes what they do.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from falaj.lab.certificates import kubeconfig_path
from falaj.lab.service import Binaries, Service, answers_at, python
from falaj.lab.serving import crds, gateway_overload, nodes, triton
from falaj.lab.state import Lab, write_private
from falaj.lab.table import cache

TOOLS = ("argo-rollouts", "argo-gateway-api", "prometheus", "envoy", *(() if triton.lacks() else (triton.TOOL,)))
"""What a lab that serves needs beside the tools of every lab; without Triton where this machine cannot run it."""

SCRAPE_SECONDS = 1
"""How often Prometheus asks: analyses of a minute have to see something."""

XDS = ("lds", "cds")
"""What Envoy reads from files: listeners and clusters; routes are in the listeners, endpoints in the clusters."""

LOOKED, TRANSLATED = "kubelet.looked", "lab-gateway.ready"
"""What the lab's kubelet and its gateway write below ``run`` when they have done their work."""

LEASE = 40
"""Seconds for which the kubelet's nodes count as heard."""

ADMIN = ("/ready", "/server_info", "/stats", "/clusters", "/listeners", "/config_dump", "/certs", "/memory")
"""What Envoy's administration answers, whoever on this machine asks: nothing that drains or ends it."""

_BOUNDS = {"sample_limit": 20_000, "body_size_limit": "16MB"}
"""What one target may say at once."""

_MEMORY = 256 << 20
"""What Prometheus keeps its heap below, as far as it can, and how much it keeps on disk."""


def targets(lab: Lab) -> Path:
    """Return the folder of which Prometheus scrapes what each ``*.json`` names.

    A file is a list of ``{"targets": ["127.0.0.1:N"], "labels": {…}}``; the label ``job`` names who it is, and
    ``__metrics_path__`` says where its metrics are, if not at /metrics.
    https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config
    """
    return lab.folder("data", "prometheus", "targets")


def prometheus(lab: Lab, binaries: Binaries) -> list[str]:
    """Return Prometheus's command line, and write what it reads.

    It scrapes the lab's own services, what files name, and as a cluster's PodMonitors would have it each pod that is a
    process and has a port named ``metrics``, with the pod's labels.
    """
    ports = lab.ports()
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": f"{SCRAPE_SECONDS}s"},
        "storage": {"tsdb": {"retention": {"time": "6h", "size": f"{_MEMORY >> 20}MB"}}},
        "scrape_configs": [
            {
                "job_name": "lab",
                "file_sd_configs": [{"files": [str(targets(lab) / "*.json")], "refresh_interval": "5s"}],
                **_BOUNDS,
            },
            {
                "job_name": "pods",
                "kubernetes_sd_configs": [
                    {
                        "role": "pod",
                        "kubeconfig_file": str(kubeconfig_path(lab, "prometheus")),
                        "selectors": [{"role": "pod", "field": f"spec.nodeName={node}"}],
                    }
                    for node in nodes.names(lab)
                ],
                "relabel_configs": [
                    _kept("container_port_name", "metrics"),
                    _kept("phase", "Running"),
                    {"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(.+)"},
                    {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
                    {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
                    {"source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container"},
                ],
                **_BOUNDS,
            },
        ],
    }
    own = [
        {"targets": [f"127.0.0.1:{ports['prometheus']}"], "labels": {"job": "prometheus"}},
        {"targets": [f"127.0.0.1:{ports['argo-rollouts-metrics']}"], "labels": {"job": "argo-rollouts"}},
        {
            "targets": [f"127.0.0.1:{ports['envoy']}"],
            "labels": {"job": "envoy", "__metrics_path__": "/stats/prometheus"},
        },
    ]
    write_private(targets(lab) / "lab.json", json.dumps(own, indent=2))
    path = lab.folder("run") / "prometheus.json"
    write_private(path, json.dumps(config, indent=2))
    return [
        str(binaries["prometheus"]),
        f"--config.file={path}",
        f"--storage.tsdb.path={lab.folder('data', 'prometheus', 'tsdb')}",
        f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
        "--query.max-concurrency=4",
        "--query.max-samples=2000000",
        "--query.timeout=10s",
        "--no-auto-gomemlimit",
        "--log.level=warn",
    ]


def _kept(of_pod: str, value: str) -> dict[str, Any]:
    """Return the rule that keeps the targets of which this is true."""
    return {"action": "keep", "source_labels": [f"__meta_kubernetes_pod_{of_pod}"], "regex": value}


def xds(lab: Lab) -> Path:
    """Return the folder with ``lds.json`` and ``cds.json``, Envoy's discovery responses of listeners and clusters."""
    return lab.folder("data", "envoy")


def envoy(lab: Lab, binaries: Binaries) -> list[str]:
    """Return Envoy's command line, and write what it starts with; it has no listener until one is written."""
    sources = {name: xds(lab) / f"{name}.json" for name in XDS}
    for path in sources.values():
        if not path.exists():
            write_private(path, json.dumps({"version_info": "0", "resources": []}))
    bootstrap = {
        "node": {"id": "lab", "cluster": "lab"},
        "admin": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": lab.ports()["envoy"]}},
            "allow_paths": [{"prefix": path} for path in ADMIN],
        },
        "dynamic_resources": {
            f"{name}_config": {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}
            for name, path in sources.items()
        },
        "overload_manager": gateway_overload.manager(),
    }
    path = lab.folder("run") / "envoy.json"
    write_private(path, json.dumps(bootstrap, indent=2))
    return [
        str(binaries["envoy"]),
        "--config-path",
        str(path),
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "warning",
    ]


def argo_rollouts(lab: Lab, binaries: Binaries) -> list[str]:
    """Return the command line of the controller of Argo Rollouts; alone in its cluster, it elects no leader."""
    ports = lab.ports()
    return [
        str(binaries["argo-rollouts"]),
        f"--kubeconfig={kubeconfig_path(lab, 'argo-rollouts')}",
        f"--healthzPort={ports['argo-rollouts']}",
        f"--metricsPort={ports['argo-rollouts-metrics']}",
        "--leader-elect=false",
        f"--qps={crds.PACE}",
        f"--burst={2 * crds.PACE}",
    ]


def argo_rollouts_environment(lab: Lab) -> Mapping[str, str]:
    """Return where the controller finds its configuration, and with which rights its plugin asks the API server."""
    return {"POD_NAMESPACE": crds.NAMESPACE, "KUBECONFIG": str(kubeconfig_path(lab, "argo-rollouts"))}


def prepare_kubelet(lab: Lab, _: Binaries) -> None:
    """Give the kubelet its identity, which is that of its nodes, and forget what an earlier one said of itself."""
    from falaj.lab.serving.node_api import ensure_identity  # noqa: PLC0415 - aiohttp takes a while to import

    for node in nodes.names(lab):
        ensure_identity(lab, node)
    (lab.root / "run" / LOOKED).unlink(missing_ok=True)


def prepare_gateway(lab: Lab, _: Binaries) -> None:
    """Forget what an earlier gateway said of itself."""
    (lab.root / "run" / TRANSLATED).unlink(missing_ok=True)


def kubelet_looked_lately(lab: Lab) -> bool:
    """Say whether the kubelet was heard by the API server within its nodes' lease."""
    return time.time() - (lab.root / "run" / LOOKED).stat().st_mtime < LEASE


SERVING: tuple[Service, ...] = (
    Service(
        "prometheus",
        prometheus,
        answers_at("prometheus", "/-/ready", authority=None),
        needs=("kube-apiserver",),
        ports=("prometheus",),
        environment=lambda _: {"GOMEMLIMIT": str(_MEMORY)},
        before_start=crds.grant_rights,
    ),
    # It answers with 200 when it is LIVE.
    Service("envoy", envoy, answers_at("envoy", "/ready", authority=None), ports=("envoy",)),
    Service(
        "argo-rollouts",
        argo_rollouts,
        answers_at("argo-rollouts", "/healthz", authority=None),
        needs=("kube-apiserver", "prometheus"),
        ports=("argo-rollouts", "argo-rollouts-metrics"),
        environment=argo_rollouts_environment,
        before_start=crds.install,
        folder=("data", "argo-rollouts"),
    ),
    Service(
        "lab-kubelet",
        lambda lab, _: python("falaj.lab.serving.kubelet", str(lab.root)),
        kubelet_looked_lately,
        needs=("kube-apiserver",),
        before_start=prepare_kubelet,
        # Where the tools are whose programs its pods run; services have a HOME of their own.
        environment=lambda _: {"FALAJ_CACHE": str(cache())},
    ),
    Service(
        "lab-gateway",
        lambda lab, _: python("falaj.lab.serving.gateway", str(lab.root)),
        lambda lab: (lab.root / "run" / TRANSLATED).exists(),
        # The first that has what it watches installed in the API server.
        needs=("kube-apiserver", "envoy", "argo-rollouts"),
        before_start=prepare_gateway,
    ),
)
