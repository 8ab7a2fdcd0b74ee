"""What one emulated resource type is: how it is made, read, changed and removed, and when two states are the same.

Everything here is pure: no protocol, no service, no threads.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from falaj.lab.provider.declared import Declared, Shape, nested_type
from falaj.lab.provider.values import (
    Props,
    Unknown,
    compact,
    covers,
    filled,
    has_unknown,
    is_empty,
    leaf_changes,
    project,
    steps,
)

S = TypeVar("S")
"""What a provider's operations need to work with: a client, a region."""

DEFAULTS = "__defaults"
"""The input that lists which inputs were filled in rather than given, as official providers keep it."""


class ProviderError(Exception):
    """A failure told in one line. ``certain`` says that the service refused: nothing was made."""

    def __init__(self, message: str, certain: bool = False) -> None:
        super().__init__(" ".join(message.split()))
        self.certain = certain


class GoneError(ProviderError):
    """The thing that was asked for does not exist."""

    def __init__(self, message: str = "it does not exist") -> None:
        super().__init__(message, certain=True)


@dataclass(frozen=True)
class Autoname:
    """How a name is generated when the program gives none: the resource's name, a dash and seven digits."""

    property: str = "name"
    prefix: str | None = None
    """The input that gives the start of the name, where there is one."""
    longest: int = 255
    lower: bool = False
    before: str = ""
    """What every name starts with, for example ``alias/``."""


@dataclass(frozen=True)
class Change:
    """What an update has to bring about."""

    wanted: Props
    observed: Props
    keys: frozenset[str]
    """The properties that differ; one that is missing in ``wanted`` is to be reset."""

    def of(self, *names: str) -> bool:
        """Say whether any of these properties changes."""
        return not self.keys.isdisjoint(names)


@dataclass(frozen=True)
class Difference:
    """What the engine is told of a change."""

    leaves: Mapping[str, tuple[Any, Any]]
    """The path of each leaf that differs, with its old and its new value."""
    keys: frozenset[str]
    replaces: frozenset[str]
    delete_first: bool


def _nothing(*_: Any) -> None:
    return None


def _no_problems(_: Props) -> Iterable[tuple[str, str]]:
    return ()


def _same_id(_: Any, identifier: str) -> str:
    return identifier


@dataclass(frozen=True)
class Kind(Generic[S]):
    """One resource type. All callables take plain properties by their Pulumi names, and may block."""

    token: str
    create: Callable[[S, Props], str]
    """Make the thing and return its identifier: the one call that brings it to life, nothing after it."""
    read: Callable[[S, str, Props], Props | None]
    """Return the properties as they are, None when the thing is gone. A property that is left out is taken as given.

    The third argument is what is known (state and inputs); on import it is empty and the identifier must suffice."""
    update: Callable[[S, str, Change], None] = _nothing
    """Bring the changed properties about; also called after `create`, for what that call did not take."""
    delete: Callable[[S, str, Props], None] = _nothing
    """Remove the thing; `GoneError` is fine. The third argument is the last known state."""

    replace_on: frozenset[str] = frozenset()
    """Inputs (or parts of one, as ``template.id`` or ``mappings[].id``) whose change makes a new thing."""
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values that absent inputs mean; they are written into the inputs, unless they say off, 0 or nothing."""
    inner_defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The same of parts of inputs that are given, as ``rules[].window``."""
    computed: frozenset[str] = frozenset()
    """Inputs that the service chooses when absent: unknown at preview, and leaving them out is no change."""
    volatile: frozenset[str] = frozenset()
    """Outputs that an update may change."""
    autoname: Autoname | None = None
    normalise: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict[str, Callable[[Any], Any]])
    """Brings a property into the form in which two spellings of the same compare equal."""
    secret_outputs: frozenset[str] = frozenset()
    write_only: frozenset[str] = frozenset()
    """Inputs that hold what the service never tells: where they change they are written, whatever is observed."""
    check: Callable[[Props], Iterable[tuple[str, str]]] = _no_problems
    """Yield property and reason of what is wrong beyond names and types; inputs may hold `UNKNOWN`."""
    key: Callable[[Props], str | None] = _nothing
    """Return the identifier that the inputs alone determine, if they do."""
    find: Callable[[S, str], str | None] = _nothing
    """Look for what an interrupted creation that carried this token made; return its identifier."""
    import_id: Callable[[S, str], str] = _same_id
    """Turn the identifier that a person gives to import into the resource's own."""
    delete_first: bool = False
    """Whether a replacement must remove the old thing first, because two cannot exist side by side."""
    enacts: frozenset[str] | None = None
    """The inputs that have an effect; None means all. Others are kept in the state, and the output says so."""
    enacted: bool = True
    """Whether the thing exists somewhere; otherwise it is state only, and the output says so."""

    def default_inputs(self, declared: Declared, inputs: Props) -> Props:
        """Return the defaults of inputs that are absent, and inputs whose absent parts have some."""
        found = {n: v for n, v in self._written(declared).items() if is_empty(inputs.get(n))}
        for path, value in self.inner_defaults.items():
            name, *inner = steps(path)
            if name in inputs and not _is_zero(value):
                found[name] = filled(found.get(name, inputs[name]), inner, value)
        return found

    def _written(self, declared: Declared) -> Props:
        """Return the defaults that become inputs: official plugins leave out those that say off, 0 or nothing."""
        return {n: v for n, v in self.defaults.items() if not _is_zero(v) and n in declared.inputs}

    def same(self, declared: Declared, name: str, wanted: Any, observed: Any) -> bool:
        """Say whether an observed property fulfils what is wanted."""
        if has_unknown(wanted):
            return False
        wanted, observed = self._normal(name, wanted), self._normal(name, observed)
        if _is_map(declared, name) or name in self.normalise:
            return not list(leaf_changes("", observed, wanted))
        return covers(wanted, observed)

    def unfulfilled(self, declared: Declared, wanted: Props, observed: Props) -> frozenset[str]:
        """Return the inputs that are not observed as wanted, left-out ones included."""
        names = {n for n in {*wanted, *observed} if n in declared.inputs}
        return frozenset(
            name
            for name in names
            if not (_is_left_out(wanted.get(name)) and name in self.computed)
            and not (_says_nothing(wanted.get(name)) and _is_zero(observed.get(name)))
            and not self.same(declared, name, wanted.get(name), observed.get(name))
        )

    def drift(self, declared: Declared, inputs: Props, observed: Props) -> Props:
        """Return the inputs as they would have to be to give what was observed: changed only where it drifted."""
        result = dict(inputs)
        for name in self.unfulfilled(declared, inputs, {**inputs, **observed}):
            value = observed.get(name)
            exact = _is_map(declared, name) or name in self.normalise
            known = inputs.get(name)
            value = value if exact or is_empty(known) else project(known, value)
            result[name] = _prune(declared, value, declared.inputs[name].shape)
            if is_empty(result[name]):
                del result[name]
        return result

    def imported(self, declared: Declared, observed: Props) -> Props:
        """Return the inputs of a thing that exists, for `import` and `get`."""
        found = {
            name: _prune(declared, value, declared.inputs[name].shape)
            for name, value in observed.items()
            if name in declared.inputs and not is_empty(value)
        }
        written = self._written(declared)
        given = {name: value for name, value in found.items() if name in written or not _is_zero(value)}
        given |= {name: value for name, value in written.items() if name not in observed}
        filled = sorted(n for n, v in written.items() if n in given and self.same(declared, n, v, given[n]))
        return {**given, DEFAULTS: filled}

    def difference(self, old: Props, new: Props, ignored: Iterable[str] = ()) -> Difference:
        """Compare old and new inputs."""
        leaves: dict[str, tuple[Any, Any]] = {}
        keys: set[str] = set()
        for name in sorted({*old, *new}):
            before, after = old.get(name), new.get(name)
            if name.startswith("__") or (_is_left_out(after) and name in self.computed):
                continue
            if name not in self.computed and _says_nothing(before) and _says_nothing(after):
                continue
            changes = list(leaf_changes(name, self._normal(name, before), self._normal(name, after)))
            if name in self.normalise and changes and not (isinstance(before, Mapping) and isinstance(after, Mapping)):
                changes = [(name, before, after)]
            kept = {path: (one, other) for path, one, other in changes if not _is_ignored(path, ignored)}
            leaves.update(kept)
            keys.update([name] if kept else [])
        replaces = frozenset(name for name in keys if self._replaces(name, leaves))
        return Difference(leaves, frozenset(keys), replaces, bool(replaces) and self._needs_delete_first(old, new))

    def _replaces(self, name: str, leaves: Mapping[str, tuple[Any, Any]]) -> bool:
        """Say whether a changed input makes a new thing; ``replace_on`` may name a part of it, ``template.id``."""
        if name in self.replace_on:
            return True
        parts = {part for part in self.replace_on if part.startswith((f"{name}.", f"{name}["))}
        if name not in leaves:
            changed = {re.sub(r"\[\d+\]", "[]", leaf) for leaf in leaves}
            return any(leaf == part or leaf.startswith((f"{part}.", f"{part}[")) for leaf in changed for part in parts)
        # It came or went as a whole: what counts is whether such a part did.
        inner = {part.removeprefix(f"{name}.").partition(".")[0] for part in parts}
        known = [value for value in leaves[name] if isinstance(value, Mapping)]
        hidden = any(isinstance(value, Unknown) for value in leaves[name])
        return bool(parts) and (hidden or any(not is_empty(value.get(part)) for value in known for part in inner))

    def _needs_delete_first(self, old: Props, new: Props) -> bool:
        """Two things cannot carry one fixed name at a time; a generated name is drawn anew."""
        if self.delete_first or not self.autoname:
            return self.delete_first
        name = self.autoname.property
        return name not in new.get(DEFAULTS, []) and not is_empty(new.get(name)) and old.get(name) == new.get(name)

    def _normal(self, name: str, value: Any) -> Any:
        value = compact(value)
        return value if is_empty(value) or name not in self.normalise else self.normalise[name](value)


def _is_map(declared: Declared, name: str) -> bool:
    return name in declared.inputs and declared.inputs[name].shape.kind == "map"


def _is_left_out(value: Any) -> bool:
    """Say whether a wanted value leaves the choice to the service; an empty list or map is a choice."""
    return value is None or value == ""


def _is_zero(value: Any) -> bool:
    """Say whether an observed value is what a left-out input gives: nothing, off or 0."""
    return is_empty(value) or value is False or (isinstance(value, int | float) and value == 0)


def _says_nothing(value: Any) -> bool:
    """Say whether an input is off, 0 or left out, which mean the same where the service has no default of its own."""
    return _is_zero(value) and not isinstance(value, list | Mapping)


def _is_ignored(path: str, ignored: Iterable[str]) -> bool:
    return any(path == known or path.startswith((f"{known}.", f"{known}[")) for known in ignored)


def _prune(declared: Declared, value: Any, shape: Shape) -> Any:
    """Leave out the parts of an observed value that are no inputs."""
    if shape.kind == "list" and isinstance(value, list) and shape.item:
        return [_prune(declared, item, shape.item) for item in value]
    if shape.kind == "object" and isinstance(value, Mapping):
        nested = nested_type(declared.folder, shape.type)
        inputs = nested.inputs if nested else {}
        kept = {n: _prune(declared, v, inputs[n].shape) for n, v in value.items() if n in inputs}
        return {name: item for name, item in kept.items() if not is_empty(item)}
    return value
