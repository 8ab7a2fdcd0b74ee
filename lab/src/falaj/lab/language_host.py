"""The Python language host of the Pulumi CLI: `pulumi-language-python`, on the SDK's own `LanguageServer`.

The official host ships with the official CLI and is not on any package registry; where it is found, it is used instead.
This file needs nothing but the Pulumi SDK, so that it also runs under the interpreter of another project's environment.
"""

import gc
import importlib.metadata
import os
import queue
import re
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import IO, Any

# Children are started by fork and exec: grpc need not prepare for more, and says so on stderr otherwise.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

MESSAGE_LIMIT = 400 << 20
"""Largest gRPC message in bytes, as in Pulumi's SDKs."""


class LanguageHost(LanguageServer):
    """Runs Python programs and Python plugins (policy packs, component packages) for the engine."""

    def __init__(self, engine_address: str) -> None:
        super().__init__(lambda: None)
        self.engine_address = engine_address
        self.delegates: list[subprocess.Popen[str]] = []

    def Handshake(self, request: Any, context: Any) -> Any:
        """Accept the engine's handshake."""
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """Report the version of the SDK that serves."""
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi"))

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        """Install nothing: the environment is made by the project's own tools."""
        return iter(())

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        """List what is installed beside the program (`pulumi about`)."""
        found = sorted((d.metadata["Name"], d.version) for d in importlib.metadata.distributions())
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in found]
        )

    def Cancel(self, request: Any, context: Any) -> Any:
        """Stop the delegates; the program ends when the engine closes its side."""
        self.stop()
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:
        """Run a program in this process, or in a host of its own when the project names another environment."""
        python = interpreter(request.info)
        if not same_environment(python):
            return self.delegate(python).Run(request, timeout=None)
        program = Path(request.info.program_directory)
        entry = request.info.entry_point
        path = program / entry if entry and entry != "." else program
        os.chdir(request.pwd or program)
        sys.path.insert(0, str(program))
        sys.argv = [str(program)]

        def run_program() -> None:
            gc.disable()  # 15 % of a run went into the objects that importing the SDKs leaves
            runpy.run_path(str(path), run_name="__main__")

        self.program = run_program
        del request.args[:]
        request.args.append(self.engine_address)
        result = super().Run(request, context)
        # The SDK has logged the error to the engine already; `bail` keeps the engine from printing it again.
        return language_pb2.RunResponse(bail=True) if result.error else result

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        """Run a plugin and pass on what it prints until it ends."""
        environment = dict(e.split("=", 1) for e in request.env) if request.env else dict(os.environ)
        process = subprocess.Popen(
            [interpreter(request.info), "-u", request.info.program_directory, *request.args],
            cwd=request.pwd or None,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=die_with_parent,  # noqa: PLW1509 (it takes no lock)
        )
        context.add_callback(process.kill)
        chunks: queue.Queue[dict[str, Any] | None] = queue.Queue()

        def pump(stream: IO[bytes], field: str) -> None:
            for data in iter(lambda: os.read(stream.fileno(), 1 << 16), b""):
                chunks.put({field: data})
            chunks.put(None)

        for stream, field in ((process.stdout, "stdout"), (process.stderr, "stderr")):
            threading.Thread(target=pump, args=(stream, field), daemon=True).start()
        open_streams = 2
        while open_streams:
            chunk = chunks.get()
            if chunk is None:
                open_streams -= 1
            else:
                yield language_pb2.RunPluginResponse(**chunk)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())

    def delegate(self, python: str) -> Any:
        """Start this host under another interpreter and return a client of it."""
        process = subprocess.Popen(
            [python, __file__, self.engine_address],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 (it takes no lock)
        )
        self.delegates.append(process)
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not re.fullmatch(r"\d+", port):
            raise RuntimeError(
                f"{python} cannot serve as a Pulumi language host: is the pulumi package installed there?"
            )
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=message_limits())
        return language_pb2_grpc.LanguageRuntimeStub(channel)

    def stop(self) -> None:
        """End the hosts that were started under other interpreters."""
        for process in self.delegates:
            process.terminate()


def interpreter(info: Any) -> str:
    """Return the Python of the project's `virtualenv` option (relative to Pulumi.yaml), else the running one."""
    virtualenv = dict(info.options).get("virtualenv")
    if not virtualenv:
        return sys.executable
    python = Path(info.root_directory) / str(virtualenv) / "bin" / "python"
    return str(python) if python.exists() else sys.executable


def same_environment(python: str) -> bool:
    """Say whether an interpreter belongs to the environment that runs this host."""
    return Path(python).parent.parent.resolve() == Path(sys.prefix).resolve()


def die_with_parent() -> None:
    """Ask Linux to end this child when its parent dies, however that happens."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 (in the child only, between fork and exec)

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def message_limits() -> list[tuple[str, int]]:
    """Return gRPC's options for messages as large as Pulumi's engine sends."""
    return [("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.max_send_message_length", MESSAGE_LIMIT)]


def main() -> None:
    """Serve the engine whose address is the first argument that is not an option, until it goes away."""
    engine_address = next((a for a in sys.argv[1:] if not a.startswith("-")), None)
    if engine_address is None:
        sys.exit("pulumi-language-python is started by the pulumi CLI, with the engine's address as its argument")
    server = grpc.server(futures.ThreadPoolExecutor(16), options=message_limits())
    host = LanguageHost(engine_address)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ended = threading.Event()
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM):  # the engine ends its plugins by SIGINT
        signal.signal(number, lambda _number, _frame: ended.set())
    print(port, flush=True)  # noqa: T201 (the CLI reads the port from the first line)
    while not ended.wait(timeout=1):
        if os.getppid() != parent:  # the CLI is gone
            break
    host.stop()
    server.stop(grace=None).wait()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the engine waits for this process, and taking the SDKs' modules down takes half a second


if __name__ == "__main__":
    main()
