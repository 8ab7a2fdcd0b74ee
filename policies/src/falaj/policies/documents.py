"""AWS policy documents as statements that say whom they let do what, and under which condition."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from falaj.policies.values import UNKNOWN, Fact, View, all_of, any_of

# Keys that AWS itself sets and that name who calls, or from which resource, endpoint or service.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_BOUNDING_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:userid",
        "kms:calleraccount",
    }
)
# Operators that demand a value; ``...IfExists`` and ``ForAllValues:`` also match without one, as for anonymous callers.
_DEMANDING = re.compile(r"(foranyvalue:)?(string(equals|equalsignorecase|like)|arn(equals|like))", re.IGNORECASE)
_ONLY_WILDCARDS = re.compile(r"[*?:]*")


def statements(document: View) -> Iterator["Statement"]:
    """Yield the statements of a document that is given as JSON text or as an object."""
    return (Statement(view) for view in parse(document)["Statement"].each())


def parse(document: View) -> View:
    """Return the document as an object; text that is not a document is unknown, since nobody can say what it grants."""
    if not isinstance(document.value, str):
        return document
    try:
        return document.replaced(json.loads(document.value, object_pairs_hook=_unique))
    except (ValueError, RecursionError):
        return document.replaced(UNKNOWN)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: which one counts is for AWS to say."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy document."""

    view: View

    def allows(self) -> Fact:
        """Return whether it grants rather than denies."""
        return ~self.view["Effect"].equals("Deny")

    def open_to_anyone(self) -> Fact:
        """Return whether it lets in callers that it does not name: a wildcard, or everyone but some."""
        return (self.names_anyone() | self.view["NotPrincipal"].is_set()) & self.allows() & ~self.bounded()

    def names_anyone(self) -> Fact:
        """Return whether its principal is everyone; AWS takes no other wildcards than a whole ``*``."""
        principal = self.view["Principal"]
        named = any_of((who.equals("*") for _, kind in principal.entries() for who in kind.each()), f"{principal.path}")
        return named if isinstance(principal.value, dict) else principal.equals("*")

    def bounded(self) -> Fact:
        """Return whether a condition demands a caller, source or endpoint that is named without wildcards."""
        return any_of(
            (
                all_of((_names_one(value) for value in values.each()), values.path)
                for operator, keys in self.view["Condition"].entries()
                if not operator or _DEMANDING.fullmatch(operator)
                for key, values in keys.entries()
                if not key or key.lower() in _BOUNDING_KEYS
            ),
            self.view["Condition"].path,
        )

    def grants_every_action(self) -> Fact:
        """Return whether it grants all actions, or all but some."""
        every = any_of((action.test(_is_wildcard) for action in self.view["Action"].each()), self.view["Action"].path)
        return (every | self.view["NotAction"].is_set()) & self.allows()

    def grants_every_resource(self) -> Fact:
        """Return whether it grants on all resources, or on all but some."""
        every = any_of(
            (resource.test(_is_wildcard) for resource in self.view["Resource"].each()), self.view["Resource"].path
        )
        return (every | self.view["NotResource"].is_set()) & self.allows()

    def denies_plaintext(self) -> Fact:
        """Return whether it denies everyone every use of a bucket and its objects without TLS, whatever else holds."""
        condition = self.view["Condition"]
        operators = condition["Bool"] if condition["bool"].value is None else condition["bool"]
        transport = any_of(
            (all_of((v.test(_is_false) for v in values.each())) for key, values in operators.entries() if _tls(key)),
            f"{condition.path}.Bool",
        )
        # A second operator or key would narrow the denial.
        alone = condition.test(lambda value: len(value) == 1) & operators.test(lambda value: len(value) == 1)
        actions = any_of((a.test(_every_s3_action) for a in self.view["Action"].each()), self.view["Action"].path)
        resources = list(self.view["Resource"].each())
        objects = any_of((r.test(lambda arn: str(arn).endswith("*")) for r in resources), self.view["Resource"].path)
        bucket = any_of(
            (r.test(lambda arn: arn == "*" or not str(arn).endswith("/*")) for r in resources),
            self.view["Resource"].path,
        )
        denies = self.view["Effect"].equals("Deny") & self.names_anyone()
        return denies & actions & objects & bucket & transport & alone


def _names_one(value: View) -> Fact:
    """Return whether a condition's value names something: not wildcards alone, and no ARN of any account."""

    def named(text: Any) -> bool:
        fields = str(text).split(":", 5)
        account = fields[4] if fields[0] == "arn" and len(fields) == 6 else ""
        return not _ONLY_WILDCARDS.fullmatch(str(text)) and "*" not in account and "?" not in account

    return value.test(named)


def _is_wildcard(text: Any) -> bool:
    return bool(text) and bool(_ONLY_WILDCARDS.fullmatch(str(text)))


def _every_s3_action(text: Any) -> bool:
    return _is_wildcard(text) or str(text).lower() == "s3:*"


def _is_false(value: Any) -> bool:
    return value is False or str(value).lower() == "false"


def _tls(key: str) -> bool:
    return not key or key.lower() == "aws:securetransport"
