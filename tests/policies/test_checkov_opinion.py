"""checkov's findings come back on our resources: whole, mapped, never a pass where a value was not known."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from policies.making import (
    BLOCK,
    BLOCKED,
    BUCKET,
    DEPLOYMENT,
    INSTANCE,
    KEY,
    NETWORK_POLICY,
    SSE,
    container,
    make,
    of_bucket,
    pod,
    urn,
)
from policies.outside.compare import MARKS, PAGE, compare, judged, page, states

from falaj.policies import RULES, Resource, Verdict
from falaj.policies.checkov import Checkov, Opinion, ask
from falaj.policies.checkov.environment import ensure, version
from falaj.policies.checkov.findings import findings
from falaj.policies.checkov.handover import hand_over
from falaj.policies.checkov.naming import BY_CONVENTION, FILE
from falaj.policies.checkov.table import table
from falaj.policies.engine import Stack
from falaj.policies.errors import PolicyError
from falaj.policies.values import UNKNOWN

SECRET = "hunter2-planted-secret"


@pytest.fixture(scope="module")
def checkov() -> Iterator[Checkov]:
    """The one warm process of this module; its environment is made where it is missing."""
    with Checkov(ensure(print)) as process:
        yield process


def opinion(checkov: Checkov, *resources: Resource) -> Opinion:
    return ask(checkov, Stack("test", resources, resources))


def verdicts(checkov: Checkov, *resources: Resource) -> dict[tuple[str, str], Verdict]:
    """Return the verdicts by check and resource's name."""
    return {(each.check, each.urn.rpartition("::")[2]): each.verdict for each in opinion(checkov, *resources).findings}


def test_it_is_the_locked_version(checkov: Checkov) -> None:
    assert checkov.version == version()


def test_findings_are_on_our_resources_with_controls_and_rules(checkov: Checkov) -> None:
    key = make(KEY, {"enableKeyRotation": False})
    (finding,) = (each for each in opinion(checkov, key).findings if each.check == "CKV_AWS_7")
    assert (finding.urn, finding.type, finding.verdict) == (key.urn, KEY, Verdict.FAIL)
    assert finding.rules == ("FJ-KMS-001",)
    assert "A.8.24" in finding.controls
    assert verdicts(checkov, make(KEY, {"enableKeyRotation": True}))["CKV_AWS_7", "it"] is Verdict.PASS


def test_an_unknown_value_that_a_check_reads_is_undetermined_and_another_is_not(checkov: Checkov) -> None:
    found = verdicts(checkov, make(KEY, {"policy": UNKNOWN, "enableKeyRotation": True}))
    assert found["CKV_AWS_33", "it"] is Verdict.UNDETERMINED  # reads the policy
    assert found["CKV2_AWS_64", "it"] is Verdict.UNDETERMINED  # a check over the graph that reads it as well
    assert found["CKV_AWS_7", "it"] is Verdict.PASS
    rotation = verdicts(checkov, make(KEY, {"enableKeyRotation": UNKNOWN}))
    assert rotation["CKV_AWS_7", "it"] is Verdict.UNDETERMINED
    group = {"ingress": [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrBlocks": UNKNOWN}], "vpcId": UNKNOWN}
    open_ = verdicts(checkov, make("aws:ec2/securityGroup:SecurityGroup", group))
    assert open_["CKV_AWS_24", "it"] is Verdict.UNDETERMINED


def test_a_resource_of_which_nothing_is_known_never_passes(checkov: Checkov) -> None:
    for type_, names in {
        BUCKET: ("acl", "versioning", "logging", "bucket"),
        INSTANCE: ("metadataOptions", "rootBlockDevice", "userData", "monitoring", "ebsOptimized"),
        DEPLOYMENT: ("spec",),
    }.items():
        found = opinion(checkov, make(type_, dict.fromkeys(names, UNKNOWN))).findings
        relevant = [each for each in found if each.verdict is Verdict.PASS]
        assert [each.check for each in relevant if each.check in _READ_THESE] == []


_READ_THESE = {"CKV_AWS_20", "CKV_AWS_57", "CKV_AWS_21", "CKV_AWS_79", "CKV_AWS_8", "CKV_AWS_46", "CKV_K8S_16"}


def test_pods_are_judged_and_their_unknowns_kept(checkov: Checkov) -> None:
    unsafe = container(securityContext={"privileged": True})
    assert verdicts(checkov, make(DEPLOYMENT, pod(unsafe)))["CKV_K8S_16", "it"] is Verdict.FAIL
    found = verdicts(checkov, make(DEPLOYMENT, pod(container(image=UNKNOWN))))
    assert found["CKV_K8S_43", "it"] is Verdict.UNDETERMINED
    assert found["CKV_K8S_16", "it"] is Verdict.PASS


def test_resources_are_joined_by_what_the_engine_knows_of_them(checkov: Checkov) -> None:
    bucket = make(BUCKET, {"bucket": "data"})
    encrypted = of_bucket(SSE, {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]})
    found = verdicts(checkov, bucket, encrypted, of_bucket(BLOCK, BLOCKED))
    assert found["CKV_AWS_145", "it"] is Verdict.PASS
    assert found["CKV2_AWS_6", "it"] is Verdict.PASS
    assert verdicts(checkov, bucket)["CKV2_AWS_6", "it"] is Verdict.FAIL
    unknown = of_bucket(BLOCK, BLOCKED | {"blockPublicAcls": UNKNOWN})
    assert verdicts(checkov, bucket, unknown)["CKV2_AWS_6", "it"] is Verdict.UNDETERMINED
    nobodys = make(BLOCK, {"bucket": UNKNOWN} | BLOCKED, name="block")
    assert verdicts(checkov, bucket, nobodys)["CKV2_AWS_6", "it"] is Verdict.UNDETERMINED


def test_a_policy_whose_selector_is_not_known_may_be_any_pods() -> None:
    policy = make(NETWORK_POLICY, {"spec": {"podSelector": UNKNOWN}}, name="policy")
    handover = hand_over([make(DEPLOYMENT, pod()), policy])
    row = {"check": "CKV2_K8S_6", "name": "", "types": ["Deployment", "NetworkPolicy"], "attributes": []}
    answer = {"manifests": {"resources": 2, "findings": [{**row, "at": "r0.json", "passed": False}]}}
    assert [each.verdict for each in findings(handover, answer)] == [Verdict.UNDETERMINED]
    known = hand_over([make(DEPLOYMENT, pod()), make(NETWORK_POLICY, {"spec": {"podSelector": {}}}, name="policy")])
    assert [each.verdict for each in findings(known, answer)] == [Verdict.FAIL]


def test_what_contradicts_residency_is_skipped_with_the_reason(checkov: Checkov) -> None:
    told = opinion(checkov, make(BUCKET, {"bucket": "data"}))
    assert "CKV_AWS_144" not in {each.check for each in told.findings}
    (skipped,) = told.contradictions
    assert (skipped.check, skipped.verdict) == ("CKV_AWS_144", Verdict.FAIL)
    assert "RES-4" in skipped.contradicts


def test_no_answer_holds_a_value(checkov: Checkov) -> None:
    env = container(env=[{"name": "PASSWORD", "value": SECRET}])
    stack = [make(INSTANCE, {"userData": f"export AWS_SECRET_ACCESS_KEY={SECRET}"}), make(DEPLOYMENT, pod(env))]
    secret = make("kubernetes:core/v1:Secret", {"stringData": {"a": SECRET}}, name="s")
    handover = hand_over([*stack, secret])
    assert SECRET in json.dumps(handover.request)
    assert SECRET not in json.dumps(checkov.ask(handover.request))


def test_findings_that_are_not_whole_are_refused(checkov: Checkov) -> None:
    handover = hand_over([make(KEY, {}), make(BUCKET, {}, name="b")])
    plan: dict[str, Any] = handover.request["plan"]
    del plan["planned_values"]["root_module"]["resources"][1]
    with pytest.raises(PolicyError, match="read 1 of 2 resources of the plan"):
        findings(handover, checkov.ask(handover.request))


def test_a_request_that_breaks_it_leaves_it_warm(checkov: Checkov) -> None:
    with pytest.raises(PolicyError, match="could not read the stack"):
        checkov.ask({"plan": {"planned_values": 1}})
    assert verdicts(checkov, make(KEY, {"enableKeyRotation": False}))["CKV_AWS_7", "it"] is Verdict.FAIL


def test_strange_values_do_not_stop_the_other_findings(checkov: Checkov) -> None:
    strange = make(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"name": 7}, "text", None]}}}})
    spec = make("kubernetes:core/v1:Pod", {"spec": "text", "metadata": {"name": "p", "labels": ["x"]}}, name="p")
    found = verdicts(checkov, strange, spec, make(KEY, {"enableKeyRotation": False}, name="key"))
    assert found["CKV_AWS_7", "key"] is Verdict.FAIL


def test_a_stack_with_nothing_for_it_has_no_findings(checkov: Checkov) -> None:
    told = opinion(checkov, make("vault:index/policy:Policy", {}))
    assert (told.findings, told.resources) == ((), 0)


def test_every_check_of_the_types_that_are_handed_over_has_been_reviewed(checkov: Checkov) -> None:
    listed = checkov.ask({"checks": True})["checks"]
    mapped = table()
    assert set(mapped) <= set(listed)
    assert {rule for each in mapped.values() for rule in each.rules} <= {rule.id for rule in RULES}
    names = FILE.read_text(encoding="utf-8") + BY_CONVENTION.read_text(encoding="utf-8")
    handed = {
        check
        for check, types in listed.items()
        if check.startswith(("CKV_K8S_", "CKV2_K8S_")) or any(f'"{type_}"' in names for type_ in types)
    }
    assert sorted(handed - set(mapped)) == []
    empty = [check for check, said in mapped.items() if not (said.controls or said.contradicts or said.aside)]
    assert empty == []


def test_outside_stacks_are_read_whole_and_every_difference_was_looked_at(checkov: Checkov) -> None:
    compared = [compare(name, stack, ask(checkov, stack)) for name, stack in states().items()]
    assert len(compared) >= 3
    assert all(each.agreed >= 5 for each in compared)
    open_ = [(each.name, id_) for each in compared for _, id_, _ in each.differences if judged(each.name, id_)[1] == ""]
    assert open_ == []
    text = PAGE.read_text(encoding="utf-8")
    assert page(compared) == MARKS[0] + text.partition(MARKS[0])[2].partition(MARKS[1])[0] + MARKS[1]


def test_a_process_that_is_silent_or_ends_is_one_line(tmp_path: Path) -> None:
    silent = tmp_path / "bin" / "python"
    silent.parent.mkdir()
    silent.write_text('#!/bin/sh\necho \'{"version": "1"}\'\nsleep 60 & wait\n')
    silent.chmod(0o755)
    process = Checkov(silent, patience=10)
    began = time.monotonic()
    with pytest.raises(PolicyError, match="no answer within"):
        process.ask({"plan": {}})
    assert time.monotonic() - began < 30
    silent.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(PolicyError, match="or ended"):
        Checkov(silent)


def test_urns_lead_back_to_resources_of_the_same_name(checkov: Checkov) -> None:
    twins = [make(KEY, {"enableKeyRotation": False}, name=name) for name in ("a", "b")]
    failed = {each.urn for each in opinion(checkov, *twins).of(Verdict.FAIL) if each.check == "CKV_AWS_7"}
    assert failed == {urn(KEY, "a"), urn(KEY, "b")}
