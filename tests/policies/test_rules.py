"""Each rule passes a sound resource, fails an unsound one, and is undetermined where the deciding value is unknown."""

import dataclasses
import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi_aws
import pulumi_kubernetes
import pulumi_vault
import pytest
from policies.making import BY_ID, Case, verdict

from falaj.policies.model import Context, Graph, Verdict, judge
from falaj.policies.rules import RULES
from falaj.policies.values import View

CASES: list[Case] = [
    case
    for module in pkgutil.iter_modules([str(Path(__file__).with_name("cases"))])
    for case in importlib.import_module(f"policies.cases.{module.name}").CASES
]
"""The cases of every subject, each in a module of its own."""


def named(case: Case) -> str:
    return f"{case.rule}-{case.bad[0].type.rpartition(':')[2]}"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_sound_resource_does_not_fail(case: Case) -> None:
    assert verdict(case.rule, case.good, **case.settings) in (Verdict.PASS, Verdict.NOT_APPLICABLE)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_an_unsound_resource_fails(case: Case) -> None:
    assert verdict(case.rule, case.bad, **case.settings) is Verdict.FAIL


@pytest.mark.parametrize("case", [case for case in CASES if case.unknown], ids=named)
def test_an_unknown_that_decides_is_undetermined(case: Case) -> None:
    assert verdict(case.rule, case.unknown, **case.settings) is Verdict.UNDETERMINED


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == set(BY_ID)


def test_rule_ids_are_unique_and_well_formed() -> None:
    assert len(BY_ID) == len(RULES)
    assert all(re.fullmatch(r"FJ-[A-Z0-9]{2,3}-\d{3}", rule.id) for rule in RULES)


@functools.cache
def declared_types(package: Any) -> dict[str, str]:
    """Return the types that an installed SDK declares, each with the source text that declares it."""
    found: dict[str, str] = {}
    for path in Path(package.__file__).parent.rglob("*.py"):
        if not path.name.startswith(("get_", "_")):
            text = path.read_text()
            for token in re.findall(r"__pulumi_type__ = \"([^\"]+)\"|^\s+'(\w+:[\w./]+:\w+)',$", text, re.MULTILINE):
                found[token[0] or token[1]] = text
    return found


# Kinds that charts bring, which no SDK declares, and providers.
FOREIGN = (
    "kubernetes:argoproj.io/",
    "kubernetes:gateway.networking.k8s.io/",
    "kubernetes:jobset.x-k8s.io/",
    "kubernetes:karpenter.k8s.aws/",
    "kubernetes:karpenter.sh/",
    "kubernetes:kubeflow.org/",
    "kubernetes:kueue.x-k8s.io/",
    "kubernetes:leaderworkerset.x-k8s.io/",
    "kubernetes:ray.io/",
    "kubernetes:serving.knative.dev/",
    "kubernetes:trainer.kubeflow.org/",
    "pulumi:providers:",
)
SDKS = {"aws": pulumi_aws, "kubernetes": pulumi_kubernetes, "vault": pulumi_vault}


def test_every_type_that_a_rule_names_is_declared_by_the_sdk() -> None:
    types = {type_ for rule in RULES for type_ in rule.types if not type_.startswith(FOREIGN) and "*" not in type_}
    unknown = {type_ for type_ in types if type_ not in declared_types(SDKS[type_.partition(":")[0]])}
    assert unknown == set()


@pytest.mark.parametrize("case", CASES, ids=named)
def test_every_property_in_a_case_is_declared_by_the_sdk(case: Case) -> None:
    for resource in (*case.good, *case.bad, *case.unknown):
        if resource.type.startswith(FOREIGN):
            continue
        source = declared_types(SDKS[resource.type.partition(":")[0]])[resource.type]
        for key in resource.properties.value:
            snake = re.sub(r"(?<!^)([A-Z]|6(?=C))", r"_\1", key).lower()
            assert f'name="{key}"' in source or f"def {snake}(self)" in source, f"{resource.type} has no {key}"


PLANTED = "Pl4ntedS3cret"


def planted(value: Any) -> Iterator[Any]:
    """Yield the value with a secret in the place, at the end or in the middle of each of its strings, one at a time."""
    if isinstance(value, str):
        yield from (PLANTED, value + PLANTED, value[: len(value) // 2] + PLANTED + value[len(value) // 2 :])
    elif isinstance(value, dict):
        yield from (value | {key: changed} for key, child in value.items() for changed in planted(child))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from ([*value[:index], changed, *value[index + 1 :]] for changed in planted(child))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_no_message_holds_a_property_s_value(case: Case) -> None:
    for stack in (case.good, case.bad, case.unknown):
        for number, resource in enumerate(stack):
            for properties in planted(resource.properties.value):
                changed = dataclasses.replace(resource, properties=View(properties))
                graph = Graph([*stack[:number], changed, *stack[number + 1 :]])
                judgement = judge(BY_ID[case.rule], graph.resources[0], Context({}, graph))
                assert PLANTED not in str(judgement)
