"""Drives an emulated provider as the engine does, without a process: for the tests of providers."""

from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime.proto import provider_pb2

from falaj.lab.provider.engine import EmulatedProvider
from falaj.lab.provider.values import Props, decode, encode

DiffKinds = provider_pb2.PropertyDiff.Kind


class CheckError(Exception):
    """The provider refused inputs; `failures` maps property to reason."""

    def __init__(self, failures: dict[str, str]) -> None:
        super().__init__(str(failures))
        self.failures = failures


@dataclass
class Resource:
    """What the engine's state holds of one resource."""

    urn: str
    id: str
    inputs: Props
    outputs: Props


@dataclass
class Driver:
    """One engine with one stack, in plain Python values."""

    provider: EmulatedProvider[Any]
    seed: int = field(default=0)

    def configure(self, **config: Any) -> "Driver":
        """Configure the provider."""
        self.provider.configure_from(provider_pb2.ConfigureRequest(args=encode(config)))
        return self

    def urn(self, token: str, name: str) -> str:
        """Return the URN of a resource of the test's stack."""
        return f"urn:pulumi:test::tests::{token}::{name}"

    def check(self, token: str, name: str, inputs: Props, old: Props | None = None) -> Props:
        """Check inputs; return them as the provider completes them."""
        self.seed += 1
        response = self.provider.check(
            provider_pb2.CheckRequest(
                urn=self.urn(token, name),
                olds=encode(old or {}),
                news=encode(inputs),
                randomSeed=self.seed.to_bytes(8, "big"),
            )
        )
        if response.failures:
            raise CheckError({failure.property: failure.reason for failure in response.failures})
        return decode(response.inputs)[0]

    def create(self, token: str, name: str, inputs: Props) -> Resource:
        """Check and create."""
        checked = self.check(token, name, inputs)
        urn = self.urn(token, name)
        response = self.provider.create(provider_pb2.CreateRequest(urn=urn, properties=encode(checked)))
        return Resource(urn, response.id, checked, decode(response.properties)[0])

    def preview(self, token: str, name: str, inputs: Props) -> Props:
        """Return the outputs that a preview of the creation foresees."""
        request = provider_pb2.CreateRequest(
            urn=self.urn(token, name), properties=encode(self.check(token, name, inputs)), preview=True
        )
        return decode(self.provider.create(request).properties)[0]

    def diff(self, resource: Resource, inputs: Props) -> provider_pb2.DiffResponse:
        """Check new inputs and compare them with the resource's."""
        token, name = resource.urn.split("::")[2:]
        checked = self.check(token, name, inputs, resource.inputs)
        return self.provider.diff(
            provider_pb2.DiffRequest(
                urn=resource.urn,
                id=resource.id,
                olds=encode(resource.outputs),
                news=encode(checked),
                old_inputs=encode(resource.inputs),
            )
        )

    def update(self, resource: Resource, inputs: Props) -> Resource:
        """Check new inputs and bring the resource to them."""
        token, name = resource.urn.split("::")[2:]
        checked = self.check(token, name, inputs, resource.inputs)
        response = self.provider.update(
            provider_pb2.UpdateRequest(
                urn=resource.urn,
                id=resource.id,
                olds=encode(resource.outputs),
                news=encode(checked),
                old_inputs=encode(resource.inputs),
            )
        )
        return Resource(resource.urn, resource.id, checked, decode(response.properties)[0])

    def refresh(self, resource: Resource) -> Resource | None:
        """Read a resource as it is; None when it is gone."""
        response = self.provider.read(
            provider_pb2.ReadRequest(
                urn=resource.urn,
                id=resource.id,
                properties=encode(resource.outputs),
                inputs=encode(resource.inputs),
            )
        )
        return self._read(resource.urn, response)

    def import_(self, token: str, name: str, identifier: str) -> Resource | None:
        """Read a resource of which only the identifier is known."""
        urn = self.urn(token, name)
        return self._read(urn, self.provider.read(provider_pb2.ReadRequest(urn=urn, id=identifier)))

    def delete(self, resource: Resource) -> None:
        """Remove a resource."""
        self.provider.delete(
            provider_pb2.DeleteRequest(urn=resource.urn, id=resource.id, properties=encode(resource.outputs))
        )

    def invoke(self, token: str, **arguments: Any) -> Props:
        """Run a function."""
        response = self.provider.invoke(provider_pb2.InvokeRequest(tok=token, args=encode(arguments)))
        return decode(getattr(response, "return"))[0]

    def _read(self, urn: str, response: provider_pb2.ReadResponse) -> Resource | None:
        if not response.id:
            return None
        return Resource(urn, response.id, decode(response.inputs)[0], decode(response.properties)[0])
