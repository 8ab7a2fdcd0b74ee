"""A training as Kubeflow's trainer runs it: a TrainingRuntime of its pods alone, and the TrainJob that names it.

Written after ``trainer.kubeflow.org/v1alpha1``: the trainer makes a JobSet, JobSet a Job and the headless Service.
"""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.kubernetes_names import camel

KUBEFLOW = "trainer.kubeflow.org/v1alpha1"
_STEP = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}


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
