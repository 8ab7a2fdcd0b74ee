"""The providers of a target: AWS itself, or the lab, which stands in for it at other addresses."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi_aws as aws
import pulumi_vault as vault

from platform_config import PlatformConfig, Target

# The services that the components call, each of which the lab serves at one address.
_SERVICES = (
    *("accessanalyzer", "autoscaling", "backup", "budgets", "cloudtrail", "cloudwatch", "configservice", "ec2", "ecr"),
    *(
        "efs",
        "eks",
        "events",
        "fsx",
        "guardduty",
        "iam",
        "inspector2",
        "kms",
        "logs",
        "macie2",
        "networkfirewall",
        "organizations",
    ),
    *("route53resolver", "s3", "s3control", "securityhub", "sns", "sqs", "ssm", "sts"),
)
_NEEDED = {
    Target.LAB: ("AWS_ENDPOINT_URL", "KUBECONFIG", "VAULT_ADDR"),
    Target.AWS: ("VAULT_ADDR",),
}
_REMEDY = {
    Target.LAB: "run inside `falaj-lab exec -- ...`",
    Target.AWS: "set it to your Vault's address, or bring the stack up in the lab with -c falaj:target=lab",
}


class MissingVariableError(ValueError):
    """An environment variable that the target needs is not set."""


@dataclass(frozen=True)
class Providers:
    """What reaches the target."""

    aws: aws.Provider
    vault: vault.Provider
    kubeconfig_path: str | None
    """Kubeconfig of the lab's API server; on AWS the cluster makes its own."""


def make_providers(config: PlatformConfig, env: Mapping[str, str] = os.environ) -> Providers:
    """Make the providers of the configured target, pinned to the home region and the account."""
    for variable in _NEEDED[config.target]:
        if not env.get(variable):
            raise MissingVariableError(f"{variable} is not set: {_REMEDY[config.target]}")
    in_lab = config.target is Target.LAB
    return Providers(
        aws=aws.Provider("aws", aws_arguments(config, env["AWS_ENDPOINT_URL"] if in_lab else None)),
        # The token comes from VAULT_TOKEN and stays out of the stack's state.
        vault=vault.Provider("vault", address=env["VAULT_ADDR"], ca_cert_file=env.get("VAULT_CACERT")),
        kubeconfig_path=env["KUBECONFIG"] if in_lab else None,
    )


def aws_arguments(config: PlatformConfig, endpoint: str | None) -> aws.ProviderArgs:
    """Return the AWS provider's arguments; with an endpoint, the same as for any emulator of AWS."""
    tags = {
        "owner": config.owner,
        "cost-centre": config.cost_centre,
        "environment": config.environment.value,
        "classification": config.classification.value,
        "regime": config.regime.name,
    }
    arguments = aws.ProviderArgs(
        region=config.regime.home_region,
        allowed_account_ids=[config.regime.account_id],
        default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
    )
    if endpoint:
        arguments.endpoints = [aws.ProviderEndpointArgs(**dict.fromkeys(_SERVICES, endpoint))]
        arguments.s3_use_path_style = True
        # S3 Control puts the account before the host's name, which then no resolver knows. What has no address in the
        # lab goes there as well, so nothing can leave.
        arguments.http_proxy = endpoint
        arguments.skip_metadata_api_check = True
    return arguments
