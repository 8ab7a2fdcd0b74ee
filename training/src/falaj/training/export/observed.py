"""What a module is given and gives on a data set: the reference by which requests to the served model are watched."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from falaj.training.errors import RefusedError
from falaj.training.export.section import ExportSection, TensorTable
from falaj.training.loop import moved
from falaj.training.validation.examples import ExamplesDigest, parts_of, walk
from falaj.training.watch.columns import Array, UnlikeError, each_of
from falaj.training.watch.gathering import Gathering, View
from falaj.training.watch.reference import Reference

MOST_SEEN = 100_000
"""Examples that are looked at, the first ones; a reference of more would tell no more."""


def observed(
    module: nn.Module,
    data: Any,
    score: Callable[[Any, Any], Any],
    section: ExportSection,
    *,
    batch_size: int,
    device: torch.device | str = "cpu",
    collate: Callable[[list[Any]], Any] = default_collate,
) -> Reference | None:
    """Return the reference of ``data``, scored as the gate scores it; None where there are too few examples.

    Of each batch the module's first call counts. The module is put on ``device`` and into its mode for evaluation, and
    brought back from both. Raises `RefusedError` where it is called with other tensors than the job's table names.
    """
    home = next((each.device for each in module.parameters()), torch.device("cpu"))
    was_training = module.training
    seen = _Seen(module, section)
    inputs = {table.name: View(each_of(table.shape)) for table in section.inputs}
    outputs = {table.name: View(each_of(table.shape), _is_of_scores(table)) for table in section.outputs}
    gathering, digest = Gathering(inputs, outputs), ExamplesDigest()
    module.to(device).eval()
    try:
        with torch.inference_mode(), seen:
            for examples in _batches(data, batch_size):
                for example in examples:
                    digest.add(parts_of(example))
                score(module, moved(collate(examples), torch.device(device)))
                gathering.add(*seen.taken())
    except UnlikeError as error:
        raise RefusedError("export", str(error), "must be as the job's table says of inputs and outputs") from error
    finally:
        module.to(home).train(was_training)
    return gathering.reference(digest.value)


class _Seen:
    """The tensors of a module's first call since they were taken last."""

    def __init__(self, module: nn.Module, section: ExportSection) -> None:
        self._module, self._section = module, section
        self._call: tuple[dict[str, Array], dict[str, Array]] | None = None

    def __enter__(self) -> None:
        self._hook = self._module.register_forward_hook(self._see, with_kwargs=True)

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def taken(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return inputs and outputs by their names."""
        if self._call is None:
            raise RefusedError("model.score", None, "must call the module once for each batch")
        call, self._call = self._call, None
        return call

    def _see(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if self._call is None:
            bound = inspect.signature(self._module.forward).bind(*args, **kwargs)
            given = _named("export.inputs", self._section.inputs, [*bound.args, *bound.kwargs.values()])
            self._call = given, self._outputs(result)

    def _outputs(self, result: Any) -> dict[str, Array]:
        tables = self._section.outputs
        if isinstance(result, Mapping):
            result = [result.get(table.name) for table in tables]
        return _named("export.outputs", tables, [result] if isinstance(result, Tensor) else list(result))


def _named(field: str, tables: tuple[TensorTable, ...], values: list[Any]) -> dict[str, Array]:
    if len(values) != len(tables) or not all(isinstance(value, Tensor) for value in values):
        raise RefusedError(field, len(tables), f"must name all that there are, {len(values)} tensors")
    return {table.name: _array(value) for table, value in zip(tables, values, strict=True)}


def _array(tensor: Tensor) -> Array:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _is_of_scores(table: TensorTable) -> bool:
    """Say whether an output has one number for each of several classes, as it seems."""
    return len(table.shape) == 1 and each_of(table.shape) > 1 and table.type.startswith("float")


def _batches(data: Any, size: int) -> Iterator[list[Any]]:
    examples = islice(walk(data), MOST_SEEN)
    while batch := list(islice(examples, size)):
        yield batch
