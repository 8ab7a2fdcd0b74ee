"""How a pack is chosen and tuned: packs, levels and values, the same file for Pulumi and for ``falaj-policy check``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from falaj.policies.catalogue.controls import CONTROLS, COST, ISO, RESIDENCY, ZERO_TRUST
from falaj.policies.errors import RefusedError
from falaj.policies.model import Rule

SETTINGS = "settings"
"""Name under which the configuration holds what is about all rules."""
_LEVEL_KEY = "enforcementLevel"


class Level(StrEnum):
    """What a failure of a rule does."""

    ADVISORY = "advisory"
    """It is told."""
    MANDATORY = "mandatory"
    """It stops the run."""
    REMEDIATE = "remediate"
    """The rule's own remedy is applied before the resource is made; where the rule has none, it stops the run."""
    DISABLED = "disabled"
    """The rule does not run."""


PACKS: Mapping[str, str] = {"zero-trust": ZERO_TRUST, "iso27001": ISO, "residency": RESIDENCY, "cost-energy": COST}
"""The packs, each with the framework of the controls that its rules serve."""


def in_pack(rule: Rule, pack: str) -> bool:
    """Return whether a rule serves a control of the pack's framework."""
    return any(CONTROLS[control].framework == PACKS[pack] for control in rule.controls)


@dataclass(frozen=True, slots=True)
class Config:
    """Which rules run, at which level and with which values."""

    packs: tuple[str, ...] = tuple(PACKS)
    """The chosen packs; a rule runs where it is in one of them."""
    default: Level = Level.MANDATORY
    """Level of a rule that has none of its own."""
    levels: Mapping[str, Level] = field(default_factory=dict[str, Level])
    """Levels by rule."""
    common: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values for every rule that has a setting of the name."""
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Values by rule, before the common ones."""
    waivers: Path | None = None
    """File of waivers."""
    register: Path | None = None
    """File of the transfer register."""

    def level(self, rule: Rule) -> Level:
        """Return the level at which a rule runs: its own or the default, where it is in one of the chosen packs."""
        chosen = any(in_pack(rule, pack) for pack in self.packs)
        return self.levels.get(rule.id, self.default) if chosen else Level.DISABLED

    def settings(self, rule: Rule) -> dict[str, Any]:
        """Return the values of a rule's settings."""
        defaults = {name: setting.default for name, setting in rule.settings.items()}
        common = {name: value for name, value in self.common.items() if name in rule.settings}
        return defaults | common | dict(self.own.get(rule.id, {}))


def read_config(given: Any, rules: Iterable[Rule]) -> Config:
    """Read a configuration of plain values.

    Raises ``RefusedError`` for a name, a level or a value that there is not.
    """
    by_id = {rule.id: rule for rule in rules}
    values = _mapping("config", given)
    unknown = sorted(set(values) - set(by_id) - {"all", SETTINGS})
    if unknown:
        raise RefusedError("config", unknown[0], "must be all, settings, or the id of a rule")
    levels: dict[str, Level] = {}
    own: dict[str, Mapping[str, Any]] = {}
    for name in values.keys() & by_id.keys():
        entry = values[name]
        entry = dict(_mapping(name, {_LEVEL_KEY: entry} if isinstance(entry, str) else entry))
        if _LEVEL_KEY in entry:
            levels[name] = _level(name, entry.pop(_LEVEL_KEY))
        own[name] = entry
        check_values(name, entry, schemas([by_id[name]]))
    default = _level("all", values.get("all", Level.MANDATORY))
    return configured(values.get(SETTINGS, {}), by_id.values(), default, levels, own)


def configured(
    given: Any,
    rules: Iterable[Rule],
    default: Level,
    levels: Mapping[str, Level],
    own: Mapping[str, Mapping[str, Any]],
) -> Config:
    """Return a configuration, given what ``settings`` says: packs, files, values for every rule that takes them."""
    common = dict(_mapping(SETTINGS, given))
    check_values(SETTINGS, common, OWN_SETTINGS | schemas(rules))
    packs = tuple(common.pop("packs", PACKS))
    files = {name: Path(common.pop(name)) if name in common else None for name in ("waivers", "register")}
    return Config(packs, default, levels, common, own, **files)


OWN_SETTINGS: dict[str, Mapping[str, Any]] = {
    "packs": {
        "type": "array",
        "items": {"type": "string", "enum": list(PACKS)},
        "minItems": 1,
        "description": "Packs whose rules run",
    },
    "waivers": {"type": "string", "description": "File of waivers, from the folder in which the command runs"},
    "register": {"type": "string", "description": "File of the transfer register, from the same folder"},
}
"""JSON schemas of the settings that are about the run and not about a rule."""


def schemas(rules: Iterable[Rule]) -> dict[str, Mapping[str, Any]]:
    """Return the JSON schemas of the rules' settings, by name."""
    return {name: setting.schema for rule in rules for name, setting in rule.settings.items()}


def check_values(field_: str, values: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a setting that there is not, and a value that its schema does not allow."""
    for name, value in values.items():
        if name not in known:
            names = ", ".join(sorted(known)) or "nothing: the rule has no settings"
            raise RefusedError(f"{field_}.{name}", value, f"may be {names}")
        error = _misfit(value, known[name])
        if error is not None:
            raise RefusedError(f"{field_}.{name}", value, f"must fit its schema: {known[name]}")


def _misfit(value: Any, schema: Mapping[str, Any]) -> object:
    """Return what of a value does not fit its schema, if anything."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow to load, and most runs set nothing

    return next(iter(Draft202012Validator(dict(schema)).iter_errors(value)), None)  # pyright: ignore[reportUnknownMemberType] - untyped


def _level(name: str, value: Any) -> Level:
    if value not in tuple(Level):
        raise RefusedError(name, value, f"must be {', '.join(Level)}")
    return Level(value)


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise RefusedError(name, value, "must be names with values")
    return value
