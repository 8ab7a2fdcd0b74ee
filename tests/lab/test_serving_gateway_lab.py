"""The lab's gateway with etcd, the API server and Envoy running, and plain servers in the place of pods."""

import functools
import http.client
import itertools
import json
import socket
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from gateway_cases import (
    CLIENT,
    HOST,
    authority,
    backend,
    http_route,
    https,
    pod,
    tls_secret,
)
from gateway_lab import Serving, define_types, fill, process, serves
from gateway_traffic import Load, Pod, ask, until

from falaj.lab import tools
from falaj.lab.serving import gateway_limits as limits
from falaj.lab.serving.gateway_routes import IDEMPOTENT
from falaj.lab.serving.gateway_watch import GatewayApi
from falaj.lab.serving.services import envoy
from falaj.lab.state import Lab, write_private
from falaj.lab.testing import temporary_lab

pytestmark = pytest.mark.lab

METHOD = "/inference.GRPCInferenceService"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with temporary_lab(tmp_path_factory.mktemp("gateway") / "state", only=["kube-apiserver"]) as running:
        lab = Lab.at(running.root)
        api = GatewayApi(lab, "admin")
        define_types(lab, api)
        with ExitStack() as stack:
            made = [Pod("stable", "127.77.0.1"), Pod("canary", "127.77.0.2"), Pod("second", "127.77.0.3")]
            pods = {each.name: stack.enter_context(each.serving()) for each in made}
            found = Serving(lab, api, authority(), tmp_path_factory.mktemp("clients"), pods)
            fill(found)
            lab.allocate_ports(["envoy"])
            stack.enter_context(process([sys.executable, "-P", "-m", "falaj.lab.serving.gateway", str(lab.root)]))
            until((lab.root / "run" / "lab-gateway.ready").exists, "the first configuration")
            stack.enter_context(process(envoy(lab, {"envoy": tools.ensure(["envoy"])["envoy"].path})))
            until(functools.partial(serves, found), "an answer of the stable pod")
            yield found


def test_gateway_and_routes_say_that_they_are_served(serving: Serving):
    accepted = {"Accepted": "Accepted", "ResolvedRefs": "ResolvedRefs"}
    until(lambda: serving.conditions("HTTPRoute", "vision", "iris") == accepted, "the HTTPRoute's state")
    until(lambda: serving.conditions("GRPCRoute", "vision", "iris-grpc") == accepted, "the GRPCRoute's state")
    programmed = {"Accepted": "Accepted", "Programmed": "Programmed"}
    until(lambda: serving.conditions("Gateway", "gateways", "serving") == programmed, "the Gateway's state")
    status = serving.api.get(serving.path("Gateway", "gateways", "serving"))["status"]
    assert {"type": "falaj.dev/port-443", "value": f"127.0.0.1:{serving.port()}"} in status["addresses"]
    assert serving.api.get("/apis/gateway.networking.k8s.io/v1/gatewayclasses/falaj-lab")["status"]["conditions"]


@pytest.fixture
def weights(serving: Serving) -> Generator[Serving]:
    """Give the stable Service all requests again afterwards."""
    yield serving
    serving.weigh(100, 0)
    until(lambda: _pods(serving, 20) == {"stable": 20}, "the stable pod alone")


def _pods(serving: Serving, count: int) -> Counter[str]:
    with serving.client(CLIENT).connected() as connection:
        return Counter(ask(connection)[1]["pod"] for _ in range(count))


def test_requests_are_shared_by_weight(weights: Serving):
    weights.weigh(80, 20)
    until(lambda: "canary" in _pods(weights, 20), "an answer of the canary")
    found = _pods(weights, 500)
    # A fifth of 500, give or take five standard deviations.
    assert 55 < found["canary"] < 145
    assert found["stable"] == 500 - found["canary"]


def test_no_request_fails_while_the_weights_change(weights: Serving):
    with Load(weights.client(CLIENT)) as load:
        assert {name for _, name in load.more()} == {"stable"}
        for stable, canary in ((50, 50), (0, 100), (100, 0), (0, 100)):
            weights.weigh(stable, canary)
            load.more()
        until(lambda: {name for _, name in load.more()} == {"canary"}, "the canary alone")
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}


def test_a_mirror_gets_copies_whose_answers_nobody_sees(weights: Serving):
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("iris-canary"), "percent": 100}}
    rules = http_route(backend("iris"), filters=[mirror])["spec"]["rules"]
    weights.api.patch(weights.path("HTTPRoute", "vision", "iris"), {"spec": {"rules": rules}})
    copied, client = weights.pods["canary"].asked, weights.client(CLIENT)
    until(lambda: client.ask("/seen")[0] == 200 and "/seen" in copied, "a copy")
    with client.connected() as connection:
        answers = Counter(ask(connection, "/copied")[1]["pod"] for _ in range(20))
    assert answers == {"stable": 20}
    until(lambda: copied.count("/copied") == 20, "all copies")


def test_metrics_tell_stable_and_canary_apart(weights: Serving):
    weights.weigh(0, 100)
    until(lambda: _pods(weights, 20) == {"canary": 20}, "the canary alone")
    with weights.client(CLIENT).channel() as channel:
        channel.unary_unary(f"{METHOD}/ModelInfer")(b"", timeout=60)
    text = weights.admin("/stats/prometheus")
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    # Both protocols of a Service count in the same series.
    assert len(set(series)) == len(series)
    assert 'envoy_cluster_grpc_success{envoy_cluster_name="vision/iris"}' in series
    for name in ("vision/iris", "vision/iris-canary"):
        assert f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="2",envoy_cluster_name="{name}"}}' in text
        assert f'envoy_cluster_upstream_rq_time_bucket{{envoy_cluster_name="{name}",le=' in text


def test_only_a_client_that_the_route_names_is_served(serving: Serving):
    assert serving.client(CLIENT).ask()[0] == 200
    stranger = authority("another authority")
    found = {
        "none": serving.client().refused(),
        "expired": serving.client(CLIENT, days=-0.5).refused(),
        "another authority's": serving.client(CLIENT, by=stranger).refused(),
        "another tenant's": serving.client("spiffe://falaj/tenant/finance/client/app").refused(),
        "longer name": serving.client(f"{CLIENT}/more").refused(),
        "no URI but a host": serving.client("spiffe.falaj.example").refused(),
    }
    assert found == {
        "none": "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "expired": "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "another authority's": "TLSV1_ALERT_UNKNOWN_CA",
        "another tenant's": 403,
        "longer name": 403,
        "no URI but a host": 403,
    }


def test_a_pod_learns_who_calls_from_the_certificate_and_not_from_what_the_client_says(serving: Serving):
    lies = {"X-Forwarded-Client-Cert": "URI=spiffe://falaj/tenant/finance/client/app", "X-Envoy-Retry-On": "5xx"}
    status, said = serving.client(CLIENT).ask(**lies)
    headers = {name.lower(): value for name, value in said["headers"].items()}
    assert status == 200
    assert f"URI={CLIENT}" in headers["x-forwarded-client-cert"]
    assert "finance" not in headers["x-forwarded-client-cert"]
    assert "x-envoy-retry-on" not in headers


def test_what_no_route_matches_is_unknown_to_everyone(serving: Serving):
    with serving.client("spiffe://falaj/tenant/finance/client/app").connected() as connection:
        connection.request("GET", "/", headers={"Host": "elsewhere.example"})
        assert connection.getresponse().status == 404


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_that_is_too_large_is_refused_and_others_are_served_on(serving: Serving, chunked: bool):
    client, part = serving.client(CLIENT), b"x" * (1 << 20)
    largest = part * (limits.REQUEST_BYTES >> 20)
    status, said = client.ask(body=largest)
    assert (status, said["bytes"]) == (200, limits.REQUEST_BYTES)
    body: Any = iter([part] * ((limits.REQUEST_BYTES >> 20) + 1)) if chunked else largest + b"x"
    assert client.ask(body=body)[0] == 413
    assert client.ask()[0] == 200


def test_bodies_that_never_end_are_passed_on_and_not_gathered(serving: Serving):
    client, part = serving.client(CLIENT), b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    before = serving.memory()
    with ExitStack() as stack:
        for _ in range(16):
            connection = stack.enter_context(client.connected())
            connection.putrequest("POST", "/")
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            for _ in range(12):
                connection.send(part)
        # Of 192 MiB that came, what is kept to send a request again, and what is on its way.
        assert serving.memory() - before < 64 << 20
        assert client.ask()[0] == 200


def test_headers_that_are_too_many_or_too_large_are_refused(serving: Serving):
    client = serving.client(CLIENT)
    assert client.ask(**{f"X-{number}": "x" for number in range(limits.HEADERS + 1)})[0] == 431
    assert client.ask(**{"X-Large": "x" * (limits.HEADER_KIBIBYTES << 10)})[0] == 431


def test_a_connection_that_stops_halfway_is_closed(serving: Serving):
    client = serving.client(CLIENT)
    silent, shaking, asking = client.tcp(), client.tcp(), client.tls()
    shaking.sendall(bytes.fromhex("160301020001"))  # the begin of a TLS handshake
    asking.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Half".encode())
    with silent, shaking, asking:
        assert closes(silent)
        assert closes(shaking)
        assert b" 408 " in asking.recv(1000)
        assert closes(asking)


def closes(connection: Any) -> bool:
    """Wait for the other end to close a connection, until the connection's own timeout."""
    try:
        while connection.recv(1000):
            pass
    except ConnectionResetError:
        pass
    return True


def test_calls_of_grpc_are_served_streamed_and_refused(serving: Serving):
    with serving.client(CLIENT).channel() as channel:
        assert channel.unary_unary(f"{METHOD}/ModelInfer")(b"", timeout=60) == b"stable"
        sent = [b"a", b"b", b"c"]
        assert list(channel.stream_stream(f"{METHOD}/Stream")(iter(sent), timeout=60)) == sent
        with pytest.raises(grpc.RpcError) as large:
            channel.unary_unary(f"{METHOD}/ModelInfer")(b"x" * (limits.REQUEST_BYTES + 1), timeout=60)
    with (
        serving.client("spiffe://falaj/tenant/finance/client/app").channel() as channel,
        pytest.raises(grpc.RpcError) as other,
    ):
        channel.unary_unary(f"{METHOD}/ModelInfer")(b"", timeout=60)
    assert large.value.details() == "request too long"
    assert other.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_pod_that_leaves_gets_nothing_new_and_ends_what_it_has(serving: Serving):
    leaving = serving.pods["second"]
    serving.make(pod("iris-1", leaving.address, app="iris"))
    leaving.slow.set()
    with Load(serving.client(CLIENT)) as load, ExitStack() as stack:
        until(lambda: "second" in {name for _, name in load.more()}, "an answer of the second pod")
        connection = asking_slowly(serving, leaving, stack)
        serving.api.delete(serving.path("Pod", "vision", "iris-1"))
        until(lambda: {name for _, name in load.more()} == {"stable"}, "the stable pod alone")
        leaving.slow.clear()
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["pod"]) == (200, "second")
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}


def asking_slowly(serving: Serving, pod: Pod, stack: ExitStack) -> http.client.HTTPConnection:
    """Return a connection on which this pod owes an answer that it takes its time for."""
    for number in itertools.count():
        connection = stack.enter_context(serving.client(CLIENT).connected())
        connection.request("GET", f"/slow/{number}")
        until(lambda: any(f"/slow/{number}" in each.asked for each in serving.pods.values()), "the slow request")  # noqa: B023 - asked at once
        if f"/slow/{number}" in pod.asked:
            return connection
    raise AssertionError


def test_no_request_fails_when_a_pod_dies_where_requests_may_be_done_twice(serving: Serving):
    dying, path = serving.pods["second"], serving.path("HTTPRoute", "vision", "iris")
    serving.api.patch(path, {"metadata": {"annotations": {IDEMPOTENT: "true"}}})
    # The pod may reach Envoy before what is to happen to its requests: each is watched on its own.
    until(lambda: 'reset-before-request,reset"' in serving.admin("/config_dump"), "the route's retries")
    serving.make(pod("iris-2", dying.address, app="iris"))
    with Load(serving.client(CLIENT)) as load:
        until(lambda: "second" in {name for _, name in load.more()}, "an answer of the second pod")
        dying.die()
        load.more(200)
        serving.api.delete(serving.path("Pod", "vision", "iris-2"))
        load.more()
    serving.api.patch(path, {"metadata": {"annotations": {IDEMPOTENT: None}}})
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}


def test_a_gateway_is_not_programmed_while_envoy_refuses_its_configuration(serving: Serving):
    path = serving.path("Gateway", "gateways", "serving")
    taken_already = [{**https(), "port": 443}, {**https("second", 8443)}]
    blocker = socket.create_server(("127.0.0.1", 0))
    with blocker:
        ports = serving.lab.root / "data" / "envoy" / "ports.json"
        known = {**json.loads(ports.read_text()), "gateways/serving:8443": blocker.getsockname()[1]}
        write_private(ports, json.dumps(known))
        serving.api.patch(path, {"spec": {"listeners": taken_already}})
        until(lambda: programmed(serving) == "Pending", "the refusal")
        assert serving.client(CLIENT).ask()[0] == 200
    serving.api.patch(path, {"spec": {"listeners": [https()]}})
    until(lambda: programmed(serving) == "Programmed", "the configuration")


def programmed(serving: Serving) -> str:
    return serving.conditions("Gateway", "gateways", "serving")["Programmed"]


def test_a_certificate_is_renewed_without_a_connection_noticing(serving: Serving):
    client = serving.client(CLIENT)

    def serial() -> str:
        with client.tls() as connection:
            return str((connection.getpeercert() or {})["serialNumber"])

    before = serial()
    renewed = tls_secret(serving.authority.sign(HOST, server=True))
    with Load(client) as load:
        load.more()
        serving.api.patch(serving.path("Secret", "gateways", "server"), {"data": renewed["data"]})
        until(lambda: serial() != before, "the new certificate")
        load.more()
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}


def test_a_route_that_is_deleted_is_served_no_more(serving: Serving):
    serving.make(http_route(backend("iris"), name="brief", hostnames=["brief.example"]))

    def status() -> int:
        with serving.client(CLIENT).connected() as connection:
            connection.request("GET", "/", headers={"Host": "brief.example"})
            return connection.getresponse().status

    until(lambda: status() == 200, "the route")
    serving.api.delete(serving.path("HTTPRoute", "vision", "brief"))
    until(lambda: status() == 404, "the route's end")
