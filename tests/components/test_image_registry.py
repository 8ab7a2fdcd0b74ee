"""ImageRegistry: its repositories and mirrors, its policies, its refusals, and where a mirrored image is."""

import json

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import ConfigError, ImageRegistry, ImageScanning, Upstream, mirrored
from falaj.components.documents import service_trust
from falaj.components.image_policies import (
    creation_permissions,
    lifecycle_policy,
    registry_policy,
    repository_policy,
)

SECRET = "arn:aws:secretsmanager:me-central-1:123456789012:secret:ecr-pullthroughcache/github-AbCdEf"
ARGS = {"repositories": ["nvidia/tritonserver"], "key": KEY, "regime": REGIME, "ownership": OWNERSHIP}
MIRRORS = [{"upstream": Upstream.QUAY}, {"upstream": Upstream.GITHUB, "credential_arn": SECRET}]
IN_ORGANIZATION = {**REGIME, "organization_id": "o-a1b2c3d4e5"}
HOST = "123456789012.dkr.ecr.me-central-1.amazonaws.com"


def statements(policy):
    return {each["Sid"]: each for each in policy["Statement"]}


def test_a_repository_is_fixed_scanned_encrypted_and_forgets(run, engine, providers):
    urls = run(lambda: ImageRegistry("images", ARGS, providers()).repository_urls)
    repository = engine.one("Repository")
    assert repository["name"] == "nvidia/tritonserver"
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": KEY["arn"]}]
    assert "forceDelete" not in repository
    assert json.loads(engine.one("RepositoryPolicy")["policy"]) == repository_policy(REGIME, shared=False)
    assert json.loads(engine.one("LifecyclePolicy")["policy"]) == lifecycle_policy(100, 14)
    assert list(urls) == ["nvidia/tritonserver"]


def test_nothing_is_mirrored_or_replicated_unless_asked(run, engine, providers):
    run(lambda: ImageRegistry("images", ARGS, providers()).registry)
    kinds = {args.typ.rpartition(":")[2] for args in engine.made}
    assert not kinds & {"PullThroughCacheRule", "RepositoryCreationTemplate", "ReplicationConfiguration", "Role"}


def test_a_mirror_is_a_rule_and_the_template_of_what_it_makes(run, engine, providers):
    def program():
        images = ImageRegistry("images", {**ARGS, "mirrors": MIRRORS}, providers())
        return [images.registry, images.prefixes, images.image("quay.io/a/b:1"), images.ref]

    host, prefixes, image, ref = run(program)
    assert (host, image) == (HOST, f"{HOST}/quay/a/b:1")
    assert prefixes == {"quay.io": "quay", "ghcr.io": "github"}
    assert ref == {"registry": HOST, "prefixes": prefixes}
    github, quay = engine.all("PullThroughCacheRule")
    assert github == {"ecrRepositoryPrefix": "github", "upstreamRegistryUrl": "ghcr.io", "credentialArn": SECRET}
    assert quay == {"ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io"}
    _, template = engine.all("RepositoryCreationTemplate")
    assert template["prefix"] == "quay"
    assert template["appliedFors"] == ["PULL_THROUGH_CACHE"]
    assert template["imageTagMutability"] == "IMMUTABLE"
    assert template["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": KEY["arn"]}]
    assert template["customRoleArn"].endswith(":images-creator")
    assert template["resourceTags"]["owner"] == "ml-platform"
    assert json.loads(template["repositoryPolicy"]) == repository_policy(REGIME, shared=False)
    assert json.loads(engine.one("RolePolicy")["policy"]) == creation_permissions(
        REGIME, ["quay", "github"], KEY["arn"]
    )
    assert json.loads(engine.one("Role")["assumeRolePolicy"]) == service_trust("ecr.amazonaws.com")


def test_only_named_tags_of_a_mirror_may_move(run, engine, providers):
    given = {**ARGS, "mirrors": MIRRORS[:1], "moving_tags": ["nightly-*"]}
    run(lambda: ImageRegistry("images", given, providers()).registry)
    template = engine.one("RepositoryCreationTemplate")
    assert template["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert template["imageTagMutabilityExclusionFilters"] == [{"filter": "nightly-*", "filterType": "WILDCARD"}]
    assert engine.one("Repository")["imageTagMutability"] == "IMMUTABLE"


@pytest.mark.parametrize(
    ("scanning", "made"),
    [(ImageScanning.ON_PUSH, ("BASIC", "SCAN_ON_PUSH")), (ImageScanning.CONTINUOUS, ("ENHANCED", "CONTINUOUS_SCAN"))],
)
def test_every_repository_is_scanned(run, engine, providers, scanning, made):
    run(lambda: ImageRegistry("images", {**ARGS, "scanning": scanning}, providers()).registry)
    found = engine.one("RegistryScanningConfiguration")
    (rule,) = found["rules"]
    assert (found["scanType"], rule["scanFrequency"]) == made
    assert rule["repositoryFilters"] == [{"filter": "*", "filterType": "WILDCARD"}]


def test_a_repository_is_closed_to_other_accounts():
    (denial,) = repository_policy(IN_ORGANIZATION, shared=False)["Statement"]
    assert (denial["Effect"], denial["Action"]) == ("Deny", "ecr:*")
    assert denial["Condition"] == {
        "StringNotEquals": {"aws:PrincipalAccount": "123456789012"},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }


def test_a_shared_repository_lets_the_organization_pull_and_no_more():
    found = statements(repository_policy(IN_ORGANIZATION, shared=True))
    organization = {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}
    pull = found["PullInsideOrganization"]
    assert pull["Condition"] == {"StringEquals": organization}
    assert not [action for action in pull["Action"] if "Put" in action or "Upload" in action or "*" in action]
    assert found["DenyOutside"]["Condition"]["StringNotEquals"] == organization
    others = found["DenyAllButPullToOtherAccounts"]
    assert others["NotAction"] == pull["Action"]
    assert others["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": "123456789012"}


def test_the_registry_takes_no_images_from_elsewhere():
    found = statements(registry_policy(REGIME, ["quay"], []))
    assert found["DenyReplication"]["Action"] == "ecr:ReplicateImage"
    assert "Condition" not in found["DenyReplication"]
    assert found["DenyCreationOutsideAccount"]["Condition"]["StringNotEquals"] == {
        "aws:PrincipalAccount": "123456789012"
    }
    assert "ImportIntoMirrors" not in found


def test_importers_fill_the_mirrors_only(run, engine, providers):
    roles = ["arn:aws:iam::123456789012:role/nodes"]
    run(lambda: ImageRegistry("images", {**ARGS, "mirrors": MIRRORS[:1], "importers": roles}, providers()).registry)
    allowed = statements(json.loads(engine.one("RegistryPolicy")["policy"]))["ImportIntoMirrors"]
    assert allowed["Principal"] == {"AWS": roles}
    assert allowed["Resource"] == ["arn:aws:ecr:me-central-1:123456789012:repository/quay/*"]
    assert sorted(allowed["Action"]) == ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("quay.io/prometheus/prometheus:v3", "r/quay/prometheus/prometheus:v3"),
        ("quay.io/a@sha256:" + 64 * "0", "r/quay/a@sha256:" + 64 * "0"),
        ("busybox", "r/hub/library/busybox"),
        ("busybox:1.37", "r/hub/library/busybox:1.37"),
        ("grafana/grafana:12", "r/hub/grafana/grafana:12"),
        ("docker.io/grafana/grafana:12", "r/hub/grafana/grafana:12"),
        ("docker.io/busybox", "r/hub/library/busybox"),
    ],
)
def test_an_image_is_found_in_its_mirror(image, found):
    assert mirrored("r", {"quay.io": "quay", "docker.io": "hub"}, image) == found


def test_an_image_of_no_mirror_is_refused():
    with pytest.raises(ConfigError) as refused:
        mirrored("r", {"quay.io": "quay"}, "nvcr.io/nvidia/tritonserver:25.01")
    assert str(refused.value) == (
        "image must be of a mirrored registry (quay.io), or copied to an own repository"
        " (got 'nvcr.io/nvidia/tritonserver:25.01')"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"repositories": ["NVIDIA"]},
            "images.repositories must be 2 to 256 lower-case letters, digits and single separators,"
            " such as nvidia/tritonserver (got 'NVIDIA')",
        ),
        ({"repositories": ["aa", "aa"]}, "images.repositories must be different names (got ['aa', 'aa'])"),
        ({"keep_tagged": 0}, "images.keep_tagged must be a whole number from 1 to 10000 images (got 0)"),
        ({"untagged_days": 0}, "images.untagged_days must be a whole number from 1 to 365 days (got 0)"),
        (
            {"moving_tags": ["*"]},
            "images.moving_tags must be tags such as latest or nightly-*, with at most two * (got '*')",
        ),
        (
            {"moving_tags": ["a", "b", "c", "d", "e", "f"]},
            "images.moving_tags must be at most 5 (got ['a', 'b', 'c', 'd', 'e', 'f'])",
        ),
        (
            {"shared_with_organization": True},
            "images.shared_with_organization must be left out unless the regime has an organization_id (got True)",
        ),
        (
            {"mirrors": [{"upstream": "nvcr.io"}]},
            "images.mirrors[0].upstream must be one of ecr-public, k8s, quay, docker-hub, github, gitlab, azure,"
            " chainguard (got 'nvcr.io')",
        ),
        (
            {"mirrors": [{"upstream": Upstream.DOCKER_HUB}]},
            "images.mirrors[0].credential_arn must be the ARN of a secret, since docker-hub asks for credentials"
            " (got None)",
        ),
        (
            {"mirrors": [{"upstream": Upstream.QUAY, "credential_arn": SECRET}]},
            f"images.mirrors[0].credential_arn must be left out for quay, which takes no credentials (got '{SECRET}')",
        ),
        (
            {"mirrors": [{**MIRRORS[1], "credential_arn": SECRET.replace("me-central-1", "eu-west-1")}]},
            "images.mirrors[0].credential_arn must be the ARN of a secret of the account and home region:"
            " arn:aws:secretsmanager:me-central-1:123456789012:secret:ecr-pullthroughcache/..."
            f" (got '{SECRET.replace('me-central-1', 'eu-west-1')}')",
        ),
        (
            {"mirrors": [{"upstream": Upstream.AZURE, "credential_arn": SECRET, "host": "azurecr.io"}]},
            "images.mirrors[0].host must be the host of an Azure registry, such as team.azurecr.io (got 'azurecr.io')",
        ),
        (
            {"mirrors": [{"upstream": Upstream.QUAY, "host": "quay.example"}]},
            "images.mirrors[0].host must be left out for quay, whose host is quay.io (got 'quay.example')",
        ),
        (
            {"mirrors": [{"upstream": Upstream.QUAY, "prefix": "nvidia"}]},
            "images.mirrors[0].prefix must be a prefix that no other mirror and no repository has (got 'nvidia')",
        ),
        (
            {"mirrors": [{"upstream": Upstream.QUAY}, {"upstream": Upstream.QUAY, "prefix": "other"}]},
            f"images.mirrors[1].upstream must be mirrored once (got {Upstream.QUAY!r})",
        ),
        (
            {"mirrors": [{"upstream": Upstream.QUAY, "prefix": "Q"}]},
            "images.mirrors[0].prefix must be 2 to 30 lower-case letters, digits and single separators (got 'Q')",
        ),
        (
            {"key": {**KEY, "classification": "internal"}},
            "images.key must be a key classified restricted or higher, as the data is (got 'internal')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, engine, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: ImageRegistry("images", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
    assert not [args for args in engine.made if not args.typ.startswith("pulumi:providers:")]
