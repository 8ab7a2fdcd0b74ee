"""What runs a service's pods: a Deployment, or a Rollout of Argo with what measures its versions; and its Services."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.kubernetes_names import camel
from falaj.components.rollout_analysis import Promise, template_spec
from falaj.components.rollout_strategies import ROLE, Strategy, shadow_service, strategy_spec
from falaj.components.triton_pod import GRPC, HTTP, METRICS

ARGO = "argoproj.io/v1alpha1"
NO_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Annotation without which an update would wait for the end of a rollout, or for pods that only a rollout has."""
RUNS_KEPT = 20
"""Analyses that are kept of each outcome: they say why a version was let in or rolled back, with the numbers."""
WAYS_BACK = 10
"""Versions that are still known, so that one of them can return without being measured again."""

_IGNORED = ["spec.template.metadata.annotations"]
"""The version and its digest, which are all that the template has as annotations.

``falaj-serve publish`` and ``rollback`` own both from the first change on; an update of anything else must not undo a
rollback. They are named by the map that they are in, since the provider splits names at dots, and theirs have some.
"""


def make_deployment(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    template: k8s.core.v1.PodTemplateSpecArgsDict,
    *,
    replicas: int | None,
    selector: Mapping[str, str],
    ready_timeout: str,
    opts: pulumi.ResourceOptions,
) -> k8s.apps.v1.Deployment:
    """Make the Deployment; replicas are an autoscaler's to say where none are given."""
    spec: k8s.apps.v1.DeploymentSpecArgsDict = {
        "selector": {"match_labels": dict(selector)},
        # A spare GPU for a surge is seldom there: replace pods one by one instead.
        "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 0, "max_unavailable": 1}},
        "template": template,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    waits = pulumi.ResourceOptions(
        custom_timeouts=pulumi.CustomTimeouts(create=ready_timeout, update=ready_timeout), ignore_changes=_IGNORED
    )
    return k8s.apps.v1.Deployment(
        f"{name}-deployment", metadata=metadata, spec=spec, opts=pulumi.ResourceOptions.merge(opts, waits)
    )


def make_rollout(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    template: k8s.core.v1.PodTemplateSpecArgsDict,
    strategy: Strategy,
    promise: Promise,
    *,
    service: str,
    replicas: int | None,
    selector: Mapping[str, str],
    ready_seconds: int,
    opts: pulumi.ResourceOptions,
) -> k8s.apiextensions.CustomResource:
    """Make the Rollout and the AnalysisTemplate that decides over its versions."""
    namespace: Any = metadata.get("namespace")
    measured = k8s.apiextensions.CustomResource(
        f"{name}-analysis",
        api_version=ARGO,
        kind="AnalysisTemplate",
        metadata=metadata,
        spec=template_spec(strategy.analysis, promise, namespace),
        opts=opts,
    )
    spec = rollout_spec(strategy, service, namespace, ready_seconds) | {
        "selector": {"matchLabels": dict(selector)},
        "template": camel(template),
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return k8s.apiextensions.CustomResource(
        f"{name}-rollout",
        api_version=ARGO,
        kind="Rollout",
        metadata={**metadata, "annotations": NO_AWAIT},
        spec=spec,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[measured], ignore_changes=_IGNORED)),
    )


def rollout_spec(strategy: Strategy, service: str, namespace: pulumi.Input[str], ready_seconds: int) -> dict[str, Any]:
    """Return the Rollout but for its pods: a version that does not become ready goes back too."""
    return {
        "strategy": strategy_spec(strategy, service, namespace),
        "progressDeadlineSeconds": ready_seconds,
        "progressDeadlineAbort": True,
        "revisionHistoryLimit": WAYS_BACK,
        # An earlier version returns at once. Argo asks only whether its pods are older than those that serve now, so
        # that one which was rolled back is let in again unseen: `falaj-serve rollback` is what refuses that one.
        "rollbackWindow": {"revisions": WAYS_BACK},
        "analysis": {"successfulRunHistoryLimit": RUNS_KEPT, "unsuccessfulRunHistoryLimit": RUNS_KEPT},
    }


def make_services(
    name: str,
    service: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    selector: Mapping[str, str],
    strategy: Strategy | None,
    *,
    behind_gateway: bool,
    opts: pulumi.ResourceOptions,
) -> k8s.core.v1.Service:
    """Make the Service, and with a strategy that of the new version, and that of what gets copies; return the first."""

    def make(
        suffix: str, called: str, chosen: Mapping[str, str], options: pulumi.ResourceOptions
    ) -> k8s.core.v1.Service:
        named = metadata.copy()
        named["name"] = called
        if strategy is not None:
            named["annotations"] = NO_AWAIT
        return k8s.core.v1.Service(
            f"{name}-{suffix}",
            metadata=named,
            spec={"type": "ClusterIP", "selector": dict(chosen), "ports": service_ports(behind_gateway=behind_gateway)},
            # The Service is ready when its pods are; waiting for them once is enough.
            opts=pulumi.ResourceOptions.merge(
                options,
                pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="2m", update="2m")),
            ),
        )

    if strategy is None:
        return make("service", service, selector, opts)
    # Argo adds the hash of one version's pods to the selectors of the two that it switches.
    switched = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["spec.selector"]))
    if strategy.kind == "shadow":
        make("shadow-service", shadow_service(service), {**selector, ROLE: "shadow"}, opts)
    make("new-service", strategy.second_service(service), selector, switched)
    return make("service", service, selector, switched)


def service_ports(*, behind_gateway: bool) -> list[k8s.core.v1.ServicePortArgsDict]:
    """Return the ports; a gateway has to be told that gRPC is HTTP/2 without TLS."""
    grpc: k8s.core.v1.ServicePortArgsDict = {"name": "grpc", "port": GRPC, "target_port": "grpc"}
    if behind_gateway:
        grpc["app_protocol"] = "kubernetes.io/h2c"
    return [
        {"name": "http", "port": HTTP, "target_port": "http"},
        grpc,
        {"name": "metrics", "port": METRICS, "target_port": "metrics"},
    ]
