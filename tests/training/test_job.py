"""The job file is typed, and what is wrong with it is said with field, value and remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.runs import JOB, write_job

from falaj.training import reference
from falaj.training.errors import RefusedError
from falaj.training.job import load_job, problems

DOCS = Path(__file__).parents[2] / "docs"

WRONG = {
    "budget.stepz=3": ("budget.stepz is no key of this table; did you mean steps? (got 3)",),
    "optimzer.name=sgd": ("optimzer is no key of this table; did you mean optimizer?",),
    "wholly_different=1": ("wholly_different is no key of this table, which has budget, checkpoints,",),
    "optimizer.learning_rate=0": ("optimizer.learning_rate must be above 0", "(got 0)"),
    "optimizer.learning_rate=nan": ("optimizer.learning_rate must be above 0",),
    'optimizer.batch_size="8"': ("optimizer.batch_size must be a whole number (got '8')",),
    "optimizer.name=sdg": ("optimizer.name must be 'adamw', 'adam' or 'sgd'; did you mean sgd?",),
    "parallel.workers=3": ("optimizer.batch_size must be a multiple of 3", "(got 8)"),
    "parallel.nodes=2": ("parallel.rendezvous must be host:port of the first node",),
    "budget.minutes=1": ("budget must say one of steps, epochs and minutes",),
    "model.entry=toy.model": ("model.entry must be package.module:function (got 'toy.model')",),
    "version=2": ("version must be 1",),
    "name=Toy": ("name ", "(got 'Toy')"),
    "precision.compile=1": ("precision.compile must be true or false",),
    "checkpoints.key=none": ("checkpoints.key must be aws-kms:ARN, vault:MOUNT/KEY or file:PATH (got 'none')",),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_is_said_with_field_value_and_remedy(said: str, tmp_path: Path) -> None:
    job = write_job(tmp_path)
    with pytest.raises(RefusedError) as caught:
        load_job(job.path, [said])
    for part in WRONG[said]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    fields = {each.field for each in problems(job.path, ["sead=1", "budget.stepz=2", "optimizer.batch_size=0"])}
    assert fields == {"sead", "budget.stepz", "optimizer.batch_size"}


def test_a_minutes_budget_has_no_last_step_to_plan_for(tmp_path: Path) -> None:
    text = JOB.replace("steps = 40", "minutes = 1")
    (tmp_path / "job.toml").write_text(text)
    with pytest.raises(RefusedError, match=r"optimizer.schedule must be constant where the budget is in minutes"):
        load_job(tmp_path / "job.toml")


def test_text_that_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("version = 1\nname =\n")
    with pytest.raises(RefusedError, match=r"must be TOML.*line 2"):
        load_job(tmp_path / "job.toml")


def test_values_are_said_anew_with_and_without_quotes(tmp_path: Path) -> None:
    sets = ("name=other", 'data.region="me-central-1"', "budget.steps=3", "model.settings.depth=[1, 2]")
    job = write_job(tmp_path, *sets)
    assert (job.name, job.data.region, job.budget.steps) == ("other", "me-central-1", 3)
    assert job.model.settings == {"depth": [1, 2]}


@pytest.mark.parametrize("said", ["budget.steps", "=3", "name.more=3"])
def test_what_cannot_be_said_anew_is_refused(said: str, tmp_path: Path) -> None:
    job = write_job(tmp_path)
    with pytest.raises(RefusedError, match="--set must"):
        load_job(job.path, [said])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_value_of_a_key_gets_past_as_anything_else(value: object) -> None:
    import json

    from pydantic import ValidationError

    from falaj.training.tables import OptimizerTable

    try:
        table = OptimizerTable.model_validate_json(json.dumps({"learning_rate": value, "batch_size": 1}))
    except ValidationError:
        return
    assert isinstance(value, int | float) and not isinstance(value, bool)
    assert table.learning_rate == value


def test_the_guide_holds_the_reference_that_the_tables_give() -> None:
    guide = (DOCS / "training.md").read_text()
    assert reference.reference() in guide, "run: python -m falaj.training.reference, and put it into docs/training.md"


def test_every_key_of_the_job_file_says_what_it_means() -> None:
    for line in reference.reference().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line
