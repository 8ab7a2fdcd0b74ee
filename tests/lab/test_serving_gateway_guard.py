"""The gateway's guard of inference: a real Envoy with its filters alone, in front of a server that counts bytes."""

import http.client
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from asking import kept_port
from gateway_lab import process
from gateway_traffic import Pod, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from falaj.lab import tools
from falaj.lab.serving import gateway_guard

pytestmark = pytest.mark.lab

INFER = "/v2/models/iris/infer"
CALL = "/inference.GRPCInferenceService"
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
POD = "127.77.0.9"


def cluster(name: str, port: int, protocol: str) -> dict[str, Any]:
    address = {"socket_address": {"address": POD, "port_value": port}}
    endpoints = [{"endpoint": {"address": address}}]
    options = {"@type": f"type.googleapis.com/{_OPTIONS}", "explicit_http_config": {protocol: {}}}
    return {
        "name": name,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": endpoints}],
        },
        "typed_extension_protocol_options": {_OPTIONS: options},
    }


def bootstrap(port: int) -> dict[str, Any]:
    """Return what Envoy needs to pass requests on through the guard: gRPC and others, each to its port of the pod."""
    routes = [{"match": {"prefix": "/", "grpc": {}}, "route": {"cluster": "grpc"}}]
    routes += [{"match": {"prefix": "/"}, "route": {"cluster": "http"}}]
    router = {"name": "router", "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"}}
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [*gateway_guard.filters(), router],
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    clusters = [cluster("http", 8000, "http_protocol_options"), cluster("grpc", 8001, "http2_protocol_options")]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    envoy = tools.ensure(["envoy"])["envoy"].path
    folder = tmp_path_factory.mktemp("guard")
    found = kept_port(folder)
    path = folder / "envoy.json"
    path.write_text(json.dumps(bootstrap(found)))
    words = ["--config-path", str(path), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    with Pod("iris", POD).serving(), process([str(envoy), *words]):
        until(lambda: answers(found), "an answer through Envoy")
        yield found


def answers(port: int) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return ask(port, b"", "/")[0] == 200
    return False


def ask(port: int, body: bytes | Iterable[bytes], path: str = INFER, **headers: str) -> tuple[int, Any]:
    """Send a request and return the status, and what the pod or the guard said."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def one(**members: Any) -> bytes:
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 2], **members}
    return json.dumps({"inputs": [{name: each for name, each in tensor.items() if each is not None}]}).encode()


GOOD = [
    one(),
    one(data=[[-0.5, 1e-7]], shape=[1, 2]),
    one(data=[math.nan, -math.inf]),
    one(datatype="INT64", data=[-(10**17), 3]),
    one(datatype="BOOL", data=[True, False]),
    one(datatype="BYTES", data=["ذ", 'a"\\\n\U0001f600']),
    one(shape=[0, 3], data=[]),
    one(shape=[], data=[1]),
    one(data=None, parameters={"binary_data_size": 8}),
    b' {"id" : "\\u00e9\\ud83d\\ude00", "x": {"inputs": [null]}, "inputs":[], "outputs":[{"name":"s","parameters":'
    b'{"binary_data":false,"classification":3}}],"parameters":{"sequence_id":"a","priority":1,"mine":1.5}}\n',
]


@pytest.mark.parametrize("body", GOOD, ids=range(len(GOOD)))
def test_a_request_of_the_protocol_reaches_the_server_as_it_is(port: int, body: bytes):
    status, said = ask(port, body)
    assert (status, said.get("bytes")) == (200, len(body)), said


def test_tensors_bytes_that_follow_the_json_are_nobodys_business(port: int):
    told = one(data=None, parameters={"binary_data_size": 9})
    assert ask(port, told + b'\xff[[[{\0"', **{"Inference-Header-Content-Length": str(len(told))})[0] == 200
    assert ask(port, b"\xff[[[", **{"Inference-Header-Content-Length": "0"})[0] == 200


REFUSED = {
    "it is not at byte 10": b'{"inputs"',
    "it is not at byte 23": b'{"inputs": [], "x": 1.}',
    "must be an object": b"[]",
    "must have inputs": b"{}",
    "inputs must be a list": b'{"inputs": {}}',
    "an input must be an object": b'{"inputs": [[]]}',
    "name, datatype and shape": one(shape=None),
    "name must be a string": one(name=3),
    "datatype must be a string": one(datatype=7),
    "whole numbers from 0": one(shape=[-1]),
    "at most 2147483647 elements": one(shape=[1 << 31, 1]),
    "at most 32 dimensions": one(shape=[1] * 33),
    "data must be a list": one(data="x"),
    "data must hold no objects": one(data=[{}]),
    "data must be of FP32": one(data=["a", "b"]),
    "data must be of UINT8": one(datatype="UINT8", data=[1, -1]),
    "as many elements": one(data=[1]),
    "smaller than 1e300": one().replace(b"0.5", b"1e301"),
    "must be nested at most 64 deep": one(data=None, more=json.loads("[" * 80 + "]" * 80)),
    "binary_data_size must be": one(parameters={"binary_data_size": -1}),
    "shared memory": one(parameters={"shared_memory_region": "x"}),
    "shape must be said once": one().replace(b'"shape"', b'"shape": [1], "shape"'),
    "without backslashes": one().replace(b'"shape"', b'"sh\\u0061pe"'),
    "datatype must be without backslashes": one(shape=[10**9]).replace(b"FP32", b"FP\\u00332"),
    "an output must have a name": b'{"inputs": [], "outputs": [{}]}',
    "timeout must be": b'{"inputs": [], "parameters": {"timeout": "x"}}',
}


@pytest.mark.parametrize("why", list(REFUSED))
def test_what_triton_would_fail_at_is_refused_with_the_reason(port: int, why: str):
    status, said = ask(port, REFUSED[why])
    assert (status, why in said["error"]) == (400, True), said


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "9999999999", "1000", ""])
def test_a_length_of_the_json_that_lies_is_refused(port: int, length: str):
    assert ask(port, one(), **{"Inference-Header-Content-Length": length})[0] == 400


@settings(max_examples=150, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_only_what_another_parser_takes_for_json_passes(port: int, data: st.DataObject):
    values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
    body = json.dumps({"text_input": data.draw(values)}, ensure_ascii=data.draw(st.booleans())).encode()
    place, wrong = data.draw(st.integers(0, len(body) - 1)), data.draw(st.binary(max_size=2))
    body = body[:place] + wrong + body[place + data.draw(st.integers(0, 1)) :]
    try:
        known = isinstance(json.loads(body.decode("utf-8", "replace")), dict)
    except ValueError:
        known = False
    passed = ask(port, body, "/v2/models/iris/generate")[0] == 200
    # It is the stricter one about numbers out of range and halves of surrogate pairs, and never the laxer.
    assert known or not passed, body


def test_many_small_chunks_reach_the_server_as_one_piece_and_other_paths_as_they_come(port: int):
    body = one()
    pieces = [body[place : place + 1] for place in range(len(body))]
    status, said = ask(port, iter(pieces))
    assert (status, said["headers"]["content-length"]) == (200, str(len(body)))
    assert ask(port, iter(pieces), "/elsewhere")[1]["headers"]["transfer-encoding"] == "chunked"
    assert ask(port, b"[[[", "/elsewhere")[0] == 200


def test_compressed_bodies_are_refused(port: int):
    status, said = ask(port, one(), **{"Content-Encoding": "gzip"})
    assert (status, said) == (415, {"error": "the body must not be compressed"})


def test_messages_of_a_stream_are_judged_one_by_one(port: int):
    good, vast = bytes.fromhex("0a04697269732a031a0102"), bytes.fromhex("2a0b1a098080808080808080 40".replace(" ", ""))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        unary = channel.unary_unary(f"{CALL}/ModelInfer")
        assert unary(good, timeout=60) == b"iris"
        hidden = bytes.fromhex("aa80808010") + vast[1:]  # the same field, for who reads 32 bits of its number
        for bad, why in ((vast, "shape must be"), (hidden, "must be a protobuf"), (b"\xff", "must be a protobuf")):
            with pytest.raises(grpc.RpcError, match=why) as refused:
                unary(bad, timeout=60)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
