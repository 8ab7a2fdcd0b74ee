"""The emulated `aws` provider: what it enacts lives in moto, everything else is recorded in Pulumi's state only.

Run by the pulumi CLI as `python -m falaj.lab.provider.aws ENGINE_ADDRESS`.
"""

import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pulumi.runtime.proto import engine_pb2

from falaj.lab.provider.aws_types import (
    capacity_reservations,
    ec2,
    efs,
    eks,
    endpoints,
    gateways,
    iam,
    iam_linked_roles,
    kms,
    kms_imported,
    launch_template,
    logs,
    network_acls,
    network_firewall,
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
from falaj.lab.provider.values import UNKNOWN, Props, has_unknown

_TABLES = (
    capacity_reservations,
    ec2,
    efs,
    eks,
    endpoints,
    gateways,
    iam,
    iam_linked_roles,
    kms,
    kms_imported,
    launch_template,
    logs,
    network_acls,
    network_firewall,
    s3,
    s3_settings,
    security_groups,
)

KINDS: Mapping[str, Kind[Aws]] = {kind.token: kind for table in _TABLES for kind in table.KINDS}
"""The tables of the enacted types."""

ENACTED: tuple[str, ...] = tuple(sorted(KINDS))
"""The types that are made in moto; every other type of the SDK is recorded in Pulumi's state only."""

ALL_TAGS = "tagsAll"
"""The property with all tags of a resource: its own and the provider's default ones."""


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
        """Fill in the region and all tags, as the official provider does in its own check."""
        filled = dict(inputs)
        if "region" in known.inputs and not filled.get("region"):
            filled["region"] = self.config.region
        if ALL_TAGS in known.inputs:
            tags = filled.get("tags")
            filled[ALL_TAGS] = UNKNOWN if has_unknown(tags) else {**self.config.default_tags, **(tags or {})}
        return filled

    def inward(self, known: Declared, inputs: Props) -> Props:
        """Return inputs as the kinds take them, which know one set of tags: all."""
        if ALL_TAGS not in known.inputs or ALL_TAGS not in inputs:
            return inputs
        return {**{name: value for name, value in inputs.items() if name != ALL_TAGS}, "tags": inputs[ALL_TAGS]}

    def outward(self, known: Declared, inputs: Props, observed: Props) -> Props:
        """Return all tags, and apart from them those that are the resource's own."""
        if ALL_TAGS not in known.inputs or "tags" not in observed:
            return observed
        found, given, defaults = observed["tags"] or {}, inputs.get("tags") or {}, self.config.default_tags
        own = {name: value for name, value in found.items() if name in given or defaults.get(name) != value}
        return {**observed, "tags": own, ALL_TAGS: found}

    def declared(self, token: str) -> Declared:
        """Count all tags among the inputs of a type that has them, as the official provider's own check does."""
        known = super().declared(token)
        if ALL_TAGS not in known.outputs or "tags" not in known.inputs:
            return known
        return replace(known, inputs={**known.inputs, ALL_TAGS: replace(known.inputs["tags"], name=ALL_TAGS)})


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
