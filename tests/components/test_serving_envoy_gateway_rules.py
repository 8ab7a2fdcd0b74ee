"""The rules that TritonService gives to Envoy Gateway, judged by Envoy itself in the filter that they become.

Envoy Gateway 1.9 parses a rule's expression and makes a matcher of it; the parsing of these few shapes is done here.
"""

import json
import re
import ssl
import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from gateway_cases import HOST, Authority, Signed, authority

from falaj.components.serving_envoy_gateway import client_rules
from falaj.lab.state import free_port
from falaj.lab.tools import resolve

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(resolve("envoy").path is None, reason="get Envoy with `falaj-lab install --serving`"),
]

PATIENCE = 60.0
CLIENTS = ["web.vision.svc", "batch.vision.svc", "spiffe://vision/batch"]
TYPES = "type.googleapis.com"
RULE = re.compile(r"connection\.mtls && connection\.(\w+) in (\[.*\])")


def parsed(rule: str) -> dict[str, Any]:
    """Return an expression's tree, as Envoy is given it."""
    found = RULE.fullmatch(rule)
    assert found is not None, rule

    def attribute(name: str) -> dict[str, Any]:
        return {"selectExpr": {"operand": {"identExpr": {"name": "connection"}}, "field": name}}

    names = [{"constExpr": {"stringValue": name}} for name in json.loads(found[2])]
    among = {"function": "@in", "args": [attribute(found[1]), {"listExpr": {"elements": names}}]}
    return {"expr": {"callExpr": {"function": "_&&_", "args": [attribute("mtls"), {"callExpr": among}]}}}


def filter_of(rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the filter of Envoy that `buildRBACPerRoute` of Envoy Gateway makes of rules that allow."""

    def action(name: str, what: str) -> dict[str, Any]:
        told = {"@type": f"{TYPES}/envoy.config.rbac.v3.Action", "name": name, "action": what}
        return {"action": {"name": name, "typed_config": told}}

    def matcher(rule: dict[str, Any]) -> dict[str, Any]:
        attributes = {"@type": f"{TYPES}/xds.type.matcher.v3.HttpAttributesCelMatchInput"}
        match = {
            "@type": f"{TYPES}/xds.type.matcher.v3.CelMatcher",
            "expr_match": {"cel_expr_parsed": parsed(rule["cel"])},
        }
        single = {
            "input": {"name": "cel", "typed_config": attributes},
            "custom_match": {"name": "cel_matcher", "typed_config": match},
        }
        return {"predicate": {"single_predicate": single}, "on_match": action(rule["name"], "ALLOW")}

    judged = {
        "matcher_list": {"matchers": [matcher(each) for each in rules]},
        "on_no_match": action("default", "DENY"),
    }
    return {"@type": f"{TYPES}/envoy.extensions.filters.http.rbac.v3.RBAC", "matcher": judged}


def configuration(port: int, folder: Path) -> dict[str, Any]:
    """Return an Envoy that demands certificates, judges by the rules, and answers everything by itself."""
    manager = {
        "@type": f"{TYPES}/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
        "http_filters": [
            {"name": "envoy.filters.http.rbac", "typed_config": filter_of(client_rules(CLIENTS))},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{TYPES}/envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    own = {
        f"{part}": {"filename": str(folder / name)}
        for part, name in (("certificate_chain", "server.pem"), ("private_key", "server.key"))
    }
    tls = {
        "@type": f"{TYPES}/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [own],
            "validation_context": {"trusted_ca": {"filename": str(folder / "ca.pem")}},
        },
    }
    listener = {
        "name": "all",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
            }
        ],
    }
    return {"static_resources": {"listeners": [listener]}}


class Gate:
    """An Envoy, and who comes to it."""

    def __init__(self, port: int, signer: Authority, folder: Path) -> None:
        self._port, self._signer, self._folder = port, signer, folder

    def status(self, *names: str) -> int:
        """Return what a client with a certificate of these names, in this order, is answered."""
        signed = self._signer.sign(*names)
        write(self._folder, "client", signed)
        context = ssl.create_default_context(cafile=str(self._folder / "ca.pem"))
        context.check_hostname = False
        context.load_cert_chain(self._folder / "client.pem", self._folder / "client.key")
        connection = HTTPSConnection("127.0.0.1", self._port, timeout=PATIENCE, context=context)
        try:
            connection.request("GET", "/v2/models/detector", headers={"Host": HOST})
            return connection.getresponse().status
        finally:
            connection.close()


def write(folder: Path, name: str, signed: Signed) -> None:
    (folder / f"{name}.pem").write_bytes(signed.certificate)
    (folder / f"{name}.key").write_bytes(signed.key)


@contextmanager
def running(folder: Path) -> Generator[Gate]:
    port, signer = free_port(), authority()
    (folder / "ca.pem").write_text(signer.pem)
    write(folder, "server", signer.sign(HOST, server=True))
    (folder / "envoy.json").write_text(json.dumps(configuration(port, folder)))
    command = [
        str(resolve("envoy").path),
        "-c",
        str(folder / "envoy.json"),
        "--disable-hot-restart",
        "--concurrency",
        "1",
    ]
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        gate, deadline = Gate(port, signer, folder), time.monotonic() + PATIENCE
        while not answers(gate):
            assert process.poll() is None, (folder / "envoy.log").read_text()
            assert time.monotonic() < deadline, (folder / "envoy.log").read_text()
            time.sleep(0.1)
        yield gate
    finally:
        process.terminate()
        process.wait(30)


def answers(gate: Gate) -> bool:
    try:
        return gate.status(CLIENTS[0]) > 0
    except (OSError, HTTPException):
        return False


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with running(tmp_path_factory.mktemp("envoy")) as found:
        yield found


@pytest.mark.parametrize("name", CLIENTS)
def test_a_named_client_is_let_in_by_whichever_kind_of_name_it_has(gate: Gate, name: str) -> None:
    assert gate.status(name) == 200


@pytest.mark.parametrize(
    "name", ["other.vision.svc", "web.vision.svc.evil", "spiffe://speech/batch", "spiffe://vision"]
)
def test_another_client_is_refused_though_its_certificate_is_good(gate: Gate, name: str) -> None:
    assert gate.status(name) == 403


def test_one_of_the_two_kinds_is_enough(gate: Gate) -> None:
    assert gate.status("other.vision.svc", "spiffe://vision/batch") == 200


def test_a_certificate_s_further_names_of_a_kind_let_nobody_in(gate: Gate) -> None:
    assert gate.status("other.vision.svc", "web.vision.svc") == 403
