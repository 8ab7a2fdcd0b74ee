"""Registries of images: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.storage import KEY_ARN, companion, varied
from policies.making import Case, make, simple

from falaj.policies.values import UNKNOWN

REPOSITORY = "aws:ecr/repository:Repository"
TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
SCANNING = "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration"
LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"


def scanned(frequency: Any, chosen: Any = "*") -> list[Any]:
    part = {"scanFrequency": frequency, "repositoryFilters": [{"filter": chosen, "filterType": "WILDCARD"}]}
    return [make(REPOSITORY, {"name": "app"}), make(SCANNING, {"scanType": "BASIC", "rules": [part]}, name="scanning")]


def encrypted(kind: Any, key: Any = KEY_ARN) -> dict[str, Any]:
    return {"encryptionConfigurations": [{"encryptionType": kind, "kmsKey": key}]}


def pruned(origin: str, policy: Any = "{}") -> list[Any]:
    lifecycle = companion(LIFECYCLE, "repository", {"policy": policy}, REPOSITORY, origin)
    return [make(REPOSITORY, {"name": "app"}), lifecycle]


CASES = [
    *(
        varied("FJ-ECR-001", type_, {"imageTagMutability": "IMMUTABLE"}, "imageTagMutability", None)
        for type_ in (REPOSITORY, TEMPLATE)
    ),
    Case("FJ-ECR-002", scanned("CONTINUOUS_SCAN"), scanned("MANUAL"), scanned(UNKNOWN)),
    Case("FJ-ECR-002", scanned("SCAN_ON_PUSH"), scanned("SCAN_ON_PUSH", "base/*"), scanned("SCAN_ON_PUSH", UNKNOWN)),
    varied(
        "FJ-ECR-002",
        REPOSITORY,
        {"imageScanningConfiguration.scanOnPush": True},
        "imageScanningConfiguration.scanOnPush",
        False,
    ),
    *(
        simple("FJ-ECR-003", type_, encrypted("KMS"), encrypted("AES256"), encrypted("KMS", UNKNOWN))
        for type_ in (REPOSITORY, TEMPLATE)
    ),
    Case(
        "FJ-ECR-004",
        [make(REPOSITORY, {"name": "app"})],
        [make("aws:ecrpublic/repository:Repository", {"repositoryName": "app"})],
        [],
    ),
    Case("FJ-ECR-005", pruned("it"), pruned("another"), pruned("it", UNKNOWN)),
    Case(
        "FJ-ECR-005",
        [make(REPOSITORY, {"name": "app"}), make(LIFECYCLE, {"repository": "app", "policy": "{}"}, name="forget")],
        [make(REPOSITORY, {"name": "app"}), make(LIFECYCLE, {"repository": "web", "policy": "{}"}, name="forget")],
        [make(REPOSITORY, {"name": "app"}), make(LIFECYCLE, {"repository": UNKNOWN, "policy": "{}"}, name="forget")],
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (REPOSITORY, ["imageTagMutability"], "MUTABLE", {"FJ-ECR-001"}),
    (TEMPLATE, ["imageTagMutability"], "MUTABLE", {"FJ-ECR-001"}),
    (REPOSITORY, ["encryptionConfigurations"], None, {"FJ-ECR-003"}),
    (TEMPLATE, ["encryptionConfigurations", 0, "encryptionType"], "AES256", {"FJ-ECR-003"}),
    (LIFECYCLE, ["repository"], "another", {"FJ-ECR-005"}),
]
