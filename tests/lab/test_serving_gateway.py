"""The lab's gateway without anything running: objects in, Envoy's configuration and conditions out."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from gateway_cases import (
    CLIENT,
    HOST,
    Made,
    backend,
    config_map,
    gateway,
    grant,
    grpc_route,
    http_route,
    https,
    platform,
    pod,
    service,
    shared_authority,
    shared_server,
    thing,
    tls_secret,
)

from falaj.lab import tools
from falaj.lab.serving import gateway_limits as limits
from falaj.lab.serving.gateway_files import Files, allocate_ports
from falaj.lab.serving.gateway_objects import CONTROLLER, Objects
from falaj.lab.serving.gateway_status import due
from falaj.lab.serving.gateway_translation import Configuration, configuration, wanted_ports
from falaj.lab.state import Lab

LISTENER = "gateways/serving/https"
STABLE, CANARY = "vision/iris:8000", "vision/iris-canary:8000"


def objects(*made: Made) -> Objects:
    by_kind: dict[str, list[Made]] = defaultdict(list)
    for each in made:
        by_kind[each["kind"]].append(each)
    return Objects(by_kind)


def translate(*made: Made, folder: Path = Path("/envoy")) -> Configuration:
    known = objects(*made)
    return configuration(known, {name: 20000 + port for name, port in wanted_ports(known).items()}, folder)


def entries(made: Configuration, host: str = HOST) -> list[Made]:
    """Return a host's routes, without the last, which answers 404."""
    (found,) = (each for each in made.routes[LISTENER]["virtual_hosts"] if each["domains"] == [host])
    *routes, last = found["routes"]
    assert last["direct_response"] == {"status": 404}
    return routes


def only(route: Made, *more: Made) -> Made:
    """Return the one entry that a route becomes."""
    (entry,) = entries(translate(*platform(), *more, route))
    return entry


def addresses(made: Configuration, cluster: str = STABLE) -> list[tuple[str, int]]:
    (group,) = made.endpoints[cluster]["endpoints"]
    places = [each["endpoint"]["address"]["socket_address"] for each in group["lb_endpoints"]]
    return [(place["address"], place["port_value"]) for place in places]


def conditions(made: Configuration, kind: str, listener: str | None = None) -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition of the one object of a kind, or of a Gateway's listener."""
    (state,) = (each for each in made.states if each.manifest["kind"] == kind)
    wanted: Made = dict(state.wanted)
    if "parents" in wanted:
        (wanted,) = wanted["parents"]
    if listener:
        (wanted,) = (each for each in wanted["listeners"] if each["name"] == listener)
    return {each["type"]: (each["status"], each["reason"]) for each in wanted["conditions"]}


def shares(entry: Made) -> dict[str, int]:
    return {each["name"]: each["weight"] for each in entry["route"]["weighted_clusters"]["clusters"]}


def http_filters(made: Configuration) -> dict[str, Made]:
    ((name, listener),) = made.listeners.items()
    assert name == "gateways/serving:443"
    (chain,) = listener["filter_chains"]
    return {each["name"]: each["typed_config"] for each in chain["filters"][-1]["typed_config"]["http_filters"]}


def test_weights_are_shares_of_clusters_and_one_of_no_weight_is_known_before_it_gets_any():
    made = translate(*platform(), http_route(backend("iris", weight=100), backend("iris-canary", weight=0)))
    (entry,) = entries(made)
    assert shares(entry) == {STABLE: 100, CANARY: 0}
    assert set(made.clusters) == {STABLE, CANARY}


def test_weights_without_any_share_are_answered_with_an_error():
    assert only(http_route(backend("iris", weight=0)))["direct_response"] == {"status": 500}


def test_metrics_name_the_service_whichever_port_and_protocol():
    made = translate(*platform(), http_route(backend("iris")), grpc_route(backend("iris", 8001)))
    assert {each["alt_stat_name"] for each in made.clusters.values()} == {"vision/iris"}
    assert set(made.clusters) == {STABLE, "vision/iris:8001:grpc"}


def test_calls_of_grpc_go_over_http2_and_stand_before_what_else_the_hostname_serves():
    made = translate(*platform(), http_route(backend("iris")), grpc_route(backend("iris", 8001)))
    first, second = entries(made)
    assert shares(first) == {"vision/iris:8001:grpc": 1}
    assert first["match"]["grpc"] == {}
    assert "grpc" not in second["match"]
    options = made.clusters["vision/iris:8001:grpc"]["typed_extension_protocol_options"]
    (config,) = options.values()
    assert "http2_protocol_options" in config["explicit_http_config"]


def test_a_call_is_matched_by_service_and_method():
    call = {"service": "inference.GRPCInferenceService", "method": "ModelInfer"}
    by_both, by_service, by_method = (
        only(grpc_route(backend("iris", 8001), matches=[{"method": dict(each)}]))["match"]
        for each in (call.items(), [("service", call["service"])], [("method", call["method"])])
    )
    assert by_both["path"] == "/inference.GRPCInferenceService/ModelInfer"
    assert by_service["prefix"] == "/inference.GRPCInferenceService/"
    assert by_method["safe_regex"] == {"regex": "/[^/]+/ModelInfer"}


def test_endpoints_are_ready_pods_of_the_selector_that_are_not_on_their_way_out():
    made = translate(
        *platform(),
        http_route(backend("iris")),
        pod("ready", "127.1.0.2", app="iris"),
        pod("renamed", "127.1.0.1", port=9000, app="iris"),
        pod("starting", "127.1.0.3", ready=False, app="iris"),
        pod("leaving", "127.1.0.4", leaving=True, app="iris"),
        pod("other", "127.1.0.5", app="iris-canary"),
    )
    assert addresses(made) == [("127.1.0.1", 9000), ("127.1.0.2", 8000)]


def test_a_service_without_a_selector_has_no_endpoints():
    bare = service("iris")
    del bare["spec"]["selector"]
    made = translate(*platform(stable=bare), http_route(backend("iris")), pod("any", "127.1.0.2", app="iris"))
    assert addresses(made) == []


def test_a_mirror_gets_its_fraction_of_copies_and_a_cluster():
    to = {"name": "iris-canary", "port": 8000}
    for asked, millionths in (
        ({"percent": 10}, 100_000),
        ({"fraction": {"numerator": 1, "denominator": 1000}}, 1000),
        ({}, 1_000_000),
    ):
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": to, **asked}}
        made = translate(*platform(), http_route(backend("iris"), filters=[mirror]))
        (policy,) = entries(made)[0]["route"]["request_mirror_policies"]
        assert policy["cluster"] == CANARY
        assert policy["runtime_fraction"]["default_value"] == {"numerator": millionths, "denominator": "MILLION"}
        assert CANARY in made.clusters


def test_matches_stand_in_the_order_of_precedence():
    matches = [
        {"path": {"type": "PathPrefix", "value": "/"}},
        {"path": {"type": "PathPrefix", "value": "/v2"}},
        {"path": {"type": "PathPrefix", "value": "/v2/models/"}, "method": "POST"},
        {"path": {"type": "PathPrefix", "value": "/v2/models"}, "headers": [{"name": "x-preview", "value": "yes"}]},
        {"path": {"type": "Exact", "value": "/v2"}},
    ]
    found = [each["match"] for each in entries(translate(*platform(), http_route(backend("iris"), matches=matches)))]
    paths = [each.get("path") or each.get("path_separated_prefix") or each["prefix"] for each in found]
    assert paths == ["/v2", "/v2/models", "/v2/models", "/v2", "/"]
    assert found[0]["path"] == "/v2"
    assert found[1]["headers"] == [{"name": ":method", "string_match": {"exact": "POST"}}]
    assert found[2]["headers"] == [{"name": "x-preview", "string_match": {"exact": "yes"}}]


def test_of_two_routes_with_the_same_match_the_older_one_serves():
    young = http_route(backend("iris"), name="a") | {}
    old = http_route(backend("iris-canary"), name="b")
    young["metadata"]["creationTimestamp"], old["metadata"]["creationTimestamp"] = "2026-01-02", "2026-01-01"
    assert shares(entries(translate(*platform(), young, old))[0]) == {CANARY: 1}


def test_headers_are_changed_and_a_percent_sign_is_no_variable():
    modifier = {"set": [{"name": "x-share", "value": "5%"}], "remove": ["x-secret"]}
    entry = only(
        http_route(backend("iris"), filters=[{"type": "RequestHeaderModifier", "requestHeaderModifier": modifier}])
    )
    (added,) = entry["request_headers_to_add"]
    assert added["header"] == {"key": "x-share", "value": "5%%"}
    assert added["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"
    assert entry["request_headers_to_remove"] == ["x-secret"]


def test_timeouts_are_the_routes_own_and_else_bounded():
    told = only(http_route(backend("iris"), timeouts={"request": "1m30s", "backendRequest": "500ms"}))["route"]
    assert (told["timeout"], told["retry_policy"]["per_try_timeout"]) == ("90s", "0.5s")
    assert told["idle_timeout"] == "90s"
    assert only(http_route(backend("iris")))["route"]["timeout"] == f"{limits.ANSWER:g}s"


def test_only_what_no_pod_has_seen_is_sent_again_unless_the_route_says_that_it_may_be_done_twice():
    unseen = "connect-failure,refused-stream,reset-before-request"
    assert only(http_route(backend("iris")))["route"]["retry_policy"]["retry_on"] == unseen
    twice = http_route(backend("iris"), annotations={"falaj.dev/idempotent": "true"})
    assert only(twice)["route"]["retry_policy"]["retry_on"] == f"{unseen},reset"


@pytest.mark.parametrize(
    "wrong",
    [
        {"filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "elsewhere"}}]},
        {"filters": [{"type": "ExtensionRef", "extensionRef": {"group": "x", "kind": "Y", "name": "z"}}]},
        {
            "filters": [
                {
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": {"set": [{"name": "Host", "value": "elsewhere"}]},
                }
            ]
        },
        {"matches": [{"headers": [{"name": "x", "type": "RegularExpression", "value": "(?<!a)"}]}, {}]},
    ],
)
def test_a_route_that_asks_for_something_else_is_refused_as_a_whole_and_answers_with_an_error(wrong: Made):
    made = translate(*platform(), http_route(backend("iris"), **wrong))
    assert conditions(made, "HTTPRoute")["Accepted"] == ("False", "UnsupportedValue")
    assert [each.get("direct_response") for each in entries(made)] == [{"status": 500}]


def test_a_client_is_let_in_by_exactly_its_names_and_others_by_nothing():
    made = translate(*platform(), http_route(backend("iris"), clients=f"{CLIENT}, app.vision.example"))
    guard = http_filters(made)["envoy.filters.http.rbac"]
    assert guard["rules"] == {"action": "ALLOW", "policies": {}}
    (policy,) = entries(made)[0]["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]["rules"][
        "policies"
    ].values()
    matchers = [each["custom"]["typed_config"]["san_matcher"] for each in policy["principals"]]
    assert matchers == [
        {"san_type": "URI", "matcher": {"exact": CLIENT}},
        {"san_type": "DNS", "matcher": {"exact": "app.vision.example"}},
    ]


def test_the_guard_stands_before_all_other_filters():
    assert next(iter(http_filters(translate(*platform())))) == "envoy.filters.http.rbac"


@pytest.mark.parametrize("clients", [None, "", " , "])
def test_where_certificates_are_demanded_a_route_that_names_no_client_lets_nobody_in(clients: str | None):
    assert only(http_route(backend("iris"), clients=clients))["typed_per_filter_config"] == {}


def test_every_certificate_is_let_in_only_where_the_route_says_so():
    rules = only(http_route(backend("iris"), clients="*"))["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]
    (principal,) = rules["rules"]["policies"]["clients"]["principals"]
    assert principal["custom"]["typed_config"]["any_validated_client_certificate"] is True


def test_without_certificates_nobody_is_known_so_that_a_route_which_names_clients_lets_nobody_in():
    open_gateway = gateway(certified=False)
    named, unnamed = (
        entries(translate(*platform(gateway=open_gateway), http_route(backend("iris"), clients=clients)))[0]
        for clients in (CLIENT, None)
    )
    assert named["typed_per_filter_config"] == {}
    assert unnamed["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]["rules"]["policies"]


def test_clients_must_show_a_certificate_of_the_authority_and_cannot_speak_for_another():
    made = translate(*platform())
    (chain,) = made.listeners["gateways/serving:443"]["filter_chains"]
    tls = chain["transport_socket"]["typed_config"]
    assert tls["require_client_certificate"] is True
    assert tls["common_tls_context"]["alpn_protocols"] == ["h2", "http/1.1"]
    trusted = made.secrets[f"{LISTENER}/clients"]["validation_context"]["trusted_ca"]
    assert trusted == {"inline_string": shared_authority().pem}
    assert chain["filters"][-1]["typed_config"]["forward_client_cert_details"] == "SANITIZE_SET"


def test_an_authority_of_one_port_takes_the_place_of_the_default_there():
    own = shared_authority().sign("unused")
    other = gateway(https(), https("other", 8443))
    other["spec"]["tls"]["frontend"]["perPort"] = [
        {"port": 8443, "tls": {"validation": {"caCertificateRefs": [{"kind": "ConfigMap", "name": "others"}]}}}
    ]
    made = translate(*platform(gateway=other), config_map(own.certificate.decode(), "others"))
    trusted = {
        name: secret["validation_context"]["trusted_ca"]["inline_string"]
        for name, secret in made.secrets.items()
        if "validation_context" in secret
    }
    assert trusted == {
        "gateways/serving/https/clients": shared_authority().pem,
        "gateways/serving/other/clients": own.certificate.decode(),
    }


def test_bodies_headers_connections_and_waits_are_bounded():
    made = translate(*platform(), http_route(backend("iris")))
    assert http_filters(made)["envoy.filters.http.body_size_limit"]["max_request_bytes"] == limits.REQUEST_BYTES
    listener = made.listeners["gateways/serving:443"]
    (chain,) = listener["filter_chains"]
    bound, http = (each["typed_config"] for each in chain["filters"])
    assert bound["max_connections"] == limits.CONNECTIONS
    assert http["max_request_headers_kb"] == limits.HEADER_KIBIBYTES
    assert http["common_http_protocol_options"]["max_headers_count"] == limits.HEADERS
    assert http["request_headers_timeout"] == limits.REQUEST_HEADERS
    assert http["request_timeout"] == limits.REQUEST
    assert chain["transport_socket_connect_timeout"] == limits.HANDSHAKE
    assert listener["per_connection_buffer_limit_bytes"] == limits.CONNECTION_BYTES
    (threshold,) = made.clusters[STABLE]["circuit_breakers"]["thresholds"]
    assert threshold["max_requests"] == limits.BACKEND_REQUESTS


def test_hostnames_are_what_listener_and_route_share():
    wide = platform(gateway=gateway(https(hostname="*.vision.example")))
    made = translate(*wide, http_route(backend("iris"), hostnames=[HOST, "elsewhere.example"]))
    assert [each["domains"] for each in made.routes[LISTENER]["virtual_hosts"]] == [["*"], [HOST]]
    (chain,) = made.listeners["gateways/serving:443"]["filter_chains"]
    assert chain["filter_chain_match"] == {"server_names": ["*.vision.example"]}


@pytest.mark.parametrize(
    ("parent", "reason"),
    [
        ({"sectionName": "nowhere"}, "NoMatchingParent"),
        ({"port": 8443}, "NoMatchingParent"),
    ],
)
def test_a_route_to_a_listener_that_is_not_there_has_no_parent(parent: Made, reason: str):
    to = {"name": "serving", "namespace": "gateways", **parent}
    made = translate(*platform(), http_route(backend("iris"), parent=to))
    assert conditions(made, "HTTPRoute")["Accepted"] == ("False", reason)
    assert made.clusters == {}


def test_a_route_is_attached_only_where_kind_namespace_and_hostname_are_taken():
    same = {"namespaces": {"from": "Same"}}
    selector = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"serves": "yes"}}}}
    calls = {"namespaces": {"from": "All"}, "kinds": [{"kind": "GRPCRoute"}]}
    namespace = thing("Namespace", "vision", None, labels={"serves": "yes"})
    found = [
        conditions(
            translate(*platform(gateway=gateway(https(**listener))), namespace, http_route(backend("iris"))),
            "HTTPRoute",
        )["Accepted"]
        for listener in (
            {"allowedRoutes": same},
            {"allowedRoutes": calls},
            {"hostname": "other.example"},
            {"allowedRoutes": selector},
        )
    ]
    assert found == [
        ("False", "NotAllowedByListeners"),
        ("False", "NotAllowedByListeners"),
        ("False", "NoMatchingListenerHostname"),
        ("True", "Accepted"),
    ]


def test_a_backend_that_is_not_there_is_said_and_its_share_answered_with_an_error():
    made = translate(*platform(), http_route(backend("iris"), backend("gone")))
    assert conditions(made, "HTTPRoute") == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("False", "BackendNotFound"),
    }
    (entry,) = entries(made)
    assert shares(entry) == {STABLE: 1, "refused": 1}
    assert "refused" not in made.clusters
    assert entry["route"]["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"


def test_a_service_of_another_namespace_is_used_only_where_a_grant_lets_the_route():
    foreign, route = service("secret", "finance"), http_route(backend("secret", namespace="finance"))
    granted = grant("finance", ("HTTPRoute", "vision"), "Service", "secret")
    others = [
        grant("finance", ("HTTPRoute", "other"), "Service"),
        grant("finance", ("GRPCRoute", "vision"), "Service"),
        grant("finance", ("HTTPRoute", "vision"), "Service", "another"),
        grant("vision", ("HTTPRoute", "vision"), "Service"),
    ]
    for wrong in (None, *others):
        made = translate(*platform(), foreign, route, *([wrong] if wrong else []))
        assert conditions(made, "HTTPRoute")["ResolvedRefs"] == ("False", "RefNotPermitted")
        assert made.clusters == {}
    made = translate(*platform(), foreign, route, granted)
    assert conditions(made, "HTTPRoute")["ResolvedRefs"] == ("True", "ResolvedRefs")
    assert set(made.clusters) == {"finance/secret:8000"}


def _refused_listeners() -> Iterable[tuple[str, list[Made], str, str]]:
    foreign = https(tls={"certificateRefs": [{"name": "server", "namespace": "vision"}]})
    yield "plain text", platform(gateway=gateway(https(protocol="HTTP"))), "Accepted", "UnsupportedProtocol"
    passed = https(tls={"mode": "Passthrough"})
    yield "passthrough", platform(gateway=gateway(passed)), "Accepted", "UnsupportedValue"
    yield "no secret", platform(server=thing("Secret", "x", "gateways")), "ResolvedRefs", "InvalidCertificateRef"
    broken = tls_secret(shared_server())
    broken["data"]["tls.crt"] = "AAAA"
    yield "no PEM", platform(server=broken), "ResolvedRefs", "InvalidCertificateRef"
    mixed = tls_secret(shared_server())
    mixed["data"]["tls.key"] = tls_secret(shared_authority().sign(HOST))["data"]["tls.key"]
    yield "another's key", platform(server=mixed), "ResolvedRefs", "InvalidCertificateRef"
    yield (
        "another namespace",
        [*platform(gateway=gateway(foreign)), tls_secret(shared_server(), namespace="vision")],
        "ResolvedRefs",
        "RefNotPermitted",
    )
    yield "no authority", platform(clients=config_map("", "x")), "ResolvedRefs", "InvalidCACertificateRef"
    yield "authority without PEM", platform(clients=config_map("no")), "ResolvedRefs", "InvalidCACertificateRef"
    service_ref = {"group": "", "kind": "Service", "name": "iris"}
    yield (
        "authority of another kind",
        platform(gateway=gateway(authorities=[service_ref])),
        "ResolvedRefs",
        "InvalidCACertificateKind",
    )
    lax = gateway()
    lax["spec"]["tls"]["frontend"]["default"]["validation"]["mode"] = "AllowInsecureFallback"
    yield "clients without certificates", platform(gateway=lax), "Accepted", "UnsupportedValue"


@pytest.mark.parametrize(
    ("made", "kind", "reason"),
    [case[1:] for case in _refused_listeners()],
    ids=[case[0] for case in _refused_listeners()],
)
def test_a_listener_that_cannot_be_served_as_asked_is_not_served_at_all(made: list[Made], kind: str, reason: str):
    found = translate(*made, http_route(backend("iris")))
    assert found.listeners == {}
    assert conditions(found, "Gateway", "https")[kind] == ("False", reason)
    assert conditions(found, "Gateway", "https")["Programmed"] == ("False", "Invalid")
    assert conditions(found, "Gateway")["Programmed"] == ("False", "Invalid")
    assert conditions(found, "Gateway")["Accepted"] == ("False", "ListenersNotValid")


def test_a_gateway_says_where_it_listens_and_what_is_attached():
    made = translate(*platform(), http_route(backend("iris")))
    (state,) = (each for each in made.states if each.manifest["kind"] == "Gateway")
    assert state.wanted["addresses"] == [
        {"type": "IPAddress", "value": "127.0.0.1"},
        {"type": "falaj.dev/port-443", "value": "127.0.0.1:20443"},
    ]
    assert state.wanted["listeners"][0]["attachedRoutes"] == 1
    assert state.path == "/apis/gateway.networking.k8s.io/v1/namespaces/gateways/gateways/serving/status"
    assert conditions(made, "Gateway") == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    assert conditions(made, "GatewayClass") == {"Accepted": ("True", "Accepted")}


def test_gateways_of_other_controllers_and_their_routes_are_left_alone():
    other = thing("GatewayClass", "falaj-lab", None, {"controllerName": "example.com/another"})
    made = translate(*platform(gateway_class=other), http_route(backend("iris")))
    assert (made.listeners, made.clusters) == ({}, {})
    assert [due(state, "now") for state in made.states] == [None]


def test_a_state_is_written_once_keeps_its_times_and_leaves_what_others_say():
    route = http_route(backend("iris"))
    said = {"controllerName": "example.com/another", "parentRef": {"name": "x"}, "conditions": []}
    route["status"] = {"parents": [said]}

    def state_of(made: Configuration) -> Any:
        return next(each for each in made.states if each.manifest["kind"] == "HTTPRoute")

    first = due(state_of(translate(*platform(), route)), "2026-01-01T00:00:00Z")
    assert first is not None
    assert [each["controllerName"] for each in first["parents"]] == ["example.com/another", CONTROLLER]
    route["status"] = first
    assert due(state_of(translate(*platform(), route)), "2026-01-02T00:00:00Z") is None
    gone = [each for each in platform() if each["metadata"]["name"] != "iris"]
    changed = due(state_of(translate(*gone, route)), "2026-01-03T00:00:00Z")
    assert changed is not None
    times = {each["type"]: each["lastTransitionTime"] for each in changed["parents"][1]["conditions"]}
    assert times == {"Accepted": "2026-01-01T00:00:00Z", "ResolvedRefs": "2026-01-03T00:00:00Z"}


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
