"""A key, a group of logs, a subnet, and a topic, which the emulated provider only records.

FALAJ_FIDELITY_ARGUMENTS changes arguments, as in the platform's variant.
"""

import json
import os
from typing import Any

import pulumi
import pulumi_aws as aws

CHANGED = json.loads(os.environ.get("FALAJ_FIDELITY_ARGUMENTS", "{}"))
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


def arguments(kind: str, name: str, **given: Any) -> dict[str, Any]:
    """Return the arguments of a resource, changed where the judge says so."""
    return {**given, **CHANGED.get(kind, {}).get(name, {})}


cloud = aws.Provider(
    "aws",
    region="me-central-1",
    endpoints=[aws.ProviderEndpointArgs(ec2=ENDPOINT, kms=ENDPOINT, logs=ENDPOINT, sns=ENDPOINT, sts=ENDPOINT)],
    default_tags={"tags": {"owner": "fidelity"}},
    skip_metadata_api_check=True,
)
made_by = pulumi.ResourceOptions(provider=cloud)
key = aws.kms.Key("key", **arguments("Key", "key", deletion_window_in_days=7), opts=made_by)
aws.cloudwatch.LogGroup("logs", **arguments("LogGroup", "logs", retention_in_days=30), opts=made_by)
vpc = aws.ec2.Vpc("vpc", cidr_block="10.40.0.0/16", opts=made_by)
inside = arguments("Subnet", "subnet", vpc_id=vpc.id, cidr_block="10.40.1.0/24", availability_zone="me-central-1a")
subnet = aws.ec2.Subnet("subnet", **inside, opts=made_by)
told = aws.sns.Topic("told", **arguments("Topic", "told", display_name="Told"), opts=made_by)
pulumi.export("told", told.arn)
pulumi.export("key", key.arn)
pulumi.export("subnet", subnet.id)
