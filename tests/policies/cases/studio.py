"""SageMaker: what passes, what fails, and what cannot be decided."""

from policies.cases.storage import KEY_ARN, varied
from policies.making import simple

from falaj.policies.values import UNKNOWN

NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
DOMAIN = "aws:sagemaker/domain:Domain"
MODEL = "aws:sagemaker/model:Model"
ENDPOINT = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
_IMDS = "instanceMetadataServiceConfiguration.minimumInstanceMetadataServiceVersion"
_CLOSED = {"rootAccess": "Disabled", _IMDS: "2"}

CASES = [
    varied(
        "FJ-SGM-001",
        NOTEBOOK,
        {"directInternetAccess": "Disabled", "subnetId": "subnet-1"},
        "directInternetAccess",
        None,
    ),
    varied("FJ-SGM-001", DOMAIN, {"appNetworkAccessType": "VpcOnly"}, "appNetworkAccessType", None),
    varied("FJ-SGM-001", MODEL, {"vpcConfig.subnets": ["subnet-1"]}, "vpcConfig.subnets", None),
    varied("FJ-SGM-002", NOTEBOOK, _CLOSED, "rootAccess", "Enabled"),
    varied("FJ-SGM-002", NOTEBOOK, _CLOSED, _IMDS, "1"),
    *(varied("FJ-SGM-003", type_, {"kmsKeyId": KEY_ARN}, "kmsKeyId", None) for type_ in (NOTEBOOK, DOMAIN)),
    simple(
        "FJ-SGM-003",
        ENDPOINT,
        {"productionVariants": [{"instanceType": "ml.g5.xlarge"}, {"serverlessConfig": {"maxConcurrency": 1.0}}]},
        {"productionVariants": [{"instanceType": "ml.m5.xlarge"}]},
        {"productionVariants": [{"instanceType": "ml.m5.xlarge"}], "kmsKeyArn": UNKNOWN},
    ),
    varied("FJ-SGM-004", MODEL, {"enableNetworkIsolation": True}, "enableNetworkIsolation", None),
]
