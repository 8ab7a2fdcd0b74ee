"""What the API server refuses in tenants' namespaces so that nobody goes round the queue: admission policies in CEL.

They look at what is named or changed, not at what stays: a tier that is taken away does not stop what already runs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s

from falaj.components.tiers import TIER_LABEL, Tier

TENANT_LABEL = "falaj.dev/tenant"
"""Label of every namespace of a tenant."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
DEFAULT_QUEUE = "default"
"""The one queue of each tenant's namespace."""
ADMINISTER = "administer"
"""A verb that no API request has: only who may do everything with workloads has it, or who is granted it by name."""

_ALLOWS = "tier.falaj.dev/"
_CLUSTERS_OWN = ("system:masters", "system:serviceaccounts:kube-system")
_GATES = "kueue.x-k8s.io/"


_Validation = k8s.admissionregistration.v1.ValidationArgsDict
_Variable = k8s.admissionregistration.v1.VariableArgsDict


@dataclass(frozen=True)
class _Shape:
    """Where kinds of work keep their labels and their pods."""

    groups: dict[str, list[str]]
    """Resources by API group."""
    metadata: list[str]
    """Paths of metadata, CEL's way, below the object."""
    pod: str
    """Path of the pods' specification."""


_SHAPES = {
    "pods": _Shape({"": ["pods"]}, ["metadata"], "spec"),
    "jobs": _Shape(
        {"batch": ["jobs"], "apps": ["deployments", "statefulsets"]},
        ["metadata", "spec.template.metadata"],
        "spec.template.spec",
    ),
    "cronjobs": _Shape(
        {"batch": ["cronjobs"]},
        ["metadata", "spec.jobTemplate.metadata", "spec.jobTemplate.spec.template.metadata"],
        "spec.jobTemplate.spec.template.spec",
    ),
}


def admission_policies(
    tiers: Sequence[Tier], priority_classes: Sequence[str], platform: Sequence[str]
) -> dict[str, k8s.admissionregistration.v1.ValidatingAdmissionPolicySpecArgsDict]:
    """Return the policies by name: one for each shape of work, and one for what Kueue makes of it."""
    work = {
        f"falaj-queues-{name}": _policy(
            _rules(shape.groups, ["CREATE", "UPDATE"]),
            [*_by_platform(platform), *_words(shape, tiers)],
            [
                *_tier_rules(tiers),
                _queue_rule(),
                _priority_class_rule(shape, priority_classes),
                _owner_rule(),
                *([_gate_rule()] if name == "pods" else []),
            ],
        )
        for name, shape in _SHAPES.items()
    }
    made = {"kueue.x-k8s.io": ["workloads", "workloads/status", "localqueues", "localqueues/status"]}
    return work | {
        "falaj-queues-workloads": _policy(
            _rules(made, ["CREATE", "UPDATE", "DELETE"]), _by_platform(platform), [_platform_rule()]
        )
    }


def binding_of(policy: str) -> k8s.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpecArgsDict:
    """Return what puts a policy into force in the namespaces of tenants."""
    return {
        "policy_name": policy,
        "validation_actions": ["Deny", "Audit"],
        "match_resources": {"namespace_selector": {"match_expressions": [{"key": TENANT_LABEL, "operator": "Exists"}]}},
    }


def _policy(
    rules: list[k8s.admissionregistration.v1.NamedRuleWithOperationsArgsDict],
    variables: list[_Variable],
    validations: list[_Validation],
) -> k8s.admissionregistration.v1.ValidatingAdmissionPolicySpecArgsDict:
    return {
        "failure_policy": "Fail",
        "match_constraints": {"resource_rules": rules},
        "variables": variables,
        "validations": validations,
    }


def _rules(
    groups: dict[str, list[str]], operations: list[str]
) -> list[k8s.admissionregistration.v1.NamedRuleWithOperationsArgsDict]:
    return [
        {"api_groups": [group], "api_versions": ["*"], "operations": list(operations), "resources": resources}
        for group, resources in groups.items()
    ]


def _by_platform(platform: Sequence[str]) -> list[_Variable]:
    """Return whether the platform asks: those named, the cluster's own controllers, and who may do everything."""
    administers = (
        "authorizer.group('kueue.x-k8s.io').resource('workloads').namespace(request.namespace)"
        f".check('{ADMINISTER}').allowed()"
    )
    listed = f"request.userInfo.username in {_cel(platform)}"
    grouped = f"request.userInfo.groups.exists(group, group in {_cel(_CLUSTERS_OWN)})"
    return [_variable("byPlatform", f"{listed} || {grouped} || {administers}")]


def _words(shape: _Shape, tiers: Sequence[str]) -> list[_Variable]:
    """Return what the work says and, of a change, what it said before."""

    def said(label: str, root: str) -> str:
        maps = ", ".join(f"{root}.{_optional(path)}.?labels.orValue({{}})" for path in shape.metadata)
        return f"[{maps}].filter(labels, '{label}' in labels).map(labels, labels['{label}'])"

    def both(name: str, label: str) -> list[_Variable]:
        return [
            _variable(name, said(label, "object")),
            _variable(f"{name}Before", f"oldObject == null ? [] : {said(label, 'oldObject')}"),
        ]

    allows = f"variables.granted[?('{_ALLOWS}' + tier)].orValue('') == 'allowed'"
    return [
        *both("tiers", TIER_LABEL),
        *both("queues", QUEUE_LABEL),
        _variable("granted", "namespaceObject.metadata.?labels.orValue({})"),
        _variable("allowed", f"{_cel(tiers)}.filter(tier, {allows})"),
        _variable("priorityClass", f"object.{shape.pod}.?priorityClassName.orValue('')"),
        _variable(
            "priorityClassBefore",
            f"oldObject == null ? '' : oldObject.{shape.pod}.?priorityClassName.orValue('')",
        ),
    ]


def _tier_rules(tiers: Sequence[Tier]) -> list[_Validation]:
    field, known = f"metadata.labels['{TIER_LABEL}']", _cel(tiers)
    unknown = f"variables.tiers.filter(tier, !(tier in {known}))"
    denied = f"variables.tiers.filter(tier, tier in {known} && !(tier in variables.allowed))"
    may = "(variables.allowed.size() == 0 ? 'none' : variables.allowed.join(', '))"
    same = "variables.tiers == variables.tiersBefore"
    return [
        _refusal(
            f"{same} || {unknown}.size() == 0",
            [f"{field} must be one of the tiers {', '.join(tiers)}"],
            got=_first(unknown),
            reason="Invalid",
        ),
        _refusal(
            f"{same} || {denied}.size() == 0",
            [f"{field} must be a tier that namespace ", "namespaceObject.metadata.name", " may use, among ", may],
            got=_first(denied),
        ),
    ]


def _queue_rule() -> _Validation:
    foreign = f"variables.queues.filter(queue, queue != '{DEFAULT_QUEUE}')"
    return _refusal(
        f"variables.queues == variables.queuesBefore || {foreign}.size() == 0",
        [f"metadata.labels['{QUEUE_LABEL}'] must be left out or {DEFAULT_QUEUE}"],
        got=_first(foreign),
    )


def _priority_class_rule(shape: _Shape, allowed: Sequence[str]) -> _Validation:
    """The scheduler lets a higher class displace pods of any tenant, whatever the queue has granted."""
    or_one_of = f" or one of {', '.join(allowed)}" if allowed else ""
    listed = _cel(["", *allowed])
    return _refusal(
        f"variables.priorityClass == variables.priorityClassBefore || variables.priorityClass in {listed}",
        [f"{shape.pod}.priorityClassName must be left out{or_one_of}: what ranks work is its tier, label {TIER_LABEL}"],
        got="variables.priorityClass",
    )


def _owner_rule() -> _Validation:
    """Kueue lets in whatever belongs to work that it let in; so who may say that, belongs to the cluster."""
    new = (
        "object.metadata.?ownerReferences.orValue([]).filter(owner, oldObject == null"
        " || !oldObject.metadata.?ownerReferences.orValue([]).exists(old, old.uid == owner.uid))"
    )
    return _refusal(
        f"{new}.size() == 0 || variables.byPlatform",
        ["metadata.ownerReferences must be left out: controllers set it, and what belongs to other work does not wait"],
        got=_first(f"{new}.map(owner, owner.kind + '/' + owner.name)"),
    )


def _gate_rule() -> _Validation:
    """A pod waits by its gates, which Kubernetes lets anybody remove who may change the pod."""
    gone = (
        f"(oldObject == null ? [] : oldObject.spec.?schedulingGates.orValue([]).map(gate, gate.name)"
        f".filter(gate, gate.startsWith('{_GATES}') &&"
        " !object.spec.?schedulingGates.orValue([]).exists(kept, kept.name == gate)))"
    )
    return _refusal(
        f"{gone}.size() == 0 || variables.byPlatform",
        ["spec.schedulingGates must keep ", _first(gone), ": the queue takes it away when there is room"],
        got="'none'",
    )


def _platform_rule() -> _Validation:
    return _refusal(
        "variables.byPlatform",
        ["", "request.resource.resource", " must be left to the platform: change the work itself, or its tier"],
        got="request.userInfo.username",
    )


def _refusal(unless: str, remedy: Sequence[str], got: str, reason: str = "Forbidden") -> _Validation:
    """Return a rule and what it says: texts and expressions in turn, a text first, then the value that it refuses."""
    parts = [json.dumps(part) if number % 2 == 0 else part for number, part in enumerate(remedy)]
    message = " + ".join([*parts, '" (got \'"', got, '"\')"'])
    return {"expression": unless, "message_expression": message, "reason": reason}


def _first(expression: str) -> str:
    """Return the first of a list that is not empty, as it never is where a rule refuses."""
    return f"{expression}[0]"


def _optional(path: str) -> str:
    """Return a path whose last member may be missing."""
    *above, last = path.split(".")
    return ".".join([*above, f"?{last}"])


def _variable(name: str, expression: str) -> _Variable:
    return {"name": name, "expression": expression}


def _cel(values: Sequence[str]) -> str:
    """Return a list of strings as CEL writes it, which is as JSON does."""
    return json.dumps([str(value) for value in values])
