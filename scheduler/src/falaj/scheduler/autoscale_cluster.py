"""All that the autoscaler does in Kubernetes: read it, mark and cordon nodes, and tell of work why it waits."""

import json
from collections.abc import Iterable
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api, CustomObjectsApi
from kubernetes.client.exceptions import ApiException

from falaj.scheduler.autoscale_policy import Policy
from falaj.scheduler.autoscale_reading import CONDEMNED, EMPTY, GROUP, Found, Manifest, Queues, found, stays

COST_CENTRE = "cost-centre"
TENANT = "falaj.dev/tenant"
"""Labels of a tenant's namespace."""
TIMEOUT = 30.0
_PAGE, _GONE = 1000, 404
_UNFINISHED = "status.phase!=Succeeded,status.phase!=Failed"


class Cluster:
    """The cluster that the given client reaches."""

    def __init__(self, client: ApiClient, policy: Policy) -> None:
        self._policy = policy
        self._core = CoreV1Api(client)
        self._custom = CustomObjectsApi(client)

    def read(self) -> Found:
        """Read everything; nothing is decided on a part of it."""
        groups = ",".join(sorted({pool.node_group for pool in self._policy.pools.values()}))
        nodes = [*self._all(self._core.list_node, label_selector=f"{GROUP} in ({groups})")]
        workloads = [*self._kueue("workloads")]
        pods = [*self._all(self._core.list_pod_for_all_namespaces, field_selector=_UNFINISHED)]
        queues = Queues(
            [*self._kueue("clusterqueues")], [*self._kueue("localqueues")], [*self._kueue("resourceflavors")]
        )
        spaces = self._all(self._core.list_namespace, label_selector=TENANT)
        centres = {each["metadata"]["name"]: each["metadata"]["labels"].get(COST_CENTRE, "") for each in spaces}
        return found(self._policy, nodes, pods, workloads, queues=queues, centres=centres)

    def is_empty(self, node: str) -> bool:
        """Ask once more, at the last moment, whether nothing runs on a node."""
        pods = self._all(self._core.list_pod_for_all_namespaces, field_selector=f"spec.nodeName={node},{_UNFINISHED}")
        return all(stays(pod) for pod in pods)

    def mark(self, node: str, now: float | None) -> None:
        """Note since when a node is empty, or that it no longer is."""
        self._patch(node, {"metadata": {"annotations": {EMPTY: None if now is None else f"{now:.3f}"}}})

    def condemn(self, node: str, now: float) -> None:
        """Keep work off a node."""
        self._patch(node, {"metadata": {"annotations": {CONDEMNED: f"{now:.3f}"}}, "spec": {"unschedulable": True}})

    def pardon(self, node: str) -> None:
        """Let work onto it again."""
        self._patch(node, {"metadata": {"annotations": {CONDEMNED: None}}, "spec": {"unschedulable": None}})

    def _patch(self, node: str, patch: dict[str, Any]) -> None:
        try:
            self._core.patch_node(node, patch, _content_type="application/merge-patch+json", _request_timeout=TIMEOUT)
        except ApiException as error:
            if error.status != _GONE:  # a node may go between being seen and being changed
                raise

    def _kueue(self, plural: str) -> Iterable[Manifest]:
        def page(**options: Any) -> Any:
            return self._custom.list_cluster_custom_object("kueue.x-k8s.io", "v1beta2", plural, **options)

        return self._all(page)

    def _all(self, call: Any, **options: Any) -> Iterable[Manifest]:
        """List by pages, as plain data: the client's own objects cost more than all the rest."""
        further = ""
        while True:
            page = {"limit": _PAGE, **({"_continue": further} if further else {})}
            answer = call(**page, **options, _preload_content=False, _request_timeout=TIMEOUT)
            told = json.loads(answer.data)
            yield from told["items"]
            further = told["metadata"].get("continue", "")
            if not further:
                return
