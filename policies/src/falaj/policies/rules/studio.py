"""SageMaker: notebooks, studios and models in the network, without root, under customer keys."""

import re

from falaj.policies.demands import Table, customer_key, demanded, on, one_of
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, rule
from falaj.policies.values import View

_NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
_DOMAIN = "aws:sagemaker/domain:Domain"
_MODEL = "aws:sagemaker/model:Model"
_ENDPOINT = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
_NETWORK: Table = {
    _NOTEBOOK: {"directInternetAccess": one_of("Disabled"), "subnetId": View.is_set},
    _DOMAIN: {"appNetworkAccessType": one_of("VpcOnly")},
    _MODEL: {"vpcConfig.subnets": View.is_set},
}
_KEYS: Table = {
    _NOTEBOOK: {"kmsKeyId": customer_key},
    _DOMAIN: {"kmsKeyId": customer_key},
}
# Machines with disks of their own encrypt them themselves, and refuse a key.
_OWN_DISKS = re.compile(r"ml\.(g[4-9]|p3dn|p[4-9]|trn|[cmrz]\d+[a-z]*d)[a-z0-9-]*\..*")


@rule(
    "FJ-SGM-001",
    "Notebooks, studios and models run in the network",
    Severity.HIGH,
    ("A.8.20", "A.8.22", "A.8.12"),
    tuple(_NETWORK),
    "Set directInternetAccess to Disabled with a subnetId, appNetworkAccessType to VpcOnly, and vpcConfig of models.",
)
def network(resource: Resource, _: Context) -> Checks:
    """Outside it they reach the whole internet, with the data, past every firewall."""
    yield from demanded(resource, _NETWORK, "it reaches the internet past the network's firewalls")


@rule(
    "FJ-SGM-002",
    "Notebooks give nobody root, nor their machine's credentials",
    Severity.HIGH,
    ("A.8.18", "A.8.2", "A.8.5"),
    (_NOTEBOOK,),
    "Set rootAccess to Disabled and instanceMetadataServiceConfiguration.minimumInstanceMetadataServiceVersion to 2.",
)
def root(notebook: Resource, _: Context) -> Checks:
    """Both are AWS's default."""
    yield must(notebook["rootAccess"].equals("Disabled"), "users are root")
    least = notebook["instanceMetadataServiceConfiguration"]["minimumInstanceMetadataServiceVersion"]
    yield must(least.test(lambda version: float(version) >= 2), "the metadata service answers without a token")


@rule(
    "FJ-SGM-003",
    "Notebooks, studios and endpoints are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    (*_KEYS, _ENDPOINT),
    "Set kmsKeyId (kmsKeyArn of an endpoint's configuration).",
)
def keys(resource: Resource, _: Context) -> Checks:
    """Disks of a serverless endpoint are not ours to encrypt."""
    message = "it is not encrypted with a customer key"
    if resource.type == _ENDPOINT:
        for part in resource["productionVariants"].each():
            own = part["instanceType"].test(lambda name: bool(_OWN_DISKS.fullmatch(str(name))))
            yield must(part["serverlessConfig"].is_set() | own | customer_key(resource["kmsKeyArn"]), message)
    else:
        yield from demanded(resource, _KEYS, message)


@rule(
    "FJ-SGM-004",
    "Models talk to nobody",
    Severity.MEDIUM,
    ("A.8.12", "A.8.22", "A.8.19"),
    (_MODEL,),
    "Set enableNetworkIsolation to true.",
    fix={"enableNetworkIsolation": True},
)
def isolation(model: Resource, _: Context) -> Checks:
    """A model that was brought from outside may hold code."""
    yield must(on(model["enableNetworkIsolation"]), "the model may send out what it is asked")


RULES: tuple[Rule, ...] = (network, root, keys, isolation)
