"""AWS policy documents as statements that say whom they let do what, and under which condition."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from falaj.policies.documents.conditions import Condition
from falaj.policies.documents.names import Names
from falaj.policies.documents.patterns import Request, expand, glob, has_variables, loose, matches, strict
from falaj.policies.documents.principals import Principal, principals
from falaj.policies.values import UNKNOWN, Fact, View, all_of, any_of

# Keys that AWS itself sets and that name who calls, or from which resource, endpoint or service.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
BOUNDING_KEYS = frozenset(
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
"""Keys of conditions that bound who calls."""
# A name that nobody gives to anything: a pattern that matches it matches every name.
_NOBODY = "0nobody0"
_VERSION = "2012-10-17"
_CURRENT = Fact(True)
_T = TypeVar("_T")


def statements(document: View) -> Iterator["Statement"]:
    """Yield the statements of a document that is given as JSON text or as an object."""
    return iter(Document.read(document).statements)


def parse(document: View) -> View:
    """Return the document as an object; text that is not a document is unknown, since nobody can say what it grants."""
    if not isinstance(document.value, str):
        return document
    # An optional policy that is not there is empty text in a state.
    return document.replaced(_decoded(document.value) if document.value.strip() else None)


@functools.lru_cache(2048)
def _decoded(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return UNKNOWN


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: which one counts is for AWS to say."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


@dataclass(frozen=True, slots=True)
class Document:
    """A whole policy document: a denial in one statement takes away what another grants."""

    view: View
    statements: tuple["Statement", ...]

    @classmethod
    def read(cls, view: View) -> "Document":
        """Read a document that is given as JSON text or as an object; one without statements grants who knows what."""
        return _of_text(view.value, view.path) if isinstance(view.value, str) else cls.made(view)

    @classmethod
    def made(cls, view: View) -> "Document":
        """Make a document of what it holds; ``read`` does so once for each text."""
        parsed = parse(view)
        found = parsed["Statement"]
        if parsed.value is not None and found.value is None:
            found = found.replaced(UNKNOWN)
        # Only documents of the current version know variables; in others their text stands for itself.
        version = parsed["Version"].equals(_VERSION)
        return cls(parsed, tuple(Statement(statement, version) for statement in found.each()))

    def allows(self, action: str, resource: str, request: Request | None = None, principal: str | None = None) -> Fact:
        """Return whether this document alone lets the action through, as IAM evaluates it.

        Without a request, what hangs on a condition or a variable is undecided. Keys of a request are in small letters.
        """
        granted = denied = Fact(False, self.view.path)
        for statement in self.statements:
            fact = statement.covers(action, resource, request) & statement.holds(request)
            if principal is not None:
                fact = fact & statement.names(principal)
            granted = granted | (fact & statement.allows())
            denied = denied | (fact & ~statement.allows())
        return granted & ~denied

    def grants(self, action: str, kind: str, bounds: Iterable[str] = (), *, somewhere: bool = False) -> Fact:
        """Return whether it grants an action on every resource of a kind, such as ``kms:key/``, whatever its name.

        Conditions that name a value for one of the ``bounds`` make it a bounded grant, which is not meant; so does a
        denial for every other value. Any other condition still lets somebody through. With ``somewhere``, a grant on
        named resources counts too.
        """
        bounds = tuple(bounds)
        granted = any_of(statement.grants(action, kind, bounds, somewhere=somewhere) for statement in self.statements)
        return granted.and_then(lambda: ~self._denies(action, kind, bounds))

    def open_to_anyone(self) -> Fact:
        """Return whether a statement lets in callers that it does not name, and no denial keeps strangers out."""
        return any_of(
            (statement.open_to_anyone() & ~self._closed(statement) for statement in self.statements), self.view.path
        )

    def is_boundary(self) -> Fact:
        """Return whether it keeps whoever carries it from dropping their boundary: only a boundary itself does that."""
        return any_of(
            ~statement.allows() & statement.acts("iam:DeleteRolePermissionsBoundary") & statement.on_every("iam:role/")
            for statement in self.statements
        )

    def _denies(self, action: str, kind: str, bounds: tuple[str, ...]) -> Fact:
        """Return whether it denies an action on every resource of a kind, but for named values of the bounds."""
        return any_of(
            statement.acts(action)
            & statement.on_every(kind)
            & (~statement.conditional() | statement.condition.spares_only((*bounds, "aws:principalarn")))
            for statement in self.statements
            if statement.allows().truth is False
        )

    def _closed(self, opened: "Statement") -> Fact:
        """Return whether a denial covers the statement and spares named callers only."""
        return any_of(
            ~denial.allows()
            & denial.names_anyone()
            & denial.reaches_as_far_as(opened)
            & (~denial.conditional() | denial.condition.spares_only(BOUNDING_KEYS))
            for denial in self.statements
        )


@functools.lru_cache(2048)
def _of_text(text: str, path: str) -> Document:
    """Read a document once: a dozen rules look at the same one, and many resources have the same text."""
    return Document.made(View(text, path))


def _once(ask: Callable[["Statement"], _T]) -> Callable[["Statement"], _T]:
    """Keep what a statement answers: several rules ask the same."""

    @functools.wraps(ask)
    def kept(statement: "Statement") -> _T:
        if ask.__name__ not in statement.answers:
            statement.answers[ask.__name__] = ask(statement)
        return statement.answers[ask.__name__]

    return kept


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy document."""

    view: View
    current: Fact = _CURRENT
    """Whether its document is of the version that knows variables."""
    answers: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
    """What it was asked already."""

    @property
    def condition(self) -> Condition:
        """Its condition; an absent one always holds."""
        return Condition(self.view["Condition"])

    @_once
    def allows(self) -> Fact:
        """Return whether it grants rather than denies."""
        return ~self.view["Effect"].equals("Deny")

    @_once
    def conditional(self) -> Fact:
        """Return whether it hangs on a condition."""
        return self.view["Condition"].is_set()

    def holds(self, request: Request | None) -> Fact:
        """Return whether its condition holds for a request."""
        return self.condition.holds(request, variables=self.current.truth is True)

    def covers(self, action: str, resource: str, request: Request | None = None) -> Fact:
        """Return whether it is about an action on a resource, whatever its condition says."""
        # What is left out by a variable that has no value cannot be told: such a statement is about nothing.
        missing = self.view["NotResource"].value is not None
        fits = functools.partial(self._fits, resource=resource, request=request, missing=missing)
        return self.acts(action) & self._among("Resource", fits)

    def acts(self, action: str) -> Fact:
        """Return whether it is about an action; IAM does not look at the case of its name."""
        return self._decided("Action", lambda _: self._actions().include(action.lower()))

    def grants(self, action: str, kind: str, bounds: tuple[str, ...], *, somewhere: bool = False) -> Fact:
        """Return whether it grants an action on every resource of a kind; the document's method says what counts."""
        return (
            self.allows()
            .and_then(lambda: self.acts(action))
            .and_then(lambda: self.concerns(kind.partition(":")[0]) if somewhere else self.on_every(kind))
            .and_then(lambda: ~self.condition.demands(bounds))
        )

    def on_every(self, kind: str) -> Fact:
        """Return whether it is about every resource of a kind, such as ``s3:``, ``kms:key/`` or ``iam:role/``."""
        return self._among("Resource", lambda pattern: pattern.test(lambda text: _on_every(str(text), kind)))

    @_once
    def has_variables(self) -> Fact:
        """Return whether something in its resources or its condition depends on the request."""
        values = [value for key in ("Resource", "NotResource") for value in self.view[key].each()]
        values += self.condition.values()
        return any_of(
            (value.test(lambda text: has_variables(str(text))) for value in values), self.view["Resource"].path
        )

    def concerns(self, service: str) -> Fact:
        """Return whether resources of a service may be among its own."""
        patterns = self.view["Resource"]
        named = any_of(pattern.test(lambda text: _concerns(str(text), service)) for pattern in patterns.each())
        return named | Fact(patterns.value is None, patterns.path)

    def principals(self) -> Iterator[Principal]:
        """Yield whom it names: ``*`` is one, and what is not known yet is one of no kind."""
        return principals(self.view["Principal"])

    def names(self, arn: str) -> Fact:
        """Return whether it is about a principal; a statement without any is about whoever carries the policy."""
        if self.view["NotPrincipal"].value is not None:
            return ~any_of(each.includes(arn) for each in principals(self.view["NotPrincipal"]))
        if self.view["Principal"].value is None:
            return Fact(True, self.view.path)
        return any_of((each.includes(arn) for each in self.principals()), self.view["Principal"].path)

    @_once
    def open_to_anyone(self) -> Fact:
        """Return whether it lets in callers that it does not name: a wildcard, or everyone but some."""
        return (self.names_anyone() | self.view["NotPrincipal"].is_set()) & self.allows() & ~self.bounded()

    @_once
    def names_anyone(self) -> Fact:
        """Return whether its principal is everyone; AWS takes no other wildcards than a whole ``*``."""
        return any_of((each.view.equals("*") for each in self.principals()), self.view["Principal"].path)

    @_once
    def bounded(self) -> Fact:
        """Return whether a condition demands a caller, source or endpoint that is named without wildcards."""
        return self.condition.demands(BOUNDING_KEYS)

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

    @_once
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

    def reaches_as_far_as(self, other: "Statement") -> Fact:
        """Return whether every action and resource of the other statement is one of its own too."""

        def within(name: str) -> Fact:
            if other.view[f"Not{name}"].value is not None:
                return any_of(each.test(_is_wildcard) for each in self.view[name].each())
            if other.view[name].value is None:
                return Fact(self.view[name].value is None or self.view[name].value == "*", self.view.path)
            return all_of(
                self._among(name, functools.partial(_includes, narrower=theirs)) for theirs in other.view[name].each()
            )

        return within("Action") & within("Resource")

    @_once
    def _actions(self) -> Names:
        """Return the actions that it names, or leaves out."""
        named = self.view["Action"]
        return Names.read(self.view["NotAction"] if named.value is None else named)

    def _among(self, name: str, fits: Callable[[View], Fact]) -> Fact:
        """Return whether one of the patterns fits, or none of those that are left out."""
        return self._decided(name, lambda patterns: any_of((fits(each) for each in patterns.each()), patterns.path))

    def _decided(self, name: str, one_fits: Callable[[View], Fact]) -> Fact:
        patterns, but = self.view[name], self.view[f"Not{name}"]
        if patterns.value is not None and but.value is not None:
            return Fact(None, but.path)  # AWS takes only one of them.
        if but.value is not None:
            return ~one_fits(but)
        if patterns.value is None:
            # A trust policy is about its role, and so are policies of resources that name none.
            return Fact(True if name == "Resource" and self.view.value is not UNKNOWN else None, patterns.path)
        return one_fits(patterns)

    def _fits(self, pattern: View, resource: str, request: Request | None, missing: bool) -> Fact:
        if self.current.truth is None and pattern.test(lambda text: has_variables(str(text))).truth:
            return Fact(None, pattern.path)
        if self.current.truth is False or not pattern.test(lambda text: "${" in str(text)).truth:
            return pattern.test(lambda text: matches(str(text), resource))
        if request is None and has_variables(str(pattern.value)):
            return pattern.test(lambda text: glob(loose(str(text)), resource)) & Fact(None, pattern.path)
        expanded = expand(str(pattern.value), request or {})
        return Fact(missing if expanded is None else glob(expanded, resource), pattern.path)


@functools.lru_cache(8192)
def _on_every(pattern: str, kind: str) -> bool:
    """Return whether a pattern matches a resource of a kind that has a name of nobody's, in some account and region."""
    service, _, path = kind.partition(":")
    fields = pattern.split(":", 5)
    if len(fields) < 6:
        fields = ["arn", "aws", service, "x", "x", ""]
    partition, region, account = ("x" if "*" in field or "?" in field else field for field in (fields[1], *fields[3:5]))
    name = path.replace("{}", _NOBODY) if "{}" in path else path + _NOBODY
    return glob(strict(pattern), f"arn:{partition}:{service}:{region}:{account}:{name}")


def _concerns(pattern: str, service: str) -> bool:
    fields = pattern.split(":", 5)
    return len(fields) < 6 or matches(fields[2], service)


def _includes(pattern: View, narrower: View) -> Fact:
    """Return whether a pattern is as wide as a narrower one, whose wildcards count as plain characters."""
    return narrower.test(bool) & pattern.test(lambda text: matches(str(text).lower(), str(narrower.value).lower()))


def _is_wildcard(text: Any) -> bool:
    return bool(text) and not str(text).strip("*?:")


def _every_s3_action(text: Any) -> bool:
    return _is_wildcard(text) or str(text).lower() == "s3:*"


def _is_false(value: Any) -> bool:
    return value is False or str(value).lower() == "false"


def _tls(key: str) -> bool:
    return not key or key.lower() == "aws:securetransport"
