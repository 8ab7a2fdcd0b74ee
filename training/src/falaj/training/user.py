"""The user's own code: three functions that the job file names."""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falaj.training.errors import RefusedError
from falaj.training.job import Job

ENTRIES = ("model.entry", "model.score", "data.entry")
"""Where the job file names them."""


@dataclass(frozen=True)
class User:
    """The three functions."""

    model: Callable[[Mapping[str, Any]], Any]
    """Makes the `torch.nn.Module`."""
    score: Callable[[Any, Any], Mapping[str, Any]]
    """Scores a batch: `loss`, and one value per example of whatever else is measured."""
    data: Callable[[Mapping[str, Any], str], Any]
    """Gives the examples of a split."""


def load_user(job: Job) -> User:
    """Import the three functions; the folder of the job file is where they are looked for first.

    Raises ``RefusedError`` for one that cannot be imported, or that cannot be called.
    """
    _look_in(job.base)
    return User(
        model=_load("model.entry", job.model.entry),
        score=_load("model.score", job.model.score),
        data=_load("data.entry", job.data.entry),
    )


def check_entries(job: Job) -> list[RefusedError]:
    """Return what can be seen to be wrong with the entry points without running any of the user's code."""
    entries = (job.model.entry, job.model.score, job.data.entry)
    found = [_look(field, entry, job.base) for field, entry in zip(ENTRIES, entries, strict=True)]
    return [each for each in found if each is not None]


def call(field: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call the user's function; what it raises before anything is trained is a refusal that says where."""
    try:
        return function(*args)
    except RefusedError:
        raise
    except Exception as error:
        raise RefusedError(field, function.__name__, f"must not fail: {in_short(error)}") from error


def in_short(error: BaseException) -> str:
    """Say an error in one line, with the place in the code that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    at = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace is not None else ""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if words else ''}{words}{at}"


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _load(field: str, entry: str) -> Callable[..., Any]:
    module_name, _, name = entry.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            remedy = "must name a module beside the job file or in the environment"
            raise RefusedError(field, entry, remedy) from error
        raise RefusedError(field, entry, f"must be importable: it needs {error.name}, which is not here") from error
    except Exception as error:
        raise RefusedError(field, entry, f"must be importable: {in_short(error)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise RefusedError(field, entry, f"must name a function of {module_name}, which has no {name} to call")
    return function


def _look(field: str, entry: str, base: Path) -> RefusedError | None:
    module_name, _, name = entry.partition(":")
    source = base.joinpath(*module_name.split("."))
    file = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
    if not file.is_file():
        # Of a module elsewhere only its top package is looked up: more would run its code.
        top = module_name.partition(".")[0]
        if (base / top).exists() or importlib.util.find_spec(top) is None:
            return RefusedError(field, entry, "must name a module beside the job file or in the environment")
        return None
    try:
        names = _names(ast.parse(file.read_bytes()))
    except SyntaxError as error:
        return RefusedError(field, entry, f"must be importable: {error.msg} ({file.name}:{error.lineno})")
    if name in names or "*" in names:
        return None
    return RefusedError(field, entry, f"must name a function of {module_name}, which has no {name} to call")


def _names(tree: ast.Module) -> set[str]:
    """Return the names that a module binds anywhere outside its functions and classes."""
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {each.asname or each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        waiting += ast.iter_child_nodes(node)
    return names
