"""The language of the tables: a type as a few lines of data, turned into a `Kind`.

- A template is a parameter structure in which ``"@name"`` stands for a property (``"@id"`` for the identifier, a path
  such as ``"@rule.mode"`` for a part of one) and a function is called with all properties. What turns out null is
  left out.
- Fields are ``"cidrBlock ownerId arn=VpcArn"``: the properties that an answer holds, with their names there (a
  JMESPath) where it is not the same name with a capital.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import jmespath

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.kind import Autoname, Change, GoneError, Kind, ProviderError
from falaj.lab.provider.values import Props, has_unknown, is_empty

Template: TypeAlias = "str | int | bool | Callable[[Props], Any] | Mapping[str, Template] | Sequence[Template]"


VERBATIM = {"tags", "policy", "assumeRolePolicy"}
"""Properties whose own keys are not AWS's names, and stay as they are."""


def fill(template: Template, props: Props) -> Any:
    """Return a template with its properties filled in, None when nothing is left of it."""
    if callable(template):
        return template(props)
    if isinstance(template, str) and template.startswith("@"):
        return _search(template[1:], props)
    if isinstance(template, Mapping):
        items = {name: fill(item, props) for name, item in template.items()}
        return {name: item for name, item in items.items() if item is not None} or None
    if isinstance(template, list):
        return [item for item in (fill(part, props) for part in template) if item is not None] or None
    return template


@cache
def _compiled(path: str) -> Any:
    return jmespath.compile(path)


def _search(path: str, value: Any) -> Any:
    return value.get(path) if path.isalnum() and isinstance(value, Mapping) else _compiled(path).search(value)


def mentions(template: Template) -> set[str]:
    """Return the properties that a template mentions by ``"@name"``."""
    if isinstance(template, str) and template.startswith("@"):
        return {template[1:].split(".")[0].split("[")[0]} - {"id"}
    if isinstance(template, Mapping):
        return mentions(list(template.values()))
    return {name for part in template for name in mentions(part)} if isinstance(template, list) else set()


@dataclass(frozen=True)
class Call:
    """One API operation: its name (``ec2.create_vpc``), its parameters, and where the answer holds the identifier."""

    operation: str
    parameters: Mapping[str, Template] = field(default_factory=dict[str, Template])
    result: str | None = None

    def __call__(self, aws: Aws, props: Props) -> Any:
        """Call the operation and return its result; a result ``"@name"`` is a property, not a part of the answer."""
        answer = aws.call(self.operation, **(fill(dict(self.parameters), props) or {}))
        if self.result is None:
            return answer
        return fill(self.result, props) if self.result.startswith("@") else _search(self.result, answer)


@dataclass(frozen=True)
class Look:
    """One API operation that observes: ``at`` finds the thing in the answer, ``fields`` its properties there.

    ``$id`` in ``at`` is the identifier."""

    operation: str
    parameters: Mapping[str, Template]
    at: str = "@"
    fields: str = ""
    camel: bool = False
    """Whether the service's own names start with a small letter already."""

    def __call__(self, aws: Aws, props: Props) -> Props:
        """Return the fields; `GoneError` when the answer does not hold the thing."""
        at = self.at.replace("$id", props["id"])
        found = _compiled(at).search(aws.call(self.operation, **(fill(dict(self.parameters), props) or {})))
        if found is None:
            raise GoneError
        values = {name: _compiled(path).search(found) for name, path in self.paths()}
        return {name: value if name in VERBATIM else camelize(value) for name, value in values.items()}

    def paths(self) -> list[tuple[str, str]]:
        """Return the properties with their paths in the answer."""
        pairs = [part.partition("=") for part in self.fields.split()]
        return [(name, path or (name if self.camel else name[0].upper() + name[1:])) for name, _, path in pairs]


def camelize(value: Any) -> Any:
    """Return a structure with names that start with a small letter, as Pulumi's do."""
    if isinstance(value, Mapping):
        return {name[0].lower() + name[1:]: camelize(item) for name, item in value.items()}
    if isinstance(value, list):
        return [camelize(item) for item in value]
    return value


def pascalize(value: Any) -> Any:
    """Return a structure with names that start with a capital, as most of AWS's do, without what is null."""
    if isinstance(value, Mapping):
        return {name[0].upper() + name[1:]: pascalize(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [pascalize(item) for item in value]
    return value


@dataclass(frozen=True)
class Put:
    """What brings a change of some properties about."""

    properties: str
    action: "Call | Callable[[Aws, str, Change], Any]"

    def __call__(self, aws: Aws, identifier: str, change: Change) -> None:
        """Act, if one of the properties changes."""
        if not change.of(*self.properties.split()):
            return
        if isinstance(self.action, Call):
            self.action(aws, {**change.observed, **change.wanted, "id": identifier})
        else:
            self.action(aws, identifier, change)


Reader = Callable[[Aws, str, Props], Props | None]
Finisher = Callable[[Aws, str, Props], Props]


def resource(
    token: str,
    *,
    create: Call | Callable[[Aws, Props], str],
    read: Look | Sequence[Look] | Reader,
    update: Sequence[Put] = (),
    delete: Call | Callable[[Aws, str, Props], Any],
    replace: str = "",
    local: str = "",
    arn: str | None = None,
    finish: Finisher | None = None,
    defaults: Mapping[str, Any] | None = None,
    computed: str = "",
    volatile: str = "",
    documents: str = "",
    sets: str = "",
    name: Autoname | None = None,
    key: str | Callable[[Props], str | None] | None = None,
    find: Callable[[Aws, str], str | None] | None = None,
    import_id: Callable[[Aws, str], str] | None = None,
    check: Callable[[Props], Iterable[tuple[str, str]]] | None = None,
    normalise: Mapping[str, Callable[[Any], Any]] | None = None,
    delete_first: bool = False,
    taken: str = "",
) -> Kind[Aws]:
    """Return a kind from its table.

    Inputs force replacement when ``replace`` names them, or when ``create`` takes them and no ``update`` does.
    ``local`` names inputs that steer the provider alone, ``documents`` hold JSON, ``sets`` have no order. ``arn`` is a
    template such as ``"ec2:vpc/@id"``. ``finish`` completes what was read. ``key`` names the input that identifies.
    ``taken`` names inputs (or parts of one) that AWS does not tell: they are taken as given.
    """
    parameters = create.parameters if isinstance(create, Call) else {}
    created = mentions(dict(parameters))
    updated = {word for put in update for word in put.properties.split()}
    kept = {path.split(".")[0] for path in taken.split()}
    replaced = {*replace.split(), *(created - updated - kept - set(local.split())), "region"}
    looks = [read] if isinstance(read, Look) else read

    def read_all(aws: Aws, identifier: str, known: Props) -> Props | None:
        props: Props = {"region": aws.region}
        if callable(looks):
            found = looks(aws, identifier, known)
            if found is None:
                return None
            props.update(found)
        else:
            for index, look in enumerate(looks):
                try:
                    props.update(look(aws, {**known, **props, "id": identifier}))
                except GoneError:
                    if index == 0:
                        return None
                    props.update({field_name: None for field_name, _ in look.paths()})
        if "tags" in props:
            props["tags"] = aws.tags(props["tags"])
        if arn and not props.get("arn"):
            service, _, rest = arn.partition(":")
            props["arn"] = aws.arn(service, rest.replace("@id", identifier))
        props = finish(aws, identifier, props) if finish else props
        for path in taken.split():
            value, (*steps, last) = _search(path, known), path.split(".")
            holder = props if not steps else props.get(steps[0])
            if holder is not None and value is not None:
                holder[last] = value
        return props

    def update_all(aws: Aws, identifier: str, change: Change) -> None:
        for put in update:
            put(aws, identifier, change)

    def create_one(aws: Aws, inputs: Props) -> str:
        identifier = create(aws, {**inputs, "creationTags": aws.creation_tags()})
        if not isinstance(identifier, str):
            raise ProviderError(f"{token}: the answer to its creation names no identifier")
        return identifier

    def delete_one(aws: Aws, identifier: str, state: Props) -> None:
        if isinstance(delete, Call):
            delete(aws, {**state, "id": identifier})
        else:
            delete(aws, identifier, state)

    same_form: dict[str, Callable[[Any], Any]] = dict.fromkeys(documents.split(), canonical_document)
    same_form.update(dict.fromkeys(sets.split(), in_order))
    same_form.update(normalise or {})

    def key_property(props: Props) -> str | None:
        return props.get(key) if isinstance(key, str) else None

    optional: dict[str, Any] = {
        "key": key_property if isinstance(key, str) else key,
        "find": find,
        "import_id": import_id,
        "check": check,
        "autoname": name,
    }
    named = {word for word in (name.property, name.prefix) if word} if name else set[str]()
    return Kind(
        token=token,
        create=create_one,
        read=read_all,
        update=update_all,
        delete=delete_one,
        replace_on=frozenset(replaced | (named - updated)),
        defaults=defaults or {},
        computed=frozenset({*computed.split(), "region", "tagsAll"}),
        volatile=frozenset(volatile.split()),
        normalise=same_form,
        delete_first=delete_first,
        enacts=frozenset(
            {
                *replaced,
                *updated,
                *local.split(),
                *named,
                *(path.split(".")[0] for path in taken.split()),
                "tags",
                "timeouts",
            }
        ),
        **{field_name: value for field_name, value in optional.items() if value is not None},
    )


def canonical_document(value: Any) -> Any:
    """Return a JSON document in the form in which policies compare: single items as lists, lists without order."""
    import json  # noqa: PLC0415

    if has_unknown(value):
        return value
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return _canonical(value, "")


def _canonical(value: Any, name: str) -> Any:
    if name == "Statement" and not isinstance(value, list):
        value = [value]
    if isinstance(value, Mapping):
        return {key: _canonical(item, key) for key, item in value.items()}
    if isinstance(value, list):
        items = [_canonical(item, "") for item in value]
        # A list of one means the same as its item; the lists of a policy are sets, its statements are not sorted.
        return items if name == "Statement" else items[0] if len(items) == 1 else in_order(items)
    return str(value).lower() if isinstance(value, bool) else value


def in_order(value: Any) -> Any:
    """Return a list in a fixed order; other values as they are."""
    return sorted(value, key=_text) if isinstance(value, list) else value


def _text(value: Any) -> str:
    """Return a text that does not depend on the order of an object's properties, which the engine sends in any."""
    return json.dumps(value, sort_keys=True, default=repr)


def as_pairs(tags: Any, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return a map of tags as AWS's list of pairs."""
    return [{key: str(name), value: str(item)} for name, item in (tags or {}).items()]


def tag_change(change: Change) -> tuple[dict[str, str], list[str]]:
    """Return the tags to set and the names of those to remove."""
    wanted: dict[str, str] = change.wanted.get("tags") or {}
    observed: dict[str, str] = change.observed.get("tags") or {}
    added = {name: value for name, value in wanted.items() if observed.get(name) != value}
    return added, [name for name in observed if name not in wanted]


def outside(props: Props, name: str, lowest: int, highest: int) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a number that must lie between two others."""
    value = props.get(name)
    if isinstance(value, int) and not lowest <= value <= highest:
        yield name, f"must be {lowest} to {highest}, not {value}"


def given(props: Props, *names: str) -> Props:
    """Return those of the named properties that have a value."""
    return {name: props[name] for name in names if not is_empty(props.get(name))}
