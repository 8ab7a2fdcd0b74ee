"""Types that are recorded, not enacted: they exist in Pulumi's state only, with plausible identifiers and outputs.

recorded.toml says what those look like; facts.json, what is filled in and what makes a thing anew.
"""

import hashlib
import re
import secrets
import tomllib
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from falaj.lab.provider.aws_types.facts import Facts, facts
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import in_order
from falaj.lab.provider.declared import Declared
from falaj.lab.provider.kind import Autoname, Kind, ProviderError
from falaj.lab.provider.values import Props, is_empty

TABLE = Path(__file__).with_name("recorded.toml")


@cache
def table() -> Mapping[str, Any]:
    """Return recorded.toml."""
    return tomllib.loads(TABLE.read_text())


@cache
def recorded_kind(token: str, declared: Declared) -> Kind[Aws]:
    """Return the kind of a type that is recorded."""
    known_facts = facts(token) or _documented(declared)
    row: Mapping[str, Any] = table()["types"].get(token, {})
    _, module, type_name = token.split(":")
    area = module.partition("/")[0]
    kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type_name).lower()
    own = type_name[0].lower() + type_name[1:]
    arn: str = row.get("arn", f"{table()['services'].get(area, area)}:{kebab}/{{id}}")
    own_outputs = declared.outputs - declared.inputs.keys()
    chosen = declared.outputs & (known_facts.computed | {"region"})

    def create(aws: Aws, inputs: Props) -> str:
        seed = secrets.token_hex()
        values = _Values(aws, inputs, seed)
        if isinstance(inputs.get("name"), str):
            values["name"] = inputs["name"]
        form: str = row.get("id", "{name}" if "name" in values else f"{kebab}-{{hex17}}")
        if "{arn}" in form and "arn" not in values:
            values["arn"] = _arn(aws, arn, values)
        return _text(form, values) or f"{kebab}-{seed[:17]}"

    def read(aws: Aws, identifier: str, known: Props) -> Props:
        if not known:
            raise ProviderError(f"{token} is recorded, not enacted: there is nothing to import")
        values = _Values(aws, known, identifier)
        values["id"] = identifier
        values.setdefault("name", identifier)
        if "arn" in own_outputs:
            values.pop("arn", None)  # what an earlier reading made up
        values.setdefault("arn", identifier if row.get("id") == "{arn}" else _arn(aws, arn, values))
        plausible = {
            "arn": values["arn"],
            f"{own}Arn": values["arn"],
            f"{own}Id": identifier,
            "associationArn": values["arn"],
            "associationId": identifier,
            "accountId": aws.account,
            "ownerId": aws.account,
            "registryId": aws.account,
            "region": aws.region,
            **{name: _text(text, values.of(name)) for name, text in row.get("outputs", {}).items()},
        }
        kept = {name: value for name, value in known.items() if name in own_outputs | chosen and not is_empty(value)}
        made = {name: value for name, value in plausible.items() if name in own_outputs or name not in kept}
        return {**kept, **{name: value for name, value in made.items() if name in own_outputs | chosen}}

    defaults = known_facts.defaults
    return Kind(
        token=token,
        create=create,
        read=read,
        replace_on=known_facts.replaces | {"region"},
        defaults={path: value for path, value in defaults.items() if path in declared.inputs},
        inner_defaults={path: value for path, value in defaults.items() if path not in declared.inputs},
        computed=frozenset({path for path in known_facts.computed if path in declared.inputs} | {"region"}),
        normalise=dict.fromkeys((path for path in known_facts.sets if path in declared.inputs), in_order),
        autoname=_autoname(declared, known_facts.named),
        delete_first=known_facts.delete_first,
        enacted=False,
    )


class _Values(dict[str, Any]):
    """What texts may name, as far as it is text and known; what is drawn at random follows from a seed."""

    def __init__(self, aws: Aws, props: Mapping[str, Any], seed: str) -> None:
        super().__init__({name: value for name, value in props.items() if isinstance(value, str) and value})
        self._aws, self._props, self._seed = aws, props, seed

    def of(self, output: str) -> "_Values":
        """Return the values for one output, which has random parts of its own."""
        values = _Values(self._aws, self._props, f"{self._seed} {output}")
        values.update(self)
        return values

    def __missing__(self, name: str) -> str:
        if name in ("account", "region", "partition"):
            return getattr(self._aws, name)
        digest = hashlib.sha256(self._seed.encode()).hexdigest()
        if name == "uuid":
            return str(uuid.UUID(digest[:32]))
        digits = re.fullmatch(r"hex(\d+)", name)
        if digits is None:
            raise KeyError(name)
        return digest[: int(digits[1])]


def _text(form: str, values: _Values) -> str | None:
    """Return a text with its values, None when one of them is not known."""
    try:
        return form.format_map(values)
    except KeyError:
        return None


def _arn(aws: Aws, form: str, values: _Values) -> str | None:
    text = _text(form, values)
    if text is None or form.startswith("{"):
        return text
    service, _, resource = text.partition(":")
    return aws.arn(service, resource, region="" if service in table()["regionless"]["services"] else None)


def _documented(declared: Declared) -> Facts:
    """Return what the SDK's documentation says of a type whose schema is not known."""
    replaces = frozenset(name for name, known in declared.inputs.items() if known.forces_new)
    optional_name = "name" in declared.inputs and not declared.inputs["name"].required
    return Facts(replaces=replaces, named="name" if optional_name else None)


def _autoname(declared: Declared, named: str | None) -> Autoname | None:
    if named is None or named not in declared.inputs or declared.inputs[named].required:
        return None
    prefix = f"{named}Prefix"
    return Autoname(named, prefix=prefix if prefix in declared.inputs else None)
