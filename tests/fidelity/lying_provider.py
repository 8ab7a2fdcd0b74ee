"""The emulated `aws` provider with a lie in it, for the tests of the judge: `lying_provider.py LIE ENGINE_ADDRESS`."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from falaj.lab.provider.aws import AwsProvider
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.kind import Kind
from falaj.lab.provider.server import serve


def updated_in_place(subnet: Kind[Aws]) -> Kind[Aws]:
    """Say that a subnet's addresses can be changed, which AWS cannot do."""
    return replace(subnet, replace_on=subnet.replace_on - {"cidrBlock"})


def misnamed(key: Kind[Aws]) -> Kind[Aws]:
    """Call an output otherwise."""

    def read(aws: Aws, identifier: str, known: Any) -> Any:
        props = key.read(aws, identifier, known)
        return props and {("keyIdentifier" if name == "keyId" else name): value for name, value in props.items()}

    return replace(key, read=read)


def too_kind(key: Kind[Aws]) -> Kind[Aws]:
    """Accept any value."""

    def check(inputs: Any) -> tuple[()]:
        del inputs
        return ()

    return replace(key, check=check)


def said_otherwise(topic: Kind[Aws]) -> Kind[Aws]:
    """Fill in an input that AWS leaves empty, of a type that is only recorded."""
    return replace(topic, defaults={**topic.defaults, "tracingConfig": "Active"})


def renamed_in_place(topic: Kind[Aws]) -> Kind[Aws]:
    """Say that a topic can be renamed, though it is only recorded."""
    return replace(topic, replace_on=topic.replace_on - {"name"})


LIES: Mapping[str, tuple[str, Callable[[Kind[Aws]], Kind[Aws]]]] = {
    "replacement": ("aws:ec2/subnet:Subnet", updated_in_place),
    "output": ("aws:kms/key:Key", misnamed),
    "input": ("aws:kms/key:Key", too_kind),
    "recorded input": ("aws:sns/topic:Topic", said_otherwise),
    "recorded replacement": ("aws:sns/topic:Topic", renamed_in_place),
}


class LyingProvider(AwsProvider):
    """Differs from the emulated provider in one kind."""

    lie: str

    def kind(self, token: str) -> Kind[Aws]:
        """Return the table of a type, altered where the lie is."""
        lied_about, alter = LIES[self.lie]
        honest = super().kind(token)
        return alter(honest) if token == lied_about else honest


if __name__ == "__main__":
    LyingProvider.lie = sys.argv.pop(1)
    serve(LyingProvider())
