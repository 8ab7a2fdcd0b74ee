"""The guide to data checks and gates: what it shows can be written so, and what it says of power is so."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from falaj.training.gate.compare import compare
from falaj.training.gate.section import GateSection
from falaj.training.validation.drift import shift
from falaj.training.validation.profile import of_numbers
from falaj.training.validation.section import DataChecks

GUIDE = (Path(__file__).parents[2] / "docs" / "training-data-and-gate.md").read_text(encoding="utf-8")
BLOCKS = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)]


def test_every_table_of_the_guide_is_one_that_a_job_file_may_have() -> None:
    assert len(BLOCKS) == 3
    for block in BLOCKS:
        if "gate" in block:
            GateSection.model_validate(block["gate"])
        else:
            DataChecks.model_validate(block["data"]["checks"])


def power() -> list[tuple[int, float, int]]:
    """Return of the guide's table: examples, tolerance, percent that pass."""
    tolerances = [0.01, 0.02, 0.03, 0.05]
    rows = re.findall(r"^\| ([\d,]+) \|((?: \d+ %(?: pass)? \|)+)$", GUIDE, re.MULTILINE)
    found = []
    for count, cells in rows:
        percents = [int(cell) for cell in re.findall(r"(\d+) %", cells)]
        found += [(int(count.replace(",", "")), *pair) for pair in zip(tolerances, percents, strict=True)]
    return found


def test_the_table_of_power_is_whole() -> None:
    assert len(power()) == 24


def test_a_model_as_good_as_its_champion_passes_as_often_as_the_guide_says() -> None:
    said = {tolerance: percent for count, tolerance, percent in power() if count == 500}
    passed = dict.fromkeys(said, 0)
    rng = np.random.default_rng(11)
    for seed in range(60):
        lot = rng.random(500)
        model, champion = (lot > 0.05).astype(float), ((lot < 0.05) | (lot > 0.10)).astype(float)
        found = compare(model, champion, "higher", confidence=0.95, resamples=1000, seed=seed)
        for tolerance in said:
            passed[tolerance] += found.outcome(tolerance) == "pass"
    assert {tolerance: 100 * count / 60 for tolerance, count in passed.items()} == pytest.approx(said, abs=20)


def test_chance_reaches_the_bound_of_drift_below_the_rows_that_the_guide_says() -> None:
    rows = int(re.findall(r"below (\d+) rows on both sides", GUIDE)[0])
    for count, is_too_few in ((rows - 2, True), (rows + 1, False)):
        made = of_numbers(np.arange(float(count)), 10)
        assert (shift(made, made.counts).chance > 0.25) == is_too_few
