"""What the installed Pulumi SDK declares of a type, read from its generated sources.

The sources are read, not imported: importing one service of `pulumi_aws` can take most of a second, reading the two
classes of one type takes a few milliseconds, and a provider starts with every `pulumi` command.
"""

import ast
import difflib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from falaj.lab.provider.values import Asset, Unknown

GETTER = r'@pulumi\.getter(?:\(name="(\w+)"\))?\n(?:    @_utilities\.deprecated\(.*\)\n)?    def (\w+)\('
"""Matches the start of a property's getter: its name in Pulumi (absent where it is the same) and its name in Python."""

SCALARS = {"str": "string", "bool": "boolean", "int": "number", "float": "number"}


@dataclass(frozen=True)
class Shape:
    """The type of a property: ``kind`` is a scalar's name, ``list``, ``map``, ``object`` or ``any``."""

    kind: str
    item: "Shape | None" = None
    """The type of a list's or map's items."""
    type: str = ""
    """The name of an object's class."""


@dataclass(frozen=True)
class Property:
    """One declared input property."""

    name: str
    shape: Shape
    required: bool = False
    forces_new: bool = False
    """The SDK's documentation says that a change makes a new resource."""


@dataclass(frozen=True, eq=False)
class Declared:
    """The declared inputs and outputs of one resource type, or the inputs of one nested object."""

    folder: Path
    inputs: Mapping[str, Property]
    outputs: frozenset[str] = frozenset()
    secret_outputs: frozenset[str] = frozenset()

    def problems(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the path and the reason of each input that is not declared, missing or of the wrong type."""
        for name in values:
            if name not in self.inputs and not name.startswith("__"):
                yield name, f"unknown property{_closest(name, self.inputs)}"
        for prop in self.inputs.values():
            value = values.get(prop.name)
            if value is None:
                if prop.required:
                    yield prop.name, "this required property is missing"
            else:
                yield from self._mismatches(prop.name, value, prop.shape)

    def spelled(self, name: str, value: Any) -> Any:
        """Return an observed value with flags and numbers as text where an input of that name is text.

        Terraform has flags that may be left open; they are text, in what is read as well."""
        return self._spelled(value, self.inputs[name].shape) if name in self.inputs else value

    def _spelled(self, value: Any, shape: Shape) -> Any:
        if shape.kind == "string" and isinstance(value, bool | int | float):
            return str(value).lower() if isinstance(value, bool) else str(value)
        if shape.kind == "object" and isinstance(value, Mapping):
            nested = nested_type(self.folder, shape.type)
            return {name: nested.spelled(name, item) for name, item in value.items()} if nested else value
        if shape.kind == "list" and isinstance(value, list) and shape.item:
            return [self._spelled(item, shape.item) for item in value]
        return value

    def _mismatches(self, path: str, value: Any, shape: Shape) -> Iterator[tuple[str, str]]:
        if value is None or isinstance(value, Unknown) or shape.kind == "any":
            return
        if not _fits(value, shape.kind):
            yield path, f"expected {_article(shape.kind)}, got {_describe(value)}"
        elif shape.kind == "object":
            nested = nested_type(self.folder, shape.type)
            for inner, reason in nested.problems(value) if nested else ():
                yield f"{path}.{inner}", reason
        elif shape.item:
            steps = [(f"[{i}]", v) for i, v in enumerate(value)] if shape.kind == "list" else [*value.items()]
            for step, item in steps:
                yield from self._mismatches(path + (step if shape.kind == "list" else f".{step}"), item, shape.item)


@cache
def declared(package: str, token: str) -> Declared | None:
    """Return what the SDK ``package`` (such as ``pulumi_aws``) declares for a token; None if it has no such type."""
    root = package_folder(package)
    _, module, name = token.split(":")
    if token.startswith("pulumi:providers:"):
        path, name = root / "provider.py", "Provider"
    else:
        path = _source(root, module, token)
        if path is None:
            return None
    text = _text(path)
    # Where a nested object has the first name already, the resource's inputs have the second.
    inputs = _inputs(_class(text, f"{name}Args") or _class(text, f"{name}InitArgs"))
    body = _class(text, name)
    outputs = frozenset(camel or snake for camel, snake in re.findall(GETTER + r"self\) -> pulumi\.Output\[", body))
    secret = re.search(r"additional_secret_outputs=\[(.*?)\]", body)
    secrets = frozenset(re.findall(r'"(\w+)"', secret[1])) if secret else frozenset[str]()
    return Declared(path.parent, inputs, outputs, secrets)


@cache
def nested_type(folder: Path, name: str) -> Declared | None:
    """Return the declared properties of a nested object type of the module in ``folder``."""
    path = folder / "_inputs.py"
    body = _class(_text(path), name) if path.exists() else ""
    return Declared(folder, _inputs(body)) if body else None


@cache
def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the Python package {package} is not installed")
    return Path(spec.origin).parent


def tokens(package: str, name: str) -> list[str]:
    """Return the types that the SDK of the package ``name`` (such as ``aws``) declares."""
    registered = _text(package_folder(package) / "__init__.py")
    return sorted(set(re.findall(rf'"({name}:[\w/]+:\w+)": "', registered)))


def sdk_version(package: str) -> str:
    """Return the version of an installed SDK, for example of ``pulumi_aws``."""
    return importlib.metadata.version(package)


def _source(root: Path, module: str, token: str) -> Path | None:
    """Find the file of a token: its name follows from the module almost always; otherwise the folder is searched."""
    area, _, leaf = module.partition("/")
    folders = [root] if area == "index" else [root / area, root / f"{area}_", root / area.lower()]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", leaf).lower()
    for folder in folders:
        guesses = [folder / f"{snake}.py"]
        for path in [*guesses, *(sorted(folder.glob("*.py")) if folder.is_dir() else [])]:
            if path.exists() and f"'{token}'" in _text(path):
                return path
    return None


@lru_cache(maxsize=64)
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _class(text: str, name: str) -> str:
    """Return the source of one class; classes of generated sources start at the left margin."""
    found = re.search(rf"^class {name}[(:].*?(?=^class |^@pulumi|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def _inputs(body: str) -> Mapping[str, Property]:
    signature = re.search(r"def __init__\(__self__, \*,\n(.*?)\):\n", body, re.DOTALL)
    if not signature:
        return {}
    renamed = {snake: camel for camel, snake in re.findall(GETTER, body) if camel}
    documents = dict(re.findall(r":param [^\n]*? (\w+): (.*?)(?=\n\s*:param|\n\s*\"\"\")", body, re.DOTALL))
    function = ast.parse(f"def f(*,\n{signature[1]}): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    found: dict[str, Property] = {}
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        name = renamed.get(argument.arg, argument.arg)
        shape = _shape(argument.annotation) if argument.annotation else Shape("any")
        forces_new = bool(
            re.search(r"forces? (?:a |creation of a )?new", documents.get(argument.arg, ""), re.IGNORECASE)
        )
        found[name] = Property(name, shape, required=default is None, forces_new=forces_new)
    return found


def _shape(node: ast.expr) -> Shape:  # noqa: PLR0911 (one return per form of annotation)
    if isinstance(node, ast.Attribute):
        return Shape(SCALARS.get(node.attr, "any"))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        # Enumerations are strings too, and stand in a union with one; only `Args` classes are objects.
        is_object = node.value.endswith("Args") and "." not in node.value
        return Shape("object", type=node.value) if is_object else Shape("any")
    if not isinstance(node, ast.Subscript):
        return Shape("any")
    outer = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer in ("Input", "Optional"):
        return _shape(parts[0])
    if outer == "Sequence":
        return Shape("list", item=_shape(parts[0]))
    if outer == "Mapping":
        return Shape("map", item=_shape(parts[1]))
    if outer == "Union":
        shapes = [_shape(part) for part in parts]
        scalars = [shape for shape in shapes if shape.kind in SCALARS.values()]
        objects = [shape for shape in shapes if shape.kind == "object"]
        # A union of a scalar and an object (a policy document as text or as an object) is checked as neither.
        kinds = scalars if scalars and not objects else objects if objects and not scalars else []
        return kinds[0] if kinds else Shape("any")
    return Shape("any")


def _fits(value: Any, kind: str) -> bool:
    # Providers take numbers and flags as text and the reverse, as Terraform's type conversion does.
    if kind == "string":
        return isinstance(value, str | bool | int | float)
    if kind == "number":
        return (isinstance(value, int | float) and not isinstance(value, bool)) or _is_number(value)
    if kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if kind == "list":
        return isinstance(value, list)
    return isinstance(value, Mapping) and not isinstance(value, Asset)


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None


def _article(kind: str) -> str:
    return f"{'an' if kind == 'object' else 'a'} {kind}"


def _describe(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")


def _closest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
