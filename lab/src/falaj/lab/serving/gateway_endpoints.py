"""Envoy's clusters and their endpoints: what a Service's selector finds among the pods that are ready."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from falaj.lab.serving import gateway_limits as limits
from falaj.lab.serving.gateway_objects import Manifest, Objects
from falaj.lab.serving.gateway_references import Backend

_HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def cluster(backend: Backend, endpoints: Path) -> dict[str, Any]:
    """Return a backend as a cluster of Envoy that reads its endpoints from a file."""
    bounds = {
        "max_connections": limits.BACKEND_CONNECTIONS,
        "max_pending_requests": limits.BACKEND_PENDING,
        "max_requests": limits.BACKEND_REQUESTS,
        # All that is under way: when one of two pods dies, half of it is sent again at once.
        "retry_budget": {"budget_percent": {"value": 100}, "min_retry_concurrency": 16},
    }
    return {
        "@type": CLUSTER,
        "name": backend.cluster,
        "alt_stat_name": backend.shown,
        "type": "EDS",
        "eds_cluster_config": {"service_name": backend.cluster, "eds_config": read_from(endpoints)},
        "connect_timeout": limits.BACKEND_CONNECT,
        "per_connection_buffer_limit_bytes": limits.CONNECTION_BYTES,
        # Answers of models take unequally long: the least busy of two pods, not the next in turn.
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [bounds]},
        "outlier_detection": {
            # Only pods that cannot be reached: errors that a model answers with are for the rollout's analysis to see.
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": limits.EJECT_AFTER,
            "enforcing_consecutive_5xx": 0,
            "enforcing_consecutive_gateway_failure": 0,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": limits.EJECTED_FOR,
            "max_ejection_percent": 50,
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _HTTP_OPTIONS,
                "common_http_protocol_options": {"idle_timeout": limits.BACKEND_IDLE},
                "explicit_http_config": _protocol(backend),
            }
        },
    }


def _protocol(backend: Backend) -> dict[str, Any]:
    if not backend.http2:
        return {"http_protocol_options": {}}
    ping = {"interval": limits.PING_EVERY, "timeout": limits.PING_ANSWER}
    return {"http2_protocol_options": {"connection_keepalive": ping}}


def read_from(path: Path) -> dict[str, Any]:
    """Return how Envoy is told to read something from a file, again whenever another one takes its place."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def load_assignment(objects: Objects, backend: Backend) -> dict[str, Any]:
    """Return a backend's endpoints: pods that are ready and not on their way out."""
    found = sorted(set(_addresses(objects, backend)))
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
        for address, port in found
    ]
    return {"@type": ENDPOINTS, "cluster_name": backend.cluster, "endpoints": [{"lb_endpoints": endpoints}]}


def _addresses(objects: Objects, backend: Backend) -> Iterator[tuple[str, int]]:
    service = objects.get("Service", backend.namespace, backend.service)
    selector = service["spec"].get("selector") if service else None
    if not service or not selector:
        return
    (offered,) = (each for each in service["spec"]["ports"] if each["port"] == backend.port)
    target = offered.get("targetPort", offered["port"])
    for pod in objects.all("Pod"):
        labels = pod["metadata"].get("labels", {})
        mine = pod["metadata"]["namespace"] == backend.namespace and selector.items() <= labels.items()
        port = target if isinstance(target, int) else _named_port(pod, target)
        if mine and port and is_ready(pod):
            yield pod["status"]["podIP"], port


def is_ready(pod: Manifest) -> bool:
    """Say whether a pod may get requests."""
    status = pod.get("status", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
    return ready and bool(status.get("podIP")) and "deletionTimestamp" not in pod["metadata"]


def _named_port(pod: Manifest, name: str) -> int | None:
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports", ()))
    return next((port["containerPort"] for port in ports if port.get("name") == name), None)
