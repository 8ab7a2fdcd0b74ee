"""Whether an exported model gives what the module gives, at every batch size and length that it will meet."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from falaj.training.errors import RefusedError
from falaj.training.export.section import ExportSection
from falaj.training.export.served import Tensors, check_outputs, sizes_of
from falaj.training.section import Section


class Agreement(Section):
    """How far an exported model was from its module where it was compared."""

    batch_sizes: tuple[int, ...]
    """Batch sizes that were compared."""
    lengths: dict[str, tuple[int, ...]]
    """Sizes of the dimensions that vary that were compared."""
    absolute_tolerance: float
    """What was allowed."""
    relative_tolerance: float
    """What was allowed beside it, times the value."""
    largest_difference: float
    """The largest absolute difference that was found."""


def check_agreement(
    module: Callable[[Tensors], Tensors],
    exported: Callable[[Tensors], Tensors],
    examples: Tensors,
    section: ExportSection,
) -> Agreement:
    """Compare an exported model with its module on examples; raise `RefusedError` where they differ.

    The batch sizes are 1, the preferred ones and the largest; dimensions that vary are tried at half their size too.
    Refused as well is a module whose answer to one example depends on the others in the batch: the server mixes them.
    """
    largest, lengths = 0.0, {name: set[int]() for name in sizes_of(examples, section)}
    sizes = sorted({1, *section.preferred_batch_sizes, section.max_batch})
    for part in _cuts(examples, section):
        for name, size in sizes_of(part, section).items():
            lengths[name].add(size)
        alone = module(_batch(part, 1))
        for size in sizes:
            inputs = _batch(part, size)
            expected = module(inputs)
            check_outputs(expected, section, sizes_of(inputs, section))
            _compare(
                alone,
                {name: each[:1] for name, each in expected.items()},
                section,
                ("model.entry", _MIXED.format(size=size)),
            )
            largest = max(
                largest, _compare(exported(inputs), expected, section, (_TOLERANCE, _DIFFERS.format(size=size)))
            )
    return Agreement(
        batch_sizes=tuple(sizes),
        lengths={name: tuple(sorted(each)) for name, each in lengths.items()},
        absolute_tolerance=section.absolute_tolerance,
        relative_tolerance=section.relative_tolerance,
        largest_difference=largest,
    )


_TOLERANCE = "export.absolute_tolerance"
_MIXED = "must not mix examples: what it gives for one depends on the others in its batch of {size}"
_DIFFERS = "must cover how the exported model differs at batch size {size}: export in another format or precision"


def _compare(found: Tensors, expected: Tensors, section: ExportSection, refusal: tuple[str, str]) -> float:
    """Return the largest difference; refuse one that is too large, and whatever else is not alike."""
    (field, remedy), largest = refusal, 0.0
    for name, right in expected.items():
        left = found[name]
        if left.shape != right.shape or left.dtype != right.dtype:
            what = f"{left.dtype} {list(left.shape)} in place of {right.dtype} {list(right.shape)}"
            raise RefusedError(field, f"{name}: {what}", remedy)
        exact, value = right.double(), left.double()
        allowed = section.absolute_tolerance + section.relative_tolerance * exact.abs()
        if not right.is_floating_point():
            allowed = torch.zeros_like(exact)
        difference = (value - exact).abs()
        # A comparison with NaN is false: what is no number is refused, not passed over.
        if not bool((difference <= allowed).all()):
            worst = float(difference.nan_to_num(nan=float("inf")).max())
            raise RefusedError(field, f"{name}: {worst:g}", remedy)
        largest = max(largest, float(difference.max()) if difference.numel() else 0.0)
    return largest


def _cuts(examples: Tensors, section: ExportSection) -> Iterator[Tensors]:
    yield examples
    sizes = sizes_of(examples, section)
    if any(size > 1 for size in sizes.values()):
        halves = {name: max(1, size // 2) for name, size in sizes.items()}
        yield {each.name: _cut(examples[each.name], each.varying, halves) for each in section.inputs}


def _cut(tensor: Tensor, varying: dict[int, str], sizes: dict[str, int]) -> Tensor:
    for place, name in varying.items():
        tensor = tensor.narrow(place + 1, 0, sizes[name])
    return tensor


def _batch(examples: Tensors, size: int) -> dict[str, Any]:
    """Return a batch of a size, beginning again with the first example where there are too few."""
    return {name: each[torch.arange(size) % each.shape[0]].contiguous() for name, each in examples.items()}
