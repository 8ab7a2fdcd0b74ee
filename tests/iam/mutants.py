"""Do the proofs notice? Leaves each statement, and each condition key, out of the policies in turn, and runs them.

``python tests/iam/mutants.py [WORD]`` takes some minutes; with a word, only test files that have it in their name.
A survivor is a statement or condition whose loss no test notices.
"""

import contextlib
import copy
import importlib
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
POLICIES = {
    "test_key_policies.py": ["key_policy.key_policy"],
    "test_bucket_policies.py": ["bucket_policy.bucket_policy"],
    "test_endpoint_policies.py": ["network_endpoints.endpoint_policy", "network_endpoints.s3_endpoint_policy"],
    "test_region_guard.py": ["region_guard.guard_policy"],
    "test_other_policies.py": [
        "backup.vault_policy",
        "backup_role.backup_trust",
        "findings.group_policy",
        "findings.topic_policy",
        "home_folders.file_system_policy",
        "image_policies.registry_policy",
        "image_policies.repository_policy",
        "network_flow_log.flow_log_trust",
    ],
}


@dataclass
class Mutation:
    """What is left out at the moment, and all that could be."""

    sid: str = ""
    key: str = ""
    seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def __call__(self, policy: dict[str, Any]) -> dict[str, Any]:
        """Return the policy without it."""
        policy = copy.deepcopy(policy)
        kept = [each for each in policy["Statement"] if not self.sid or each.get("Sid") != self.sid]
        policy["Statement"] = [self._without(each) for each in kept]
        return policy

    def _without(self, statement: dict[str, Any]) -> dict[str, Any]:
        if "Sid" in statement:
            self.seen.add(("sid", statement["Sid"]))
        conditions = statement.pop("Condition", {})
        self.seen.update(("key", key) for tests in conditions.values() for key in tests)
        kept = {operator: {k: v for k, v in tests.items() if k != self.key} for operator, tests in conditions.items()}
        kept = {operator: tests for operator, tests in kept.items() if tests}
        return statement | ({"Condition": kept} if kept else {})


class Failures:
    """The names of the tests that fail."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid.rpartition("::")[2])


@contextlib.contextmanager
def changed(functions: list[str], mutation: Mutation) -> Iterator[None]:
    """Have the functions return what the mutation leaves of their policies."""
    with pytest.MonkeyPatch.context() as patch:
        for path in functions:
            module, name = path.split(".")
            imported = importlib.import_module(f"falaj.components.{module}")
            patch.setattr(imported, name, _mutated(getattr(imported, name), mutation))
        yield


def _mutated(function: Callable[..., dict[str, Any]], mutation: Mutation) -> Callable[..., dict[str, Any]]:
    return lambda *arguments, **named: mutation(function(*arguments, **named))


def failures(file: str) -> list[str]:
    """Run a file of tests anew, until the first failure, and return what failed."""
    for name in [name for name in sys.modules if name.rpartition(".")[2] == file.removesuffix(".py")]:
        del sys.modules[name]
    found = Failures()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-q", "-x", "-p", "no:cacheprovider", str(HERE / file)], plugins=[found])
    return found.names


def main(word: str = "") -> int:
    """Say what is noticed by which test, and return how many mutants survive."""
    survivors = 0
    for file, functions in POLICIES.items():
        if word not in file:
            continue
        mutation = Mutation()
        with changed(functions, mutation):
            assert not failures(file), f"{file} fails without any change"
            for kind, name in sorted(mutation.seen):
                mutation.sid, mutation.key = (name, "") if kind == "sid" else ("", name)
                noticed = failures(file)
                survivors += not noticed
                print(f"{file}: without {name}: {noticed[0] if noticed else 'NOT NOTICED'}", flush=True)
    return survivors


if __name__ == "__main__":
    print(main(*sys.argv[1:]), "survivors")
