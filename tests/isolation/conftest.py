"""Two teams of a department on a real control plane, made by the components, and the people who try to cross over.

The API server, its admission, the scheduler, the controllers and Kueue are real; nodes and running pods are KWOK's.
People have client certificates that the cluster signed, pods' identities have tokens of their service accounts.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from examples import Example

sys.path.insert(0, str(Path(__file__).parent))
from kubernetes_api import Identity, administrator, done, person, running, service_account
from manifests import KEPT, node, pod

from falaj.lab.testing import RunningLab, temporary_lab

SERVICES = ["kube-controller-manager", "kube-scheduler", "kwok", "kueue"]


@dataclass(frozen=True)
class Team:
    """A tenant's people, and the identity of its pods."""

    name: str
    viewer: Identity
    developer: Identity
    operator: Identity
    account: Identity

    @property
    def everyone(self) -> list[Identity]:
        """Whoever of the team might try."""
        return [self.viewer, self.developer, self.operator, self.account]


@pytest.fixture(scope="session")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab with a control plane and Kueue, and no more."""
    with temporary_lab(tmp_path_factory.mktemp("isolated") / "state", only=SERVICES) as running:
        yield running


@pytest.fixture(scope="session")
def example(isolated: RunningLab) -> Example:
    """The example of tenants, brought up with the policies."""
    example = Example(isolated, "tenant")
    example.up()
    return example


@pytest.fixture(scope="session")
def admin(example: Example) -> Identity:
    """Who may do everything: says that an object exists, and that a manifest is right."""
    admin = administrator(Path(example.lab.env["KUBECONFIG"]))
    done(admin.create("nodes", node("shared-0", "shared")))
    done(admin.create("nodes", node("shared-1", "shared")))
    done(admin.create("nodes", node("kept-0", "kept", **{KEPT["key"]: KEPT["value"]})))
    return admin


@pytest.fixture(scope="session")
def vision(admin: Identity) -> Team:
    """The team that tries."""
    return _team(admin, "vision")


@pytest.fixture(scope="session")
def speech(admin: Identity) -> Team:
    """The team against which it tries."""
    team = _team(admin, "speech")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "narrator"}}
    done(admin.create("serviceaccounts", account, "speech"))
    return team


@pytest.fixture(scope="session")
def department(admin: Identity) -> Identity:
    """Who leads the department of both."""
    return person(admin, "rashid", "research-operators")


@pytest.fixture(scope="session")
def victim(admin: Identity, speech: Team) -> str:
    """The name of a running pod of speech."""
    made = done(speech.developer.create("pods", pod("victim"), "speech"))["metadata"]["name"]
    running(admin, "speech", made)
    return made


@pytest.fixture(scope="session")
def own(admin: Identity, vision: Team) -> str:
    """The name of a running pod of vision."""
    made = done(vision.developer.create("pods", pod("own"), "vision"))["metadata"]["name"]
    running(admin, "vision", made)
    return made


def _team(admin: Identity, name: str) -> Team:
    for kind, of in (("secrets", {"stringData": {"key": name}}), ("configmaps", {"data": {"key": name}})):
        manifest = {"apiVersion": "v1", "metadata": {"name": "features"}, **of}
        done(admin.create(kind, manifest | {"kind": "Secret" if kind == "secrets" else "ConfigMap"}, name))
    people = {role: person(admin, f"{name}-{role}", f"{name}-{role}s") for role in ("viewer", "developer", "operator")}
    return Team(name, **people, account=service_account(admin, name, "trainer"))
