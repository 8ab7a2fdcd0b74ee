"""ImageRegistry on HashiCorp's provider: what ECR holds, changes, drift and the end."""

import json

import pytest
from examples import Example

from falaj.components.image_policies import lifecycle_policy, registry_policy, repository_policy

pytestmark = pytest.mark.lab
REGIME = {"home_region": "me-central-1", "account_id": "123456789012"}
OWN, OTHER = "nvidia/tritonserver", "vision/detector"


def test_a_registry_lives_as_it_was_asked_for(bridged):
    example = Example(bridged, "image-registry")
    example.up()
    assert example.changes() == {}
    ecr = example.aws("ecr")
    key = example.resources()["images-key"]["outputs"]["arn"]
    look_at_repositories(ecr, key, example.outputs()["repositories"][OWN])
    look_at_mirrors(ecr, key)
    look_at_the_registry(ecr)

    more = {"scanning": "continuous", "quayPrefix": "mirror-of-quay", "movingTag": "edge-*"}
    changed = example.changes(**more)
    assert changed["images-scanning"][0] == "update"
    assert changed["images-k8s-template"] == ("update", {"imageTagMutabilityExclusionFilters[0].filter"})
    # Another prefix is another mirror: its images are elsewhere.
    assert changed["images-mirror-of-quay-rule"][0] == "create"
    assert changed["images-quay-rule"][0] == "delete"
    example.up(**more)
    assert example.changes(**more) == {}
    look_at_repositories(ecr, key, example.outputs()["repositories"][OWN])
    look_at_mirrors(ecr, key, quay="mirror-of-quay", moving="edge-*")
    look_at_the_registry(ecr, quay="mirror-of-quay", scanning="ENHANCED")

    ecr.put_image_tag_mutability(repositoryName=OWN, imageTagMutability="MUTABLE")
    ecr.delete_registry_policy()
    # Somebody deletes a repository and makes it anew without our key.
    ecr.delete_repository(repositoryName=OTHER)
    ecr.create_repository(repositoryName=OTHER, imageTagMutability="IMMUTABLE")
    drift = example.drift()
    assert drift["images-nvidia-tritonserver"] == ("update", {"imageTagMutability"})
    assert drift["images-registry-policy"][0] == "delete"
    assert example.changes()["images-vision-detector"][0] == "replace"
    example.up()
    look_at_repositories(ecr, key, example.outputs()["repositories"][OWN])
    look_at_mirrors(ecr, key)
    look_at_the_registry(ecr)

    example.destroy()
    assert ecr.describe_repositories()["repositories"] == []
    assert ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []
    assert ecr.describe_repository_creation_templates()["repositoryCreationTemplates"] == []
    with pytest.raises(ecr.exceptions.RegistryPolicyNotFoundException):
        ecr.get_registry_policy()


def look_at_repositories(ecr, key, url):
    found = {each["repositoryName"]: each for each in ecr.describe_repositories()["repositories"]}
    assert set(found) == {OWN, OTHER}
    assert found[OWN]["repositoryUri"] == url
    for name, repository in found.items():
        assert repository["imageTagMutability"] == "IMMUTABLE"
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": key}
        policy = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
        assert policy == repository_policy(REGIME, shared=False)
        lifecycle = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])
        assert lifecycle == lifecycle_policy(100, 14)


def look_at_mirrors(ecr, key, quay="quay", moving="nightly-*"):
    rules = ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]
    assert {rule["ecrRepositoryPrefix"]: rule["upstreamRegistryUrl"] for rule in rules} == {
        "k8s": "registry.k8s.io",
        quay: "quay.io",
        "ecr-public": "public.ecr.aws",
        "github": "ghcr.io",
    }
    (credential,) = [rule["credentialArn"] for rule in rules if "credentialArn" in rule]
    assert ":secret:ecr-pullthroughcache/github-" in credential
    templates = ecr.describe_repository_creation_templates()["repositoryCreationTemplates"]
    assert len(templates) == 4
    for template in templates:
        assert template["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
        assert template["imageTagMutabilityExclusionFilters"] == [{"filter": moving, "filterType": "WILDCARD"}]
        assert template["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": key}
        assert {"Key": "owner", "Value": "ml-platform"} in template["resourceTags"]
        assert json.loads(template["repositoryPolicy"]) == repository_policy(REGIME, shared=False)


def look_at_the_registry(ecr, quay="quay", scanning="BASIC"):
    policy = json.loads(ecr.get_registry_policy()["policyText"])
    assert policy == registry_policy(REGIME, ["k8s", quay, "ecr-public", "github"], [])
    assert ecr.get_registry_scanning_configuration()["scanningConfiguration"]["scanType"] == scanning
    assert ecr.get_account_setting(name="REGISTRY_POLICY_SCOPE")["value"] == "V2"
    assert ecr.describe_registry()["replicationConfiguration"] == {"rules": []}
