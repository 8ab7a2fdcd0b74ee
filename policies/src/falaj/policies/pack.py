"""The way into Pulumi: one policy for each rule, and one that counts what could not be decided."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pulumi_policy as policy
from pulumi_policy.proxy import UnknownValueError

from falaj.policies.controls import CONTROLS
from falaj.policies.model import Context, Graph, Judgement, Resource, Rule, Severity, Verdict, judge
from falaj.policies.values import View, decode, decode_provider

SUMMARY = "FJ-SUM-001"
"""Name of the policy that counts undetermined verdicts and names unmapped types."""


class _UndeterminedError(UnknownValueError):
    """Tells pulumi_policy that a policy could not decide: an advisory in that policy's name, beside its failures.

    It is the one way that pulumi_policy has to report below a policy's own level.
    """

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.message = f"undetermined: {message}"


class Tally:
    """The latest verdict of each rule on each resource, and the types that no rule knows."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._known = frozenset(type_ for rule in rules for type_ in (*rule.types, *rule.reads))
        self._verdicts: dict[tuple[str, str], Verdict] = {}

    def add(self, judgement: Judgement) -> None:
        """Remember a verdict."""
        self._verdicts[judgement.rule, judgement.urn] = judgement.verdict

    def summary(self, types: set[str]) -> list[str]:
        """Return what a reader must know beside the failures: verdicts that wait, and which types nobody judges."""
        lines: list[str] = []
        waiting = Counter(rule for (rule, _), verdict in self._verdicts.items() if verdict is Verdict.UNDETERMINED)
        if waiting:
            listed = ", ".join(f"{rule} ({count})" for rule, count in sorted(waiting.items()))
            lines.append(f"Verdicts undetermined until values are known, {waiting.total()} in all: {listed}")
        if unmapped := sorted(types - self._known):
            lines.append(f"Types judged by no rule of their own, {len(unmapped)} in all: {', '.join(unmapped)}")
        return lines


def policies(rules: Iterable[Rule], settings: Mapping[str, Any] | None = None) -> list[policy.Policy]:
    """Return the rules as policies for a ``PolicyPack``; ``settings`` replaces the rules' defaults.

    The pack's own configuration comes before both.
    """
    chosen = list(rules)
    tally = Tally(chosen)
    made: list[policy.Policy] = [
        _stack_policy(rule, settings or {}, tally) if rule.reads else _resource_policy(rule, settings or {}, tally)
        for rule in chosen
    ]
    return [*made, _summary_policy(tally)]


def _resource_policy(rule: Rule, defaults: Mapping[str, Any], tally: Tally) -> policy.ResourceValidationPolicy:
    def validate(args: policy.ResourceValidationArgs, report: policy.ReportViolation) -> None:
        if not rule.judges(args.resource_type):
            args.not_applicable()
        judgement = judge(rule, resource_of(args), Context({**defaults, **args.get_config()}))
        tally.add(judgement)
        if judgement.failures:
            report(_message(rule, judgement), None)
        if judgement.undecided:
            raise _UndeterminedError("; ".join(judgement.undecided))
        if judgement.verdict is Verdict.NOT_APPLICABLE:
            args.not_applicable()

    return policy.ResourceValidationPolicy(rule.id, validate=validate, **_description(rule))


def _stack_policy(rule: Rule, defaults: Mapping[str, Any], tally: Tally) -> policy.StackValidationPolicy:
    def validate(args: policy.StackValidationArgs, report: policy.ReportViolation) -> None:
        graph = Graph(
            resource_of(resource)
            for resource in args.resources
            if rule.judges(resource.resource_type) or resource.resource_type in rule.reads
        )
        context = Context({**defaults, **args.get_config()}, graph)
        undecided: list[str] = []
        judged = [judge(rule, resource, context) for resource in graph.resources if rule.judges(resource.type)]
        for judgement in judged:
            tally.add(judgement)
            if judgement.failures:
                report(_message(rule, judgement), judgement.urn)
            undecided += (f"{judgement.urn.rpartition('::')[2]}: {reason}" for reason in judgement.undecided)
        if undecided:
            raise _UndeterminedError("; ".join(undecided))
        if all(judgement.verdict is Verdict.NOT_APPLICABLE for judgement in judged):
            args.not_applicable()

    return policy.StackValidationPolicy(rule.id, validate=validate, **_description(rule))


def _summary_policy(tally: Tally) -> policy.StackValidationPolicy:
    def validate(args: policy.StackValidationArgs, report: policy.ReportViolation) -> None:
        # Components, and providers themselves, have no provider.
        for line in tally.summary({each.resource_type for each in args.resources if each.provider is not None}):
            report(line, None)

    return policy.StackValidationPolicy(
        SUMMARY,
        "What the rules could not decide",
        validate,
        policy.EnforcementLevel.ADVISORY,
        severity=policy.Severity.LOW,
    )


def resource_of(args: policy.ResourceValidationArgs | policy.PolicyResource) -> Resource:
    """Return the engine's resource as plain values."""
    is_provider = args.resource_type.startswith("pulumi:providers:")
    provider = None if args.provider is None else decode_provider(args.provider.props)
    links: dict[str, frozenset[str]] = {}
    if isinstance(args, policy.PolicyResource):
        origins: Mapping[str, Sequence[policy.PolicyResource]] = args.property_dependencies
        links = {key: frozenset(origin.urn for origin in found) for key, found in origins.items()}
    return Resource(
        args.resource_type,
        args.urn,
        args.name,
        View((decode_provider if is_provider else decode)(args.props)),
        View(provider, "provider"),
        links,
    )


def _message(rule: Rule, judgement: Judgement) -> str:
    """Return what is wrong, what to do and which controls ask for it; the CLI shows nothing else of a policy."""
    served: dict[str, list[str]] = {}
    for control in rule.controls:
        served.setdefault(CONTROLS[control].framework, []).append(control)
    serves = "; ".join(f"{framework} {', '.join(controls)}" for framework, controls in served.items())
    return "\n".join((*judgement.failures, f"To do: {rule.remediation}", f"Serves: {serves}"))


def _description(rule: Rule) -> dict[str, Any]:
    """Return what a reader of ``pulumi preview``, or of the policy service, sees of the rule."""
    controls = [CONTROLS[control] for control in rule.controls]
    main = controls[0]
    name, _, version = main.framework.partition(":")
    return {
        "description": rule.title,
        "display_name": f"{rule.id}: {rule.title}",
        "severity": _SEVERITIES[rule.severity],
        "framework": policy.PolicyComplianceFramework(name, version or None, main.id, main.name),
        "tags": [f"{control.framework} {control.id}" for control in controls],
        "remediation_steps": rule.remediation,
        "config_schema": _schema(rule),
    }


def _schema(rule: Rule) -> policy.PolicyConfigSchema | None:
    if not rule.settings:
        return None
    return policy.PolicyConfigSchema({name: dict(setting.schema) for name, setting in rule.settings.items()})


_SEVERITIES = {severity: policy.Severity(severity.value) for severity in Severity}
