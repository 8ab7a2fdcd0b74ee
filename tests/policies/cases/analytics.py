"""Analytics: what passes, what fails, and what cannot be decided."""

from policies.cases.storage import KEY_ARN, varied
from policies.making import simple

from falaj.policies.values import UNKNOWN

WORKGROUP = "aws:athena/workgroup:Workgroup"
_RESULTS = "configuration.resultConfiguration.encryptionConfiguration"
_ENCRYPTED = {f"{_RESULTS}.encryptionOption": "SSE_KMS", f"{_RESULTS}.kmsKeyArn": KEY_ARN}
_LOGS = "encryptionConfiguration.cloudwatchEncryption"
_MARKS = "encryptionConfiguration.jobBookmarksEncryption"
_FILES = "encryptionConfiguration.s3Encryption"
_SECURE = {
    f"{_LOGS}.cloudwatchEncryptionMode": "SSE-KMS",
    f"{_LOGS}.kmsKeyArn": KEY_ARN,
    f"{_MARKS}.jobBookmarksEncryptionMode": "CSE-KMS",
    f"{_MARKS}.kmsKeyArn": KEY_ARN,
    f"{_FILES}.s3EncryptionMode": "SSE-KMS",
    f"{_FILES}.kmsKeyArn": KEY_ARN,
}
_CATALOGUE = "dataCatalogEncryptionSettings"
_KNOWN = {
    f"{_CATALOGUE}.encryptionAtRest.catalogEncryptionMode": "SSE-KMS",
    f"{_CATALOGUE}.encryptionAtRest.sseAwsKmsKeyId": KEY_ARN,
    f"{_CATALOGUE}.connectionPasswordEncryption.returnConnectionPasswordEncrypted": True,
}

CASES = [
    varied("FJ-ANL-001", WORKGROUP, _ENCRYPTED, f"{_RESULTS}.encryptionOption", "SSE_S3"),
    varied(
        "FJ-ANL-001",
        WORKGROUP,
        _ENCRYPTED | {"configuration.enforceWorkgroupConfiguration": True},
        "configuration.enforceWorkgroupConfiguration",
        False,
    ),
    varied(
        "FJ-ANL-002",
        "aws:glue/securityConfiguration:SecurityConfiguration",
        _SECURE,
        f"{_MARKS}.jobBookmarksEncryptionMode",
        "DISABLED",
    ),
    varied("FJ-ANL-002", "aws:glue/securityConfiguration:SecurityConfiguration", _SECURE, f"{_FILES}.kmsKeyArn", None),
    varied(
        "FJ-ANL-002",
        "aws:glue/dataCatalogEncryptionSettings:DataCatalogEncryptionSettings",
        _KNOWN,
        f"{_CATALOGUE}.connectionPasswordEncryption.returnConnectionPasswordEncrypted",
        False,
    ),
    *(
        varied("FJ-ANL-003", type_, {"securityConfiguration": "encrypted"}, "securityConfiguration", None)
        for type_ in (
            "aws:glue/job:Job",
            "aws:glue/crawler:Crawler",
            "aws:glue/devEndpoint:DevEndpoint",
            "aws:emr/cluster:Cluster",
        )
    ),
    simple(
        "FJ-ANL-004",
        "aws:emr/blockPublicAccessConfiguration:BlockPublicAccessConfiguration",
        {"blockPublicSecurityGroupRules": True},
        {
            "blockPublicSecurityGroupRules": True,
            "permittedPublicSecurityGroupRuleRanges": [{"minRange": 22.0, "maxRange": 22.0}],
        },
        {"blockPublicSecurityGroupRules": UNKNOWN},
    ),
]
