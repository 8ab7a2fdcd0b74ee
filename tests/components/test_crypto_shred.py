"""Crypto-shredding: what a key decides upon is found in what Pulumi keeps of a stack."""

import json

import pytest

from falaj.components import ConfigError
from falaj.components.crypto_shred import (
    Data,
    KeyKind,
    copies_that_stay,
    data_that_stays,
    data_under,
    keys_of_purpose,
    keys_of_tenant,
    kms_keys,
)

ARN = "arn:aws:kms:me-central-1:123456789012:key/"
SSE = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"


def resource(type_, logical, /, *, parent="", id_="", outputs=None, **inputs):
    found = {
        "urn": f"urn:pulumi:prod::falaj::{type_}::{logical}",
        "type": type_,
        "parent": parent,
        "id": id_ or logical,
    }
    return {**found, "inputs": inputs, "outputs": {**inputs, **(outputs or {})}}


def key(purpose, identifier, **inputs):
    tags = {"purpose": purpose, "classification": "restricted"}
    return resource(
        "aws:kms/key:Key", f"{purpose}-key", id_=identifier, outputs={"arn": ARN + identifier}, tags=tags, **inputs
    )


TENANT = resource(
    "falaj:index:Tenant",
    "vision",
    outputs={"namespace": "vision", "ref": {"labels": {"classification": "confidential"}}},
)
BUCKETS = resource("aws:s3/bucket:Bucket", "store", id_="prod-datasets", bucket="prod-datasets") | {
    "outputs": {"bucket": "prod-datasets", "tagsAll": {"classification": "internal"}}
}
RESOURCES = [
    resource("pulumi:pulumi:Stack", "falaj-prod", keyArns=ARN + "k1"),
    resource("falaj:index:ResidencyKey", "datasets", arn=ARN + "k1"),
    key("datasets", "k1", deletionWindowInDays=14),
    key("logs", "k2"),
    key("backup", "k3"),
    resource(
        "aws:kms/alias:Alias",
        "datasets-alias",
        outputs={"targetKeyId": "k1", "name": "alias/prod/datasets", "arn": "arn:aws:kms:me-central-1:1:alias/x"},
    ),
    BUCKETS,
    resource(
        SSE,
        "store-encryption",
        bucket="prod-datasets",
        rules=[{"applyServerSideEncryptionByDefault": {"kmsMasterKeyId": ARN + "k1"}}],
    ),
    resource("aws:s3/bucketPolicy:BucketPolicy", "store-policy", bucket="prod-datasets", policy=f'"{ARN}k1"'),
    resource("aws:sns/topic:Topic", "alarms", name="alarms", kmsMasterKeyId="alias/prod/datasets"),
    resource("aws:ebs/volume:Volume", "scratch", id_="vol-1", kmsKeyId="k1"),
    resource("aws:new/thing:Thing", "thing", kmsKeyId=ARN + "k1"),
    resource("aws:cloudwatch/logGroup:LogGroup", "flow", name="/falaj/flow", kmsKeyId=ARN + "k2"),
    resource("aws:backup/vault:Vault", "vault", name="restricted", kmsKeyArn=ARN + "k3"),
    TENANT,
    resource(
        "vault:transit/secretBackendKey:SecretBackendKey",
        "vision-key",
        parent=TENANT["urn"],
        backend="prod-transit",
        name="vision",
    ),
    resource("vault:transit/secretBackendKey:SecretBackendKey", "platform", backend="prod-transit", name="platform"),
]


def test_a_key_is_known_by_each_of_its_names():
    (datasets,) = keys_of_purpose(RESOURCES, "datasets")
    assert datasets.names == {ARN + "k1", "k1", "alias/prod/datasets", "arn:aws:kms:me-central-1:1:alias/x"}
    assert (datasets.identifier, datasets.classification, datasets.window_days) == (ARN + "k1", "restricted", 14)


def test_what_the_key_encrypts_is_found_by_every_name_and_what_only_speaks_of_it_is_not():
    (datasets,) = keys_of_purpose(RESOURCES, "datasets")
    assert [(data.what, data.place, data.classification) for data in data_under(RESOURCES, datasets)] == [
        ("a disk", "vol-1", "restricted"),
        ("messages of a topic", "alarms", "restricted"),
        ("objects of a bucket", "prod-datasets", "internal"),
        ("what aws:new/thing:Thing keeps", "thing", "restricted"),
    ]


def test_what_else_happens_is_told_with_the_data():
    (logs,) = keys_of_purpose(RESOURCES, "logs")
    (data,) = data_under(RESOURCES, logs)
    assert data == Data("log events", "/falaj/flow", "restricted", "logs", "its service cannot write there any more")


def test_what_is_under_other_keys_stays_readable():
    stays = data_that_stays(RESOURCES, keys_of_purpose(RESOURCES, "datasets"))
    assert {(data.place, data.key) for data in stays} == {("/falaj/flow", "logs"), ("restricted", "backup")}


def test_backups_of_the_data_under_a_key_of_their_own_are_told():
    assert copies_that_stay(RESOURCES, keys_of_purpose(RESOURCES, "datasets")) == ["restricted"]
    assert copies_that_stay(RESOURCES, keys_of_purpose(RESOURCES, "logs")) == []
    assert copies_that_stay(RESOURCES, keys_of_purpose(RESOURCES, "backup")) == []


def test_a_file_system_that_holds_a_bucket_s_files_under_its_own_key_is_told():
    fast = resource("aws:fsx/lustreFileSystem:LustreFileSystem", "fast", id_="fs-1", kmsKeyId=ARN + "k9")
    link = resource(
        "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation",
        "link",
        fileSystemId="fs-1",
        dataRepositoryPath="s3://prod-datasets/vision",
    )
    with_copy = [*RESOURCES, key("fast", "k9"), fast, link]
    assert copies_that_stay(with_copy, keys_of_purpose(with_copy, "datasets")) == ["restricted", "fs-1"]
    assert copies_that_stay(with_copy, keys_of_purpose(with_copy, "fast")) == ["restricted"]


def test_a_tenant_s_keys_are_those_of_its_component_in_vault_and_those_named_after_it_in_kms():
    (transit,) = keys_of_tenant(RESOURCES, "vision")
    assert (transit.kind, transit.identifier, transit.classification) == (
        KeyKind.TRANSIT,
        "prod-transit/vision",
        "confidential",
    )
    (data,) = data_under(RESOURCES, transit)
    assert data.place == "prod-transit/vision"
    for purpose in ("tenant-vision", "sealing-vision"):
        with_key = keys_of_tenant([*RESOURCES, key(purpose, "k4")], "vision")
        assert [found.identifier for found in with_key] == [ARN + "k4", "prod-transit/vision"]


def test_the_models_that_a_tenant_s_roles_open_with_a_key_go_with_it():
    sealing = key("sealing-vision", "k5")
    of_tenant = {"StringEquals": {"kms:EncryptionContext:tenant": "vision"}}
    opened = {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ARN + "k5", "Condition": of_tenant}
    policy = json.dumps({"Statement": [opened]})
    grant = resource("aws:iam/rolePolicy:RolePolicy", "vision-reach-serve", parent=TENANT["urn"], policy=policy)
    (found,) = data_under([*RESOURCES, sealing, grant], *kms_keys([sealing]))
    assert (found.what, found.place, found.key) == ("published models", "vision", "sealing-vision")


def test_a_key_that_pulumi_is_about_to_delete_is_none_of_the_stack():
    assert kms_keys([key("datasets", "k1") | {"delete": True}]) == []


@pytest.mark.parametrize(
    ("find", "name", "message"),
    [
        (
            keys_of_purpose,
            "models",
            "--key must be the purpose of one key of the stack, which has backup, datasets, logs (got 'models')",
        ),
        (keys_of_tenant, "audio", "--tenant must be a tenant of the stack, which has vision (got 'audio')"),
    ],
)
def test_a_name_that_the_stack_does_not_have_is_refused_with_those_it_has(find, name, message):
    with pytest.raises(ConfigError) as refused:
        find(RESOURCES, name)
    assert str(refused.value) == message


def test_a_purpose_of_two_keys_and_a_tenant_without_a_key_of_its_own_are_refused():
    with pytest.raises(ConfigError, match="must be the purpose of one key"):
        keys_of_purpose([*RESOURCES, key("logs", "k9")], "logs")
    with pytest.raises(ConfigError, match="must have a key of its own"):
        keys_of_tenant([TENANT], "vision")
