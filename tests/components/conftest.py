"""A stand-in for the engine that records what a program registers."""

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pulumi_vault as vault
import pytest
import yaml
from pulumi.runtime import mocks

# Pytest imports each test by its path, so modules that tests share have to be found in another way.
sys.path.insert(0, str(Path(__file__).parent))


VAULT_TELLS = {
    "AuthBackend": {"accessor": "ACCESSOR"},
    "SecretBackendIntermediateCertRequest": {"csr": "REQUEST"},
    "SecretBackendIntermediateSetSigned": {"importedIssuers": ["INTERMEDIATE", "ROOT"]},
    "SecretBackendRootCert": {"certificate": "ROOT CERTIFICATE", "issuerId": "ROOT"},
    "SecretBackendRootSignIntermediate": {"certificateBundle": "CHAIN"},
}
"""What a Vault tells of what it made."""


class Recorder(mocks.Mocks):
    """Accepts every resource and remembers it."""

    def __init__(self) -> None:
        self.made: list[mocks.MockResourceArgs] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made.append(args)
        outputs = {"arn": f"arn:aws:mock:me-central-1:123456789012:{args.name}", **args.inputs}
        if args.typ == "kubernetes:core/v1:Secret":
            outputs["data"] = {"token": base64.b64encode(b"reviewer").decode()}
        outputs.update(VAULT_TELLS.get(args.typ.rpartition(":")[2], {}))
        if args.typ == "aws:eks/cluster:Cluster":
            outputs["endpoint"] = "https://eks.example"
            outputs["certificateAuthority"] = {"data": base64.b64encode(b"PEM").decode()}
        return f"{args.name}-id", outputs

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


@pytest.fixture
def engine() -> Recorder:
    recorder = Recorder()
    mocks.set_mocks(recorder)
    return recorder


@pytest.fixture
def run(engine: Recorder) -> Callable[[Callable[[], Any]], Any]:
    """Run a program to its end, all its outputs settled, and return what it returned, outputs resolved."""

    def run_program(program: Callable[[], Any]) -> Any:
        result: list[Any] = []

        def whole() -> pulumi.Output[None]:
            return pulumi.Output.from_input(program()).apply(result.append)

        pulumi.runtime.test(whole)()
        return result[0]

    return run_program


@pytest.fixture
def providers() -> Callable[[], pulumi.ResourceOptions]:
    """Options with explicit providers, as a program without default providers needs them."""
    return lambda: pulumi.ResourceOptions(
        providers=[aws.Provider("aws"), k8s.Provider("kubernetes"), vault.Provider("vault")]
    )


@pytest.fixture
def kubeconfig(tmp_path) -> str:
    path = tmp_path / "kubeconfig"
    (tmp_path / "ca.crt").write_text("LAB CA")
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "lab",
                "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
                "clusters": [
                    {
                        "name": "lab",
                        "cluster": {"server": "https://127.0.0.1:7443", "certificate-authority": "ca.crt"},
                    }
                ],
            }
        )
    )
    return str(path)
