"""The tables of the job file that the loop itself goes by; the other parts bring theirs in their `section.py`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from falaj.training.section import Section
from falaj.training.validation.section import Classification, DataChecks

Entry = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")]
"""A function as `package.module:function`."""


class ModelTable(Section):
    """What is trained, and by which measure."""

    entry: Entry
    """Function `(settings) -> torch.nn.Module`."""
    score: Entry
    """Function `(model, batch) -> {"loss": scalar, NAME: one value per example}`."""
    settings: Mapping[str, Any] = {}
    """What the function of the model is given."""


class DataTable(Section):
    """What it is trained on."""

    entry: Entry
    """Function `(settings, split) -> examples`, a Dataset or an iterable; `split` is `train`, `validation` or
    `reference`."""
    settings: Mapping[str, Any] = {}
    """What the function of the data is given."""
    processes: int = Field(default=0, ge=0, le=64)
    """Processes of each worker that load data beside it; 0 loads in the worker. At most 1 for an iterable."""
    location: str | None = None
    """Where the data set lies, for checks and lineage; the user's function reads it.  Left out: in the user's code."""
    classification: Classification | None = None
    """The highest classification that the job may see."""
    region: str | None = None
    """Region that the data set may not leave, such as `me-central-1`."""
    checks: DataChecks | None = None
    """What it must be before anything is trained on it.  Left out: it is not looked at."""


class Strategy(StrEnum):
    """How several workers share the work."""

    NONE = "none"
    """They do not: one worker."""
    DDP = "ddp"
    """Each has the whole model; their gradients are averaged (DistributedDataParallel)."""
    FSDP = "fsdp"
    """Each has a shard of parameters, gradients and optimizer state (FSDP2)."""


class Device(StrEnum):
    """What a worker computes on."""

    AUTO = "auto"
    """A GPU for each worker where the machine has as many, else the processor."""
    CPU = "cpu"
    """The processor; workers talk through gloo."""
    CUDA = "cuda"
    """A GPU for each worker; workers talk through NCCL."""


class ParallelTable(Section):
    """On how many workers, and how they share the work."""

    strategy: Strategy = Strategy.DDP
    """`none`, `ddp` or `fsdp`; one worker alone shares with nobody, whatever stands here."""
    device: Device = Device.AUTO
    """`auto`, `cpu` or `cuda`."""
    workers: int = Field(default=1, ge=1, le=64)
    """Workers on each node: one per GPU."""
    nodes: int = Field(default=1, ge=1)
    """Nodes that take part; `falaj-train` is started on each."""
    least_nodes: int | None = Field(default=None, ge=1)
    """With how many nodes it begins and goes on when some are lost.  Left out: all of them."""
    rendezvous: str | None = Field(default=None, pattern=r"^[\w.\-]+:\d+$")
    """`host:port` of the node that all others meet at; only for several nodes."""
    restarts: int = Field(default=3, ge=0)
    """How often the workers are started again, from the last checkpoint, when one of them dies."""
    threads: int = Field(default=0, ge=0)
    """Processor threads of each worker; 0 divides the machine's cores among its workers."""

    grace_seconds: int = Field(default=60, ge=1)
    """Seconds that the workers have for a last checkpoint when the run is asked to stop; then they are killed."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.strategy is Strategy.NONE and self.world > 1:
            raise ValueError("strategy: must be ddp or fsdp where there is more than one worker")
        if self.nodes > 1 and self.rendezvous is None:
            raise ValueError("rendezvous: must be host:port of the first node where there are several nodes")
        if self.least_nodes is not None and self.least_nodes > self.nodes:
            raise ValueError(f"least_nodes: must be at most nodes, {self.nodes}")
        return self

    @property
    def world(self) -> int:
        """How many workers there are on all nodes."""
        return self.workers * self.nodes


class Compute(StrEnum):
    """Numbers that forward and backward passes compute with; parameters and optimizer keep 32 bits."""

    FP32 = "fp32"
    """32 bits."""
    BF16 = "bf16"
    """16 bits of bfloat where it is safe (autocast; with fsdp its mixed precision)."""


class PrecisionTable(Section):
    """How it is computed."""

    compute: Compute = Compute.FP32
    """`fp32` or `bf16`. Without `deterministic`, GPUs multiply `fp32` as TF32."""
    compile: bool = False
    """Whether the model is compiled by torch.compile."""
    deterministic: bool = True
    """Whether only operations are used that give the same bits every time; one that has no such form is refused."""


class Optimizer(StrEnum):
    """How gradients become steps."""

    ADAMW = "adamw"
    """Adam with decoupled weight decay."""
    ADAM = "adam"
    """Adam."""
    SGD = "sgd"
    """Stochastic gradient descent."""


class Schedule(StrEnum):
    """How the learning rate goes on after the warm-up."""

    CONSTANT = "constant"
    """It stays."""
    LINEAR = "linear"
    """It falls in a line to `final` of itself at the end of the budget."""
    COSINE = "cosine"
    """It falls along half a cosine to `final` of itself at the end of the budget."""


class OptimizerTable(Section):
    """How the model learns."""

    name: Optimizer = Optimizer.ADAMW
    """`adamw`, `adam` or `sgd`."""
    learning_rate: float = Field(gt=0)
    """The highest learning rate."""
    batch_size: int = Field(ge=1)
    """Examples of a step, over all workers and accumulated parts: another number of workers leaves the steps as they
    are."""
    accumulate: int = Field(default=1, ge=1)
    """Parts in which each worker goes through its share of a step, one after the other."""
    clip_norm: float | None = Field(default=None, gt=0)
    """The gradient's norm is brought down to this where it is larger.  Left out: it is not."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's two averages' decays."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum; for sgd alone."""
    schedule: Schedule = Schedule.CONSTANT
    """`constant`, `linear` or `cosine`."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps in which the learning rate rises from nothing."""
    final: float = Field(default=0.0, ge=0, le=1)
    """Which share of the learning rate is left at the end of `linear` and `cosine`."""


class BudgetTable(Section):
    """When it ends; of the three exactly one."""

    steps: int | None = Field(default=None, ge=1)
    """After so many optimizer steps."""
    epochs: int | None = Field(default=None, ge=1)
    """After the data was gone through so many times."""
    minutes: float | None = Field(default=None, gt=0)
    """After so many minutes of training; those before an interruption count."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(each is not None for each in (self.steps, self.epochs, self.minutes)) != 1:
            raise ValueError("must say one of steps, epochs and minutes")
        return self


class ReportTable(Section):
    """What a run tells while it runs, and where its files lie."""

    folder: str | None = None
    """Folder of the run's own files, relative to the job file.  Left out: `runs/NAME`."""
    every_steps: int | None = Field(default=None, ge=1)
    """A line of progress after so many steps.  Left out: by `every_seconds`."""
    every_seconds: float = Field(default=5.0, gt=0)
    """A line of progress after so many seconds."""
    metrics_file: str | None = None
    """File that is kept for Prometheus' textfile collector, relative to the run's folder.  Left out: none."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Port on which Prometheus may ask; 0 draws one.  Left out: none is open."""
    metrics_host: str = "127.0.0.1"
    """Address of that port; `0.0.0.0` opens it to everybody who reaches the machine."""
    peak_flops: float | None = Field(default=None, gt=0)
    """Floating-point operations a second that one device does at most.  Left out: known for common GPUs."""
    flops_per_example: float | None = Field(default=None, gt=0)
    """Operations of one example, forward and backward.  Left out: counted in the first step, where a peak is known."""
