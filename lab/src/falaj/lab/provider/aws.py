"""The emulated `aws` provider: what it enacts lives in moto, everything else is recorded in Pulumi's state only.

Run by the pulumi CLI as `python -m falaj.lab.provider.aws ENGINE_ADDRESS`.
"""

import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pulumi.runtime.proto import engine_pb2

from falaj.lab.provider.aws_types import (
    ec2,
    eks,
    endpoints,
    iam,
    kms,
    launch_template,
    logs,
    s3,
    s3_settings,
    security_groups,
)
from falaj.lab.provider.aws_types.functions import FUNCTIONS
from falaj.lab.provider.aws_types.recorded import recorded_kind
from falaj.lab.provider.aws_types.session import Aws, Config
from falaj.lab.provider.declared import Declared, tokens
from falaj.lab.provider.engine import EmulatedProvider
from falaj.lab.provider.journal import Journal
from falaj.lab.provider.kind import Kind, ProviderError
from falaj.lab.provider.server import serve
from falaj.lab.provider.values import Props, Unknown

_TABLES = (ec2, eks, endpoints, iam, kms, launch_template, logs, s3, s3_settings, security_groups)

KINDS: Mapping[str, Kind[Aws]] = {kind.token: kind for table in _TABLES for kind in table.KINDS}
"""The tables of the enacted types."""

ENACTED: tuple[str, ...] = tuple(sorted(KINDS))
"""The types that are made in moto; every other type of the SDK is recorded in Pulumi's state only."""


def recorded() -> list[str]:
    """Return the types of the installed SDK that are recorded, not enacted."""
    return [token for token in tokens(AwsProvider.sdk, AwsProvider.name) if token not in KINDS]


class AwsProvider(EmulatedProvider[Aws]):
    """Reads the official provider's configuration, and makes things in moto."""

    name = "aws"
    sdk = "pulumi_aws"
    functions = FUNCTIONS

    def __init__(self, journal: Journal | None = None) -> None:
        super().__init__(journal)
        self.config = Config({})
        self.clients: dict[Any, Any] = {}

    def kind(self, token: str) -> Kind[Aws]:
        """Return the table of an enacted type, else a kind that only records."""
        return KINDS.get(token) or recorded_kind(token, self.declared(token))

    def configure(self, config: Props) -> None:
        """Take the configuration, and see that something answers where AWS is said to be."""
        self.config = Config(config)
        self.clients = {}
        for name in ("assumeRoles", "assumeRoleWithWebIdentity"):
            if config.get(name):
                self.log(engine_pb2.WARNING, f"the emulated aws provider assumes no roles: {name} has no effect")
        address = self.config.endpoint("sts")
        if not config.get("skipCredentialsValidation"):
            _knock(address)
        allowed, forbidden = config.get("allowedAccountIds"), config.get("forbiddenAccountIds")
        if (allowed or forbidden) and not config.get("skipRequestingAccountId"):
            account = self.session({}).account
            if (allowed and account not in allowed) or account in (forbidden or []):
                raise ProviderError(
                    f"the AWS account {account} is not allowed (allowedAccountIds, forbiddenAccountIds)"
                )

    def session(self, inputs: Props, timeout: float = 0, token: str = "") -> Aws:
        """Return the emulated AWS in the resource's own region, else in the provider's."""
        region = inputs.get("region")
        region = region if isinstance(region, str) and region else self.config.region
        return Aws(self.config, region, timeout, token, self.clients)

    def prepare(self, known: Declared, inputs: Props) -> Props:
        """Fill in the region and the default tags, as the official provider does in its own check."""
        filled = dict(inputs)
        if "region" in known.inputs and not filled.get("region"):
            filled["region"] = self.config.region
        tags = filled.get("tags")
        if "tagsAll" in known.outputs and self.config.default_tags and not isinstance(tags, Unknown):
            filled["tags"] = {**self.config.default_tags, **(tags or {})}
        return filled

    def derived(self, known: Declared, inputs: Props) -> Props:
        """Return all tags of a resource: those given and the defaults, which the check has merged already."""
        return {"tagsAll": inputs.get("tags") or {}} if "tagsAll" in known.outputs else {}


def _knock(address: str) -> None:
    """See that something listens; the official provider asks STS who it is at this point."""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as error:
        reason = error.strerror or error
        raise ProviderError(
            f"nothing answers for AWS at {address} ({reason}): is the lab up? `falaj-lab up` starts it"
        ) from error


if __name__ == "__main__":
    serve(AwsProvider())
