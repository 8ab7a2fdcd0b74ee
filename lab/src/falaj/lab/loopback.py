"""Requests to the lab's own services on loopback, and manifests for its API server."""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

from falaj.lab.errors import LabError
from falaj.lab.state import Lab

TIMEOUT = 2.0
"""Seconds that one request may take unless it is told otherwise."""


def ask(
    lab: Lab,
    port: str,
    method: str,
    path: str,
    *,
    authority: str | None = "ca",
    client: str | None = None,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> tuple[int, bytes]:
    """Send one request to a service of the lab, never through a proxy, and return the status and the answer."""
    number = lab.ports()[port]
    if authority is None:
        connection = http.client.HTTPConnection("127.0.0.1", number, timeout=timeout)
    else:
        context = ssl.create_default_context(cafile=lab.root / "pki" / f"{authority}.crt")
        if client:
            context.load_cert_chain(lab.root / "pki" / f"{client}.crt", lab.root / "pki" / f"{client}.key")
        connection = http.client.HTTPSConnection("127.0.0.1", number, timeout=timeout, context=context)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def apply(lab: Lab, manifest: Mapping[str, Any], text: str | None = None) -> None:
    """Apply an object with the one certificate that needs no rights; ``text`` is its YAML where that is at hand."""
    path = path_of(manifest)
    status, answer = ask(
        lab,
        "kube-apiserver",
        "PATCH",
        f"{path}?fieldManager=falaj-lab&force=true",
        client="bootstrap",
        body=text or json.dumps(manifest),
        headers={"Content-Type": "application/apply-patch+yaml"},
        timeout=30,
    )
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise LabError(f"the API server refused {path} ({status}): {answer.decode(errors='replace')}")


def delete(lab: Lab, path: str) -> None:
    """Delete an object, or all of a collection, with the certificate that needs no rights; what is gone is no error."""
    status, answer = ask(lab, "kube-apiserver", "DELETE", path, client="bootstrap", timeout=60)
    if status not in {http.HTTPStatus.OK, http.HTTPStatus.NOT_FOUND}:
        raise LabError(f"the API server did not delete {path} ({status}): {answer.decode(errors='replace')}")


def path_of(manifest: Mapping[str, Any]) -> str:
    """Return where the API server keeps an object of a kind whose plural ends in a plain s."""
    version, metadata = manifest["apiVersion"], manifest["metadata"]
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{group}{namespace}/{manifest['kind'].lower()}s/{metadata['name']}"
