"""The connection to the Kubernetes API: plain JSON, no proxy, and on request in another's name."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import kubernetes
import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from falaj.scheduler.errors import SchedulerError

TIMEOUT = 10.0
"""Seconds that an answer may take."""
TROUBLE = (ApiException, HTTPError, OSError)
"""What passes by itself: the API server does not answer, or not in time."""
JSON = "application/json"
Manifest = Mapping[str, Any]

_SILENCE = 90.0
"""Seconds after which a watch that says nothing counts as broken; it asks the server to end it before."""
_OK, _FAILED = 200, 400


class Connection:
    """Asks the API server that the environment names: the pod's own, or the one of ``KUBECONFIG``."""

    def __init__(self, impersonate: str | None = None) -> None:
        configuration = Configuration()
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
                kubernetes.config.load_incluster_config(client_configuration=configuration)
            else:
                kubernetes.config.load_kube_config(client_configuration=configuration)
        except ConfigException as error:
            raise SchedulerError(
                f"no cluster to talk to: {error}; set KUBECONFIG to the path of a kubeconfig"
            ) from None
        configuration.proxy = None
        self._client = ApiClient(configuration)
        self._headers = {"Impersonate-User": impersonate} if impersonate else {}

    def get(self, path: str, accept: str = JSON, **query: str | int) -> Any:
        """Return what is at a path."""
        return self._answer(self._ask("GET", path, query, accept=accept))

    def send(self, method: str, path: str, body: Manifest) -> Any:
        """Make, replace (POST, PUT) or merge into (PATCH) what is at a path."""
        content = "application/merge-patch+json" if method == "PATCH" else JSON
        return self._answer(self._ask(method, path, {}, body=json.dumps(body), content=content))

    def watch(self, path: str, accept: str = JSON, **query: str | int) -> Iterator[Manifest]:
        """Yield the events of a watch until the server ends it."""
        response = self._ask("GET", path, {**query, "watch": "true"}, accept=accept, silence=_SILENCE)
        try:
            if response.status != _OK:
                self._answer(response)
            rest = b""
            for chunk in response.stream(amt=None):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
        finally:
            response.close()

    def _answer(self, response: urllib3.BaseHTTPResponse) -> Any:
        data = response.data
        if response.status >= _FAILED:
            raise ApiException(
                status=response.status, reason=f"{response.reason}: {data[:300].decode(errors='replace')}"
            )
        return json.loads(data)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        *,
        accept: str = JSON,
        content: str = JSON,
        body: str | None = None,
        silence: float = TIMEOUT,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept, "Content-Type": content, "User-Agent": "falaj-scheduler", **self._headers}
        # The client keeps a token fresh; its own requests make objects of the answers, which costs more than all else.
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        return self._client.rest_client.pool_manager.request(
            method,
            f"{self._client.configuration.host}{path}?{urlencode(query)}",
            body=body,
            headers=headers,
            preload_content=False,
            retries=False,
            timeout=urllib3.Timeout(connect=TIMEOUT, read=silence),
        )
