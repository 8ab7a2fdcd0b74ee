"""The reference of the job file's keys, from its tables themselves: `python -m falaj.training.reference`."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from falaj.training.job import JobFile

_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def reference() -> str:
    """Return the reference as Markdown, a table for each table of the file."""
    return "\n\n".join(_tables(JobFile, "")) + "\n"


def _tables(model: type[BaseModel], path: str) -> Iterator[str]:
    words = descriptions(model)
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    inner: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        table, called = _table(field.annotation, f"{path}.{name}" if path else name)
        if table is not None:
            inner.append((table, called))
            if path:
                continue
        value = f"[{called}]" if table is not None else _kind(field.annotation)
        row = (f"`{name}`", value, _default(field, table), words.get(name, ""))
        rows.append("| " + " | ".join(each.replace("|", "\\|") for each in row) + " |")
    heading = f"### `[{path}]`\n\n{_sentence(model)}" if path else "### The file itself"
    yield f"{heading}\n\n" + "\n".join(rows) if len(rows) > 2 else heading
    for table, called in inner:
        yield from _tables(table, called)


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what stands below each key in the source of its table."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                text = below.value.value if isinstance(below.value, ast.Constant) else None
                if isinstance(text, str):
                    found[field.target.id] = " ".join(text.replace("``", "`").split())
    return found


def _sentence(model: type[BaseModel]) -> str:
    text = (inspect.getdoc(model) or "").split("\n\n")[0].replace("``", "`")
    return " ".join(text.split())


def _table(annotation: Any, path: str) -> tuple[type[BaseModel] | None, str]:
    """Return the table that an annotation is, or holds under names of the user's own, and what it is called."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, path
    if get_origin(annotation) in (UnionType, Union, Annotated):
        found = [_table(each, path) for each in get_args(annotation)]
        return next((each for each in found if each[0] is not None), (None, path))
    if get_origin(annotation) is dict:
        return _table(get_args(annotation)[1], f"{path}.NAME")
    return None, path


def _kind(annotation: Any) -> str:
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is None:
        if isinstance(annotation, type) and issubclass(annotation, StrEnum):
            return ", ".join(f"`{each.value}`" for each in annotation)
        return annotation.__name__
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in parts)
    if origin in (UnionType, Union):
        return " or ".join(dict.fromkeys(_kind(each) for each in parts if each is not type(None)))
    words = {Annotated: "", tuple: "list of "}
    return f"{words[origin]}{_kind(parts[0])}" if origin in words else "table"


def _default(field: FieldInfo, table: type[BaseModel] | None) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "left out"
    if table is not None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f"`{value}`" if value != {} else "empty"


if __name__ == "__main__":
    sys.stdout.write(reference())
