"""The API server as a node sees it: plain JSON by the node's own certificate, and a watch that never ends.

The official client has an asynchronous half, but it makes an object of each answer and loads all of Kubernetes' types
for that; this asks with the HTTP client below it.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from falaj.lab.certificates import Certificate, is_current, issue, kubeconfig, kubeconfig_path
from falaj.lab.errors import LabError
from falaj.lab.serving.nodes import NODE
from falaj.lab.state import Lab, write_private

Manifest = dict[str, Any]
NOT_FOUND, CONFLICT = 404, 409
STRATEGIC = "application/strategic-merge-patch+json"
TROUBLE = (aiohttp.ClientError, OSError, TimeoutError, LabError)
"""What passes by itself: no answer, or one that says no for now."""

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_WATCH = 50
"""Seconds after which the server ends a watch, which is then taken up where it ended."""
_SILENCE = aiohttp.ClientTimeout(total=None, connect=10, sock_read=_WATCH + 20)
_LONGEST_LINE = 1 << 21
_PAUSE = 1.0
_OK, _REFUSED = 200, 400

logger = logging.getLogger("falaj.lab.kubelet")


class RefusedError(LabError):
    """The API server did not do what it was asked to."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


def identity(node: str) -> Certificate:
    """Return a node's own identity: the node authorizer lets it read and write what its pods need, and no more."""
    return Certificate(f"node-{node}", f"system:node:{node}", groups=("system:nodes",), kubeconfig=True)


def ensure_identity(lab: Lab, node: str = NODE) -> None:
    """Make a node's certificate and kubeconfig where they are missing or about to expire."""
    pki, own = lab.folder("pki"), identity(node)
    if not is_current(pki, own.name, own.authority):
        issue(pki, own)
    text = kubeconfig(pki, own.name, lab.ports()["kube-apiserver"])
    path = kubeconfig_path(lab, own.name)
    if not path.exists() or path.read_text() != text:
        write_private(path, text)


class NodeApi:
    """Speaks with a lab's API server as a node; to be closed."""

    def __init__(self, lab: Lab, node: str = NODE):
        self.node_name = node
        pki, own = lab.root / "pki", identity(node)
        context = ssl.create_default_context(cafile=pki / "ca.crt")
        context.load_cert_chain(pki / f"{own.name}.crt", pki / f"{own.name}.key")
        self._session = aiohttp.ClientSession(
            f"https://127.0.0.1:{lab.ports()['kube-apiserver']}",
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=_TIMEOUT,
            headers={"Accept": "application/json", "User-Agent": "falaj-lab-kubelet"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def get(self, path: str, **query: str) -> Manifest:
        """Read an object or a list."""
        return await self.call("GET", path, query=query)

    async def call(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Send one request; raises ``RefusedError`` with the status when the answer is no."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind}
        async with self._session.request(method, path, data=data, params=query, headers=headers) as response:
            if response.status >= _REFUSED:
                told = (await response.text())[:500]
                raise RefusedError(response.status, f"{method} {path}: {response.status}: {told}")
            return await response.json(content_type=None)

    async def follow(
        self,
        path: str,
        on_list: Callable[[list[Manifest]], None],
        on_change: Callable[[str, Manifest], None],
        **query: str,
    ) -> None:
        """Hand over all objects and then every change, for ever; after a gap that cannot be closed, all again."""
        version = ""
        while True:
            try:
                if not version:
                    listed = await self.get(path, **query)
                    on_list(listed["items"])
                    version = listed["metadata"]["resourceVersion"]
                version = await self._stream(path, {**query, "resourceVersion": version}, on_change)
            except TROUBLE as error:
                if isinstance(error, RefusedError):
                    version = ""
                logger.warning("watching %s again: %s", path, error or type(error).__name__)
                await asyncio.sleep(_PAUSE)

    async def _stream(self, path: str, query: Mapping[str, str], on_change: Callable[[str, Manifest], None]) -> str:
        """Read one watch to its end; return from where to go on, or nothing when all has to be listed again."""
        asked = {**query, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH)}
        version = query["resourceVersion"]
        async with self._session.get(path, params=asked, timeout=_SILENCE, read_bufsize=_LONGEST_LINE) as response:
            if response.status != _OK:
                raise RefusedError(response.status, f"watch {path}: {response.status}: {await response.text()}"[:500])
            try:
                async for line in response.content:
                    change = json.loads(line)
                    if change["type"] == "ERROR":  # 410: what came since is no longer kept
                        return ""
                    version = change["object"]["metadata"]["resourceVersion"]
                    if change["type"] != "BOOKMARK":
                        on_change(change["type"], change["object"])
            except (aiohttp.ClientError, TimeoutError, ValueError):
                await asyncio.sleep(_PAUSE)  # the connection broke: what came before is known
        return version
