"""Identities and secrets of pods: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import DEPLOYMENT, Case, container, pod, simple

from falaj.policies.values import UNKNOWN


def mounted(volume: Any, **mount: Any) -> dict[str, Any]:
    """Return a pod that mounts a volume."""
    body = container(volumeMounts=[{"name": "it", "mountPath": "/etc/it"} | mount])
    return pod(body, volumes=[{"name": "it"} | volume])


def projected(seconds: Any) -> dict[str, Any]:
    """Return a pod with a projected token that lives so long."""
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": seconds}}
    return pod(volumes=[{"name": "token", "projected": {"sources": [source]}}])


HEADER = {"name": "Authorization", "value": "Basic abc"}
CASES: list[Case] = [
    simple(
        "FJ-POD-018",
        DEPLOYMENT,
        pod(serviceAccountName="workload"),
        pod(serviceAccountName="default"),
        pod(serviceAccountName=UNKNOWN),
    ),
    *(
        simple(
            "FJ-POD-019",
            DEPLOYMENT,
            pod(container(args=["--password-file=/etc/it", "--max-tokens=4096"])),
            pod(container(**bad)),
            pod(container(args=["serve", UNKNOWN])),
        )
        for bad in (
            {"args": ["--db-password=hunter2"]},
            {"args": ["--api-key", "hunter2"]},
            {"command": ["sh", "-c", "export TOKEN=hunter2; serve"]},
            {"lifecycle": {"postStart": {"exec": {"command": ["login", "--secret=hunter2"]}}}},
            {"livenessProbe": {"exec": {"command": ["check", "https://one:hunter2@db.example"]}}},
            {"readinessProbe": {"httpGet": {"path": "/", "httpHeaders": [HEADER]}}},
        )
    ),
    simple(
        "FJ-POD-020",
        DEPLOYMENT,
        mounted({"secret": {"secretName": "db"}}),
        mounted({"secret": {"secretName": "db"}}, subPath="password"),
        mounted({"secret": {"secretName": "db"}}, subPath=UNKNOWN),
    ),
    simple("FJ-POD-021", DEPLOYMENT, projected(3600), projected(31536000), projected(UNKNOWN)),
]

_POD: list[str | int] = ["spec", "template", "spec"]
_CONTAINER: list[str | int] = [*_POD, "containers", 0]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Deployment", [*_POD, "serviceAccountName"], "default", {"FJ-POD-018"}),
    ("Deployment", [*_POD, "serviceAccountName"], None, {"FJ-POD-018"}),
    ("Deployment", [*_CONTAINER, "args"], ["serve", "--token=hunter2"], {"FJ-POD-019"}),
    ("Deployment", [*_CONTAINER, "command"], ["sh", "-c", "PASSWORD=hunter2 serve"], {"FJ-POD-019"}),
    (
        "Deployment",
        [*_POD, "volumes", 1, "projected", "sources", 0, "serviceAccountToken", "expirationSeconds"],
        31536000,
        {"FJ-POD-021"},
    ),
]
