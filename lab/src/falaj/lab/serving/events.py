"""Notes of what happened to a pod, for who asks with ``kubectl describe`` or ``kubectl get events``."""

import asyncio
import contextlib
import logging

from falaj.lab.serving import statuses
from falaj.lab.serving.node_api import TROUBLE, Manifest, NodeApi

_MESSAGE = 1024

logger = logging.getLogger("falaj.lab.kubelet")


class Events:
    """Leaves notes with the API server, each tried once: they are not worth a second try."""

    def __init__(self, api: NodeApi):
        self._api = api
        self._sending: set[asyncio.Task[None]] = set()

    def leave(self, pod: Manifest, kind: str, reason: str, message: str) -> None:
        """Leave a note about a pod; ``kind`` is ``Normal`` or ``Warning``."""
        metadata = pod["metadata"]
        logger.info("%s/%s: %s", metadata["namespace"], metadata["name"], message)
        known = {name: metadata[name] for name in ("name", "namespace", "uid")}
        event: Manifest = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name'][:40]}.", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", **known},
            "type": kind,
            "reason": reason,
            "message": message[:_MESSAGE],
            "source": {"component": "falaj-lab-kubelet", "host": self._api.node_name},
            "firstTimestamp": statuses.now(),
            "lastTimestamp": statuses.now(),
            "count": 1,
        }
        task = asyncio.create_task(self._send(f"/api/v1/namespaces/{metadata['namespace']}/events", event))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, path: str, event: Manifest) -> None:
        with contextlib.suppress(*TROUBLE):
            await self._api.call("POST", path, event)
