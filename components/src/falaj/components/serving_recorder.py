"""Who writes down what Argo decides by itself: ``falaj-serve record`` beside a service that it cannot change.

Its pod has an identity of its own. The service's pods read the tenant's models and open them; this one opens nothing,
reads and adds to one model's audit log, and writes over nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components import restricted_pod
from falaj.components.checks import bounded
from falaj.components.errors import ConfigError
from falaj.components.refs import StoreRef, pick
from falaj.components.regime import check_regime
from falaj.components.serving_recorder_role import RecorderIdentity, log_writer
from falaj.components.serving_routes import egress_rules
from falaj.components.tenant_access import check_boundary
from falaj.components.tenant_network import POD_IDENTITY_AGENT
from falaj.components.triton_checks import ServedModel, TritonPod, check_ranges
from falaj.components.triton_pod import tolerations_of

_CLUSTER_FOLDER = "/etc/falaj/cluster"
_STARTS = "3m"
"""How long an update waits for the pod: it loads no model."""
_RBAC = "rbac.authorization.k8s.io"
_TMP = "/tmp"  # noqa: S108 - the pod's own, empty volume


class Recorder(TypedDict):
    """Who writes into the model's audit log, beside the service, what Argo decides by itself."""

    api_server_cidrs: list[str]
    """Address ranges of the Kubernetes API server, at most a /16 each."""
    every_seconds: NotRequired[int]
    """Seconds from one look to the next, 5 to 3600. Default: 30."""
    identity: NotRequired[RecorderIdentity]
    """What it is in AWS. Default: what the cluster gives the service account ``<service_name>-recorder``."""


@dataclass(frozen=True)
class CheckedRecorder:
    """Who writes down what Argo decides, checked."""

    model: ServedModel
    cidrs: list[str]
    every: int
    identity: RecorderIdentity | None


def check_recorder(name: str, args: Mapping[str, Any], model: ServedModel | None) -> CheckedRecorder | None:
    """Return who writes down what Argo decides, refusing that nobody does unless that is said."""
    field, decides = f"{name}.recorder", model is not None and "strategy" in args
    if "recorder" not in args:
        if decides and not args.get("unrecorded", False):
            remedy = "must be given for a published model with a strategy, or unrecorded be true: Argo forgets why"
            raise ConfigError(field, None, remedy)
        return None
    if not decides or model is None:
        remedy = "must be left out unless a strategy decides over a published model"
        raise ConfigError(field, args["recorder"], remedy)
    if args.get("unrecorded", False):
        raise ConfigError(f"{name}.unrecorded", True, "must be left out where recorder is given")
    given: Recorder = args["recorder"]
    identity = given.get("identity")
    if identity is not None:
        if "store" not in args:
            remedy = "must be left out unless store says which bucket it is for"
            raise ConfigError(f"{field}.identity", list(identity), remedy)
        check_regime(f"{field}.identity.regime", identity["regime"])
        if "boundary" in identity:
            check_boundary(f"{field}.identity.boundary", identity["boundary"])
    cidrs = check_ranges(f"{field}.api_server_cidrs", given["api_server_cidrs"])
    if not cidrs:
        raise ConfigError(f"{field}.api_server_cidrs", cidrs, "must name at least one address range")
    every = bounded(f"{field}.every_seconds", given.get("every_seconds", 30), 5, 3600, "seconds")
    return CheckedRecorder(model, cidrs, every, identity)


def make_recorder(
    name: str,
    recorder: CheckedRecorder,
    pod: TritonPod,
    *,
    namespace: pulumi.Output[str],
    labels: pulumi.Output[dict[str, str]],
    store: pulumi.Input[StoreRef] | None,
    storage_cidrs: Sequence[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Make the pod that looks and writes, its account, its rights in the cluster and in AWS, and its ways out."""
    account = f"{pod.service_name}-recorder"
    chosen = {"app.kubernetes.io/name": "model-recorder", "app.kubernetes.io/instance": pod.service_name}
    tags = labels.apply(lambda owner: owner | chosen)
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": account, "namespace": namespace, "labels": tags}
    made = k8s.core.v1.ServiceAccount(
        f"{name}-recorder-account", metadata=metadata, automount_service_account_token=False, opts=opts
    )
    role = k8s.rbac.v1.Role(f"{name}-recorder-role", metadata=metadata, rules=rules(pod.service_name), opts=opts)
    bound = k8s.rbac.v1.RoleBinding(
        f"{name}-recorder-binding",
        metadata=metadata,
        role_ref={"api_group": _RBAC, "kind": "Role", "name": role.metadata.name.apply(lambda known: known or account)},
        subjects=[{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        opts=opts,
    )
    ways = [(cidr, 443) for cidr in [*recorder.cidrs, *storage_cidrs]]
    if recorder.identity is not None:
        ways.append((POD_IDENTITY_AGENT, 80))
    closed = k8s.networking.v1.NetworkPolicy(
        f"{name}-recorder-network-policy",
        metadata=metadata,
        spec={
            "pod_selector": {"match_labels": chosen},
            "policy_types": ["Ingress", "Egress"],
            "egress": egress_rules(ways),
        },
        opts=opts,
    )
    before: list[pulumi.Resource] = [made, bound, closed]
    if recorder.identity is not None and store is not None:
        log = pod.store.apply(lambda url: f"{url.removeprefix('s3://').partition('/')[2]}/{recorder.model.name}/audit/")
        before.append(
            log_writer(name, recorder.identity, metadata, store=pick(store, "arn"), log=log, tags=tags, opts=opts)
        )
    k8s.apps.v1.Deployment(
        f"{name}-recorder",
        metadata=metadata,
        spec={
            "replicas": 1,
            # Two would only race for each number of the log.
            "strategy": {"type": "Recreate"},
            "selector": {"match_labels": chosen},
            "template": {"metadata": {"labels": tags}, "spec": recorder_pod(recorder, pod, namespace)},
        },
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                depends_on=before, custom_timeouts=pulumi.CustomTimeouts(create=_STARTS, update=_STARTS)
            ),
        ),
    )


def rules(service: str) -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    """Return the rights in the namespace: to read this Rollout, and its pods' sets and analyses; to change nothing."""
    argo = ["argoproj.io"]
    return [
        {"api_groups": argo, "resources": ["rollouts"], "resource_names": [service], "verbs": ["get"]},
        {"api_groups": argo, "resources": ["analysisruns"], "verbs": ["list"]},
        {"api_groups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
    ]


def recorder_pod(
    recorder: CheckedRecorder, pod: TritonPod, namespace: pulumi.Output[str]
) -> k8s.core.v1.PodSpecArgsDict:
    """Return the pod: restricted, with a token of an hour, on any node that the service's labels and taints allow."""
    service = pulumi.Output.concat(namespace, "/", pod.service_name)
    variables: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": "FALAJ_CLUSTER_FOLDER", "value": _CLUSTER_FOLDER},
        {"name": "HOME", "value": _TMP},
    ]
    if recorder.identity is not None:
        variables.append({"name": "AWS_REGION", "value": recorder.identity["regime"]["home_region"]})
    told = ["--service", service, "--store", pod.store, "--name", recorder.model.name, "--every", str(recorder.every)]
    return {
        "service_account_name": f"{pod.service_name}-recorder",
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": restricted_pod.POD,
        "node_selector": dict(pod.node_labels),
        "tolerations": tolerations_of(pod.taints),
        "containers": [
            {
                "name": "recorder",
                "image": recorder.model.fetcher_image,
                "command": ["falaj-serve"],
                "args": ["record", *told],
                "env": variables,
                "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
                "security_context": restricted_pod.CONTAINER,
                "volume_mounts": [
                    {"name": "cluster", "mount_path": _CLUSTER_FOLDER, "read_only": True},
                    {"name": "scratch", "mount_path": _TMP},
                ],
            }
        ],
        "volumes": [
            {
                "name": "cluster",
                "projected": {
                    "sources": [
                        {"service_account_token": {"path": "token", "expiration_seconds": 3600}},
                        {"config_map": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    ]
                },
            },
            {"name": "scratch", "empty_dir": {"size_limit": "64Mi"}},
        ],
    }
