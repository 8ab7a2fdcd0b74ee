"""A sweep on the cluster: pods that take trials one after the other, and share nothing but the storage of results."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, dns_label
from falaj.components.errors import ConfigError
from falaj.components.refs import PoolRef, TenantRef, pick
from falaj.components.tiers import Tier
from falaj.components.training_checks import TrainingPod, check_pod, check_promise, check_storage
from falaj.components.training_pod import (
    NO_AWAIT,
    SCRATCH,
    STORAGE_FOLDER,
    failure_rules,
    job_file,
    network_policy,
    pod_spec,
    queue_labels,
    work_labels,
)

_LONGEST_NAME = 52
"""What is left of a pod's host name for the job."""
_DATABASE_PORT = 5432


class SweepJobArgs(TypedDict):
    """What may be said of a sweep."""

    tenant: pulumi.Input[TenantRef]
    """The tenant that searches: ``ref`` of a ``Tenant``."""
    image: str
    """Image with ``falaj-train`` and the team's package, by digest, ``registry/repository@sha256:...``."""
    storage_secret: str
    """Secret of the namespace whose key ``url`` is the PostgreSQL database in which the workers share their trials."""
    database_cidrs: list[str]
    """Address ranges of that database, at most a /16 each."""
    job: NotRequired[str]
    """Text of the job file; becomes a ConfigMap that nobody can change. Default: the image has it, see ``job_path``."""
    job_path: NotRequired[str]
    """Path of the job file in the image. Default: none, see ``job``."""
    job_name: NotRequired[str]
    """Name of the Job and of what belongs to it, at most 52 characters. Default: the component's name."""
    database_port: NotRequired[int]
    """Port of the database. Default: 5432."""
    parallel: NotRequired[int]
    """Pods that work at the same time, each on a trial of its own, 1 to 1000. Default: 2."""
    gpus: NotRequired[int]
    """GPUs of each pod, 0 to 64. Default: 1."""
    cpus: NotRequired[int]
    """CPUs that each pod asks for. Default: 8."""
    memory: NotRequired[str]
    """Memory of each pod, shared memory and scratch in memory included. Default: ``64Gi``."""
    pool: NotRequired[pulumi.Input[PoolRef]]
    """Pool to run in: ``ref`` of a ``GpuNodePool``. Default: any that the queue has."""
    queue: NotRequired[str]
    """Queue of the tenant's namespace; the API server refuses another's. Default: ``default``."""
    tier: NotRequired[Tier]
    """What may displace it, and what it may; one that the tenant allows. Default: ``scavenger``."""
    deadline: NotRequired[str]
    """When it is to be done, with an offset, such as ``2030-01-31T18:00:00Z``; refused in the past. Default: none."""
    expected_seconds: NotRequired[int]
    """Seconds that the whole sweep takes once it has its GPUs. Default: unknown."""
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
    """How often each pod may fail before the sweep goes on without it, 0 to 100. Default: 3."""
    longest_hours: NotRequired[int]
    """Hours after which it is stopped wherever it is, those without its GPUs not counted, 1 to 8760. Default: 168."""
    kept_days: NotRequired[int]
    """Days for which the Job and its pods' logs can be looked at when it has ended, 1 to 365. Default: 14."""
    grace_seconds: NotRequired[int]
    """Seconds for a last checkpoint when a pod has to go, 30 to 3600. Default: 120, what EC2 gives on spot."""
    environment: NotRequired[dict[str, str]]
    """Further variables; none of them a secret. Default: none."""


class SweepJob(pulumi.ComponentResource):
    """One Indexed Job whose pods work on one sweep, none of which reaches another.

    It waits in the tenant's queue. An update does not wait for its end. Pods that come late, or again, go on with the
    trials that are left; a sweep that has all of its trials ends at once.
    Needs the ``kubernetes`` provider in its options.
    Serves ISO/IEC 27001:2022 A.5.15, A.8.6, A.8.19, A.8.22 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    job_name: pulumi.Output[str]
    """Name of the Job."""
    namespace: pulumi.Output[str]
    """Namespace of the Job."""

    def __init__(self, name: str, args: SweepJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        pod = check_pod(name, {"tier": Tier.SCAVENGER, **args}, _LONGEST_NAME)
        parallel = bounded(f"{name}.parallel", args.get("parallel", 2), 1, 1000)
        retries = bounded(f"{name}.retries", args.get("retries", 3), 0, 100)
        secret = dns_label(f"{name}.storage_secret", args["storage_secret"])
        port = bounded(f"{name}.database_port", args.get("database_port", _DATABASE_PORT), 1, 65535)
        cidrs = check_storage(f"{name}.database_cidrs", args["database_cidrs"])
        if not cidrs:
            raise ConfigError(f"{name}.database_cidrs", cidrs, "must name at least one range: the workers meet there")
        promise = check_promise(name, args.get("deadline"), args.get("expected_seconds"))

        super().__init__("falaj:index:SweepJob", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace, owner = pick(args["tenant"], "namespace"), pick(args["tenant"], "labels")
        labels = owner.apply(lambda known: work_labels(pod, known))
        ways = [*((cidr, 443) for cidr in pod.storage_cidrs), *((cidr, port) for cidr in cidrs)]
        before: list[pulumi.Resource] = [
            network_policy(name, pod, namespace, labels, ways=ways, among_themselves=False, opts=child),
            *job_file(name, pod, namespace, labels, child),
        ]
        k8s.batch.v1.Job(
            f"{name}-job",
            metadata={
                "name": pod.job_name,
                "namespace": namespace,
                "labels": owner.apply(lambda known: queue_labels(pod, known)),
                "annotations": NO_AWAIT | promise,
            },
            spec=job_spec(pod, parallel, retries, secret, labels),
            opts=pulumi.ResourceOptions(parent=self, depends_on=before, delete_before_replace=True),
        )

        self.job_name = pulumi.Output.from_input(pod.job_name)
        self.namespace = namespace
        self.register_outputs({"jobName": self.job_name, "namespace": self.namespace})


def sweep_arguments(pod: TrainingPod, parallel: int) -> list[str]:
    """Return what ``falaj-train`` is told: to be one worker of so many."""
    said = {
        "sweep.workers": parallel,
        "sweep.storage": f'"file:{STORAGE_FOLDER}/url"',
        "sweep.folder": f'"{SCRATCH}/sweep"',
        "parallel.workers": max(1, pod.gpus),
    }
    sets = (part for key, value in said.items() for part in ("--set", f"{key}={value}"))
    return ["sweep", pod.job_path, "--worker", *sets]


def job_spec(
    pod: TrainingPod, parallel: int, retries: int, secret: str, labels: pulumi.Output[dict[str, str]]
) -> k8s.batch.v1.JobSpecArgsDict:
    """Return an Indexed Job in which each pod fails for itself; it has failed when all of them have."""
    rules = failure_rules(ends="FailIndex")
    return {
        "completion_mode": "Indexed",
        "completions": parallel,
        "parallelism": parallel,
        "backoff_limit_per_index": retries,
        "max_failed_indexes": parallel,
        "pod_failure_policy": rules,
        "pod_replacement_policy": "Failed",
        "active_deadline_seconds": pod.longest_seconds,
        "ttl_seconds_after_finished": pod.kept_seconds,
        "template": {
            "metadata": {"labels": labels},
            "spec": pod_spec(pod, sweep_arguments(pod, parallel), storage_secret=secret),
        },
    }
