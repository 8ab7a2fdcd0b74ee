"""A small API server: one Rollout with its ReplicaSets and analyses, which takes merge patches and remembers them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/vision/rollouts/income"
HASH = "rollouts-pod-template-hash"
VERSION, DIGEST = "falaj.dev/model-version", "falaj.dev/model-digest"


def merged(old: Any, change: Any) -> Any:
    """Apply a merge patch: https://datatracker.ietf.org/doc/html/rfc7396."""
    if not isinstance(change, dict):
        return change
    found = dict(old) if isinstance(old, dict) else {}
    for name, value in change.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


class FakeCluster:
    """What the server holds, and what was asked of it."""

    def __init__(self, digests: dict[int, str]) -> None:
        self.digests = digests
        self.patches: list[tuple[str, Any]] = []
        self.sets: dict[int, Any] = {}
        self.runs: list[Any] = []
        self.refuse: dict[str, int] = {}
        self.rollout: Any = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "income", "namespace": "vision", "generation": 1},
            "spec": {
                "replicas": 2,
                "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]}},
                "template": {
                    "metadata": {"annotations": {VERSION: "1", DIGEST: digests[1], "other": "stays"}},
                    "spec": {"initContainers": [{"name": "fetch", "args": ["fetch", "--model", "income"]}]},
                },
            },
            "status": {},
        }
        self.settle(stable=1)

    def settle(self, stable: int, canary: int | None = None, weight: int = 0, step: int = 4, **status: Any) -> None:
        """Have the controller be done with what was asked of it."""
        current = stable if canary is None else canary
        self.rollout["spec"]["template"]["metadata"]["annotations"] |= self.annotations(current)
        for number in {stable, current}:
            self.sets[number] = {
                "metadata": {
                    "name": f"income-hash{number}",
                    "labels": {HASH: f"hash{number}"},
                    "ownerReferences": [
                        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "income", "uid": "1"}
                    ],
                },
                "spec": {
                    "replicas": 2,
                    "selector": {},
                    "template": {"metadata": {"annotations": self.annotations(number)}},
                },
                "status": {"replicas": 2, "readyReplicas": 2 if number == stable else 1},
            }
        destination = {"weight": weight, "podTemplateHash": f"hash{current}"}
        self.rollout["status"] = {
            "observedGeneration": str(self.rollout["metadata"]["generation"]),
            "phase": "Healthy" if canary is None else "Progressing",
            "stableRS": f"hash{stable}",
            "currentPodHash": f"hash{current}",
            "currentStepIndex": step,
            "canary": {"weights": {"canary": destination, "stable": {"weight": 100 - weight}}},
            **status,
        }

    def annotations(self, number: int) -> dict[str, str]:
        """What the pods of a version are told."""
        return {VERSION: str(number), DIGEST: self.digests[number]}

    def analysed(self, pod_hash: str, values: list[str], failed: int, phase: str) -> None:
        """Have an analysis of some pods."""
        self.runs.append(
            {
                "metadata": {
                    "name": f"income-{pod_hash}",
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    "labels": {HASH: pod_hash, "rollout-type": "Background"},
                    "ownerReferences": [{"kind": "Rollout", "name": "income"}],
                },
                "status": {
                    "phase": phase,
                    "message": "Metric error-rate assessed Failed" if failed else "",
                    "metricResults": [
                        {
                            "name": "error-rate",
                            "phase": phase,
                            "successful": len(values) - failed,
                            "failed": failed,
                            "count": len(values),
                            "measurements": [{"value": value, "phase": "Successful"} for value in values],
                        }
                    ],
                },
            }
        )

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Answer a request."""
        address = urlsplit(path)
        for beginning, code in self.refuse.items():
            if f"{method} {address.path}".startswith(beginning):
                return code, {"kind": "Status", "code": code, "reason": "refused"}
        if method == "POST" and address.path.endswith("/selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": "salma@example.com"}}}
        if address.path in (ROLLOUT, f"{ROLLOUT}/status"):
            if method == "PATCH":
                self.patches.append((address.path.removeprefix(ROLLOUT) or "/", body))
                self._patch(address.path != ROLLOUT, body)
            return 200, self.rollout
        selector = parse_qs(address.query).get("labelSelector", [""])[0]
        if address.path.endswith("/replicasets"):
            kept = [each for each in self.sets.values() if each["metadata"]["labels"][HASH] in selector]
            return 200, {"apiVersion": "apps/v1", "kind": "ReplicaSetList", "metadata": {}, "items": kept}
        if address.path.endswith("/analysisruns"):
            return 200, {"items": [each for each in self.runs if each["metadata"]["labels"][HASH] in selector]}
        return 404, {"kind": "Status", "code": 404, "reason": "NotFound"}

    def _patch(self, status: bool, body: Any) -> None:
        part = "status" if status else "spec"
        before = json.dumps(self.rollout["spec"], sort_keys=True)
        self.rollout[part] = merged(self.rollout[part], body.get(part, {}))
        if json.dumps(self.rollout["spec"], sort_keys=True) != before:
            self.rollout["metadata"]["generation"] += 1


@contextmanager
def serving(cluster: FakeCluster, kubeconfig: Path) -> Iterator[None]:
    """Serve the cluster on this machine, and write how it is found."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if self.command == "PATCH":
                assert self.headers["Content-Type"] == "application/merge-patch+json"
            code, told = cluster.answer(self.command, self.path, body)
            content = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PATCH = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    kubeconfig.write_text(json.dumps(config))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
