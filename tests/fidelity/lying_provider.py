"""The emulated `aws` provider with lies in it, for the tests of the judge: `lying_provider.py ENGINE_ADDRESS`."""

from collections.abc import Callable, Sequence
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


LIES: Sequence[tuple[str, Callable[[Kind[Aws]], Kind[Aws]]]] = (
    ("aws:ec2/subnet:Subnet", updated_in_place),
    ("aws:kms/key:Key", misnamed),
    ("aws:kms/key:Key", too_kind),
    ("aws:sns/topic:Topic", said_otherwise),
    ("aws:sns/topic:Topic", renamed_in_place),
)


class LyingProvider(AwsProvider):
    """Differs from the emulated provider in three kinds."""

    def kind(self, token: str) -> Kind[Aws]:
        """Return the table of a type, altered where a lie is."""
        kind = super().kind(token)
        for lied_about, alter in LIES:
            if token == lied_about:
                kind = alter(kind)
        return kind


if __name__ == "__main__":
    serve(LyingProvider())
