"""Serves an emulated provider to the engine over gRPC, and ends when the engine goes away."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from falaj.lab.provider.engine import EmulatedProvider, PartialError

MESSAGE_LIMIT = 400 << 20
"""Largest gRPC message in bytes, as in Pulumi's SDKs."""

THREADS = 32
SHUTDOWN_SECONDS = 120
"""How long requests in flight may take to end after the engine has gone away."""


class InFlight:
    """Counts the requests being served, so that the process ends between requests and not within one."""

    def __init__(self) -> None:
        self.count = 0
        self.closing = False
        self.changed = threading.Condition()

    def __enter__(self) -> None:
        with self.changed:
            if self.closing:
                raise ConnectionError("the provider is ending")
            self.count += 1

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def close(self, seconds: float) -> None:
        """Take no more requests and wait for those in flight."""
        with self.changed:
            self.closing = True
            self.changed.wait_for(lambda: self.count == 0, timeout=seconds)


def servicer(provider: EmulatedProvider[Any], in_flight: InFlight) -> provider_pb2_grpc.ResourceProviderServicer:
    """Return the protocol's servicer for a provider; requests that are not named here answer "unimplemented"."""
    methods = {
        "GetPluginInfo": provider.plugin_info,
        "GetSchema": provider.schema,
        "Cancel": provider.cancel,
        "CheckConfig": provider.check_config,
        "DiffConfig": provider.diff_config,
        "Configure": provider.configure_from,
        "Invoke": provider.invoke,
        "Check": provider.check,
        "Diff": provider.diff,
        "Create": provider.create,
        "Read": provider.read,
        "Update": provider.update,
        "Delete": provider.delete,
    }
    result = provider_pb2_grpc.ResourceProviderServicer()
    for name, method in methods.items():
        setattr(result, name, _answering(provider, method, in_flight))
    return result


def _answering(
    provider: EmulatedProvider[Any], method: Callable[[Any], Any], in_flight: InFlight
) -> Callable[[Any, grpc.ServicerContext], Any]:
    """Wrap a method: count it as in flight, and send its errors as one line."""

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        with in_flight:
            try:
                return method(request)
            except PartialError as error:
                detail = provider_pb2.ErrorResourceInitFailed(
                    id=error.identifier, reasons=[str(error)], properties=error.properties, inputs=request.properties
                )
                status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
                status.details.add().Pack(detail)
                context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
                return context.abort(grpc.StatusCode.UNKNOWN, str(error))
            except Exception as error:
                return context.abort(grpc.StatusCode.UNKNOWN, provider.one_line(error))

    return answer


def answers(address: str) -> bool:
    """Say whether something listens at an address."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError):
        return False
    return True


def serve(provider: EmulatedProvider[Any]) -> None:
    """Serve the engine whose address is the first argument that is not an option, until it goes away."""
    provider.engine_address = next((a for a in sys.argv[1:] if not a.startswith("-")), None)
    if provider.engine_address is None:
        sys.exit(f"pulumi-resource-{provider.name} is started by the pulumi CLI, with the engine's address as argument")
    ended = threading.Event()
    # The engine ends its plugins by SIGINT and kills them five seconds later. It starts each in a process group of its
    # own, so that a person's Ctrl-C does not come here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: ended.set())
    parent = os.getppid()
    in_flight = InFlight()
    options = [("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.max_send_message_length", MESSAGE_LIMIT)]
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer(provider, in_flight), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 (the engine reads the port from the first line)
    # A CLI that is gone shows in a new parent, except when it died before the old one was noted: then nothing answers.
    gone = not answers(provider.engine_address)
    while not gone and not ended.wait(timeout=0.5):
        gone = os.getppid() != parent
    in_flight.close(SHUTDOWN_SECONDS)
    server.stop(grace=None)
    sys.stderr.flush()
    os._exit(0)  # idle threads of the pool and of gRPC would hold the process back
