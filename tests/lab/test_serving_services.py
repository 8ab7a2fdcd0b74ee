"""What `falaj-lab up --serving` adds: how each is started, what it may do, and what it reads."""

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
import yaml

from falaj.lab import services, tools
from falaj.lab.errors import LabError
from falaj.lab.services import SERVICES, prepare, remember_only, remember_serving, services_of
from falaj.lab.serving import crds, triton
from falaj.lab.serving.services import LEASE, LOOKED, SERVING, TOOLS, targets, xds
from falaj.lab.state import Lab
from falaj.lab.table import find

STUB = "triton_python_backend_stub"
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: argo-rollouts}
rules:
- {apiGroups: [argoproj.io], resources: [rollouts], verbs: [get, update]}
- {apiGroups: [""], resources: [secrets, configmaps], verbs: [get, list, watch]}
- {apiGroups: [networking.k8s.io, extensions], resources: [ingresses], verbs: [get]}
- {apiGroups: [networking.istio.io], resources: [virtualservices], verbs: [update]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
"""


class Everything(dict[str, Path]):
    def __missing__(self, name: str) -> Path:
        return Path("/tools") / name


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path / "lab")
    remember_serving(lab, on=True)
    prepare(lab)
    return lab


def command(lab: Lab, name: str) -> list[str]:
    return next(service for service in services_of(lab) if service.name == name).command(lab, Everything())


def test_a_lab_serves_models_only_when_it_was_told_to_and_remembers_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    assert services_of(lab) == SERVICES
    remember_serving(lab, on=True)
    assert services_of(lab) == (*SERVICES, *SERVING)
    remember_serving(lab, on=False)
    assert services_of(lab) == SERVICES


def test_a_lab_of_some_services_serves_with_what_that_needs(made: Lab) -> None:
    remember_only(made, ["moto"])
    own = [service.name for service in services_of(made) if service not in SERVING]
    assert own == ["etcd", "kube-apiserver", "moto"]


def test_what_serving_needs_is_no_tool_of_every_lab() -> None:
    assert not set(TOOLS) & set(tools.CORE)
    assert all(find(name) for name in TOOLS)


def test_what_each_needs_is_stopped_after_it() -> None:
    known = {service.name for service in (*SERVICES, *SERVING)}
    assert all(set(service.needs) <= known for service in SERVING)
    needs = {service.name: service.needs for service in SERVING}
    assert "prometheus" in needs["argo-rollouts"]
    assert "envoy" in needs["lab-gateway"]


def test_no_two_ports_are_the_same_and_those_of_a_lab_that_does_not_serve_are_not_drawn(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    prepare(lab)
    assert "envoy" not in lab.ports()
    remember_serving(lab, on=True)
    prepare(lab)
    names = services.ports_of(lab)
    assert len({lab.ports()[name] for name in names}) == len(names)


def test_the_person_cannot_name_a_command_of_their_own_like_a_service_of_serving(made: Lab) -> None:
    with pytest.raises(LabError, match="must be NAME=COMMAND"):
        services.remember_command(made, "envoy=sleep 1")


@pytest.mark.parametrize("name", ["prometheus", "envoy", "argo-rollouts"])
def test_nothing_is_asked_to_listen_elsewhere_than_on_loopback(made: Lab, name: str) -> None:
    words = command(made, name)
    written = [path.read_text() for path in (made.root / "run").glob("*.json")]
    for text in (*words, *written):
        for address in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text.replace(str(made.root), "")):
            assert address.startswith("127."), text


def test_prometheus_asks_every_second_reads_targets_from_files_and_keeps_little(made: Lab) -> None:
    words = command(made, "prometheus")
    config = json.loads((made.root / "run" / "prometheus.json").read_text())
    assert config["global"]["scrape_interval"] == "1s"
    named, pods = config["scrape_configs"]
    assert named["file_sd_configs"][0]["files"] == [str(targets(made) / "*.json")]
    assert named["sample_limit"] == pods["sample_limit"] > 0
    assert set(config["storage"]["tsdb"]["retention"]) == {"time", "size"}
    assert any(word.startswith("--query.max-samples=") for word in words)
    scraped = json.loads((targets(made) / "lab.json").read_text())
    assert [each["labels"]["job"] for each in scraped] == ["prometheus", "argo-rollouts", "envoy"]


def test_prometheus_looks_for_metrics_of_the_pods_that_are_processes_alone(made: Lab) -> None:
    command(made, "prometheus")
    _, pods = json.loads((made.root / "run" / "prometheus.json").read_text())["scrape_configs"]
    (cluster,) = pods["kubernetes_sd_configs"]
    assert cluster["kubeconfig_file"] == str(made.root / "pki" / "prometheus.kubeconfig")
    assert cluster["selectors"] == [{"role": "pod", "field": "spec.nodeName=processes"}]
    kept = {rule["source_labels"][0]: rule["regex"] for rule in pods["relabel_configs"] if rule.get("action") == "keep"}
    assert kept["__meta_kubernetes_pod_container_port_name"] == "metrics"


def test_envoy_starts_without_listeners_and_keeps_those_that_were_written(made: Lab) -> None:
    words = command(made, "envoy")
    assert words[words.index("--concurrency") + 1] == "1"
    assert "--disable-hot-restart" in words
    assert json.loads((xds(made) / "lds.json").read_text())["resources"] == []
    (xds(made) / "lds.json").write_text("written by the gateway")
    command(made, "envoy")
    assert (xds(made) / "lds.json").read_text() == "written by the gateway"


def test_the_controller_has_an_identity_of_its_own_and_elects_no_leader(made: Lab) -> None:
    words = command(made, "argo-rollouts")
    assert f"--kubeconfig={made.root / 'pki' / 'argo-rollouts.kubeconfig'}" in words
    assert "--leader-elect=false" in words
    service = next(service for service in SERVING if service.name == "argo-rollouts")
    assert service.environment(made)["KUBECONFIG"] == str(made.root / "pki" / "argo-rollouts.kubeconfig")


def test_the_controller_may_do_here_only_what_it_needs_here(tmp_path: Path) -> None:
    (tmp_path / "role.yaml").write_text(ROLE)
    everywhere, _, own, _ = crds.rights(tmp_path / "role.yaml")
    groups = {group for rule in everywhere["rules"] for group in rule["apiGroups"]}
    assert groups == {"argoproj.io", "networking.k8s.io", "gateway.networking.k8s.io"}
    assert "secrets" not in {each for rule in everywhere["rules"] for each in rule["resources"]}
    assert own["metadata"]["namespace"] == crds.NAMESPACE
    assert {each for rule in own["rules"] for each in rule["resources"]} == {"secrets", "configmaps"}


def test_the_gateway_changes_nothing_but_what_it_says_of_gateways_and_routes() -> None:
    roles = {
        role["metadata"]["name"]: role
        for role in yaml.safe_load_all((Path(crds.__file__).parent / "rbac.yaml").read_text())
        if role["kind"] == "ClusterRole"
    }
    role = roles["falaj:lab-gateway"]
    for rule in role["rules"]:
        writes = set(rule["verbs"]) - {"get", "list", "watch"}
        assert not writes or rule["apiGroups"] == ["gateway.networking.k8s.io"]
        assert "patch" not in writes or all(each.endswith("/status") for each in rule["resources"])


def test_a_definition_is_named_without_reading_it_whole() -> None:
    text = "kind: CustomResourceDefinition\nmetadata:\n  annotations:\n    a: b\n  name: rollouts.argoproj.io\nspec:\n"
    assert crds.named(text)["metadata"]["name"] == "rollouts.argoproj.io"


def test_the_traffic_router_answers_to_the_name_of_the_one_in_a_cluster() -> None:
    told = crds.configuration(Path("/tools/argo-gateway-api"))
    (plugin,) = json.loads(told["data"]["trafficRouterPlugins"])
    assert plugin["name"] == "argoproj-labs/gatewayAPI"
    assert plugin["location"] == "file:///tools/argo-gateway-api"


def test_kwok_leaves_the_node_alone_whose_pods_are_processes(made: Lab) -> None:
    assert "--manage-nodes-with-label-selector=!falaj.dev/lab-processes" in command(made, "kwok")
    assert "--manage-all-nodes" not in command(made, "kwok")
    remember_serving(made, on=False)
    assert "--manage-all-nodes" in command(made, "kwok")


def test_the_kubelet_counts_as_well_while_its_node_is_heard(made: Lab) -> None:
    kubelet = next(service for service in SERVING if service.name == "lab-kubelet")
    with pytest.raises(FileNotFoundError):
        kubelet.answers(made)
    looked = made.folder("run") / LOOKED
    looked.touch()
    assert kubelet.answers(made)
    long_ago = time.time() - LEASE - 1
    os.utime(looked, (long_ago, long_ago))
    assert not kubelet.answers(made)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the wheel's, with a backend for the Python that runs this."""
    server = tmp_path / "wheel" / "pytriton" / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for file in ("bin/tritonserver", "backends/python/libtriton_python.so", f"python_backend_stubs/{version}/{STUB}"):
        (server / file).parent.mkdir(parents=True, exist_ok=True)
        (server / file).write_text(file)
    found = tools.Resolved("tritonserver", server / "bin" / "tritonserver", "1", "wheel", "")
    monkeypatch.setattr(triton, "resolve", {triton.TOOL: found}.get)
    monkeypatch.setattr(triton, "libpython", lambda: tmp_path / "python" / "libpython.so")
    return tmp_path / "wheel"


def test_triton_gets_the_backend_of_this_python_and_its_libraries(made: Lab, wheel: Path) -> None:
    found = triton.serve(made, Path("/models"), triton.Ports(1, 2, 3))
    folder = Path(next(w for w in found.command if w.startswith("--backend-directory=")).partition("=")[2])
    assert {path.name for path in (folder / "python").iterdir()} == {STUB, "libtriton_python.so"}
    assert found.environment["LD_LIBRARY_PATH"].startswith(f"{wheel / 'nvidia_pytriton.libs'}{os.pathsep}")
    assert found.environment["FALAJ_SERVING_PATH"].split(os.pathsep)[0] == str(wheel)
    assert {"--http-port=1", "--grpc-port=2", "--metrics-port=3", "--model-repository=/models"} <= set(found.command)
    assert sum(word.endswith("-address=127.0.0.1") for word in found.command) == 3


def test_a_python_that_triton_cannot_embed_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert triton.lacks() == "Triton runs on Linux, beside Python 3.11 or 3.12"


def test_triton_without_a_backend_for_this_python_is_refused(made: Lab, wheel: Path) -> None:
    for stub in wheel.rglob(STUB):
        stub.unlink()
    with pytest.raises(LabError, match=r"no backend for Python \d\.\d+; run the lab with"):
        triton.launch(made)


def test_triton_that_was_not_fetched_is_named_with_the_command_that_fetches_it(
    made: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tools.Resolved("tritonserver", None, "1", "to build", "")
    monkeypatch.setattr(triton, "resolve", {triton.TOOL: missing}.get)
    with pytest.raises(LabError, match="falaj-lab install --serving"):
        triton.launch(made)
