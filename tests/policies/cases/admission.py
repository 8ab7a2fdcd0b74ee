"""Admission: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, make, simple, urn

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

GROUP = "kubernetes:admissionregistration.k8s.io"
VALIDATING = f"{GROUP}/v1:ValidatingWebhookConfiguration"
MUTATING = f"{GROUP}/v1:MutatingWebhookConfiguration"
POLICIES = [f"{GROUP}/{version}:ValidatingAdmissionPolicy" for version in ("v1", "v1beta1")]
BINDINGS = [f"{GROUP}/{version}:ValidatingAdmissionPolicyBinding" for version in ("v1", "v1beta1")]


def webhook(**changes: Any) -> dict[str, Any]:
    """Return a configuration with a sound webhook, with changes."""
    sound = {"clientConfig": {"service": {"name": "it", "namespace": "team"}}, "sideEffects": "None"}
    return {"webhooks": [sound | changes]}


def where(key: str, operator: Any) -> dict[str, Any]:
    """Return a selector with one expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": ["one"]}]}


def spec(**parts: Any) -> dict[str, Any]:
    """Return an object with a specification."""
    return {"metadata": {"name": "it"}, "spec": parts}


def binding(name: Any) -> Resource:
    """Return a binding of a policy of this name."""
    return make(BINDINGS[0], {"spec": {"policyName": name, "validationActions": ["Deny"]}}, name="binding")


NAME = "kubernetes.io/metadata.name"
CASES: list[Case] = [
    simple("FJ-ADM-001", VALIDATING, webhook(), webhook(failurePolicy="Ignore"), webhook(failurePolicy=UNKNOWN)),
    *(
        simple("FJ-ADM-001", type_, spec(), spec(failurePolicy="Ignore"), spec(failurePolicy=UNKNOWN))
        for type_ in POLICIES
    ),
    *(
        simple(
            "FJ-ADM-002",
            type_,
            webhook(),
            webhook(clientConfig={"url": "https://hooks.example"}),
            webhook(clientConfig=UNKNOWN),
        )
        for type_ in (VALIDATING, MUTATING)
    ),
    *(
        simple("FJ-ADM-003", type_, webhook(timeoutSeconds=5), webhook(**bad), webhook(timeoutSeconds=UNKNOWN))
        for type_ in (VALIDATING, MUTATING)
        for bad in ({"timeoutSeconds": 30.0}, {"sideEffects": "Some"})
    ),
    *(
        simple(
            "FJ-ADM-004",
            type_,
            webhook(namespaceSelector=where(NAME, "NotIn"), objectSelector=where("team", "In")),
            bad,
            webhook(objectSelector=where("skip", UNKNOWN)),
        )
        for type_ in (VALIDATING, MUTATING)
        for bad in (
            webhook(objectSelector=where("skip", "DoesNotExist")),
            webhook(namespaceSelector=where("skip", "NotIn")),
        )
    ),
    *(
        simple(
            "FJ-ADM-004",
            type_,
            spec(**{key: {"namespaceSelector": where("tenant", "Exists")}}),
            spec(**{key: {"objectSelector": where("skip", "NotIn")}}),
            spec(**{key: UNKNOWN}),
        )
        for types, key in ((POLICIES, "matchConstraints"), (BINDINGS, "matchResources"))
        for type_ in types
    ),
    *(
        simple(
            "FJ-ADM-005",
            type_,
            spec(validationActions=["Deny", "Audit"]),
            spec(validationActions=["Warn", "Audit"]),
            spec(validationActions=[UNKNOWN]),
        )
        for type_ in BINDINGS
    ),
    *(
        Case(
            "FJ-ADM-006",
            [make(type_, spec()), binding("it")],
            [make(type_, spec()), binding("another")],
            [make(type_, spec()), binding(UNKNOWN)],
        )
        for type_ in POLICIES
    ),
    Case(
        "FJ-ADM-006",
        [make(POLICIES[0], spec()), make(BINDINGS[0], spec(policyName=UNKNOWN), name="two", spec=urn(POLICIES[0]))],
        [make(POLICIES[0], spec())],
        [make(POLICIES[0], {"metadata": {}}), binding("it")],
    ),
    *(
        simple(
            "FJ-ADM-007",
            type_,
            spec(paramRef={"name": "it", "parameterNotFoundAction": "Deny"}),
            spec(paramRef={"name": "it", "parameterNotFoundAction": "Allow"}),
            spec(paramRef=UNKNOWN),
        )
        for type_ in BINDINGS
    ),
]

_POLICY, _BINDING = POLICIES[0], BINDINGS[0]
_EXCEPT = where("skip", "DoesNotExist")
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (_POLICY, ["spec", "failurePolicy"], "Ignore", {"FJ-ADM-001"}),
    (_POLICY, ["spec", "matchConstraints", "objectSelector"], _EXCEPT, {"FJ-ADM-004"}),
    (_POLICY, ["spec", "matchConstraints", "namespaceSelector"], _EXCEPT, {"FJ-ADM-004"}),
    (_BINDING, ["spec", "matchResources"], {"namespaceSelector": _EXCEPT}, {"FJ-ADM-004"}),
    (_BINDING, ["spec", "validationActions"], ["Audit"], {"FJ-ADM-005"}),
    (_BINDING, ["spec", "policyName"], "another", {"FJ-ADM-006"}),
    (_BINDING, ["spec", "paramRef"], {"parameterNotFoundAction": "Allow"}, {"FJ-ADM-007"}),
]
