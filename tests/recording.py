"""A stand-in for the engine that records what a program registers, and tells what a provider would of it."""

import base64
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


class Recorder(mocks.Mocks):
    """Accepts every resource and remembers it."""

    def __init__(self) -> None:
        self.made: list[mocks.MockResourceArgs] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made.append(args)
        return f"{args.name}-id", told(args)

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"components look nothing up, but {args.token} was called")

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The inputs of every resource whose type ends so, by name: several are registered at once, in no order."""
        made = sorted(self.made, key=lambda args: args.name)
        providers_own = [args for args in made if not args.typ.startswith("falaj:")]
        return [args.inputs for args in providers_own if args.typ.endswith(f":{kind}")]

    def one(self, kind: str) -> dict[str, Any]:
        """The inputs of the only resource whose type ends so."""
        (inputs,) = self.all(kind)
        return inputs
