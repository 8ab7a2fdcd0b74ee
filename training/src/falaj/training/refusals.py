"""What is wrong with a job file, in a person's words: field, value, remedy and the nearest name that there is."""

import difflib
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from falaj.training.errors import RefusedError

_WORDS = {
    "missing": "must be given",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text: put it in quotes",
    "model_type": "must be a table",
    "mapping_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "finite_number": "must be a finite number",
}


def refusals(error: ValidationError, model: type[BaseModel]) -> list[RefusedError]:
    """Return what was refused, in the order of the file's tables."""
    return [_refusal(each, model) for each in error.errors(include_url=False)]


def _refusal(each: Mapping[str, Any], model: type[BaseModel]) -> RefusedError:
    loc: tuple[int | str, ...] = each["loc"]
    kind: str = each["type"]
    value = None if kind == "missing" else each["input"]
    path = ".".join(str(part) for part in loc)
    field = path or "job"
    if kind == "extra_forbidden":
        return RefusedError(field, value, _unknown(str(loc[-1]), known_names(model, loc[:-1])))
    if kind == "value_error":
        error = each["ctx"]["error"]
        if isinstance(error, RefusedError):
            return RefusedError(_below(path, error.field), error.value, error.remedy)
        inner, colon, words = str(error).partition(": ")
        if colon and " " not in inner:
            return RefusedError(_below(path, inner), _inside(value, inner), words)
        return RefusedError(field, value, str(error))
    return RefusedError(field, value, _words(each))


def _words(each: Mapping[str, Any]) -> str:
    kind, context = each["type"], each.get("ctx", {})
    bounds = {"greater_than": "above", "greater_than_equal": "at least", "less_than": "below"}
    bounds["less_than_equal"] = "at most"
    if kind in bounds:
        return f"must be {bounds[kind]} {next(iter(context.values()))}"
    if kind in ("enum", "literal_error"):
        return f"must be {context['expected']}{_hint(str(each['input']), _quoted(context['expected']))}"
    if kind == "string_pattern_mismatch" and ":" in context["pattern"]:
        return "must be package.module:function" if "[A-Za-z_]" in context["pattern"] else "must be host:port"
    message = str(each["msg"])
    return _WORDS.get(kind) or message.replace("Input should", "must", 1).replace("Value error, ", "", 1)


def _unknown(name: str, names: list[str]) -> str:
    hint = _hint(name, names)
    return f"is no key of this table{hint}" if hint else f"is no key of this table, which has {', '.join(names)}"


def _hint(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _quoted(expected: str) -> list[str]:
    return expected.split("'")[1::2]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _inside(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return value


def known_names(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the names of the keys that the table at a place of the job file may have."""
    models = [model]
    for part in loc:
        fields = [each.model_fields[part] for each in models if isinstance(part, str) and part in each.model_fields]
        if isinstance(part, str) and fields:
            models = [found for field in fields for found in _models(field.annotation)]
    return sorted({name for each in models for name in each.model_fields})


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Go through the tables that an annotation allows: itself, or those inside a union, a list or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (UnionType, Union) or get_args(annotation):
        for each in get_args(annotation):
            yield from _models(each)
