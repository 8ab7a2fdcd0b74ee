"""Clients of the lab's gateway, and plain servers in the place of pods, for its tests."""

import contextlib
import http.client
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from gateway_cases import HOST, Signed

DEADLINE = 60.0


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to pass"
        time.sleep(0.05)


class Server(http.server.ThreadingHTTPServer):
    """A server that says nothing of clients which went."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@dataclass
class Pod:
    """A server that says who it is, what it was asked with, and how much it was sent."""

    name: str
    address: str
    slow: threading.Event = field(default_factory=threading.Event)
    """While set, an answer to /slow/… waits."""
    asked: list[str] = field(default_factory=list[str])
    connections: set[socket.socket] = field(default_factory=set[socket.socket])

    @contextmanager
    def serving(self) -> Generator["Pod"]:
        pod = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # An answer leaves in one piece: what a pod that dies has begun to answer, nobody else can answer again.
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                pod.connections.add(self.connection)

            def do_GET(self) -> None:
                pod.asked.append(self.path)
                while self.path.startswith("/slow/") and pod.slow.is_set():
                    time.sleep(0.02)
                size = sum(map(len, self.body()))
                answer = json.dumps({"pod": pod.name, "headers": dict(self.headers), "bytes": size}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def body(self) -> Iterator[bytes]:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
                    return
                while length := int(self.rfile.readline() or b"0", 16):
                    yield self.rfile.read(length)
                    self.rfile.readline()
                self.rfile.readline()

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = Server((self.address, 8000), Handler)
        calls = grpc.server(futures.ThreadPoolExecutor(4))
        calls.add_generic_rpc_handlers([_Calls(self.name)])
        calls.add_insecure_port(f"{self.address}:8001")
        calls.start()
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.server = server
        try:
            yield self
        finally:
            self.die()
            calls.stop(None)

    def die(self) -> None:
        """Answer nobody any more, in the midst of whatever it was."""
        self.server.shutdown()
        self.server.server_close()
        for connection in [*self.connections]:  # one that came last may just be added
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Calls(grpc.GenericRpcHandler):
    """Answers a call with the pod's name, and a stream with each message that it was sent."""

    def __init__(self, name: str) -> None:
        self._name = name

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method.endswith("/Stream"):
            return grpc.stream_stream_rpc_method_handler(lambda messages, _: messages)
        return grpc.unary_unary_rpc_method_handler(lambda _, __: self._name.encode())


class Client:
    """One client of the gateway, with a certificate or without."""

    def __init__(self, port: int, authority: str, folder: Path, signed: Signed | None) -> None:
        self._port = port
        self._authority = authority
        self._signed = signed
        self._context = ssl.create_default_context(cadata=authority)
        if signed:
            files = [folder / f"{id(signed)}.{kind}" for kind in ("crt", "key")]
            for path, pem in zip(files, (signed.certificate, signed.key), strict=True):
                path.write_bytes(pem)
            self._context.load_cert_chain(*files)

    def tcp(self) -> socket.socket:
        """Return a connection before TLS."""
        return socket.create_connection(("127.0.0.1", self._port), timeout=DEADLINE)

    def tls(self) -> ssl.SSLSocket:
        """Return a connection after TLS; whether its certificate will do, the client learns when it reads."""
        return self._context.wrap_socket(self.tcp(), server_hostname=HOST)

    @contextmanager
    def connected(self) -> Generator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(HOST, timeout=DEADLINE)
        connection.sock = self.tls()
        try:
            yield connection
        finally:
            connection.close()

    def ask(
        self, path: str = "/", body: bytes | Iterable[bytes] | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Send one request on a connection of its own and return the status, and what the pod said."""
        with self.connected() as connection:
            return ask(connection, path, body, **headers)

    def refused(self) -> str | int:
        """Return how a request was refused: the status, or what TLS said."""
        try:
            return self.ask()[0]
        except (ssl.SSLError, ConnectionError) as error:
            return error.reason if isinstance(error, ssl.SSLError) else type(error).__name__

    @contextmanager
    def channel(self, host: str = HOST) -> Generator[grpc.Channel]:
        """Return a channel for calls of gRPC."""
        own = (self._signed.key, self._signed.certificate) if self._signed else (None, None)
        credentials = grpc.ssl_channel_credentials(self._authority.encode(), *own)
        options = [("grpc.ssl_target_name_override", host), ("grpc.default_authority", host)]
        with grpc.secure_channel(f"127.0.0.1:{self._port}", credentials, options) as channel:
            yield channel


def ask(
    connection: http.client.HTTPConnection, path: str = "/", body: bytes | Iterable[bytes] | None = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Send one request and return the status, and what the pod said."""
    # Refused before all of it was sent, it has an answer nevertheless.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        connection.request("GET" if body is None else "POST", path, body, headers)
    response = connection.getresponse()
    said = response.read()
    return response.status, json.loads(said) if response.status == 200 else {}


class Load:
    """A steady small load: clients with a connection each, one request after the other, until the end of the block."""

    def __init__(self, client: Client, clients: int = 3) -> None:
        self._client = client
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        self.answers: list[tuple[int, str]] = []
        """Status and pod of each answer, the oldest first."""
        self.failures: list[str] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(DEADLINE)

    def more(self, count: int = 30) -> list[tuple[int, str]]:
        """Return the next answers."""
        since = len(self.answers)
        until(lambda: len(self.answers) >= since + count or self.failures, f"{count} more answers")
        return self.answers[since:]

    def _run(self) -> None:
        try:
            with self._client.connected() as connection:
                while not self._end.is_set():
                    status, said = ask(connection)
                    self.answers.append((status, said.get("pod", "")))
                    time.sleep(0.005)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
