"""Admission: what guards the API server fails closed, is bound, and lets nobody past by a label."""

from falaj.policies.durations import seconds
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.namespaced import same
from falaj.policies.values import Fact, View, any_of

_GROUP = "kubernetes:admissionregistration.k8s.io"
_VALIDATING = (f"{_GROUP}/v1:ValidatingWebhookConfiguration",)
_WEBHOOKS = (*_VALIDATING, f"{_GROUP}/v1:MutatingWebhookConfiguration")
_POLICIES = tuple(f"{_GROUP}/{version}:ValidatingAdmissionPolicy" for version in ("v1", "v1beta1"))
_BINDINGS = tuple(f"{_GROUP}/{version}:ValidatingAdmissionPolicyBinding" for version in ("v1", "v1beta1"))
# The API server itself sets this label, so that nobody gives their namespace another's name.
_NAME_LABEL = "kubernetes.io/metadata.name"
_LONGEST_SECONDS = 10


@rule(
    "FJ-ADM-001",
    "What guards the cluster fails closed",
    Severity.HIGH,
    ("A.8.9", "A.8.26", "ZT-5", "ZT-6"),
    (*_VALIDATING, *_POLICIES),
    "Set failurePolicy to Fail, or leave it out.",
)
def fails_closed(guard: Resource, _: Context) -> Checks:
    """With Ignore, whoever stops the webhook is let through; Fail is the default."""
    if guard.type in _POLICIES:
        yield never(guard["spec"]["failurePolicy"].equals("Ignore"), "is passed over when it fails")
        return
    for webhook in guard["webhooks"].each():
        yield never(webhook["failurePolicy"].equals("Ignore"), "is passed over when it fails")


@rule(
    "FJ-ADM-002",
    "Webhooks are called inside the cluster",
    Severity.HIGH,
    ("A.8.12", "A.5.23", "A.8.21", "ZT-2"),
    _WEBHOOKS,
    "Name the service in clientConfig.service, not a URL.",
)
def inside(configuration: Resource, _: Context) -> Checks:
    """A webhook is sent every object whole, secrets among them."""
    for webhook in configuration["webhooks"].each():
        yield never(webhook["clientConfig"]["url"].is_set(), "objects are sent out of the cluster")
        yield must(webhook["clientConfig"]["service"].is_set(), "names no service")


@rule(
    "FJ-ADM-003",
    "Webhooks answer soon, and do nothing beside",
    Severity.LOW,
    ("A.8.6", "A.8.14"),
    _WEBHOOKS,
    "Set timeoutSeconds to 10 or less, and sideEffects to None or NoneOnDryRun.",
)
def answers(configuration: Resource, _: Context) -> Checks:
    """The API server waits for each of them; ten seconds is the default."""
    for webhook in configuration["webhooks"].each():
        slow = webhook["timeoutSeconds"].test(lambda span: seconds(span) > _LONGEST_SECONDS)
        yield never(slow, "holds the API server up")
        yield must(webhook["sideEffects"].among(("None", "NoneOnDryRun")), "does something beside the answer")


@rule(
    "FJ-ADM-004",
    "No label lets an object past admission",
    Severity.HIGH,
    ("A.5.15", "A.8.2", "ZT-6"),
    (*_WEBHOOKS, *_POLICIES, *_BINDINGS),
    f"Except namespaces by {_NAME_LABEL} only, and no objects by their labels.",
)
def opt_out(guard: Resource, _: Context) -> Checks:
    """Whoever may label an object, or a namespace, would decide that they are not judged."""
    for matches in _matches(guard):
        for expression in matches["objectSelector"]["matchExpressions"].each():
            yield never(_excepts(expression), "objects leave by a label")
        for expression in matches["namespaceSelector"]["matchExpressions"].each():
            by_name = expression["key"].equals(_NAME_LABEL)
            yield never(_excepts(expression) & ~by_name, "namespaces leave by a label")


def _matches(guard: Resource) -> list[View]:
    if guard.type in _POLICIES:
        return [guard["spec"]["matchConstraints"]]
    if guard.type in _BINDINGS:
        return [guard["spec"]["matchResources"]]
    return list(guard["webhooks"].each())


def _excepts(expression: View) -> Fact:
    return expression["operator"].among(("NotIn", "DoesNotExist"))


@rule(
    "FJ-ADM-005",
    "Admission policies deny",
    Severity.HIGH,
    ("A.8.9", "A.5.15", "ZT-5", "ZT-6"),
    _BINDINGS,
    "Put Deny among validationActions; Audit may stand beside it.",
)
def denies(binding: Resource, _: Context) -> Checks:
    """Warn and Audit tell of what they let through."""
    yield must(binding["spec"]["validationActions"].contains("Deny"), "lets everything through")


@rule(
    "FJ-ADM-006",
    "Admission policies are bound",
    Severity.MEDIUM,
    ("A.8.9", "ZT-5"),
    _POLICIES,
    "Declare a ValidatingAdmissionPolicyBinding with the policy's name.",
    reads=_BINDINGS,
)
def bound(policy: Resource, context: Context) -> Checks:
    """A policy without a binding judges nothing."""
    named = any_of(
        Fact(True) if policy.urn in binding.links.get("spec", ()) else _names(binding, policy)
        for binding in context.graph.of(_BINDINGS)
    )
    yield must(named, "no binding puts it to work")


def _names(binding: Resource, policy: Resource) -> Fact:
    name = policy["metadata"]["name"]
    return Fact(None, name.path) if name.value is None else same(binding["spec"]["policyName"], name)


@rule(
    "FJ-ADM-007",
    "Admission policies deny where their parameters are gone",
    Severity.MEDIUM,
    ("A.8.9", "ZT-6"),
    _BINDINGS,
    "Set paramRef.parameterNotFoundAction to Deny.",
)
def parameters(binding: Resource, _: Context) -> Checks:
    """With Allow, whoever deletes the parameters switches the policy off."""
    action = binding["spec"]["paramRef"]["parameterNotFoundAction"]
    yield never(action.equals("Allow"), "is switched off with its parameters")


RULES: tuple[Rule, ...] = (fails_closed, inside, answers, opt_out, denies, bound, parameters)
