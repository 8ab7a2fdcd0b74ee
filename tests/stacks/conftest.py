"""Make the modules of stacks/ importable, as the language host does for the program."""

import sys
from datetime import date
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[2] / "stacks"), str(Path(__file__).parent)]


@pytest.fixture(autouse=True)
def day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stay on the day on which the tests were written, so that no version of Kubernetes grows too old for them."""
    monkeypatch.setattr("falaj.components.kubernetes_versions.today", lambda: date(2026, 11, 26))
