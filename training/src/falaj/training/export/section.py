"""The table `[export]` of a job file: what is served, and how."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from falaj.training.section import Section

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][\w\-]*$", max_length=63)]
Dimension = Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
Element = Literal["float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]


class TensorTable(Section):
    """One input or output of the model (`[[export.inputs]]`, `[[export.outputs]]`)."""

    name: Name
    """Its name on the server. Inputs stand in the order of the module's arguments, outputs in that of its results;
    a module that returns a mapping names its outputs itself."""
    type: Element = "float32"
    """Type of its elements."""
    shape: tuple[Dimension, ...]
    """Its shape for one example, without the batch. A name in place of a number is a dimension that varies; where it
    stands twice, it is the same one."""
    labels: tuple[str, ...] = ()
    """For an output of scores: the names of its classes, in their order."""

    @property
    def varying(self) -> dict[int, str]:
        """The dimensions that vary, by their place in one example."""
        return {place: each for place, each in enumerate(self.shape) if isinstance(each, str)}


class ExportSection(Section):
    """How the trained module becomes a folder that Triton serves (`[export]`)."""

    name: Name | None = None
    """Name of the model on the server.  Left out: the job's name, dots as dashes."""
    version: int = Field(default=1, ge=1)
    """Version on the server; a server that runs takes up only versions that are new."""
    format: Literal["onnx", "torch-export", "python"] = "onnx"
    """`onnx`: for the ONNX Runtime backend of Triton's images. `python`: what `python_runs` says, in Triton's Python
    backend, for a server that has no other, as the lab's. `torch-export`: a torch.export program, run by torch in the
    Python backend."""
    python_runs: Literal["onnx", "weights"] = "onnx"
    """With `format = "python"`: ONNX Runtime on the ONNX model, or, for a module that no exporter takes, the user's own
    module with its weights as safetensors."""
    inputs: tuple[TensorTable, ...] = Field(min_length=1)
    """What the model takes."""
    outputs: tuple[TensorTable, ...] = Field(min_length=1)
    """What it gives."""
    opset: int = Field(default=20, ge=18, le=23)
    """Version of ONNX's operators."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """Numbers that the served model computes with; its inputs and outputs keep their types."""
    max_batch: int = Field(default=64, ge=1)
    """Examples that are computed together at most."""
    preferred_batch_sizes: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of examples that the server waits for, if the queue delay allows."""
    queue_delay_microseconds: int = Field(default=500, ge=0)
    """Longest time that a request waits for others."""
    queue_size: int = Field(default=1024, ge=1, le=1_000_000)
    """Requests that wait at most; what comes then is refused at once, so that a flood costs no memory."""
    queue_timeout_microseconds: int = Field(default=5_000_000, ge=0)
    """Longest time that a request waits for its turn before it is refused, 0 for however long; a request may ask for
    less."""
    instances: int = Field(default=1, ge=1, le=64)
    """Copies of the model that compute beside each other on each device."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Threads of each copy on CPUs. Left out: the Python backend shares the CPUs that it may use out among the copies;
    the ONNX Runtime backend takes all for one copy, and one thread each for several."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """What they compute on; `auto` is a GPU where there is one."""
    absolute_tolerance: float = Field(default=1e-5, ge=0, allow_inf_nan=False)
    """The exported model may differ from the module by this, plus `relative_tolerance` times the value."""
    relative_tolerance: float = Field(default=1e-4, ge=0, allow_inf_nan=False)
    """See `absolute_tolerance`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [each.name for each in (*self.inputs, *self.outputs)]
        if len(set(names)) != len(names):
            raise ValueError("inputs: must not share a name among themselves or with outputs")
        if any(each > self.max_batch for each in self.preferred_batch_sizes):
            raise ValueError(f"preferred_batch_sizes: must be at most max_batch, {self.max_batch}")
        if 0 < self.queue_timeout_microseconds <= self.queue_delay_microseconds:
            raise ValueError("queue_timeout_microseconds: must be 0, or longer than queue_delay_microseconds")
        if self.precision == "fp16" and self.runs == "weights":
            raise ValueError("precision: must be fp32 where the module itself is served")
        unknown = {name for each in self.outputs for name in each.varying.values()} - {
            name for each in self.inputs for name in each.varying.values()
        }
        if unknown:
            raise ValueError(f"outputs: must vary only as an input does; none has the dimension {min(unknown)}")
        for each in self.outputs:
            if each.labels and (not each.shape or each.shape[-1] != len(each.labels)):
                raise ValueError(f"outputs: must have as many labels as the last dimension of {each.name} has numbers")
            if any("\n" in label or not label for label in each.labels):
                raise ValueError(f"outputs: must have labels of one line for {each.name}")
        return self

    @property
    def runs(self) -> Literal["onnx", "torch-export", "weights"]:
        """What is computed with, whichever backend calls it."""
        return self.python_runs if self.format == "python" else self.format
