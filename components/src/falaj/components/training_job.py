"""A training on the cluster: pods that find each other, admitted together by the tenant's queue, and nobody else's."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded
from falaj.components.errors import ConfigError
from falaj.components.gpu_queues import TopologyLevel
from falaj.components.kubeflow_job import train_job
from falaj.components.refs import PoolRef, TenantRef, pick
from falaj.components.tiers import Tier
from falaj.components.training_checks import PROGRESS_PORT, TrainingPod, check_pod, check_promise
from falaj.components.training_pod import (
    NO_AWAIT,
    SCRATCH,
    failure_rules,
    job_file,
    near_annotations,
    network_policy,
    pod_spec,
    queue_labels,
    work_labels,
)

RENDEZVOUS_PORT = 29400
"""Port on which the workers meet at the first of them."""
_GRACE_LEFT = 20
_LONGEST_NAME = 43
"""What is left of a host name's 63 characters for the job, before ``-node-0-`` and the number of the pod."""


class TrainingJobArgs(TypedDict):
    """What may be said of a training."""

    tenant: pulumi.Input[TenantRef]
    """The tenant that trains: ``ref`` of a ``Tenant``."""
    image: str
    """Image with ``falaj-train`` and the team's package, by digest, ``registry/repository@sha256:...``."""
    job: NotRequired[str]
    """Text of the job file; becomes a ConfigMap that nobody can change. Default: the image has it, see ``job_path``."""
    job_path: NotRequired[str]
    """Path of the job file in the image. Default: none, see ``job``."""
    job_name: NotRequired[str]
    """Name of the Job and of what belongs to it, at most 43 characters. Default: the component's name."""
    nodes: NotRequired[int]
    """Pods that train together, 1 to 1024. Default: 1."""
    gpus: NotRequired[int]
    """GPUs of each pod, 0 to 64. Default: 1."""
    workers: NotRequired[int]
    """Processes of each pod. Default: one for each GPU, else one."""
    cpus: NotRequired[int]
    """CPUs that each pod asks for. Default: 8."""
    memory: NotRequired[str]
    """Memory of each pod, shared memory and scratch in memory included. Default: ``64Gi``."""
    pool: NotRequired[pulumi.Input[PoolRef]]
    """Pool to run in: ``ref`` of a ``GpuNodePool``. Default: any that the queue has."""
    near: NotRequired[str]
    """Level of the pool's topology within which all pods are placed: a member of ``TopologyLevel``. Default: none."""
    efa: NotRequired[int]
    """EFA interfaces of each pod, in a pool with ``efa``. Default: 0."""
    queue: NotRequired[str]
    """Queue of the tenant's namespace; the API server refuses another's. Default: ``default``."""
    tier: NotRequired[Tier]
    """What may displace it, and what it may; one that the tenant allows. Default: ``batch``."""
    deadline: NotRequired[str]
    """When it is to be done, with an offset, such as ``2030-01-31T18:00:00Z``; refused in the past. Default: none."""
    expected_seconds: NotRequired[int]
    """Seconds that the whole run takes once it has its GPUs. Default: unknown."""
    checkpoint_seconds: NotRequired[int]
    """Seconds between two checkpoints: what making room for others undoes at most. Default: unknown."""
    service_account: NotRequired[str]
    """Identity of the pods, which get no token of the API server. Default: ``workload``."""
    scratch_class: NotRequired[str]
    """Storage class of scratch, one whose disks are encrypted; they go with the pod. Default: scratch is memory."""
    scratch_size: NotRequired[str]
    """Size of scratch. Default: ``16Gi``."""
    shared_memory: NotRequired[str]
    """Shared memory, through which processes of a pod pass data. Default: ``8Gi``."""
    storage_cidrs: NotRequired[list[str]]
    """Address ranges of data, checkpoints and keys, reached over TLS, at most a /16 each. Default: none."""
    retries: NotRequired[int]
    """How often each pod may fail before the job has, 0 to 100; making room does not count. Default: 3."""
    longest_hours: NotRequired[int]
    """Hours after which it is stopped wherever it is, those without its GPUs not counted, 1 to 8760. Default: 168."""
    kept_days: NotRequired[int]
    """Days for which the Job and its pods' logs can be looked at when it has ended, 1 to 365. Default: 14."""
    grace_seconds: NotRequired[int]
    """Seconds for a last checkpoint when a pod has to go, 30 to 3600. Default: 120, what EC2 gives on spot."""
    environment: NotRequired[dict[str, str]]
    """Further variables; none of them a secret. Default: none."""
    kubeflow: NotRequired[bool]
    """Whether Kubeflow's trainer runs it, as a TrainJob, where its CRDs exist. Default: false."""


class TrainingJob(pulumi.ComponentResource):
    """One Indexed Job of the training image, or a TrainJob of Kubeflow, with all that its pods need to meet.

    It waits in the tenant's queue and is admitted as a whole. An update does not wait for its end; another image, job
    file or size is another Job, which goes on from the last checkpoint.
    Needs the ``kubernetes`` provider in its options.
    Serves ISO/IEC 27001:2022 A.5.15, A.8.6, A.8.19, A.8.22 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    job_name: pulumi.Output[str]
    """Name of the Job, or of the TrainJob."""
    namespace: pulumi.Output[str]
    """Namespace of the Job."""
    rendezvous: pulumi.Output[str]
    """Where the pods meet, ``host:port`` within the namespace."""

    def __init__(self, name: str, args: TrainingJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        pod = check_pod(name, {**args}, _LONGEST_NAME)
        check_near(f"{name}.near", pod.near)
        nodes = bounded(f"{name}.nodes", args.get("nodes", 1), 1, 1024)
        workers = bounded(f"{name}.workers", args.get("workers", max(1, pod.gpus)), 1, 64)
        retries = bounded(f"{name}.retries", args.get("retries", 3), 0, 100)
        kubeflow = bool(args.get("kubeflow", False))
        promise = check_promise(
            name, args.get("deadline"), args.get("expected_seconds"), args.get("checkpoint_seconds")
        )
        meeting = rendezvous(pod.job_name, kubeflow=kubeflow)
        # What is done counts where the work said how long it takes; the scheduler finds the pods of a Job alone.
        tells = "falaj.dev/expected-seconds" in promise and not kubeflow
        if tells:
            promise["falaj.dev/progress-port"] = str(PROGRESS_PORT)
        arguments = train_arguments(pod, nodes, workers, meeting, tells=tells)

        super().__init__("falaj:index:TrainingJob", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace, owner = pick(args["tenant"], "namespace"), pick(args["tenant"], "labels")
        labels = owner.apply(lambda known: work_labels(pod, known))
        ways = [(cidr, 443) for cidr in pod.storage_cidrs]
        before: list[pulumi.Resource] = [
            network_policy(name, pod, namespace, labels, ways=ways, among_themselves=True, tells=tells, opts=child),
            *job_file(name, pod, namespace, labels, child),
        ]
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": pod.job_name,
            "namespace": namespace,
            "labels": owner.apply(lambda known: queue_labels(pod, known)),
        }
        # Kubeflow's pods have the names that JobSet gives them.
        spec = job_spec(pod, arguments, nodes, retries, labels, subdomain=None if kubeflow else pod.job_name)
        if kubeflow:
            train_job(name, metadata, spec, promise, _anew(self, before))
        else:
            before.append(_service(name, pod, namespace, labels, child))
            metadata["annotations"] = NO_AWAIT | promise
            k8s.batch.v1.Job(f"{name}-job", metadata=metadata, spec=spec, opts=_anew(self, before))

        self.job_name = pulumi.Output.from_input(pod.job_name)
        self.namespace = namespace
        self.rendezvous = pulumi.Output.from_input(meeting)
        self.register_outputs({"jobName": self.job_name, "namespace": self.namespace, "rendezvous": self.rendezvous})


def check_near(field: str, near: str | None) -> None:
    """Refuse a level that no pool has."""
    if near is not None and near not in set(TopologyLevel):
        raise ConfigError(field, near, f"must be among {', '.join(TopologyLevel)}")


def rendezvous(job_name: str, *, kubeflow: bool) -> str:
    """Return where the workers meet: at the pod of index 0, whose host name is the same after every restart.

    https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode; Kubeflow's names are JobSet's.
    """
    first = f"{job_name}-node-0-0" if kubeflow else f"{job_name}-0"
    return f"{first}.{job_name}:{RENDEZVOUS_PORT}"


def train_arguments(pod: TrainingPod, nodes: int, workers: int, meeting: str, *, tells: bool = False) -> list[str]:
    """Return what ``falaj-train`` is told, which starts torchrun with so many nodes and processes and their meeting.

    A pod that is made again goes on from the last checkpoint, and the first one, which finds none, begins.
    """
    said = {
        "parallel.nodes": nodes,
        "parallel.workers": workers,
        **({"parallel.rendezvous": f'"{meeting}"'} if nodes > 1 else {}),
        "parallel.grace_seconds": pod.grace_seconds - _GRACE_LEFT,
        "report.folder": f'"{SCRATCH}/run"',
        # The network policy lets the SLA scheduler alone ask from outside the job.
        **({"report.metrics_port": PROGRESS_PORT, "report.metrics_host": '"0.0.0.0"'} if tells else {}),
    }
    return ["resume", pod.job_path, *(part for key, value in said.items() for part in ("--set", f"{key}={value}"))]


def job_spec(
    pod: TrainingPod,
    arguments: list[str],
    nodes: int,
    retries: int,
    labels: pulumi.Output[dict[str, str]],
    *,
    subdomain: str | None,
) -> k8s.batch.v1.JobSpecArgsDict:
    """Return an Indexed Job all of whose pods run at once; a lost pod comes back under its own index."""
    return {
        "completion_mode": "Indexed",
        "completions": nodes,
        "parallelism": nodes,
        # When one dies, those that wait for it may follow: what counts is how often all of them did.
        "backoff_limit": retries * nodes,
        "pod_failure_policy": failure_rules(),
        "pod_replacement_policy": "Failed",
        "active_deadline_seconds": pod.longest_seconds,
        "ttl_seconds_after_finished": pod.kept_seconds,
        "template": {
            "metadata": {"labels": labels, "annotations": near_annotations(pod)},
            "spec": pod_spec(pod, arguments, subdomain=subdomain),
        },
    }


def _service(
    name: str,
    pod: TrainingPod,
    namespace: pulumi.Output[str],
    labels: pulumi.Output[dict[str, str]],
    opts: pulumi.ResourceOptions,
) -> k8s.core.v1.Service:
    """Make the headless Service that gives each pod its name, ready or not: they meet before they are."""
    return k8s.core.v1.Service(
        f"{name}-service",
        metadata={"name": pod.job_name, "namespace": namespace, "labels": labels, "annotations": NO_AWAIT},
        spec={
            "cluster_ip": "None",
            "publish_not_ready_addresses": True,
            "selector": pod.selector,
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT}],
        },
        opts=opts,
    )


def _anew(parent: pulumi.Resource, before: list[pulumi.Resource]) -> pulumi.ResourceOptions:
    """Return the options of what runs: what it needs comes first, and of two of a name the old one goes first."""
    return pulumi.ResourceOptions(parent=parent, depends_on=before, delete_before_replace=True)
