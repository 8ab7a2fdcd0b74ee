"""Images: what passes, what fails, and what cannot be decided."""

import json

from policies.making import DEPLOYMENT, container, pod, simple
from policies.placing import arn, placed

from falaj.policies.values import UNKNOWN

_HOME = "123456789012.dkr.ecr.me-central-1.amazonaws.com/app@sha256:" + "0" * 64
_AWAY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:" + "0" * 64
_TASK = "aws:ecs/taskDefinition:TaskDefinition"
_JOB = "aws:batch/jobDefinition:JobDefinition"
_RELEASE = "kubernetes:helm.sh/v3:Release"
CASES = [
    simple(
        "FJ-RES-050",
        DEPLOYMENT,
        pod(container(image=_HOME)),
        pod(container(image=_HOME), container(image="nginx:1")),
        pod(container(image=UNKNOWN)),
    ),
    simple(
        "FJ-RES-050",
        DEPLOYMENT,
        pod(container(image=_HOME), volumes=[{"image": {"reference": _HOME}}]),
        pod(container(image=_HOME), volumes=[{"image": {"reference": _AWAY}}]),
        pod(container(image=_HOME), volumes=[{"image": {"reference": UNKNOWN}}]),
    ),
    *(
        placed("FJ-RES-051", type_, path, _HOME, _AWAY)
        for type_, path in (
            ("aws:lambda/function:Function", "imageUri"),
            ("aws:sagemaker/model:Model", "primaryContainer.image"),
            ("aws:sagemaker/model:Model", "containers.image"),
            ("aws:apprunner/service:Service", "sourceConfiguration.imageRepository.imageIdentifier"),
        )
    ),
    placed(
        "FJ-RES-051",
        _TASK,
        "containerDefinitions",
        json.dumps([{"image": _HOME}]),
        json.dumps([{"image": _HOME}, {"image": "ghcr.io/acme/app:1"}]),
    ),
    placed("FJ-RES-051", _JOB, "containerProperties", json.dumps({"image": _HOME}), json.dumps({"image": _AWAY})),
    placed(
        "FJ-RES-052",
        "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
        "upstreamRegistryUrl",
        "quay.io",
        "registry-1.docker.io",
    ),
    placed(
        "FJ-RES-053",
        _RELEASE,
        "repositoryOpts.repo",
        "http://charts.charts.svc:8080",
        "https://charts.example.com",
    ),
    placed("FJ-RES-053", _RELEASE, "chart", "./charts/app", "oci://ghcr.io/acme/charts/app"),
    placed(
        "FJ-RES-053",
        "aws:lambda/function:Function",
        "layers",
        [arn("lambda", "me-central-1", "layer:one:1")],
        [arn("lambda", "eu-west-1", "layer:one:1")],
        unknown=[UNKNOWN],
    ),
]
_IMAGE: list[str | int] = ["spec", "template", "spec", "containers", 0, "image"]
MUTATIONS = [
    ("Deployment", _IMAGE, _AWAY, {"FJ-RES-050"}),
    ("Deployment", _IMAGE, "ghcr.io/acme/app@sha256:" + "0" * 64, {"FJ-RES-050"}),
    ("PullThroughCacheRule", ["upstreamRegistryUrl"], "registry-1.docker.io", {"FJ-RES-052"}),
]
