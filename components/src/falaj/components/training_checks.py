"""What may be said of the pods of training, checked before anything is made."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pulumi

from falaj.components.checks import bounded, dns_label, quantity
from falaj.components.errors import ConfigError
from falaj.components.queue_admission import DEFAULT_QUEUE
from falaj.components.refs import PoolRef
from falaj.components.tenant_network import Direction, NetworkOpening, check_openings
from falaj.components.tiers import Tier, check_tiers
from falaj.components.triton_service import check_image

POD_LABEL = "falaj.dev/training"
"""Label of a job's pods, by which its network policy and its Service know them."""
PROGRESS_PORT = 9410
"""Port on which the first pod of a training tells the SLA scheduler how much is done and saved."""
JOB_FOLDER = "/etc/falaj/job"
"""Where a pod finds the job file that is not in its image."""
TEMPORARY = "1Gi"
"""Memory that files in /tmp may take."""
LARGEST_JOB_FILE = 512 * 1024
"""Bytes of a job file at most; a ConfigMap has room for twice as many."""

_RESERVED = ("FALAJ_", "HOME", "TMPDIR", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_")
_GIB = {"Mi": 1 / 1024, "Gi": 1, "Ti": 1024}
_REMOTE = "s3://"


@dataclass(frozen=True)
class TrainingPod:
    """What is said of the pods, checked."""

    job_name: str
    image: str
    job: str | None
    job_path: str
    gpus: int
    cpus: int
    memory: str
    pool: pulumi.Input[PoolRef] | None
    service_account: str
    scratch_class: str | None
    scratch_size: str
    shared_memory: str
    storage_cidrs: Sequence[str]
    grace_seconds: int
    longest_seconds: int
    kept_seconds: int
    environment: Mapping[str, str]
    queue: str
    tier: Tier
    efa: int = 0
    near: str | None = None

    @property
    def config_map(self) -> str:
        """Name of the job file's ConfigMap: another file is another name, and no running pod sees it change."""
        return f"{self.job_name}-{hashlib.sha256((self.job or '').encode()).hexdigest()[:10]}"

    @property
    def selector(self) -> dict[str, str]:
        """The label that these pods have and no others."""
        return {POD_LABEL: self.job_name}


def check_pod(name: str, args: Mapping[str, Any], longest_name: int) -> TrainingPod:
    """Return what is said of the pods, refusing what could not run, or could not be trusted."""
    (tier,) = check_tiers(f"{name}.tier", [args.get("tier", Tier.BATCH)])
    scratch_class = args.get("scratch_class")
    memory = quantity(f"{name}.memory", args.get("memory", "64Gi"))
    scratch = quantity(f"{name}.scratch_size", args.get("scratch_size", "16Gi"))
    shared = quantity(f"{name}.shared_memory", args.get("shared_memory", "8Gi"))
    in_memory = gib(TEMPORARY) + gib(shared) + (0 if scratch_class else gib(scratch))
    if in_memory >= gib(memory):
        remedy = f"must be more than what shared memory and scratch take of it, {in_memory:g}Gi; or name scratch_class"
        raise ConfigError(f"{name}.memory", memory, remedy)
    job, path = check_job(name, args.get("job"), args.get("job_path"))
    return TrainingPod(
        job_name=dns_label(f"{name}.job_name", args.get("job_name", name), longest_name),
        image=check_image(f"{name}.image", args["image"]),
        job=job,
        job_path=path,
        gpus=bounded(f"{name}.gpus", args.get("gpus", 1), 0, 64),
        cpus=bounded(f"{name}.cpus", args.get("cpus", 8), 1, 512),
        memory=memory,
        pool=args.get("pool"),
        service_account=dns_label(f"{name}.service_account", args.get("service_account", "workload")),
        scratch_class=dns_label(f"{name}.scratch_class", scratch_class) if scratch_class is not None else None,
        scratch_size=scratch,
        shared_memory=shared,
        storage_cidrs=check_storage(f"{name}.storage_cidrs", args.get("storage_cidrs", [])),
        grace_seconds=bounded(f"{name}.grace_seconds", args.get("grace_seconds", 120), 30, 3600, "seconds"),
        longest_seconds=3600 * bounded(f"{name}.longest_hours", args.get("longest_hours", 168), 1, 8760, "hours"),
        kept_seconds=86400 * bounded(f"{name}.kept_days", args.get("kept_days", 14), 1, 365, "days"),
        environment=check_environment(f"{name}.environment", args.get("environment", {})),
        queue=dns_label(f"{name}.queue", args.get("queue", DEFAULT_QUEUE)),
        tier=tier,
        efa=bounded(f"{name}.efa", args.get("efa", 0), 0, 32),
        near=args.get("near"),
    )


def gib(amount: str) -> float:
    """Return an amount of memory in GiB."""
    return int(amount[:-2]) * _GIB[amount[-2:]]


def check_job(name: str, job: str | None, path: str | None) -> tuple[str | None, str]:
    """Return the job file's text, if it is given, and where it is found in the pod."""
    if (job is None) is (path is None):
        raise ConfigError(
            f"{name}.job", job, "must be given where job_path is not, and only there: there is one job file"
        )
    if job is None:
        if not (path or "").startswith("/") or not (path or "").endswith(".toml"):
            raise ConfigError(f"{name}.job_path", path, "must be the job file's path in the image, /.../NAME.toml")
        return None, path or ""
    if len(job.encode()) > LARGEST_JOB_FILE:
        remedy = f"must be at most {LARGEST_JOB_FILE} bytes: put larger ones into the image, and name job_path"
        raise ConfigError(f"{name}.job", f"{len(job.encode())} bytes", remedy)
    try:
        written = tomllib.loads(job)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{name}.job", str(error), "must be a job file, as `falaj-train validate` takes it"
        ) from error
    if "version" not in written:
        raise ConfigError(f"{name}.job", sorted(written), "must have a version, as `falaj-train validate` asks for it")
    checkpoints: Any = written.get("checkpoints")
    location = str(checkpoints.get("location")) if isinstance(checkpoints, dict) else None
    if location is None or not location.startswith(_REMOTE):
        remedy = "must have checkpoints.location in a bucket, s3://BUCKET/PREFIX: a pod's own files go with the pod"
        raise ConfigError(f"{name}.job", location, remedy)
    return job, f"{JOB_FOLDER}/job.toml"


def check_environment(field: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return further variables, refusing those that the platform or the runtime sets."""
    for variable in environment:
        if variable.startswith(_RESERVED):
            raise ConfigError(field, variable, "must leave out what the platform and torchrun set themselves")
    return dict(environment)


def check_storage(field: str, cidrs: Sequence[str]) -> list[str]:
    """Return the ranges of the stores, refusing wider ones than a tenant's openings may have."""
    if cidrs:
        stores: NetworkOpening = {"name": "stores", "direction": Direction.OUT, "ports": [443], "cidrs": list(cidrs)}
        check_openings(field, [stores])
    return list(cidrs)


def check_promise(
    name: str,
    deadline: str | None,
    expected: float | None,
    checkpoint: float | None = None,
    now: datetime | None = None,
) -> dict[str, str]:
    """Return the annotations that the SLA scheduler reads; a deadline that is in the past is refused."""
    promise: dict[str, str] = {}
    if deadline is not None:
        try:
            at = datetime.fromisoformat(deadline)
        except ValueError as error:
            raise ConfigError(f"{name}.deadline", deadline, "must be a time such as 2030-01-31T18:00:00Z") from error
        if at.tzinfo is None:
            raise ConfigError(f"{name}.deadline", deadline, "must have an offset from UTC, such as Z or +04:00")
        if at <= (now or datetime.now(UTC)):
            raise ConfigError(f"{name}.deadline", deadline, "must be in the future: renew it, or leave it out")
        promise["falaj.dev/deadline"] = deadline
    if expected is not None:
        seconds = bounded(f"{name}.expected_seconds", expected, 1, 366 * 86400, "seconds")
        promise["falaj.dev/expected-seconds"] = str(seconds)
    if checkpoint is not None:
        seconds = bounded(f"{name}.checkpoint_seconds", checkpoint, 1, 7 * 86400, "seconds")
        promise["falaj.dev/checkpoint-seconds"] = str(seconds)
    return promise
