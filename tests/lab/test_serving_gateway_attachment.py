"""Which routes the lab's gateway attaches to which listeners, what it refuses, and what it says of that."""

from collections.abc import Iterable
from typing import Any

import pytest
from gateway_cases import (
    HOST,
    Made,
    backend,
    config_map,
    gateway,
    grant,
    http_route,
    https,
    platform,
    service,
    shared_authority,
    shared_server,
    thing,
    tls_secret,
)
from gateway_translated import LISTENER, STABLE, conditions, entries, shares, translate

from falaj.lab.serving.gateway_objects import CONTROLLER
from falaj.lab.serving.gateway_status import due
from falaj.lab.serving.gateway_translation import Configuration


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
