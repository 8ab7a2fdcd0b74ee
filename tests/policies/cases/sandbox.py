"""What keeps a container in its sandbox: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import DEPLOYMENT, Case, container, pod, simple

from falaj.policies.values import UNKNOWN

MPI_JOB = "kubernetes:kubeflow.org/v2beta1:MPIJob"
PROFILE = {"type": "RuntimeDefault"}


def secured(*, of_pod: Any = None, **of_container: Any) -> dict[str, Any]:
    """Return a pod whose one container, and which itself, have these security settings."""
    changes = {} if of_pod is None else {"securityContext": of_pod}
    return pod(container(securityContext=of_container), **changes)


def job(body: dict[str, Any]) -> dict[str, Any]:
    """Return a job of Kubeflow whose launcher is the pod."""
    return {"spec": {"mpiReplicaSpecs": {"Launcher": body["spec"]}}}


CASES: list[Case] = [
    simple(
        "FJ-POD-010",
        DEPLOYMENT,
        secured(of_pod={"seccompProfile": PROFILE}),
        secured(of_pod={"seccompProfile": PROFILE}, seccompProfile={"type": "Unconfined"}),
        secured(seccompProfile=UNKNOWN),
    ),
    simple(
        "FJ-POD-010",
        MPI_JOB,
        job(secured(seccompProfile={"type": "Localhost", "localhostProfile": "work.json"})),
        job(secured()),
        {"spec": {"mpiReplicaSpecs": UNKNOWN}},
    ),
    simple(
        "FJ-POD-011",
        DEPLOYMENT,
        secured(readOnlyRootFilesystem=True),
        secured(),
        secured(readOnlyRootFilesystem=UNKNOWN),
    ),
    simple(
        "FJ-POD-012",
        DEPLOYMENT,
        secured(of_pod={"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}),
        secured(of_pod={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        secured(of_pod={"sysctls": [{"name": UNKNOWN, "value": "1"}]}),
    ),
    *(
        simple("FJ-POD-013", DEPLOYMENT, secured(procMount="Default"), bad, secured(procMount=UNKNOWN))
        for bad in (
            secured(procMount="Unmasked"),
            secured(windowsOptions={"hostProcess": True}),
            secured(of_pod={"appArmorProfile": {"type": "Unconfined"}}),
            secured(seLinuxOptions={"type": "spc_t"}),
            secured(of_pod={"seLinuxOptions": {"user": "system_u"}}),
        )
    ),
    simple(
        "FJ-POD-014",
        DEPLOYMENT,
        secured(of_pod={"runAsUser": 65532.0}),
        secured(of_pod={"runAsUser": 65532.0}, runAsUser=1000),
        secured(runAsUser=UNKNOWN),
    ),
    simple("FJ-POD-014", DEPLOYMENT, pod(hostUsers=False), pod(hostUsers=True), pod(hostUsers=UNKNOWN)),
    simple(
        "FJ-POD-015",
        DEPLOYMENT,
        pod(shareProcessNamespace=False),
        pod(shareProcessNamespace=True),
        pod(shareProcessNamespace=UNKNOWN),
    ),
    simple(
        "FJ-POD-016",
        DEPLOYMENT,
        pod(tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}]),
        pod(tolerations=[{"operator": "Exists"}]),
        pod(tolerations=[{"key": UNKNOWN, "operator": "Exists"}]),
    ),
    simple("FJ-POD-017", DEPLOYMENT, pod(), pod(nodeName="one"), pod(nodeName=UNKNOWN)),
]

_POD: list[str | int] = ["spec", "template", "spec"]
_CONTEXT: list[str | int] = [*_POD, "containers", 0, "securityContext"]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Deployment", [*_POD, "securityContext", "seccompProfile"], {"type": "Unconfined"}, {"FJ-POD-010"}),
    ("Deployment", [*_CONTEXT, "seccompProfile"], {"type": "Unconfined"}, {"FJ-POD-010"}),
    ("Deployment", [*_CONTEXT, "readOnlyRootFilesystem"], False, {"FJ-POD-011"}),
    ("Deployment", [*_POD, "securityContext", "sysctls"], [{"name": "kernel.sem", "value": "1"}], {"FJ-POD-012"}),
    ("Deployment", [*_CONTEXT, "procMount"], "Unmasked", {"FJ-POD-013"}),
    ("Deployment", [*_POD, "securityContext", "appArmorProfile"], {"type": "Unconfined"}, {"FJ-POD-013"}),
    ("Deployment", [*_CONTEXT, "seLinuxOptions"], {"type": "spc_t"}, {"FJ-POD-013"}),
    ("Deployment", [*_CONTEXT, "runAsUser"], 1000, {"FJ-POD-014"}),
    ("Deployment", [*_POD, "securityContext", "runAsUser"], 0, {"FJ-POD-004", "FJ-POD-014"}),
    ("Deployment", [*_POD, "shareProcessNamespace"], True, {"FJ-POD-015"}),
    ("Deployment", [*_POD, "tolerations"], [{"operator": "Exists"}], {"FJ-POD-016"}),
    ("Deployment", [*_POD, "nodeName"], "ip-10-64-0-1", {"FJ-POD-017"}),
]
