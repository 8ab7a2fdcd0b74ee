"""Gaps of ECR."""

import json

from asking import Aws, name, refused

KEY = "arn:aws:kms:me-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"


def an_open_registry_is_mirrored(aws: Aws) -> bool:
    ecr, prefix = aws.client("ecr"), name()
    made = ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl="quay.io")
    found = ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=[prefix])["pullThroughCacheRules"][0]
    again = refused(
        lambda: ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl="quay.io"),
        "PullThroughCacheRuleAlreadyExistsException",
        prefix,
    )
    ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix=prefix)
    return (
        made["registryId"] == "123456789012"
        and (found["upstreamRegistry"], found["upstreamRegistryUrl"]) == ("quay", "quay.io")
        and again
        and refused(
            lambda: ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=[prefix]),
            "PullThroughCacheRuleNotFoundException",
            prefix,
        )
    )


def a_registry_that_ecr_does_not_know_is_refused(aws: Aws) -> bool:
    return refused(
        lambda: aws.client("ecr").create_pull_through_cache_rule(
            ecrRepositoryPrefix=name(), upstreamRegistryUrl="nvcr.io"
        ),
        "UnsupportedUpstreamRegistryException",
        "nvcr.io",
    )


def a_closed_registry_is_mirrored_with_a_secret_that_is_there(aws: Aws) -> bool:
    ecr, prefix = aws.client("ecr"), name()
    mirror = {"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": "ghcr.io"}
    secrets = aws.client("secretsmanager")
    secret, other, misnamed = (
        secrets.create_secret(Name=f"{folder}{name()}", SecretString="{}")["ARN"]
        for folder in ("ecr-pullthroughcache/", "ecr-pullthroughcache/", "")
    )
    missing = secret.replace(":secret:ecr-pullthroughcache/n", ":secret:ecr-pullthroughcache/missing-")
    code = "InvalidParameterException"
    if not (
        refused(lambda: ecr.create_pull_through_cache_rule(**mirror), code, "needs credentials")
        and refused(lambda: ecr.create_pull_through_cache_rule(**mirror, credentialArn=misnamed), code, "must start")
        and refused(
            lambda: ecr.create_pull_through_cache_rule(**mirror, credentialArn=missing), "SecretNotFoundException", ""
        )
    ):
        return False
    ecr.create_pull_through_cache_rule(**mirror, credentialArn=secret)
    ecr.update_pull_through_cache_rule(ecrRepositoryPrefix=prefix, credentialArn=other)
    found = ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=[prefix])["pullThroughCacheRules"][0]
    return found["credentialArn"] == other


def a_template_says_how_repositories_are_made(aws: Aws) -> bool:
    ecr, prefix = aws.client("ecr"), name()
    given = {
        "appliedFor": ["PULL_THROUGH_CACHE"],
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KEY},
        "imageTagMutability": "IMMUTABLE",
        "resourceTags": [{"Key": "a", "Value": "b"}],
        "customRoleArn": "arn:aws:iam::123456789012:role/r",
    }
    ecr.create_repository_creation_template(prefix=prefix, **given)
    found = ecr.describe_repository_creation_templates(prefixes=[prefix])["repositoryCreationTemplates"][0]
    ecr.update_repository_creation_template(prefix=prefix, imageTagMutability="MUTABLE")
    changed = ecr.describe_repository_creation_templates(prefixes=[prefix])["repositoryCreationTemplates"][0]
    ecr.delete_repository_creation_template(prefix=prefix)
    return (
        {key: found[key] for key in given} == given
        and {key: changed[key] for key in given} == given | {"imageTagMutability": "MUTABLE"}
        and refused(
            lambda: ecr.describe_repository_creation_templates(prefixes=[prefix]), "TemplateNotFoundException", prefix
        )
    )


def an_account_has_settings(aws: Aws) -> bool:
    ecr = aws.client("ecr")
    first = ecr.get_account_setting(name="BASIC_SCAN_TYPE_VERSION")["value"]
    ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    wrong = {"name": "REGISTRY_POLICY_SCOPE", "value": "V3"}
    return (
        first == "AWS_NATIVE"
        and ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED"
        and refused(lambda: ecr.put_account_setting(**wrong), "InvalidParameterException", "V1, V2")
    )


def a_registry_s_policy_in_its_second_form_speaks_of_all_of_ecr(aws: Aws) -> bool:
    ecr = aws.client("ecr")

    def put(*actions: str) -> None:
        principal = {"AWS": "arn:aws:iam::123456789012:root"}
        deny = {"Sid": "a", "Effect": "Deny", "Principal": principal, "Action": list(actions), "Resource": "*"}
        ecr.put_registry_policy(policyText=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))

    ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V1")
    put("ecr:BatchImportUpstreamImage")
    first = refused(lambda: put("ecr:BatchGetImage"), "InvalidParameterException", "policy")
    ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V2")
    put("ecr:BatchGetImage")
    return first and refused(lambda: put("s3:GetObject"), "InvalidParameterException", "policy")


def only_enhanced_scanning_goes_on(aws: Aws) -> bool:
    ecr = aws.client("ecr")
    everything = [{"filter": "*", "filterType": "WILDCARD"}]
    rules = [{"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": everything}]
    ecr.put_registry_scanning_configuration(scanType="ENHANCED", rules=rules)
    kept = ecr.get_registry_scanning_configuration()["scanningConfiguration"]["rules"] == rules
    return kept and refused(
        lambda: ecr.put_registry_scanning_configuration(scanType="BASIC", rules=rules),
        "InvalidParameterException",
        "CONTINUOUS_SCAN",
    )


GAPS = [
    an_open_registry_is_mirrored,
    a_registry_that_ecr_does_not_know_is_refused,
    a_closed_registry_is_mirrored_with_a_secret_that_is_there,
    a_template_says_how_repositories_are_made,
    an_account_has_settings,
    a_registry_s_policy_in_its_second_form_speaks_of_all_of_ecr,
    only_enhanced_scanning_goes_on,
]
