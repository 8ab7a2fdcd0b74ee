"""The module as it is served: named inputs, outputs in their order, and examples of both."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from falaj.training.errors import RefusedError
from falaj.training.export.section import ExportSection, TensorTable

Tensors = Mapping[str, Tensor]


class Served(nn.Module):
    """A module with the inputs and outputs of the job's table, in their order, as tensors alone."""

    def __init__(self, module: nn.Module, section: ExportSection) -> None:
        super().__init__()
        half = section.precision == "fp16"
        self.module = copy.deepcopy(module).cpu().eval().requires_grad_(False)
        if half:
            self.module.half()
        self._half = half
        self._outputs = [(each.name, getattr(torch, each.type)) for each in section.outputs]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Take the inputs and give the outputs."""
        if self._half:
            inputs = tuple(each.half() if each.is_floating_point() else each for each in inputs)
        results = self.module(*inputs)
        if isinstance(results, Mapping):
            results = [results[name] for name, _ in self._outputs]
        elif isinstance(results, Tensor):
            results = [results]
        if not self._half:
            return tuple(results)
        named = zip(results, self._outputs, strict=True)
        return tuple(each.to(kind) if each.is_floating_point() else each for each, (_, kind) in named)


def reference(module: nn.Module, section: ExportSection) -> Callable[[Tensors], Tensors]:
    """Return the module itself, in full precision, as a function of named tensors."""
    served = Served(module, section.model_copy(update={"precision": "fp32"}))

    def call(inputs: Tensors) -> Tensors:
        with torch.inference_mode():
            results = served(*(inputs[each.name] for each in section.inputs))
        if len(results) != len(section.outputs):
            count = len(results)
            raise RefusedError("export.outputs", count, f"must name all that the module returns, {count} tensors")
        return dict(zip((each.name for each in section.outputs), results, strict=True))

    return call


def captured_inputs(
    module: nn.Module, score: Callable[[nn.Module, Any], Any], batch: Any, section: ExportSection
) -> dict[str, Tensor]:
    """Return what ``score`` gives the module for a batch: real inputs, by the names of the job's table."""
    seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    handle = module.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append((args, dict(kwargs))), with_kwargs=True
    )
    try:
        with torch.inference_mode():
            score(module, batch)
    finally:
        handle.remove()
    if not seen:
        raise RefusedError("model.score", None, "must call the module once for each batch")
    values = _in_order(module, *seen[0])
    if len(values) != len(section.inputs):
        remedy = f"must name all that the module is called with, {len(values)} arguments"
        raise RefusedError("export.inputs", len(section.inputs), remedy)
    # Clones outside of inference mode: what was made inside of it can be exported with only there.
    return {
        each.name: value.detach().cpu().clone() if isinstance(value, Tensor) else value
        for each, value in zip(section.inputs, values, strict=True)
    }


def check_examples(examples: Mapping[str, Any], section: ExportSection) -> None:
    """Refuse examples that are not what the job's table says of the inputs."""
    sizes: dict[str, int] = {}
    for each in section.inputs:
        if each.name not in examples:
            raise RefusedError("export.inputs", sorted(examples), f"must have the examples' names; {each.name} is none")
        value = examples[each.name]
        _check_tensor("export.inputs", each, value, sizes)
        if value.shape[0] != sizes.setdefault("", value.shape[0]):
            raise RefusedError("export.inputs", each.name, "must have as many examples as the other inputs")
    if sizes[""] < 2:
        raise RefusedError("export.inputs", sizes[""], "must have two examples or more to be compared on")


def check_outputs(outputs: Tensors, section: ExportSection, sizes: Mapping[str, int]) -> None:
    """Refuse outputs that are not what the job's table says of them."""
    for each in section.outputs:
        _check_tensor("export.outputs", each, outputs[each.name], dict(sizes))


def sizes_of(examples: Tensors, section: ExportSection) -> dict[str, int]:
    """Return how large the dimensions that vary are in some examples."""
    return {
        name: examples[each.name].shape[place + 1] for each in section.inputs for place, name in each.varying.items()
    }


def _check_tensor(field: str, table: TensorTable, value: Any, sizes: dict[str, int]) -> None:
    if not isinstance(value, Tensor):
        raise RefusedError(field, type(value).__name__, f"must be tensors alone; {table.name} is none")
    kind = str(value.dtype).removeprefix("torch.")
    if kind != table.type:
        raise RefusedError(f"{field}.type", table.type, f"must be {kind} for {table.name}")
    fits = value.ndim == len(table.shape) + 1 and all(
        has == (says if isinstance(says, int) else sizes.setdefault(says, has))
        for has, says in zip(value.shape[1:], table.shape, strict=True)
    )
    if not fits:
        found = list(value.shape)
        raise RefusedError(f"{field}.shape", list(table.shape), f"must fit {table.name}, a batch of shape {found}")


def _in_order(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    bound = inspect.signature(module.forward).bind(*args, **kwargs)
    return [*bound.args, *bound.kwargs.values()]
