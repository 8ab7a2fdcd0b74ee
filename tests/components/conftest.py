"""A stand-in for the engine that records what a program registers."""

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pulumi_vault as vault
import pytest
import yaml
from pulumi.runtime import mocks
from recording import Recorder

# Pytest imports each test by its path, so modules that tests share have to be found in another way.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def day(monkeypatch: pytest.MonkeyPatch) -> date:
    """The day on which the tests were written, so that no version of Kubernetes grows too old for them."""
    written = date(2026, 11, 26)
    monkeypatch.setattr("falaj.components.kubernetes_versions.today", lambda: written)
    return written


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
