"""The drift watch: copies of some requests go to a pod that counts them against what the model was judged on.

Its answers are thrown away by the gateway, so that no client waits for it or hears of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, dns_label
from falaj.components.errors import ConfigError
from falaj.components.refs import StoreRef, pick
from falaj.components.retention import StoreKind
from falaj.components.serving_routes import Access
from falaj.components.triton_checks import ServedModel, TritonPod, check_ranges
from falaj.components.triton_pod import HTTP

_ERASABLE = (StoreKind.DATASET, StoreKind.SCRATCH)


class Drift(TypedDict):
    """How requests are watched for drift."""

    percent: NotRequired[int]
    """Percent of the requests that are copied, 1 to 100; each is computed twice. Default: 10."""
    above: NotRequired[float]
    """Population stability index above which there is drift, 0.05 to 10. Default: 0.25."""
    window_minutes: NotRequired[int]
    """Minutes that are looked back on, 5 to 10080. Default: 60."""
    samples: NotRequired[pulumi.Input[StoreRef]]
    """Where sealed samples are kept: a ``DataStore`` of data or scratch, whose files can be removed. Default: none."""
    samples_per_hour: NotRequired[int]
    """Samples of an hour at most, 1 to 100000. Default: 1000."""
    identifying: NotRequired[list[str]]
    """Inputs that tell who somebody is; samples have pseudonyms in their place. Default: none."""
    webhook: NotRequired[str]
    """URL that is told once of each crossing, by https. Default: none."""
    webhook_cidrs: NotRequired[list[str]]
    """Address ranges of the webhook, at most a /16 each. Default: none; a webhook needs one."""
    webhook_secret: NotRequired[str]
    """Secret of the tenant whose key ``token`` is the webhook's bearer token. Default: none."""
    service_account: NotRequired[str]
    """Identity of the watch; for samples or a webhook one that may write. Default: that of the service's pods."""


@dataclass(frozen=True)
class CheckedDrift:
    """How requests are watched, checked."""

    model: ServedModel
    percent: int
    above: float
    minutes: int
    samples: pulumi.Output[str] | None
    per_hour: int
    identifying: Sequence[str]
    webhook: str | None
    webhook_cidrs: Sequence[str]
    webhook_port: int
    webhook_secret: str | None
    account: str


def check_drift(name: str, args: Mapping[str, Any], pod: TritonPod, access: Access) -> CheckedDrift | None:
    """Return how requests are watched; refuse what could not be, and identities that could not do what they have to."""
    if "drift" not in args:
        return None
    field, given = f"{name}.drift", args["drift"]
    if access.gateway is None:
        raise ConfigError(f"{name}.gateway", None, "must be given for drift: it is the gateway that copies requests")
    if pod.model is None:
        raise ConfigError(f"{name}.model", None, "must be given for drift: the reference is the published model's")
    writes = [each for each in ("samples", "webhook") if each in given]
    if writes and "service_account" not in given:
        remedy = f"must name an account that may write, for {' and '.join(writes)}: the pods' own may only read"
        raise ConfigError(f"{field}.service_account", None, remedy)
    if "samples" not in given and ("identifying" in given or "samples_per_hour" in given):
        raise ConfigError(f"{field}.samples", None, "must be given for identifying and samples_per_hour")
    webhook, cidrs, port = _webhook(field, given)
    above = given.get("above", 0.25)
    if not 0.05 <= above <= 10:
        raise ConfigError(f"{field}.above", above, "must be an index from 0.05 to 10")
    return CheckedDrift(
        model=pod.model,
        percent=bounded(f"{field}.percent", given.get("percent", 10), 1, 100, "percent"),
        above=float(above),
        minutes=bounded(f"{field}.window_minutes", given.get("window_minutes", 60), 5, 10_080, "minutes"),
        samples=_samples(field, given, args) if "samples" in given else None,
        per_hour=bounded(f"{field}.samples_per_hour", given.get("samples_per_hour", 1000), 1, 100_000),
        identifying=list(given.get("identifying", [])),
        webhook=webhook,
        webhook_cidrs=cidrs,
        webhook_port=port,
        webhook_secret=dns_label(f"{field}.webhook_secret", given["webhook_secret"], 253)
        if "webhook_secret" in given
        else None,
        account=dns_label(f"{field}.service_account", given.get("service_account", pod.service_account)),
    )


def watch_service(service: str) -> str:
    """Return the name of the Service that gets the copies, and of all that belongs to the watch."""
    return f"{service}-watch"


def watch_mirror(drift: CheckedDrift | None, service: str) -> list[dict[str, Any]]:
    """Return what an HTTPRoute's rule needs for the copies."""
    if drift is None:
        return []
    backend = {"group": "", "kind": "Service", "name": watch_service(service), "port": HTTP}
    return [{"type": "RequestMirror", "requestMirror": {"backendRef": backend, "percent": drift.percent}}]


def watch_ingress(drift: CheckedDrift | None, service: str) -> list[k8s.networking.v1.NetworkPolicyIngressRuleArgsDict]:
    """Return who else may call the service's pods: the watch, which asks them for predictions."""
    if drift is None:
        return []
    peer: k8s.networking.v1.NetworkPolicyPeerArgsDict = {"pod_selector": {"match_labels": watch_labels(service)}}
    return [{"from_": [peer], "ports": [{"protocol": "TCP", "port": HTTP}]}]


def watch_labels(service: str) -> dict[str, str]:
    """Return the labels of the watch's pod; it is no instance of the service, whose figures it must not be among."""
    return {"app.kubernetes.io/name": "drift-watch", "app.kubernetes.io/instance": watch_service(service)}


def _webhook(field: str, given: Mapping[str, Any]) -> tuple[str | None, list[str], int]:
    """Return the webhook, its address ranges and its port."""
    url = given.get("webhook")
    if url is None:
        for each in ("webhook_cidrs", "webhook_secret"):
            if each in given:
                raise ConfigError(f"{field}.{each}", given[each], "must be left out unless webhook is given")
        return None, [], 443
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
        remedy = "must be a URL of https without a password; webhook_secret holds a token"
        raise ConfigError(f"{field}.webhook", parts.hostname, remedy)
    cidrs = check_ranges(f"{field}.webhook_cidrs", given.get("webhook_cidrs", []))
    if not cidrs:
        raise ConfigError(f"{field}.webhook_cidrs", cidrs, "must name at least one address range of the webhook")
    return url, cidrs, parts.port or 443


def _samples(field: str, given: Mapping[str, Any], args: Mapping[str, Any]) -> pulumi.Output[str]:
    """Return where samples are kept: nowhere where a lock would keep what a person may want erased."""
    store: pulumi.Input[StoreRef] = given["samples"]
    if isinstance(store, Mapping) and isinstance(store["kind"], str):
        check_erasable(f"{field}.samples", store["kind"])
    bucket = pulumi.Output.all(pick(store, "bucket"), pick(store, "kind")).apply(
        lambda known: check_erasable(f"{field}.samples", known[1]) and str(known[0])
    )
    return pulumi.Output.concat("s3://", bucket, "/", pick(args["tenant"], "namespace"))


def check_erasable(field: str, kind: str) -> str:
    """Return a store's kind if what lies in it can be removed."""
    if kind not in _ERASABLE:
        remedy = f"must be of the kind {' or '.join(each.value for each in _ERASABLE)}: samples have to be erasable"
        raise ConfigError(field, kind, remedy)
    return kind
