"""Rules as Pulumi policies: what the engine is told of failures, unknowns, broken rules and what was not judged."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy.proxy import UNKNOWN_BOOLEAN_VALUE, UNKNOWN_STRING_VALUE

from falaj.policies import RULES, Rule, Severity, never, rule
from falaj.policies.analyzer import SUMMARY, Analyzer
from falaj.policies.config import SETTINGS
from falaj.policies.model import Check, Resource
from falaj.policies.values import Fact

KEY = "aws:kms/key:Key"
BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
SSE = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hunter2"}
TAGS = {"owner": "team", "classification": "internal"}
SOUND_KEY = {"enableKeyRotation": True, "tags": TAGS}


class Asked:
    """The analyzer that the engine is given, asked as the engine asks."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self.servicer = Analyzer("test", rules)

    def configure(self, levels: Mapping[str, int] | None = None, **properties: Mapping[str, Any]) -> None:
        """Configure as the engine does: a level for every policy, and values where a person gave some."""
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for policy in self.servicer.GetAnalyzerInfo(Empty(), None).policies:
            request.policyConfig[policy.name].enforcementLevel = (levels or {}).get(
                policy.name, policy.enforcementLevel
            )
            request.policyConfig[policy.name].properties.update(properties.get(policy.name.replace("-", "_"), {}))
        self.servicer.Configure(request, Context())

    def request(self, type_: str, properties: Mapping[str, Any]) -> Any:
        request = analyzer_pb2.AnalyzeRequest(type=type_, urn=urn(type_, "it"), name="it")
        request.properties.update(properties)
        request.provider.type = "pulumi:providers:aws"
        request.provider.properties.update({"region": "me-central-1"})
        return request

    def resource(self, type_: str, properties: Mapping[str, Any]) -> Any:
        return self.servicer.Analyze(self.request(type_, properties), None)

    def stack(self, *resources: tuple[str, str, Mapping[str, Any]], links: Mapping[str, str] | None = None) -> Any:
        """Judge a stack; ``links`` says from which URN the property ``bucket`` of a named resource comes."""
        request = analyzer_pb2.AnalyzeStackRequest()
        for type_, name, properties in resources:
            added = request.resources.add(type=type_, urn=urn(type_, name), name=name)
            added.properties.update(properties)
            added.provider.type = "pulumi:providers:aws"
            if origin := (links or {}).get(name):
                added.propertyDependencies["bucket"].urns.append(origin)
        return self.servicer.AnalyzeStack(request, None)


class Context:
    """The part of a call's context that an answer of refusal needs."""

    def abort(self, code: Any, details: str) -> None:
        raise RuntimeError(details)


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:test::falaj::{type_}::{name}"


def told(response: Any, level: int) -> dict[str, list[str]]:
    """Return the messages of a level by policy."""
    found: dict[str, list[str]] = {}
    for diagnostic in response.diagnostics:
        if diagnostic.enforcementLevel == level:
            found.setdefault(diagnostic.policyName, []).append(diagnostic.message)
    return found


def mandatory(response: Any) -> dict[str, list[str]]:
    return told(response, analyzer_pb2.MANDATORY)


def advisory(response: Any) -> dict[str, list[str]]:
    return told(response, analyzer_pb2.ADVISORY)


def only(rule_id: str) -> Analyzer:
    return Asked([rule for rule in RULES if rule.id == rule_id])


def test_a_sound_resource_is_reported_by_nobody() -> None:
    assert not Asked().resource(KEY, SOUND_KEY).diagnostics


def test_a_failure_is_mandatory_and_says_what_to_do_and_which_control_asks() -> None:
    response = Asked().resource(KEY, {"tags": TAGS})
    (message,) = mandatory(response)["FJ-KMS-001"]
    assert message.splitlines() == [
        "Keys are rotated",
        "enableKeyRotation: yearly rotation is not on",
        "To do: Set enableKeyRotation to true.",
        "Serves: ISO/IEC 27001:2022 A.8.24",
    ]


def test_an_unknown_is_an_advisory_in_the_rule_s_name_and_no_pass() -> None:
    response = Asked().resource(KEY, {"tags": TAGS, "enableKeyRotation": UNKNOWN_BOOLEAN_VALUE})
    assert mandatory(response) == {}
    (message,) = advisory(response)["FJ-KMS-001"]
    assert "undetermined: enableKeyRotation is not known" in message
    assert "FJ-KMS-001" not in {each.policy_name for each in response.not_applicable}


def test_an_unknown_does_not_hide_a_failure_of_the_same_resource() -> None:
    group = {"ingress": [{"cidrBlocks": [UNKNOWN_STRING_VALUE]}, {"cidrBlocks": ["0.0.0.0/0"]}], "tags": TAGS}
    response = Asked().resource("aws:ec2/securityGroup:SecurityGroup", group)
    assert "ingress[1].cidrBlocks[0]" in mandatory(response)["FJ-NET-001"][0]
    assert "ingress[0].cidrBlocks[0]" in advisory(response)["FJ-NET-001"][0]


def test_an_unknown_does_not_hide_another_resource_s_failure_in_the_stack() -> None:
    stack = [
        (BUCKET, "first", {"bucket": "first"}),
        (BUCKET, "second", {"bucket": "second"}),
        (SSE, "encrypted", {"rules": UNKNOWN_STRING_VALUE}),
    ]
    response = only("FJ-S3-004").stack(*stack, links={"encrypted": urn(BUCKET, "first")})
    (failure,) = (each for each in response.diagnostics if each.enforcementLevel == analyzer_pb2.MANDATORY)
    assert failure.urn == urn(BUCKET, "second")
    (undecided,) = (each for each in response.diagnostics if "undetermined: rules" in each.message)
    assert undecided.urn == urn(BUCKET, "first")


def test_the_same_rule_decides_once_the_value_is_known() -> None:
    analyzer = Asked()
    assert mandatory(analyzer.resource(KEY, {"tags": TAGS, "enableKeyRotation": UNKNOWN_BOOLEAN_VALUE})) == {}
    assert "FJ-KMS-001" in mandatory(analyzer.resource(KEY, {"tags": TAGS, "enableKeyRotation": False}))


def test_companions_are_found_at_preview_when_no_name_is_known() -> None:
    block = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
    stack = [(BUCKET, "data", {}), (BLOCK, "block", {"bucket": UNKNOWN_STRING_VALUE} | block)]
    assert not only("FJ-S3-003").stack(*stack, links={"block": urn(BUCKET, "data")}).diagnostics
    response = only("FJ-S3-003").stack((BUCKET, "other", {}), *stack, links={"block": urn(BUCKET, "other")})
    assert [failure.urn for failure in response.diagnostics] == [urn(BUCKET, "data")]


def test_only_rules_of_its_type_run_on_a_resource() -> None:
    seen: list[str] = []

    @rule("FJ-TST-001", "Test", Severity.LOW, ("A.8.9",), (KEY,), "Nothing.")
    def recording(resource: Resource, _: Any) -> Iterator[Check]:
        seen.append(resource.type)
        yield never(Fact(False), "")

    analyzer = Asked([recording])
    assert not analyzer.resource(KEY, {}).not_applicable
    assert [each.policy_name for each in analyzer.resource(BUCKET, {}).not_applicable] == ["FJ-TST-001"]
    assert seen == [KEY]


@pytest.fixture
def broken() -> Rule:
    """A rule that finds a failure and then breaks, quoting the resource."""

    @rule("FJ-TST-002", "Broken", Severity.LOW, ("A.8.9",), (KEY,), "Nothing.")
    def breaking(resource: Resource, _: Any) -> Iterator[Check]:
        yield never(resource["multiRegion"].is_true(), "found before")
        raise RuntimeError(f"cannot read {resource['description'].value}")

    return breaking


def test_a_broken_rule_is_undetermined_and_the_others_still_run(broken: Rule) -> None:
    response = Asked([broken, *RULES]).resource(KEY, {"description": "hunter2", "tags": TAGS})
    assert "RuntimeError" in advisory(response)["FJ-TST-002"][0]
    assert "hunter2" not in str(response)
    assert "FJ-KMS-001" in mandatory(response)


def test_what_a_broken_rule_found_before_still_counts(broken: Rule) -> None:
    response = Asked([broken]).resource(KEY, {"multiRegion": True})
    assert "FJ-TST-002" in mandatory(response)
    assert "FJ-TST-002" in advisory(response)


def test_a_secret_is_judged_and_not_told() -> None:
    env = [{"name": "DB_PASSWORD", "value": SECRET}]
    body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app", "env": env}]}}}}
    response = Asked().resource("kubernetes:apps/v1:Deployment", body)
    assert "env[0].value" in mandatory(response)["FJ-POD-007"][0]
    assert "hunter2" not in str(response)


def test_the_configuration_sets_levels_and_values() -> None:
    analyzer = Asked()
    analyzer.configure(settings={"homeRegions": ["eu-west-1"]})
    assert "FJ-RES-001" in mandatory(analyzer.resource(KEY, SOUND_KEY))
    analyzer.configure(settings={"homeRegions": ["eu-west-1"]}, FJ_RES_001={"homeRegions": ["me-central-1"]})
    assert "FJ-RES-001" not in mandatory(analyzer.resource(KEY, SOUND_KEY))
    analyzer.configure({"FJ-RES-001": analyzer_pb2.ADVISORY}, settings={"homeRegions": ["eu-west-1"]})
    response = analyzer.resource(KEY, SOUND_KEY)
    assert "FJ-RES-001" not in mandatory(response)
    assert "FJ-RES-001" in advisory(response)
    analyzer.configure({"FJ-RES-001": analyzer_pb2.DISABLED}, settings={"homeRegions": ["eu-west-1"]})
    assert "FJ-RES-001" not in str(analyzer.resource(KEY, SOUND_KEY))


def test_only_the_rules_of_the_chosen_packs_run() -> None:
    analyzer = Asked()
    elsewhere = {"tags": TAGS, "region": "eu-west-1"}
    assert set(mandatory(analyzer.resource(KEY, elsewhere))) >= {"FJ-KMS-001", "FJ-RES-001"}
    analyzer.configure(settings={"packs": ["residency"]})
    assert set(mandatory(analyzer.resource(KEY, elsewhere))) == {"FJ-RES-001"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"packs": ["nothing"]}, "settings.packs must fit its schema"),
        ({"colour": "red"}, "settings.colour may be"),
        ({"homeRegions": "me-central-1"}, "settings.homeRegions must fit its schema"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(settings: Mapping[str, Any], expected: str) -> None:
    with pytest.raises(RuntimeError, match=expected):
        Asked().configure(settings=settings)


def test_a_waived_failure_is_told_and_stops_nothing(tmp_path: Path) -> None:
    waivers = tmp_path / "waivers.toml"
    rows = [
        ("FJ-KMS-001", "*::it", "2999-01-01"),
        ("FJ-KMS-001", "*::gone", "2999-01-01"),
        ("FJ-S3-001", "*", "2020-01-01"),
    ]
    waivers.write_text(
        "".join(
            f'[[waivers]]\nrule = "{rule}"\nresource = "urn:pulumi:{pattern}"\nreason = "ends soon"\nowner = "team"\n'
            f"expires = {day}\n"
            for rule, pattern, day in rows
        )
    )
    analyzer = Asked()
    analyzer.configure(settings={"waivers": str(waivers)})
    response = analyzer.resource(KEY, {"tags": TAGS})
    assert "FJ-KMS-001" not in mandatory(response)
    (message,) = advisory(response)["FJ-KMS-001"]
    assert message.splitlines()[0] == "waived until 2999-01-01 by team: ends soon"
    told_of = advisory(analyzer.stack())[SUMMARY]
    assert "Expired waiver: FJ-S3-001" in " ".join(told_of)
    assert "Waiver that no failure needs: FJ-KMS-001 on urn:pulumi:*::gone" in told_of


def test_a_remedy_is_applied_where_it_is_asked_for_and_leaves_secrets_alone() -> None:
    @rule("FJ-TST-003", "Mended", Severity.LOW, ("A.8.9",), (KEY,), "Nothing.", fix={"a.b": True, "c": "d"})
    def mended(resource: Resource, _: Any) -> Iterator[Check]:
        yield never(Fact(resource["a"]["b"].value is not True), "is not so")

    analyzer = Asked([mended])
    given = {"a": {"other": SECRET}, "id": UNKNOWN_STRING_VALUE}
    assert not analyzer.servicer.Remediate(analyzer.request(KEY, given), None).remediations
    analyzer.configure({"FJ-TST-003": analyzer_pb2.REMEDIATE})
    (remediation,) = analyzer.servicer.Remediate(analyzer.request(KEY, given), None).remediations
    assert json_format.MessageToDict(remediation.properties) == {
        "a": {"other": SECRET, "b": True},
        "id": UNKNOWN_STRING_VALUE,
        "c": "d",
    }
    sound = analyzer.request(KEY, {"a": {"b": True}})
    assert not analyzer.servicer.Remediate(sound, None).remediations
    assert "FJ-TST-003" in mandatory(analyzer.resource(KEY, given))


def test_undetermined_verdicts_are_counted_until_they_are_decided() -> None:
    analyzer = Asked()
    analyzer.resource(KEY, SOUND_KEY | {"enableKeyRotation": UNKNOWN_BOOLEAN_VALUE})
    (message,) = advisory(analyzer.stack())[SUMMARY]
    assert "undetermined until values are known, 1 in all: FJ-KMS-001 (1)" in message
    analyzer.resource(KEY, SOUND_KEY)
    assert not analyzer.stack().diagnostics


def test_types_that_no_rule_knows_are_named() -> None:
    response = Asked().stack(("aws:sagemaker/endpoint:Endpoint", "it", {}), (KEY, "key", SOUND_KEY))
    (message,) = advisory(response)[SUMMARY]
    assert "judged by no rule of their own, 1 in all: aws:sagemaker/endpoint:Endpoint" in message


def test_each_rule_is_a_policy_with_framework_severity_and_remedy() -> None:
    info = {policy.name: policy for policy in Asked().servicer.GetAnalyzerInfo(Empty(), None).policies}
    for rule_ in RULES:
        policy = info[rule_.id]
        assert policy.framework.name
        assert policy.framework.reference == rule_.controls[0]
        assert policy.severity
        assert len(policy.tags) == len(rule_.controls)
        assert policy.remediation_steps == rule_.remediation
        assert policy.enforcementLevel == analyzer_pb2.MANDATORY
    assert set(info) == {rule.id for rule in RULES} | {SUMMARY, SETTINGS}
    assert set(info["FJ-RES-002"].configSchema.properties) >= {"homeRegions", "allowedAccounts"}
