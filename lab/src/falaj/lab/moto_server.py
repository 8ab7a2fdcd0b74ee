"""The lab's emulated AWS: moto's server, made durable. ``python -m falaj.lab.moto_server --port N --data DIR``.

Emulated: moto answers as AWS does, but nothing runs behind it, and it accepts any credentials and any signature
(the lab's random ones keep programs from using a person's own by mistake). It listens on loopback only.
With ``--authorizer COMMAND`` it enforces IAM: signatures must be right, and COMMAND decides (`falaj.lab.authorizer`);
``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` are then those of the root user.

Durable: a request that changed something is answered after its effect is on disk, and an answer that was lost with the
process is given again when the client retries, so that nothing is lost or doubled wherever the process is killed.
"""

import argparse
import html
import io
import os
import re
import shlex
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from botocore.credentials import Credentials
from moto.backends import SERVICE_NAMES, get_backend
from moto.moto_server import werkzeug_app
from moto.utilities.utils import get_partition
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request

from falaj.lab.authorizer import Authorizer
from falaj.lab.errors import LabError
from falaj.lab.moto_gaps import close_gaps
from falaj.lab.moto_gaps.iam_enforcement import enforce
from falaj.lab.moto_state import Answer, CannotKeepError, MotoState, backend_names, use_one_catalogue
from falaj.lab.state import ACCOUNT

HOST = "127.0.0.1"
ANSWERS_KEPT = 64
LARGEST_ANSWER_KEPT = 64 * 1024
# KMS's GetParametersForImport makes a wrapping key: the one operation of this kind that changes something in moto.
READS = re.compile(r"(Describe|List|Get|Head)(?!ParametersForImport$)")

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

_Environ = dict[str, Any]


class DurableMoto:
    """A WSGI application: moto, whose state is on disk before a change is answered.

    Requests are handled one at a time, as moto expects. Answers to changes wait for the next save; changes that
    arrive while one is being written share the save after it.
    """

    def __init__(self, state: MotoState):
        self._state = state
        self._moto = werkzeug_app.DomainDispatcherApplication(_create_app)
        self._moto_lock = threading.Lock()
        self._save_lock = threading.Lock()
        self._changes = 0
        self._saved = 0
        self._rollbacks = 0
        # The latest answers to changes, by the id that an AWS SDK gives a call and repeats when it retries.
        self._answers = state.load()
        self._backends = backend_names()

    def __call__(self, environ: _Environ, start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        began = time.monotonic()
        request = Request(environ)
        body = request.get_data()  # before the lock: a slow client must not hold up the others
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        call = action(request.method, request.headers.get("X-Amz-Target", ""), request.query_string, body)
        answer = _refusal(request) or self._answer(environ, call, request.headers.get("amz-sdk-invocation-id", ""))
        if not READS.match(call) or not answer.status.startswith("2"):
            milliseconds = (time.monotonic() - began) * 1000
            _log(f"{call} {request.path} {answer.status[:3]} {milliseconds:.0f} ms")
        start_response(answer.status, answer.headers)
        return [answer.body]

    def finish(self) -> None:
        """Let the change that is being written be written, and begin no other."""
        self._save_lock.acquire()
        self._moto_lock.acquire()

    def _answer(self, environ: _Environ, call: str, invocation: str) -> Answer:
        with self._moto_lock:
            answer = self._answers.get(invocation)
            if answer is None:
                try:
                    body, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
                except Exception as error:  # whatever moto trips over is one failed request
                    traceback.print_exc()
                    if not READS.match(call):
                        self._roll_back()
                    return _failure("500 Internal Server Error", f"moto cannot do this: {error!r}")
                answer = Answer(status, list(headers), b"".join(body))
                backends = backend_names()
                # Reading makes a region's backend on first use, with random ids (its default VPC): that is a change.
                if READS.match(call) and backends == self._backends:
                    return answer
                self._backends = backends
                self._changes += 1
                self._keep(invocation, answer)
            change, rollbacks = self._changes, self._rollbacks
        return self._save(change, rollbacks) or answer

    def _keep(self, invocation: str, answer: Answer) -> None:
        if invocation and answer.status.startswith("2") and len(answer.body) <= LARGEST_ANSWER_KEPT:
            self._answers[invocation] = answer
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)

    def _save(self, change: int, rollbacks: int) -> Answer | None:
        """Return None once ``change`` is on disk, or else the answer that says why it was undone."""
        with self._save_lock:
            try:
                with self._moto_lock:
                    if rollbacks != self._rollbacks:
                        return _failure(
                            "503 Service Unavailable", "undone together with a change that failed; try again"
                        )
                    if change <= self._saved:
                        return None
                    reached, dump = self._changes, self._state.dump(self._answers)
                self._state.write(dump)
            except (LabError, CannotKeepError) as error:
                with self._moto_lock:
                    self._roll_back()
                status = "507 Insufficient Storage" if isinstance(error, LabError) else "501 Not Implemented"
                return _failure(status, str(error))
            self._saved = reached
        return None

    def _roll_back(self) -> None:
        """Go back to what is on disk: whoever waits for a later save learns that their change was undone."""
        self._rollbacks += 1
        self._answers = self._state.load()
        self._backends = backend_names()


def action(method: str, target: str, query: bytes, body: bytes) -> str:
    """Return the name of the operation that a request asks for, or else its HTTP method (``Get``, ``Put``)."""
    if target:
        return target.rpartition(".")[2]
    for form in (query, body[:4096]):
        named = re.search(rb"(?:^|&)Action=([A-Za-z0-9]+)(?:&|$)", form)
        if named:
            return named[1].decode()
    return method.capitalize()


def _refusal(request: Request) -> Answer | None:
    """Refuse what no AWS client of this lab sends."""
    if "Origin" in request.headers:
        return _failure("403 Forbidden", "requests of web pages are refused")
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/", request.headers.get("Authorization", ""))
    if scope and get_partition(scope[1]) != "aws":
        return _failure("400 Bad Request", f"{scope[1]} is outside the partition aws, the only one that this lab keeps")
    return None


def _failure(status: str, message: str) -> Answer:
    _log(f"{status}: {message}")
    # The AWS SDKs read an HTML page as an error of the service, whatever the service's own format.
    page = f"<html><body>{html.escape(message)}</body></html>\n"
    return Answer(status, [("Content-Type", "text/html; charset=utf-8")], page.encode())


def _create_app(service: SERVICE_NAMES) -> Any:
    """Make moto's application of one service, without the backend that it makes just to learn the service's URLs."""
    backends = get_backend(service)
    before = set(backends[ACCOUNT])
    app = werkzeug_app.create_backend_app(service)
    for region in set(backends[ACCOUNT]) - before:
        del backends[ACCOUNT][region]
    return app


def _log(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")
    sys.stderr.flush()


class _QuietHandler(werkzeug_app.MotoRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: ``DurableMoto`` logs changes and failures; polling would fill the log."""


def serve(port: int, folder: Path, authorizer: str = "") -> None:
    """Serve until SIGTERM or SIGINT; an ``authorizer`` is the command line of the program that decides."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise LabError(
                f"port {port} of {HOST} is not free ({error.strerror}); stop what uses it, or choose another"
            ) from error
        listener.listen(128)
        werkzeug_app.DISABLE_GLOBAL_CORS = True  # pyright: ignore  # read from the environment before we could set it
        os.environ["MOTO_PORT"] = str(port)
        use_one_catalogue()
        close_gaps()
        if authorizer:
            root = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
            enforce(Authorizer(shlex.split(authorizer)), root)
        moto = DurableMoto(MotoState(folder))
        server = make_server(HOST, port, moto, threaded=True, request_handler=_QuietHandler, fd=listener.fileno())

    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    _log(f"emulated AWS on http://{HOST}:{port}, state in {folder}")
    server.serve_forever()
    moto.finish()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the server."""
    parser = argparse.ArgumentParser(prog="python -m falaj.lab.moto_server", description="The lab's emulated AWS.")
    parser.add_argument("--port", type=int, required=True, help="the loopback port to listen on")
    parser.add_argument("--data", type=Path, required=True, help="the folder that keeps the state")
    parser.add_argument("--authorizer", default="", help="the command that decides who may do what; IAM is enforced")
    options = parser.parse_args(arguments)
    try:
        serve(options.port, options.data, options.authorizer)
    except LabError as error:
        sys.exit(f"moto: {error}")


if __name__ == "__main__":
    main()
