"""Policies of resources: what passes, what fails, and what cannot be decided."""

import json
from typing import Any

from policies.making import ACCOUNT, ROOT, allow, document, simple

from falaj.policies.rules.resource_policies import named_callers
from falaj.policies.values import UNKNOWN

_OTHER_NAMES = {
    "LogDeliveryDestinationPolicy": "deliveryDestinationPolicy",
    "LogDestinationPolicy": "accessPolicy",
    "RepositoryCreationTemplate": "repositoryPolicy",
    "Vault": "accessPolicy",
    "Domain": "accessPolicies",
    "DomainPolicy": "accessPolicies",
    "TableBucketPolicy": "resourcePolicy",
    "TablePolicy": "resourcePolicy",
    "ModelPackageGroupPolicy": "resourcePolicy",
    "LogResourcePolicy": "policyDocument",
    "DomainPermissions": "policyDocument",
    "RepositoryPermissionsPolicy": "policyDocument",
    "aws:amp/resourcePolicy:ResourcePolicy": "policyDocument",
    "aws:xray/resourcePolicy:ResourcePolicy": "policyDocument",
}
_LAMBDA = {"action": "lambda:InvokeFunction", "function": "resize"}


def holder(type_: str) -> str:
    return _OTHER_NAMES.get(type_, _OTHER_NAMES.get(type_.rpartition(":")[2], "policy"))


CASES = [
    *(
        simple(
            "FJ-RPL-001",
            type_,
            {holder(type_): document(allow(ROOT), allow("*", Condition=ACCOUNT), allow("*", Effect="Deny"))},
            {holder(type_): document(allow({"AWS": "*"}))},
            {holder(type_): UNKNOWN},
        )
        for type_ in named_callers.types
    ),
    simple(
        "FJ-RPL-002",
        "aws:lambda/permission:Permission",
        _LAMBDA | {"principal": "s3.amazonaws.com", "sourceAccount": "123456789012"},
        _LAMBDA | {"principal": "s3.amazonaws.com"},
        _LAMBDA | {"principal": "s3.amazonaws.com", "sourceArn": UNKNOWN},
    ),
    simple(
        "FJ-RPL-002",
        "aws:lambda/layerVersionPermission:LayerVersionPermission",
        {"principal": "*", "organizationId": "o-a1b2c3d4e5"},
        {"principal": "*"},
        {"principal": UNKNOWN},
    ),
]

_ANYONE = json.dumps({"Statement": [allow("*")]})
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("TopicPolicy", ["policy"], _ANYONE, {"FJ-RPL-001"}),
    ("FileSystemPolicy", ["policy"], _ANYONE, {"FJ-RPL-001", "FJ-EFS-001"}),
    ("VaultPolicy", ["policy"], _ANYONE, {"FJ-RPL-001"}),
    ("RegistryPolicy", ["policy"], _ANYONE, {"FJ-RPL-001"}),
    ("RepositoryPolicy", ["policy"], _ANYONE, {"FJ-RPL-001"}),
    ("LogResourcePolicy", ["policyDocument"], _ANYONE, {"FJ-RPL-001"}),
]
