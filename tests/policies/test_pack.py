"""Rules as Pulumi policies: what the engine is told of failures, unknowns, broken rules and what was not judged."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi_policy
import pytest
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy.policy import _PolicyAnalyzerServicer  # pyright: ignore[reportPrivateUsage] - the engine's own way in
from pulumi_policy.proxy import UNKNOWN_BOOLEAN_VALUE, UNKNOWN_STRING_VALUE, unknown_checking_proxy

from falaj.policies import RULES, Rule, Severity, never, policies, rule
from falaj.policies.model import Check, Context, Resource
from falaj.policies.pack import SUMMARY, resource_of
from falaj.policies.values import UNKNOWN, Fact

KEY = "aws:kms/key:Key"
BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hunter2"}
TAGS = {"owner": "team", "classification": "internal"}
SOUND_KEY = {"enableKeyRotation": True, "tags": TAGS}


class Analyzer:
    """The analyzer that pulumi_policy serves to the engine, asked directly."""

    def __init__(self, rules: Sequence[Rule] = RULES, **settings: Any) -> None:
        level = pulumi_policy.EnforcementLevel.MANDATORY
        self.servicer = _PolicyAnalyzerServicer("test", "0.0.1", policies(rules, settings), level)

    def configure(self, rule_id: str, level: int, **properties: Any) -> None:
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        request.policyConfig[rule_id].enforcementLevel = level  # type: ignore[assignment]
        request.policyConfig[rule_id].properties.update(properties)
        self.servicer.Configure(request, None)

    def resource(self, type_: str, properties: Mapping[str, Any], provider: Mapping[str, Any] | None = None) -> Any:
        request = analyzer_pb2.AnalyzeRequest(type=type_, urn=urn(type_, "it"), name="it")
        request.properties.update(properties)
        request.provider.type = "pulumi:providers:aws"
        request.provider.properties.update(provider or {"region": "me-central-1"})
        return self.servicer.Analyze(request, None)

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
    return Analyzer([rule for rule in RULES if rule.id == rule_id])


def test_a_sound_resource_is_reported_by_nobody() -> None:
    assert not Analyzer().resource(KEY, SOUND_KEY).diagnostics


def test_a_failure_is_mandatory_and_says_what_to_do_and_which_control_asks() -> None:
    response = Analyzer().resource(KEY, {"tags": TAGS})
    (message,) = mandatory(response)["FJ-KMS-001"]
    assert message.splitlines() == [
        "Keys are rotated",
        "enableKeyRotation: yearly rotation is not on",
        "To do: Set enableKeyRotation to true.",
        "Serves: ISO/IEC 27001:2022 A.8.24",
    ]


def test_an_unknown_is_an_advisory_in_the_rule_s_name_and_no_pass() -> None:
    response = Analyzer().resource(KEY, {"tags": TAGS, "enableKeyRotation": UNKNOWN_BOOLEAN_VALUE})
    assert mandatory(response) == {}
    (message,) = advisory(response)["FJ-KMS-001"]
    assert "undetermined: enableKeyRotation is not known" in message
    assert "FJ-KMS-001" not in {each.policy_name for each in response.not_applicable}


def test_an_unknown_does_not_hide_a_failure_of_the_same_resource() -> None:
    group = {"ingress": [{"cidrBlocks": [UNKNOWN_STRING_VALUE]}, {"cidrBlocks": ["0.0.0.0/0"]}], "tags": TAGS}
    response = Analyzer().resource("aws:ec2/securityGroup:SecurityGroup", group)
    assert "ingress[1].cidrBlocks[0]" in mandatory(response)["FJ-NET-001"][0]
    assert "ingress[0].cidrBlocks[0]" in advisory(response)["FJ-NET-001"][0]


def test_an_unknown_does_not_hide_another_resource_s_failure_in_the_stack() -> None:
    stack = [
        (BUCKET, "first", {"bucket": "first"}),
        (BUCKET, "second", {"bucket": "second"}),
        ("aws:s3/bucketOwnershipControls:BucketOwnershipControls", "owned", {"rule": UNKNOWN_STRING_VALUE}),
    ]
    response = only("FJ-S3-006").stack(*stack, links={"owned": urn(BUCKET, "first")})
    (failure,) = (each for each in response.diagnostics if each.enforcementLevel == analyzer_pb2.MANDATORY)
    assert failure.urn == urn(BUCKET, "second")
    assert "first: rule.objectOwnership" in advisory(response)["FJ-S3-006"][0]


def test_the_same_rule_decides_once_the_value_is_known() -> None:
    analyzer = Analyzer()
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
    def recording(resource: Resource, _: Context) -> Iterator[Check]:
        seen.append(resource.type)
        yield never(Fact(False), "")

    analyzer = Analyzer([recording])
    assert not analyzer.resource(KEY, {}).not_applicable
    assert [each.policy_name for each in analyzer.resource(BUCKET, {}).not_applicable] == ["FJ-TST-001"]
    assert seen == [KEY]


@pytest.fixture
def broken() -> Rule:
    """A rule that finds a failure and then breaks, quoting the resource."""

    @rule("FJ-TST-002", "Broken", Severity.LOW, ("A.8.9",), (KEY,), "Nothing.")
    def breaking(resource: Resource, _: Context) -> Iterator[Check]:
        yield never(resource["multiRegion"].is_true(), "found before")
        raise RuntimeError(f"cannot read {resource['description'].value}")

    return breaking


def test_a_broken_rule_is_undetermined_and_the_others_still_run(broken: Rule) -> None:
    response = Analyzer([broken, *RULES]).resource(KEY, {"description": "hunter2", "tags": TAGS})
    assert "RuntimeError" in advisory(response)["FJ-TST-002"][0]
    assert "hunter2" not in str(response)
    assert "FJ-KMS-001" in mandatory(response)


def test_what_a_broken_rule_found_before_still_counts(broken: Rule) -> None:
    response = Analyzer([broken]).resource(KEY, {"multiRegion": True})
    assert "FJ-TST-002" in mandatory(response)
    assert "FJ-TST-002" in advisory(response)


def test_a_secret_is_judged_and_not_told() -> None:
    env = [{"name": "DB_PASSWORD", "value": SECRET}]
    body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app", "env": env}]}}}}
    response = Analyzer().resource("kubernetes:apps/v1:Deployment", body)
    assert "env[0].value" in mandatory(response)["FJ-POD-007"][0]
    assert "hunter2" not in str(response)


def test_the_pack_s_configuration_sets_levels_and_values() -> None:
    analyzer = Analyzer(homeRegions=["eu-west-1"])
    assert "FJ-RES-001" in mandatory(analyzer.resource(KEY, SOUND_KEY))
    analyzer.configure("FJ-RES-001", analyzer_pb2.MANDATORY, homeRegions=["me-central-1"])
    assert not analyzer.resource(KEY, SOUND_KEY).diagnostics
    analyzer.configure("FJ-RES-001", analyzer_pb2.ADVISORY, homeRegions=["eu-west-1"])
    response = analyzer.resource(KEY, SOUND_KEY)
    assert mandatory(response) == {}
    assert "FJ-RES-001" in advisory(response)


def test_undetermined_verdicts_are_counted_until_they_are_decided() -> None:
    analyzer = Analyzer()
    analyzer.resource(KEY, SOUND_KEY | {"enableKeyRotation": UNKNOWN_BOOLEAN_VALUE})
    (message,) = advisory(analyzer.stack())[SUMMARY]
    assert "undetermined until values are known, 1 in all: FJ-KMS-001 (1)" in message
    analyzer.resource(KEY, SOUND_KEY)
    assert not analyzer.stack().diagnostics


def test_types_that_no_rule_knows_are_named() -> None:
    response = Analyzer().stack(("aws:sagemaker/endpoint:Endpoint", "it", {}), (KEY, "key", SOUND_KEY))
    (message,) = advisory(response)[SUMMARY]
    assert "judged by no rule of their own, 1 in all: aws:sagemaker/endpoint:Endpoint" in message


def test_each_rule_is_a_policy_with_framework_severity_and_remedy() -> None:
    info = {policy.name: policy for policy in Analyzer().servicer.GetAnalyzerInfo(None, None).policies}
    for rule_ in RULES:
        policy = info[rule_.id]
        assert policy.framework.name
        assert policy.framework.reference == rule_.controls[0]
        assert policy.severity
        assert len(policy.tags) == len(rule_.controls)
        assert policy.remediation_steps == rule_.remediation
        assert policy.enforcementLevel == analyzer_pb2.MANDATORY
    assert set(info) == {rule.id for rule in RULES} | {SUMMARY}
    assert set(info["FJ-RES-002"].configSchema.properties) == {"homeRegions", "allowedAccounts"}


def test_the_engine_s_arguments_become_plain_values() -> None:
    provider = pulumi_policy.PolicyProviderResource(
        "pulumi:providers:aws",
        unknown_checking_proxy({"region": "me-central-1", "allowedAccountIds": json.dumps(["123456789012"])}),
        "urn",
        "aws",
    )
    options = pulumi_policy.PolicyResourceOptions(False, [], None, [], pulumi_policy.PolicyCustomTimeouts(0, 0, 0), [])
    args = pulumi_policy.ResourceValidationArgs(
        KEY, unknown_checking_proxy({"policy": UNKNOWN_STRING_VALUE}), urn(KEY, "it"), "it", options, provider
    )
    resource = resource_of(args)
    assert resource.properties.value == {"policy": UNKNOWN}
    assert resource.provider.value == {"region": "me-central-1", "allowedAccountIds": ["123456789012"]}
