"""A stack goes to checkov as Terraform and Kubernetes have it, and what is not known is left out and noted."""

import json
from typing import Any

from policies.making import (
    BUCKET,
    CLUSTER,
    DEPLOYMENT,
    INSTANCE,
    KEY,
    NAMESPACE,
    SSE,
    make,
    namespace,
    of_bucket,
    pod,
    urn,
)

from falaj.policies.checkov.handover import hand_over, manifest
from falaj.policies.checkov.naming import snake, terraform_name, translate
from falaj.policies.values import UNKNOWN


def values(type_: str, properties: dict[str, Any]) -> dict[str, Any]:
    found = translate(type_, properties)
    assert found is not None
    return found.values


def test_names_are_the_providers_own_and_not_a_rule_of_thumb() -> None:
    # Camel to snake alone would make "rules" of it, which checkov does not read.
    encrypted = {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]}
    assert values(SSE, encrypted) == {
        "rule": [{"apply_server_side_encryption_by_default": [{"sse_algorithm": "aws:kms"}]}]
    }
    assert snake("cidrIpv4") == "cidr_ipv4"
    assert terraform_name(SSE, "rules") == "rule"


def test_single_blocks_become_lists_and_maps_keep_their_keys() -> None:
    assert values(CLUSTER, {"vpcConfig": {"endpointPublicAccess": True}}) == {
        "vpc_config": [{"endpoint_public_access": True}]
    }
    assert values(BUCKET, {"tags": {"costCentre": "1"}}) == {"tags": {"costCentre": "1"}}
    variables = {"environment": {"variables": {"someKey": "1"}}}
    assert values("aws:lambda/function:Function", variables) == {"environment": [{"variables": {"someKey": "1"}}]}


def test_types_of_other_services_follow_the_providers_conventions() -> None:
    distribution = {"origins": [{"originId": "a"}], "viewerCertificate": {"minimumProtocolVersion": "TLSv1"}}
    assert values("aws:cloudfront/distribution:Distribution", distribution) == {
        "origin": [{"origin_id": "a"}],
        "viewer_certificate": [{"minimum_protocol_version": "TLSv1"}],
    }


def test_unknown_values_are_left_out_and_their_places_kept() -> None:
    handover = hand_over([make(KEY, {"policy": UNKNOWN, "tags": {"owner": UNKNOWN}, "enableKeyRotation": True})])
    (handed,) = handover.plan.values()
    assert handed.unknown == (("policy",), ("tags", "owner"))
    (resource,) = handover.request["plan"]["planned_values"]["root_module"]["resources"]
    assert resource["values"] == {"tags": {}, "enable_key_rotation": True}


def test_a_plan_names_its_version_and_the_resources_that_properties_come_from() -> None:
    handover = hand_over([make(BUCKET, {"bucket": "data"}), of_bucket(SSE, {"rules": []})])
    plan = handover.request["plan"]
    assert plan["terraform_version"]  # without it checkov takes it for no plan at all
    bucket, encryption = plan["configuration"]["root_module"]["resources"]
    assert bucket["expressions"] == {}
    assert encryption["expressions"]["bucket"]["references"] == [f"{bucket['address']}.id", f"{bucket['address']}.arn"]
    assert [handed.resource.urn for handed in handover.plan.values()] == [urn(BUCKET), urn(SSE, "companion")]


def test_kubernetes_resources_become_manifests_and_charts_do_not() -> None:
    made = manifest(make(DEPLOYMENT, pod() | {"status": {"replicas": 1}}))
    assert made is not None
    assert (made["apiVersion"], made["kind"], made["metadata"]["name"]) == ("apps/v1", "Deployment", "app")
    assert "status" not in made
    core = manifest(make(NAMESPACE, {}))
    assert core is not None
    assert (core["apiVersion"], core["metadata"]["name"]) == ("v1", "it")
    assert manifest(make("kubernetes:helm.sh/v3:Release", {"chart": "x"})) is None
    assert manifest(make("kubernetes:yaml/v2:ConfigGroup", {})) is None


def test_a_manifest_cannot_silence_the_second_opinion() -> None:
    silenced = namespace(owner="x")
    silenced["metadata"]["annotations"] = {"checkov.io/skip1": "CKV_K8S_21=no", "note": "kept"}
    made = manifest(make(NAMESPACE, silenced))
    assert made is not None
    assert made["metadata"]["annotations"] == {"note": "kept"}


def test_what_cannot_be_handed_over_is_counted() -> None:
    strange = make("aws:quantum/ledger:Ledger", {})
    others = [make("vault:index/policy:Policy", {}), make("falaj:index:Tenant", {}), make(INSTANCE, {})]
    handover = hand_over([strange, *others])
    assert handover.left_out == {"aws:quantum/ledger:Ledger": 1}
    assert len(handover.plan) == 1


def test_the_request_is_plain_json_however_much_is_unknown() -> None:
    everything = [make(BUCKET, {"bucket": UNKNOWN, "corsRules": [UNKNOWN]}), make(DEPLOYMENT, pod(containers=UNKNOWN))]
    json.dumps(hand_over(everything).request)
    json.dumps(hand_over([make(BUCKET, {"tags": UNKNOWN, "versioning": UNKNOWN})]).request)
