"""A training as Kubeflow's trainer runs it: a TrainingRuntime of its pods alone, and the TrainJob that names it.

Written after ``trainer.kubeflow.org/v1alpha1``: the trainer makes a JobSet, JobSet a Job and the headless Service.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

KUBEFLOW = "trainer.kubeflow.org/v1alpha1"
_STEP = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
_WORDS = ("labels", "annotations", "node_selector", "match_labels", "limits", "requests")
"""Members whose keys are somebody's own words."""


def train_job(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    spec: k8s.batch.v1.JobSpecArgsDict,
    annotations: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> k8s.apiextensions.CustomResource:
    """Make both; the Job that they end in has the labels and annotations by which queue and scheduler know it."""
    nodes = spec.get("completions", 1)
    # How many pods there are, and that each has its index, Kubeflow says itself.
    job = {key: value for key, value in spec.items() if key not in ("completions", "parallelism", "completion_mode")}
    labels = pulumi.Output.from_input(metadata.get("labels", {})).apply(lambda known: {**known, **_STEP})
    template = {"metadata": {"labels": labels, "annotations": dict(annotations)}, "spec": camel(job)}
    runtime = k8s.apiextensions.CustomResource(
        f"{name}-runtime",
        api_version=KUBEFLOW,
        kind="TrainingRuntime",
        metadata=metadata,
        spec={
            "mlPolicy": {"numNodes": nodes},
            "template": {"spec": {"replicatedJobs": [{"name": "node", "template": template}]}},
        },
        opts=opts,
    )
    return k8s.apiextensions.CustomResource(
        f"{name}-train-job",
        api_version=KUBEFLOW,
        kind="TrainJob",
        metadata=metadata,
        spec={
            "runtimeRef": {
                "apiGroup": "trainer.kubeflow.org",
                "kind": "TrainingRuntime",
                "name": metadata.get("name", ""),
            },
            "trainer": {"numNodes": nodes},
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[runtime])),
    )


def camel(value: Any) -> Any:
    """Return a specification with the names that Kubernetes has for its members: the SDK translates no custom ones."""
    if isinstance(value, Mapping):
        return {_camel(key): each if key in _WORDS else camel(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [camel(each) for each in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    return value


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part.title() for part in rest)
