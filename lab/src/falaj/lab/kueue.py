"""Kueue in the lab: the real controller, a process beside the API server where a cluster has a pod.

Emulated is nothing; what differs from its Helm chart is how it is reached, by URL, and that the API server serves the
current version of its types alone. Definitions, webhooks and rights come from the module that it was built from.
"""

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from falaj.lab.certificates import kubeconfig_path
from falaj.lab.errors import LabError
from falaj.lab.loopback import apply, ask, delete
from falaj.lab.state import Lab, write_private

CONFIGURATION = Path(__file__).parent / "kubernetes" / "kueue.yaml"
USER = "system:serviceaccount:kueue-system:kueue-controller-manager"
REQUESTS_PER_SECOND = 500
"""What Kueue may ask of the API server; its default of 50 is meant for one that others need too."""
_WEBHOOKS = {"MutatingWebhookConfiguration": "kueue-mutating", "ValidatingWebhookConfiguration": "kueue-validating"}
_SIDE_BY_SIDE = ("Job.batch", "Pod", "Workload.kueue.x-k8s.io")
"""Kinds of which as many are seen to at once as with its Helm chart; by itself Kueue takes one after another."""
_KNOWN_WITHIN = 30.0


def command(lab: Lab, binaries: Mapping[str, Path]) -> list[str]:
    """Return Kueue's command line, and write what it reads."""
    config = yaml.safe_load(CONFIGURATION.read_text())
    certificates = lab.folder("pki", "kueue")
    for name in ("crt", "key"):
        write_private(certificates / f"tls.{name}", (lab.root / "pki" / f"kueue-server.{name}").read_bytes())
    ports = lab.ports()
    config |= {
        "health": {"healthProbeBindAddress": f"127.0.0.1:{ports['kueue']}"},
        "metrics": {"bindAddress": f"127.0.0.1:{ports['kueue-metrics']}", "enableClusterQueueResources": True},
        "webhook": {"host": "127.0.0.1", "port": ports["kueue-webhook"], "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "clientConnection": {"qps": REQUESTS_PER_SECOND, "burst": 2 * REQUESTS_PER_SECOND},
        "controller": {"groupKindConcurrency": dict.fromkeys(_SIDE_BY_SIDE, 5)},
        # The first would serve an aggregated API, which the API server of a lab cannot reach by a Service; the second
        # would read secrets, for the sake of other clusters.
        "featureGates": config["featureGates"] | {"VisibilityOnDemand": False, "MultiKueue": False},
    }
    path = lab.folder("run") / "kueue.json"
    write_private(path, json.dumps(config, indent=2))
    return [
        str(binaries["kueue"]),
        f"--config={path}",
        f"--kubeconfig={kubeconfig_path(lab, 'kueue')}",
        "--zap-log-level=info",
    ]


def install(lab: Lab, binaries: Mapping[str, Path]) -> None:
    """Give the API server Kueue's types, rights and webhooks, and wait until it serves the types."""
    data = binaries["kueue"].parent / "data" / "config" / "components"
    base = f"https://127.0.0.1:{lab.ports()['kueue-webhook']}"
    authority = base64.b64encode((lab.root / "pki" / "ca.crt").read_bytes()).decode()
    for path in sorted((data / "crd" / "bases").glob("*.yaml")):
        plural = path.stem.partition("_")[2]
        definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
        apply(lab, {**definition, "metadata": {"name": f"{plural}.kueue.x-k8s.io"}}, current(path.read_text()))
    for manifest in rights(data / "rbac"):
        apply(lab, manifest)
    for manifest in webhooks(data / "webhook" / "manifests.yaml", base, authority):
        apply(lab, manifest)
    _wait_for_types(lab)


def forget_webhooks(lab: Lab) -> None:
    """Take Kueue's webhooks away: where it does not run, they would refuse all work."""
    for kind, name in _WEBHOOKS.items():
        delete(lab, f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}s/{name}")


def current(definition: str) -> str:
    """Return a definition that serves the stored version alone; as text, since parsing the largest takes seconds.

    Of each version that is served the API server keeps all objects, and asks Kueue to convert each change for it.
    """
    text, count = re.subn(
        r"(?m)^    served: true\n    storage: false$", "    served: false\n    storage: false", definition
    )
    assert count == 1
    return text


def rights(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield Kueue's own cluster roles, bound to the lab's identity of it."""
    for file in ("role.yaml", "metrics_auth_role.yaml"):
        role = next(iter(filter(None, yaml.safe_load_all((folder / file).read_text()))))
        name = f"kueue-{role['metadata']['name']}"
        yield {**role, "metadata": {"name": name}}
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        }


def webhooks(file: Path, base: str, authority: str) -> Iterator[dict[str, Any]]:
    """Yield the webhooks of Kueue's own objects and of the kinds of work that it manages, called by URL."""
    config = yaml.safe_load(CONFIGURATION.read_text())
    work = {framework.rpartition("/")[2] for framework in config["integrations"]["frameworks"]}
    for manifest in filter(None, yaml.safe_load_all(file.read_text())):
        kept: list[dict[str, Any]] = []
        for webhook in manifest["webhooks"]:
            # As in its chart, work of namespaces that Kueue does not manage never depends on it.
            subject = webhook["name"].partition(".")[0][1:]
            if subject in work:
                webhook["namespaceSelector"] = config["managedJobsNamespaceSelector"]
            elif webhook["rules"][0]["apiGroups"] != ["kueue.x-k8s.io"]:
                continue
            webhook["clientConfig"] = {
                "url": base + webhook["clientConfig"]["service"]["path"],
                "caBundle": authority,
            }
            kept.append(webhook)
        yield {**manifest, "metadata": {"name": _WEBHOOKS[manifest["kind"]]}, "webhooks": kept}


def _wait_for_types(lab: Lab) -> None:
    """Wait until the API server serves all of Kueue's types."""
    deadline = time.monotonic() + _KNOWN_WITHIN
    while True:
        status, answer = ask(lab, "kube-apiserver", "GET", "/apis/kueue.x-k8s.io/v1beta2", client="bootstrap")
        served = {each["name"] for each in json.loads(answer)["resources"]} if status == HTTPStatus.OK else set[str]()
        if {"workloads", "clusterqueues", "localqueues", "topologies"} <= served:
            return
        if time.monotonic() > deadline:
            raise LabError(f"the API server does not serve Kueue's types after {_KNOWN_WITHIN:.0f} s")
        time.sleep(0.2)
