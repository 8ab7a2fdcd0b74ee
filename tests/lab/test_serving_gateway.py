"""What the lab's gateway makes of routes, clients and bounds: objects in, Envoy's configuration out."""

import pytest
from gateway_cases import (
    CLIENT,
    Made,
    backend,
    gateway,
    grpc_route,
    http_route,
    platform,
    pod,
    service,
    shared_authority,
)
from gateway_translated import (
    CANARY,
    LISTENER,
    STABLE,
    addresses,
    conditions,
    entries,
    http_filters,
    only,
    shares,
    translate,
)

from falaj.lab.serving import gateway_limits as limits


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
    young = http_route(backend("iris"), name="a")
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
        {
            "filters": [
                {
                    "type": "ResponseHeaderModifier",
                    "responseHeaderModifier": {"add": [{"name": "x", "value": "two\nlines"}]},
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
