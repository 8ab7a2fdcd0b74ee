"""Keys at home: what passes, what fails, and what cannot be decided."""

from policies.making import KEY, SSE, Case, make, urn
from policies.placing import ELSEWHERE, arn, named_by_arn, placed

from falaj.policies.rules.keys_residency import USES
from falaj.policies.values import UNKNOWN

_STORE = "aws:kms/customKeyStore:CustomKeyStore"
CASES = [
    *(named_by_arn("FJ-RES-010", type_, path, "kms") for type_, paths in USES.items() for path in paths),
    placed(
        "FJ-RES-010",
        "aws:sqs/queue:Queue",
        "kmsMasterKeyId",
        "alias/aws/sqs",
        arn("kms", "me-central-1", "key/mrk-0123456789abcdef0123456789abcdef"),
    ),
    # At a preview a key's ARN is not known; which key it is of, is.
    Case(
        "FJ-RES-010",
        [make(SSE, {"rules": UNKNOWN}, rules=urn(KEY, "key")), make(KEY, {}, name="key")],
        [make(SSE, {"rules": UNKNOWN}, rules=urn(KEY, "key")), make(KEY, {}, name="key", provider=ELSEWHERE)],
        [make(SSE, {"rules": UNKNOWN}, rules=urn(KEY, "key"))],
    ),
    placed(
        "FJ-RES-011",
        _STORE,
        "xksProxyUriEndpoint",
        "https://keys.internal",
        "https://keys.example.com",
    ),
    placed(
        "FJ-RES-011",
        _STORE,
        "xksProxyVpcEndpointServiceName",
        "com.amazonaws.vpce.me-central-1.vpce-svc-0123",
        "com.amazonaws.vpce.eu-west-1.vpce-svc-0123",
        xksProxyUriEndpoint="https://keys.example.com",
    ),
    named_by_arn("FJ-RES-012", "aws:kms/grant:Grant", "keyId", "kms"),
    named_by_arn("FJ-RES-012", "aws:kms/ciphertext:Ciphertext", "keyId", "kms"),
    named_by_arn("FJ-RES-012", "aws:kms/alias:Alias", "targetKeyId", "kms"),
]
_ELSEWHERE = arn("kms", "eu-west-1", "key/0123")
MUTATIONS = [
    ("LogGroup", ["kmsKeyId"], _ELSEWHERE, {"FJ-RES-010"}),
    ("FileSystem", ["kmsKeyId"], _ELSEWHERE, {"FJ-RES-010"}),
    ("LustreFileSystem", ["kmsKeyId"], _ELSEWHERE, {"FJ-RES-010"}),
    ("aws:backup/vault:Vault", ["kmsKeyArn"], _ELSEWHERE, {"FJ-RES-010"}),
    ("Trail", ["kmsKeyId"], _ELSEWHERE, {"FJ-RES-010"}),
    ("Topic", ["kmsMasterKeyId"], _ELSEWHERE, {"FJ-RES-010"}),
    ("Repository", ["encryptionConfigurations", 0, "kmsKey"], _ELSEWHERE, {"FJ-RES-010"}),
    ("LaunchTemplate", ["blockDeviceMappings", 0, "ebs", "kmsKeyId"], _ELSEWHERE, {"FJ-RES-010"}),
    ("Cluster", ["encryptionConfig", "provider", "keyArn"], _ELSEWHERE, {"FJ-RES-010"}),
    ("Firewall", ["encryptionConfiguration", "keyId"], _ELSEWHERE, {"FJ-RES-010"}),
    ("PublishingDestination", ["kmsKeyArn"], arn("kms", "me-central-1", "key/mrk-0123"), {"FJ-RES-010"}),
]
