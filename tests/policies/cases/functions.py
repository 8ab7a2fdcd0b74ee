"""Functions: what passes, what fails, and what cannot be decided."""

from policies.cases.storage import KEY_ARN, varied
from policies.making import DIGEST, simple

from falaj.policies.values import UNKNOWN

FUNCTION = "aws:lambda/function:Function"
LAYER = "aws:lambda/layerVersion:LayerVersion"
_VARIABLES = {"environment": {"variables": {"BUCKET": "data"}}}
_NETWORK = {"vpcConfig.subnetIds": ["subnet-1"], "vpcConfig.securityGroupIds": ["sg-1"]}

CASES = [
    varied(
        "FJ-FN-001",
        "aws:lambda/functionUrl:FunctionUrl",
        {"authorizationType": "AWS_IAM"},
        "authorizationType",
        "NONE",
    ),
    simple(
        "FJ-FN-002",
        FUNCTION,
        _VARIABLES | {"kmsKeyArn": KEY_ARN},
        _VARIABLES,
        _VARIABLES | {"kmsKeyArn": UNKNOWN},
    ),
    varied("FJ-FN-003", FUNCTION, _NETWORK, "vpcConfig.subnetIds", []),
    varied("FJ-FN-004", FUNCTION, {"runtime": "python3.13"}, "runtime", "python3.8"),
    simple(
        "FJ-FN-004",
        LAYER,
        {"compatibleRuntimes": ["python3.13"]},
        {"compatibleRuntimes": ["python3.13", "nodejs16.x"]},
        {"compatibleRuntimes": UNKNOWN},
    ),
    varied("FJ-FN-005", FUNCTION, {"codeSigningConfigArn": "arn"}, "codeSigningConfigArn", None),
    varied("FJ-FN-005", FUNCTION, {"imageUri": DIGEST}, "imageUri", "registry.example/app:latest"),
    varied(
        "FJ-FN-006",
        "aws:lambda/codeSigningConfig:CodeSigningConfig",
        {"policies.untrustedArtifactOnDeployment": "Enforce"},
        "policies.untrustedArtifactOnDeployment",
        None,
    ),
]
