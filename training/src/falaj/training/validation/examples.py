"""Checks of examples that are tensors, in one pass over the data: shapes, types, numbers; and their digest."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from falaj.training.validation.report import Finding
from falaj.training.validation.section import DataChecks, TensorPart

Array = NDArray[Any]

SHOWN = 5
"""Of how many examples that fail a check the report gives the numbers."""
LONE = "0"
"""The name of the only part of an example that is neither a mapping nor a tuple."""

_SAID = {
    "missing": "the part is missing",
    "type": "the part is no array of numbers or text",
    "shape": "the shape is another than {0.shape}",
    "dtype": "numbers are of another type than {0.dtype}",
    "finite": "there are NaN or infinite numbers",
    "minimum": "there are numbers below {0.minimum}",
    "maximum": "there are numbers above {0.maximum}",
}


@dataclass(slots=True)
class Looked:
    """What a pass over examples found."""

    count: int
    digest: str | None
    """``sha256:…`` of all parts; None where an example holds what has no digest."""
    findings: list[Finding]
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    """By part the number of every example, or the mean of its numbers; NaN where there is none."""


@dataclass(slots=True)
class _Tally:
    count: int = 0
    first: list[int] = field(default_factory=list[int])

    def add(self, position: int) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(position)


def look_at(data: Any, checks: DataChecks) -> Looked:
    """Go once through ``data`` and return what its examples are."""
    digest = ExamplesDigest()
    tallies = {(name, check): _Tally() for name, part in checks.tensors.items() for check in _asked(part)}
    strangers = _Tally()
    numbers = {name: array("d") for name in checks.tensors}
    count = 0
    for position, example in enumerate(walk(data)):
        parts = parts_of(example)
        digest.add(parts)
        if parts.keys() - checks.tensors.keys():
            strangers.add(position)
        for name, part in checks.tensors.items():
            value = parts.get(name)
            for check in _failed(part, value) if name in parts else ("missing",):
                tallies[name, check].add(position)
            numbers[name].append(_number(value))
        count += 1
    findings = [_finding(name, check, tally, checks.tensors[name], count) for (name, check), tally in tallies.items()]
    if checks.others == "refuse":
        said = "there are parts that the checks do not name" if strangers.count else "all are named by the checks"
        outcome = "fail" if strangers.count else "pass"
        findings.append(Finding("parts", "", outcome, said, strangers.count, count, tuple(strangers.first)))
    as_arrays = {name: np.frombuffer(values, dtype=np.float64) for name, values in numbers.items()}
    return Looked(count, digest.value, findings, as_arrays)


def walk(data: Any) -> Iterator[Any]:
    """Yield the examples of an iterable, or of a data set that has only positions and a length."""
    if isinstance(data, Iterable):
        yield from data  # pyright: ignore[reportUnknownVariableType] - it is the user's
    else:
        yield from (data[position] for position in range(len(data)))


def parts_of(example: Any) -> dict[str, Array | None]:
    """Return the parts of an example by name, None for a part that is no array of numbers, booleans or text."""
    if isinstance(example, Mapping):
        return {str(name): _array(part) for name, part in example.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(example, (tuple, list)):
        return {str(place): _array(part) for place, part in enumerate(example)}  # pyright: ignore[reportUnknownVariableType]
    return {LONE: _array(example)}


class ExamplesDigest:
    """The digest of examples in their order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._is_told = True

    def add(self, parts: Mapping[str, Array | None]) -> None:
        """Add one example: names, types, shapes and numbers, so that no two examples look the same."""
        for name, part in parts.items():
            content = b"" if part is None else np.ascontiguousarray(part).tobytes()
            kind = "none" if part is None else f"{part.dtype.str}{part.shape}"
            self._digest.update(f"{len(name)}:{name}{kind}{len(content)}:".encode("utf-8", "surrogatepass"))
            self._digest.update(content)
            self._is_told = self._is_told and part is not None
        self._digest.update(b".")

    @property
    def value(self) -> str | None:
        """``sha256:…`` of all parts; None where an example holds what has no digest."""
        return f"sha256:{self._digest.hexdigest()}" if self._is_told else None


def _array(part: Any) -> Array | None:
    if hasattr(part, "detach"):  # a tensor; asked so, because torch takes seconds to import
        part = part.detach().cpu()
        if str(part.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
            part = part.float()  # numpy has no such type; every number is also one of float32
    try:
        made = np.asarray(part)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return made if made.dtype.kind in "biufcSU" else None


def _asked(part: TensorPart) -> Iterator[str]:
    yield from ("missing", "type")
    yield from (check for check in ("shape", "dtype", "minimum", "maximum") if getattr(part, check) is not None)
    if part.finite:
        yield "finite"


def _failed(part: TensorPart, value: Array | None) -> Iterator[str]:
    if value is None:
        yield "type"
        return
    if part.shape is not None and not _fits(part.shape, value.shape):
        yield "shape"
    if part.dtype is not None and value.dtype.name != part.dtype:
        yield "dtype"
    if value.dtype.kind not in "biuf":
        if part.minimum is not None or part.maximum is not None:
            yield "type"
        return
    if part.finite and value.dtype.kind == "f" and not np.isfinite(value).all():
        yield "finite"
    if part.minimum is not None and bool((value < part.minimum).any()):
        yield "minimum"
    if part.maximum is not None and bool((value > part.maximum).any()):
        yield "maximum"


def _fits(asked: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(asked) == len(shape) and all(want in (-1, have) for want, have in zip(asked, shape, strict=True))


def _number(value: Array | None) -> float:
    if value is None or value.dtype.kind not in "biuf" or not value.size:
        return float("nan")
    with np.errstate(over="ignore", invalid="ignore"):
        return float(value.astype(np.float64).mean())


def _finding(name: str, check: str, tally: _Tally, part: TensorPart, count: int) -> Finding:
    said = _SAID[check].format(part) if tally.count else ""
    return Finding(check, name, "fail" if tally.count else "pass", said, tally.count, count, tuple(tally.first))
