"""What the API server has to know before models are served: types, rights and the plugin of Argo Rollouts.

All of it comes from the modules that the programs were built from; what is left out is what the lab has no use for.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from falaj.lab.errors import LabError
from falaj.lab.loopback import apply, ask
from falaj.lab.state import Lab, write_private

NAMESPACE = "argo-rollouts"
USER = "system:serviceaccount:argo-rollouts:argo-rollouts"
"""The controller's identity: the name that its own manifests give it."""
PLUGIN = "argoproj-labs/gatewayAPI"
PACE = 100
"""What the controller, and its plugin beside it, may ask of the API server in a second."""

TYPES: Mapping[str, frozenset[str]] = {
    "argoproj.io/v1alpha1": frozenset(
        {"rollouts", "analysisruns", "analysistemplates", "clusteranalysistemplates", "experiments"}
    ),
    "gateway.networking.k8s.io/v1": frozenset({"gatewayclasses", "gateways", "httproutes", "grpcroutes"}),
}
"""What has to be served, by group and version, before anything that serves can work."""

_OURS = frozenset({"", "apps", "argoproj.io", "batch", "networking.k8s.io"})
"""API groups of which the controller needs something here; its role knows those of every mesh."""
_KNOWN_WITHIN = 60.0


def install(lab: Lab, binaries: Mapping[str, Path]) -> None:
    """Give the API server the types, rights and configuration, and wait until it serves the types."""
    argo, plugin = binaries["argo-rollouts"], binaries["argo-gateway-api"]
    install_types(lab, argo.parent, plugin.parent)
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *rights(argo.parent / "data" / "manifests" / "role" / "argo-rollouts-clusterrole.yaml"),
        configuration(plugin),
    ):
        apply(lab, manifest)


def grant_rights(lab: Lab, _: Mapping[str, Path]) -> None:
    """Apply the rights of Prometheus and of the lab's gateway."""
    for manifest in yaml.safe_load_all((Path(__file__).parent / "rbac.yaml").read_text()):
        apply(lab, manifest)


def install_types(lab: Lab, argo: Path, gateway: Path) -> None:
    """Apply the definitions of both tools' folders; where these very ones are served already, spare three megabytes."""
    installed, tools = lab.folder("data", "argo-rollouts") / "types.json", json.dumps([str(argo), str(gateway)])
    if installed.exists() and installed.read_text() == tools and not _missing(lab):
        return
    for path in (
        *sorted((argo / "data" / "manifests" / "crds").glob("*-crd.yaml")),
        *sorted((gateway / "data" / "config" / "crd" / "standard").glob("*_*s.yaml")),
    ):
        text = path.read_text()
        if "\nkind: CustomResourceDefinition\n" in text:
            apply(lab, named(text), text)
    deadline = time.monotonic() + _KNOWN_WITHIN
    while missing := _missing(lab):
        if time.monotonic() > deadline:
            raise LabError(
                f"the API server does not serve {', '.join(sorted(missing))} after {_KNOWN_WITHIN:.0f} s;"
                " see `falaj-lab logs kube-apiserver`"
            )
        time.sleep(0.2)
    write_private(installed, tools)


def named(definition: str) -> dict[str, Any]:
    """Return kind and name of a definition that is text, since parsing the largest takes seconds."""
    found = re.search(r"(?m)^metadata:\n(?:  .*\n)*?  name: (\S+)$", definition)
    assert found is not None
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**kind, "metadata": {"name": found[1]}}


def configuration(plugin: Path) -> dict[str, Any]:
    """Return what the controller reads at its start: where its traffic router is, and how often that may ask."""
    plugins = [
        {
            "name": PLUGIN,
            "location": f"file://{plugin}",
            "args": [f"-kubeClientQPS={PACE}", f"-kubeClientBurst={2 * PACE}"],
        }
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argo-rollouts-config", "namespace": NAMESPACE},
        "data": {"trafficRouterPlugins": json.dumps(plugins)},
    }


def rights(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the controller's own role, without what the lab has no use for, and the plugin's, bound to its identity.

    Left out are the groups of meshes and load balancers, leases, and the secrets of all namespaces: the controller
    reads its own namespace's alone, so that an analysis cannot take its credentials from a secret here.
    """
    role = yaml.safe_load(file.read_text())
    rules = [kept for rule in role["rules"] if (kept := _needed(rule))]
    routes = {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes", "grpcroutes"]}
    own = {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get", "list", "watch"]}
    yield from _bound("ClusterRole", {"name": NAMESPACE}, [*rules, {**routes, "verbs": ["get", "update"]}])
    yield from _bound("Role", {"name": NAMESPACE, "namespace": NAMESPACE}, [own])


def _needed(rule: Mapping[str, Any]) -> dict[str, Any] | None:
    groups = [group for group in rule["apiGroups"] if group in _OURS]
    resources = [each for each in rule["resources"] if each not in {"secrets", "configmaps", "endpoints"}]
    return {**rule, "apiGroups": groups, "resources": resources} if groups and resources else None


def _bound(kind: str, metadata: Mapping[str, str], rules: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    yield {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": rules}
    yield {
        "apiVersion": f"{group}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": kind, "name": metadata["name"]},
        "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
    }


def _missing(lab: Lab) -> set[str]:
    """Return those of the types that the API server does not serve."""
    return {name for group, wanted in TYPES.items() for name in wanted - _served(lab, group)}


def _served(lab: Lab, group: str) -> set[str]:
    status, answer = ask(lab, "kube-apiserver", "GET", f"/apis/{group}", client="bootstrap")
    return {each["name"] for each in json.loads(answer)["resources"]} if status == HTTPStatus.OK else set[str]()
