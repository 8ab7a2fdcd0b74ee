"""A stand-in for the engine that records what a program registers, and tells what a provider would of it."""

import base64
import functools
import gzip
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi.runtime import mocks

VAULT_TELLS = {
    "AuthBackend": {"accessor": "ACCESSOR"},
    "SecretBackendIntermediateCertRequest": {"csr": "REQUEST"},
    "SecretBackendIntermediateSetSigned": {"importedIssuers": ["INTERMEDIATE", "ROOT"]},
    "SecretBackendRootCert": {"certificate": "ROOT CERTIFICATE", "issuerId": "ROOT"},
    "SecretBackendRootSignIntermediate": {"certificateBundle": "CHAIN"},
}
"""What a Vault tells of what it made."""


def told(args: mocks.MockResourceArgs) -> dict[str, Any]:
    """Return the outputs of a resource: its inputs, and what programs go on with."""
    outputs = {"arn": f"arn:aws:mock:me-central-1:123456789012:{args.name}", **args.inputs}
    kind = args.typ.rpartition(":")[2]
    outputs.update(VAULT_TELLS.get(kind, {}))
    if args.typ == "kubernetes:core/v1:Secret":
        outputs["data"] = {"token": base64.b64encode(b"reviewer").decode()}
    if args.typ == "aws:kms/key:Key":
        outputs["arn"] = f"arn:aws:kms:me-central-1:123456789012:key/{args.name}"
    if args.typ == "aws:eks/cluster:Cluster":
        outputs["endpoint"] = "https://eks.example"
        outputs["certificateAuthority"] = {"data": base64.b64encode(b"PEM").decode()}
    if kind == "Firewall":
        outputs["firewallStatuses"] = [{"syncStates": _ENDPOINTS}]
    return outputs


_ENDPOINTS = [
    {"availabilityZone": f"me-central-1{letter}", "attachments": [{"endpointId": f"vpce-{letter}"}]}
    for letter in "abcdef"
]


@functools.cache
def offered_at_home() -> Mapping[str, list[str]]:
    """Return the zones of me-central-1 that offer each instance type, as moto has them recorded of EC2."""
    moto = importlib.util.find_spec("moto")
    assert moto is not None and moto.submodule_search_locations
    path = Path(moto.submodule_search_locations[0], "ec2/resources/instance_type_offerings/availability-zone")
    zones: dict[str, list[str]] = {}
    for offer in json.loads(gzip.decompress((path / "me-central-1.json.gz").read_bytes())):
        zones.setdefault(offer["InstanceType"], []).append(offer["Location"])
    return zones


def answered(args: mocks.MockCallArgs, offered: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what EC2 offers of the instance types that are asked for: components look nothing else up."""
    assert args.token == "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings", f"{args.token} was called"
    (wanted,) = (each["values"] for each in args.args["filters"] if each["name"] == "instance-type")
    found = [(name, zone) for name in wanted for zone in offered.get(name, [])]
    return {
        "region": "me-central-1",
        "instanceTypes": [name for name, _ in found],
        "locations": [zone for _, zone in found],
        "locationTypes": [args.args["locationType"] for _ in found],
    }


class Recorder(mocks.Mocks):
    """Accepts every resource and remembers it."""

    def __init__(self) -> None:
        self.made: list[mocks.MockResourceArgs] = []
        self.offered = offered_at_home()
        """The zones that offer each instance type; a test may say otherwise."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made.append(args)
        return f"{args.name}-id", told(args)

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        return answered(args, self.offered)

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The inputs of every resource whose type ends so, by name: several are registered at once, in no order."""
        made = sorted(self.made, key=lambda args: args.name)
        providers_own = [args for args in made if not args.typ.startswith("falaj:")]
        return [args.inputs for args in providers_own if args.typ.endswith(f":{kind}")]

    def one(self, kind: str) -> dict[str, Any]:
        """The inputs of the only resource whose type ends so."""
        (inputs,) = self.all(kind)
        return inputs
