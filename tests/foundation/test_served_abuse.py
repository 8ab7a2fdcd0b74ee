"""A service that is abused: by bad requests, by connections that go nowhere, and by versions that must not be served.

Two real Tritons behind the gateway; through all of it they live on, hold a bounded amount of memory, and answer others.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from gateway_traffic import Client, until
from hypothesis import HealthCheck, Phase, given, settings
from served_abuse import (
    CALLS,
    DEADLY,
    PATH,
    asked,
    call,
    calling,
    closed,
    grpc_messages,
    http_requests,
    message_of,
    post,
)
from served_processes import Processes
from served_refusals import NEVER_READY, REFUSED, UNLOADABLE, ends, have_tried, model, pods, publish, taken_away
from served_service import READY, Served, serving
from served_world import ARGO, NAME, SERVED_AS, TEAM, USER, Inference, infer, infer_once, multiplies

from falaj.lab.serving import gateway_limits as limits

pytestmark = pytest.mark.lab

MIB = 1 << 20
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: {SERVED_AS}\r\n"
ENVOY_HOLDS = limits.HEAP_BYTES + 256 * MIB
"""Its heap's bound, and what comes in the tenth of a second until it looks at the heap again."""
TRITON_HOLDS = 1024 * MIB
"""Forty MiB at rest; a request of 16 MiB takes twenty times as much while its JSON is read and its answer written."""
EXAMPLES, LONGEST = 150, 60.0
"""Of each protocol: so many requests that Hypothesis makes, the same ones each time, within so many seconds."""
FUZZ = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
REFUSALS = {400, 404, 413, 415}
CODES = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("abused")) as running:
        running.up("triton-canary", multiplies(2))
        until(lambda: all(infer_once(running.front.client(USER))[0] == 200 for _ in range(10)), "answers of both pods")
        yield running


@pytest.fixture
def client(served: Served) -> Client:
    return served.front.client(USER)


@contextmanager
def unharmed(served: Served) -> Generator[None]:
    """Expect that whatever is done meanwhile kills no process, restarts no container and takes a bounded memory."""

    def restarts() -> dict[str, int]:
        return {each.metadata.name: each.status.container_statuses[0].restart_count for each in served.pods()}

    before = Processes.of(served.lab.root), restarts()
    assert {name: len(found) for name, found in before[0].found.items()}.keys() >= {"envoy", "tritonserver"}
    yield
    assert infer_once(served.front.client(USER)) == (200, "1", [2.0, 8.0])
    assert (Processes.of(served.lab.root), restarts()) == before
    assert before[0].most("envoy") < ENVOY_HOLDS
    assert before[0].most("tritonserver") < TRITON_HOLDS


def fuzzed(served: Served, judged: Callable[..., None]) -> Callable[..., None]:
    """Return a test of one example, after each tenth of which a good request has to be answered."""
    count, end = 0, time.monotonic() + LONGEST

    def test(example: object) -> None:
        nonlocal count
        count += 1
        if time.monotonic() > end:
            return
        judged(example)
        assert count % 10 or infer_once(served.front.client(USER)) == (200, "1", [2.0, 8.0])

    return test


def test_whatever_a_client_sends_over_http_is_answered_or_refused_and_never_a_fault_of_the_server(served, client):
    def judged(request: tuple[bytes, dict[str, str]]) -> None:
        status, said = post(client, request[0], **request[1])
        assert status in REFUSALS | {200}, said
        assert said, "a refusal says why"

    with unharmed(served):
        FUZZ(given(http_requests())(fuzzed(served, judged)))()


def test_whatever_a_client_sends_over_grpc_is_answered_or_refused_and_never_a_fault_of_the_server(served, client):
    with unharmed(served), calling(client) as channel:

        def judged(message: bytes) -> None:
            code, why = call(channel, message)
            # Names that are not UTF-8, and floats cut off, are found by Triton's gRPC library, which knows this code.
            assert code in CODES or (code, why) == (grpc.StatusCode.INTERNAL, "Unable to parse request"), why

        FUZZ(given(grpc_messages())(fuzzed(served, judged)))()


@pytest.mark.parametrize("kind", list(DEADLY))
def test_requests_that_triton_does_not_survive_never_reach_it(served, client, kind):
    body, headers, status, why = DEADLY[kind]
    with unharmed(served):
        found = post(client, body, **headers)
    assert (found[0], why in found[1].decode()) == (status, True), found


def test_a_body_of_very_many_very_small_chunks_is_one_piece_when_triton_gets_it(served, client):
    with unharmed(served), client.tls() as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        # Each would take sixteen bytes of the stack of Triton's thread, which has eight MiB.
        for _ in range(60):
            connection.sendall(b"1\r\n \r\n" * 10_000)
        good = asked()
        connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(good), good))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_calls_that_triton_does_not_survive_never_reach_it(served, client):
    bad = message_of([2**62], [b""])
    with unharmed(served), calling(client) as channel:
        code, why = call(channel, bad)
        assert (code, why[:20]) == (grpc.StatusCode.INVALID_ARGUMENT, "shape must be of at "), why
        assert call(channel, bytes(limits.REQUEST_BYTES + 1))[1] == "request too long"
        compressed = channel.unary_unary(f"{CALLS}/ModelInfer")
        with pytest.raises(grpc.RpcError) as refused:
            compressed(message_of([64 * MIB], [bytes(256 * MIB)]), timeout=60, compression=grpc.Compression.Gzip)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        stream = channel.stream_stream(f"{CALLS}/ModelStreamInfer")
        answers = list(stream(iter([message_of([2]), bad, message_of([2])]), timeout=60))
    assert [b"shape must be of at most" in each for each in answers] == [False, True, False]


def test_connections_that_stop_halfway_are_closed_and_take_nothing_from_others(served, client):
    with unharmed(served), Inference(client) as load, ExitStack() as stack:
        silent = [stack.enter_context(client.tcp()) for _ in range(100)]
        shaking = [stack.enter_context(client.tcp()) for _ in range(50)]
        asking = [stack.enter_context(client.tls()) for _ in range(20)]
        for each in shaking:
            each.sendall(bytes.fromhex("160301020001"))  # the begin of a TLS handshake
        for each in asking:
            each.sendall(f"{HEAD}X-Half".encode())
        load.more()
        assert all(closed(each) for each in (silent[-1], shaking[-1]))
        assert b" 408 " in asking[-1].recv(1000)
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}


def test_bodies_that_never_end_take_a_bounded_memory_and_a_good_client_is_answered_while_they_are_held(served, client):
    part = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
    meanwhile: list[int] = []
    with unharmed(served), ExitStack() as stack:
        # Together more than the gateway may hold; half of them say a length that does not come.
        for number in range(60):
            each = stack.enter_context(client.tls())
            length = f"Content-Length: {16 * MIB}" if number % 2 else "Transfer-Encoding: chunked"
            with suppress(OSError):  # given up by the gateway, as it should
                each.sendall(f"{HEAD}{length}\r\n\r\n".encode())
                for _ in range(14):
                    each.sendall(part)
            meanwhile.append(infer_once(client)[0])
        until(lambda: all(infer_once(client)[0] == 200 for _ in range(10)), "answers while the bodies are held")
    # Where it is full for a moment it says so, until those that stand still are given up.
    assert set(meanwhile) <= {200, 503}
    assert meanwhile[:20] == [200] * 20


def test_a_flood_of_connections_is_cut_off_at_the_limit_and_who_is_connected_is_served_on(served, client):
    with unharmed(served):
        with client.connected() as steady, ExitStack() as stack:
            assert infer(steady)[0] == 200
            for _ in range(limits.CONNECTIONS - 1):
                stack.enter_context(client.tls())
            assert infer(steady)[0] == 200
            assert client.refused() in {"ConnectionResetError", "UNEXPECTED_EOF_WHILE_READING"}
            assert infer(steady)[0] == 200
        until(served.answers, "a place for a good client")


@pytest.mark.parametrize("reason", list(REFUSED))
def test_a_version_that_must_not_be_served_is_refused_before_it_is_loaded(served, client, reason):
    number = REFUSED[reason](served.publisher)

    def refusals() -> list[str]:
        states = [end for pod in pods(served.cluster, number) for end in ends(pod.status.init_container_statuses)]
        return [each.message for each in states if each.exit_code == 3]

    with Inference(client) as load, taken_away(served.publisher, number):
        have_tried(served.cluster, number)
        served.until(lambda: bool(refusals()), READY)
        load.more()
    assert all(each.startswith(f"{reason}: ") for each in refusals())
    assert not any(end for pod in pods(served.cluster, number) for end in ends(pod.status.container_statuses))
    assert load.failures == []
    assert set(load.answers) == {(200, "1")}


@pytest.mark.parametrize("name", list(UNLOADABLE))
def test_a_version_that_triton_cannot_load_never_gets_traffic_and_its_log_says_why(served, client, name):
    wrong, said = UNLOADABLE[name]
    program = {"program": multiplies(5), **wrong}
    number = publish(served.publisher, model(served.publisher, name, **program), tried=True)

    def ended() -> bool:
        return any(end.exit_code for pod in pods(served.cluster, number) for end in ends(pod.status.container_statuses))

    with Inference(client) as load:
        served.until(ended, READY)
        load.more()
    (tried,) = pods(served.cluster, number)
    log = Path(served.lab.root, "logs", "pods", f"{TEAM}_{tried.metadata.name}_triton.log")
    assert said in log.read_text()
    assert load.failures == []
    assert set(load.answers) == {(200, "1")}


def test_a_version_that_never_gets_ready_is_given_up_when_its_time_is_over(served, client):
    short = {"spec": {"progressDeadlineSeconds": 20}}
    served.cluster.custom.patch_namespaced_custom_object(*ARGO, TEAM, "rollouts", NAME, short)
    with Inference(client) as load:
        publish(served.publisher, model(served.publisher, "endless", NEVER_READY), tried=True)
        served.reaches("Degraded", READY)
        load.more()
    assert "timed out" in served.rollout()["status"]["message"]
    assert served.share() == 0
    assert load.failures == []
    assert set(load.answers) == {(200, "1")}
