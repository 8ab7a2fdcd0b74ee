"""Pods through one view, whatever controller or custom resource makes them."""

from collections.abc import Callable, Iterator, Mapping

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, rule
from falaj.policies.values import View

_Path = tuple[str, ...]
_TEMPLATE: _Path = ("spec", "template", "spec")
# Elements of a list, and values of an object.
_EACH, _ENTRIES = "[]", "{}"


def _ray(*cluster: str) -> tuple[_Path, ...]:
    """Return where a Ray cluster has its pods."""
    return (
        (*cluster, "headGroupSpec", "template", "spec"),
        (*cluster, "workerGroupSpecs", _EACH, "template", "spec"),
    )


def _replicas(key: str) -> tuple[_Path, ...]:
    """Return where a job of Kubeflow has its pods: one template for each role."""
    return (("spec", key, _ENTRIES, "template", "spec"),)


_JOBS: _Path = ("replicatedJobs", _EACH, "template", *_TEMPLATE)
# Older API versions of the core types are refused by every supported API server.
_PODS: Mapping[str, tuple[_Path, ...]] = {
    "kubernetes:core/v1:Pod": (("spec",),),
    "kubernetes:core/v1:PodTemplate": (("template", "spec"),),
    "kubernetes:core/v1:ReplicationController": (_TEMPLATE,),
    "kubernetes:apps/v1:Deployment": (_TEMPLATE,),
    "kubernetes:apps/v1:ReplicaSet": (_TEMPLATE,),
    "kubernetes:apps/v1:StatefulSet": (_TEMPLATE,),
    "kubernetes:apps/v1:DaemonSet": (_TEMPLATE,),
    "kubernetes:batch/v1:Job": (_TEMPLATE,),
    "kubernetes:batch/v1:CronJob": (("spec", "jobTemplate", *_TEMPLATE),),
    "kubernetes:argoproj.io/v1alpha1:Rollout": (_TEMPLATE,),
    "kubernetes:jobset.x-k8s.io/v1alpha2:JobSet": (("spec", *_JOBS),),
    "kubernetes:trainer.kubeflow.org/v1alpha1:TrainingRuntime": (("spec", "template", "spec", *_JOBS),),
    "kubernetes:kubeflow.org/v1:PyTorchJob": _replicas("pytorchReplicaSpecs"),
    "kubernetes:kubeflow.org/v1:TFJob": _replicas("tfReplicaSpecs"),
    "kubernetes:kubeflow.org/v1:JAXJob": _replicas("jaxReplicaSpecs"),
    "kubernetes:kubeflow.org/v1:XGBoostJob": _replicas("xgbReplicaSpecs"),
    "kubernetes:kubeflow.org/v1:PaddleJob": _replicas("paddleReplicaSpecs"),
    "kubernetes:kubeflow.org/v2beta1:MPIJob": _replicas("mpiReplicaSpecs"),
    "kubernetes:kubeflow.org/v1:Notebook": (_TEMPLATE,),
    "kubernetes:ray.io/v1:RayCluster": _ray("spec"),
    "kubernetes:ray.io/v1:RayJob": _ray("spec", "rayClusterSpec"),
    "kubernetes:ray.io/v1:RayService": _ray("spec", "rayClusterConfig"),
    "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet": (
        ("spec", "leaderWorkerTemplate", "leaderTemplate", "spec"),
        ("spec", "leaderWorkerTemplate", "workerTemplate", "spec"),
    ),
    "kubernetes:serving.knative.dev/v1:Service": (_TEMPLATE,),
}
POD_TYPES = tuple(_PODS)
"""Every type that makes pods."""


def pod_specs(resource: Resource) -> Iterator[View]:
    """Yield the specifications of the pods that the resource makes; some types make several kinds of pod."""
    for path in _PODS[resource.type]:
        yield from _follow(resource.properties, path)


def _follow(view: View, path: _Path) -> Iterator[View]:
    if not path:
        # What is not there makes no pods, for example a Rollout that takes a Deployment's template.
        if view.value is not None:
            yield view
        return
    head, rest = path[0], path[1:]
    if head == _EACH:
        children = view.each()
    elif head == _ENTRIES:
        children = (child for _, child in view.entries())
    else:
        children = iter((view[head],))
    for child in children:
        yield from _follow(child, rest)


def containers(pod: View) -> Iterator[View]:
    """Yield every container: those that prepare the pod, its own, and those for debugging."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod[kind].each()


def decides(pod: View, container: View, key: str) -> View:
    """Return the security setting that holds for a container: its own comes before its pod's."""
    own = container["securityContext"][key]
    return pod["securityContext"][key] if own.value is None else own


def pod_rule(
    id: str,
    title: str,
    severity: Severity,
    controls: tuple[str, ...],
    remediation: str,
) -> Callable[[Callable[[View], Checks]], Rule]:
    """Make a rule over a pod's specification, for every type that makes pods."""

    def make(check: Callable[[View], Checks]) -> Rule:
        def over_pods(resource: Resource, _: Context) -> Checks:
            for pod in pod_specs(resource):
                yield from check(pod)

        return rule(id, title, severity, controls, POD_TYPES, remediation)(over_pods)

    return make
