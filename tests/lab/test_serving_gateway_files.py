"""In which order the lab's gateway writes Envoy's files, and that Envoy accepts them."""

import json
import subprocess
from pathlib import Path

import pytest
from gateway_cases import backend, gateway, grpc_route, http_route, https, platform, pod
from gateway_translated import CANARY, STABLE, translate

from falaj.lab import tools
from falaj.lab.serving.gateway_files import Files, allocate_ports
from falaj.lab.state import Lab


def lab_at(folder: Path) -> Lab:
    lab = Lab.at(folder / "lab")
    lab.create()
    return lab


def test_a_cluster_stays_until_envoy_has_read_that_no_route_leads_to_it(tmp_path: Path):
    now, waited = [0.0], list[float]()
    files = Files(lab_at(tmp_path), clock=lambda: now[0], wait=waited.append)

    def clusters() -> set[str]:
        return {each["name"] for each in json.loads((files.folder / "cds.json").read_text())["resources"]}

    both = translate(*platform(), http_route(backend("iris"), backend("iris-canary")), folder=files.folder)
    one = translate(*platform(), http_route(backend("iris")), folder=files.folder)
    files.write(both)
    assert files.pending() is None
    files.write(one)
    assert clusters() == {STABLE, CANARY}
    endpoints = files.folder / "endpoints" / "vision_iris-canary_8000.json"
    assert endpoints.exists()
    now[0] += files.pending() or 0
    files.write(one)
    assert clusters() == {STABLE}
    assert not endpoints.exists()
    assert files.pending() is None


def test_new_clusters_are_given_time_before_routes_lead_to_them(tmp_path: Path):
    seen: list[bool] = []
    lab = lab_at(tmp_path)
    routes = lab.root / "data" / "envoy" / "routes" / "gateways_serving_https.json"
    files = Files(lab, wait=lambda _: seen.append(CANARY in routes.read_text()))
    files.write(translate(*platform(), http_route(backend("iris")), folder=files.folder))
    files.write(translate(*platform(), http_route(backend("iris-canary")), folder=files.folder))
    assert seen == [False]
    assert CANARY in routes.read_text()


def test_a_change_of_weights_touches_the_routes_alone(tmp_path: Path):
    files = Files(lab_at(tmp_path))

    def written() -> dict[str, int]:
        return {str(path.relative_to(files.folder)): path.stat().st_ino for path in files.folder.rglob("*.json")}

    weights = [(80, 20), (0, 100)]
    before, after = (
        (
            files.write(
                translate(
                    *platform(),
                    http_route(backend("iris", weight=stable), backend("iris-canary", weight=canary)),
                    folder=files.folder,
                )
            ),
            written(),
        )[1]
        for stable, canary in weights
    )
    assert {name for name in after if after[name] != before[name]} == {"routes/gateways_serving_https.json"}


def test_a_gateway_that_starts_again_leaves_what_envoy_reads_as_it_is(tmp_path: Path):
    lab = lab_at(tmp_path)
    made = translate(*platform(), http_route(backend("iris")), folder=Files(lab).folder)

    def written() -> dict[str, int]:
        return {str(path): path.stat().st_ino for path in (lab.root / "data" / "envoy").rglob("*.json")}

    Files(lab).write(made)
    before = written()
    Files(lab).write(made)
    assert written() == before
    assert len(before) == 6


def test_keys_are_readable_by_the_owner_alone(tmp_path: Path):
    files = Files(lab_at(tmp_path))
    files.write(translate(*platform(), folder=files.folder))
    (secret,) = (files.folder / "secrets").glob("*server.json")
    assert secret.stat().st_mode & 0o077 == 0


def test_a_port_stays_what_it_is_and_a_privileged_one_becomes_another(tmp_path: Path):
    lab = lab_at(tmp_path)
    first = allocate_ports(lab, {"gateways/serving:443": 443})
    assert first["gateways/serving:443"] >= 1024
    more = allocate_ports(lab, {"gateways/serving:443": 443, "gateways/other:443": 443})
    assert more["gateways/serving:443"] == first["gateways/serving:443"]
    assert len(set(more.values())) == 2


@pytest.mark.lab
def test_envoy_itself_accepts_all_of_the_configuration(tmp_path: Path):
    files = Files(lab_at(tmp_path))
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("iris-canary"), "percent": 5}}
    header = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "x", "value": "5%"}]}}
    match = {"path": {"type": "Exact", "value": "/v2"}, "queryParams": [{"name": "a", "value": "b"}], "method": "GET"}
    made = translate(
        *platform(gateway=gateway(https(), https("wide", hostname="*.example"), https("other", 8443))),
        http_route(backend("iris", filters=[header]), backend("gone"), filters=[mirror, header], matches=[match, {}]),
        http_route(backend("iris"), name="every", clients="*, app.example", timeouts={"request": "0s"}),
        http_route(backend("iris"), name="none", clients=None, filters=[{"type": "URLRewrite"}]),
        grpc_route(backend("iris", 8001), matches=[{"method": {"method": "ModelInfer"}}, {}]),
        pod("ready", "127.1.0.1", app="iris"),
        folder=files.folder,
    )
    files.write(made)
    for listener in made.listeners.values():
        for chain in listener["filter_chains"]:
            http = chain["filters"][-1]["typed_config"]
            # Validation reads no routes from files.
            http["route_config"] = made.routes[http.pop("rds")["route_config_name"]]
    static = {"listeners": list(made.listeners.values()), "clusters": list(made.clusters.values())}
    for resource in (*static["listeners"], *static["clusters"]):
        del resource["@type"]
    for routes in made.routes.values():
        del routes["@type"]
    bootstrap = tmp_path / "envoy.json"
    bootstrap.write_text(json.dumps({"node": {"id": "test", "cluster": "test"}, "static_resources": static}))
    command = [tools.ensure(["envoy"])["envoy"].path, "--mode", "validate", "-c", bootstrap]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
