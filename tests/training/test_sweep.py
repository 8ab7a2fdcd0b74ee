"""A sweep: what its table refuses, how workers share its trials, what a kill costs, and what the report tells."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from training.runs import PATIENCE, until, write_job

from falaj.training.errors import RefusedError
from falaj.training.job import load_job, problems
from falaj.training.launch import StoppedError
from falaj.training.sweep.command import check_sweep
from falaj.training.sweep.report import JSON_FILE, PAGE, report_of, write_report
from falaj.training.sweep.section import Pruner, SweepSection
from falaj.training.sweep.study import SURPLUS, WORKER, Sweep
from falaj.training.sweep.trial import FailedTrialError, Watch, suggest, trial_job
from falaj.training.sweep.worker import supervise, work

HERE = Path(__file__).parent
SWEEP = """
[sweep]
metric = "loss"
trials = 6
[sweep.parameters]
"optimizer.learning_rate" = { low = 0.01, high = 1.0, log = true }
"model.settings.plain" = { choices = [true, false] }
"""


def write_sweep(folder: Path, *sets: str, table: str = SWEEP):
    write_job(folder)
    with (folder / "job.toml").open("a") as file:
        file.write(table)
    return load_job(folder / "job.toml", sets)


def open_sweep(job) -> Sweep:
    return Sweep(job, check_sweep(job))


def parabola(sweep, trial):
    values = {name: suggest(trial, name, each) for name, each in sweep.section.parameters.items()}
    return (values["optimizer.learning_rate"] - 0.3) ** 2


def start(job, pause: float) -> subprocess.Popen:
    command = [sys.executable, str(HERE / "sweep_worker.py"), str(job.path), str(pause), *job.overrides]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def is_at_work(trial) -> bool:
    return trial.state is TrialState.RUNNING and WORKER in trial.user_attrs and len(trial.params) == 2


def states(sweep: Sweep) -> list[TrialState]:
    return [each.state for each in sweep.trials()]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["sweep.workers=2", "sweep.storage='sqlite:///trials.db'"],
            "sweep.storage must be a journal or PostgreSQL for more than one worker: SQLite locks them out",
        ),
        (["sweep.storage='mysql://x'"], "sweep.storage must begin with journal:, postgresql://, sqlite:/// or file:"),
        (["sweep.parameters={}"], "sweep.parameters "),
        (
            ['sweep.parameters={"checkpoints.location"={choices=["a"]}}'],
            "sweep.parameters must leave checkpoints.location alone: it is the same for all trials",
        ),
        (
            ['sweep.parameters={"optimizer.momentum"={low=0.5, high=0.5}}'],
            "sweep.parameters.optimizer.momentum.high must be above low, 0.5",
        ),
        (
            ['sweep.parameters={"optimizer.momentum"={low=0.0, high=0.5, log=true}}'],
            "sweep.parameters.optimizer.momentum.low must be above 0 where log is true",
        ),
        (["sweep.trails=3"], "sweep.trails is no key of this table; did you mean trials?"),
    ],
)
def test_a_wrong_table_is_refused_with_field_value_and_remedy(tmp_path, sets, message):
    write_sweep(tmp_path)
    (wrong, *_) = problems(tmp_path / "job.toml", sets)
    assert str(wrong).startswith(message)


def test_sqlite_is_good_enough_for_one_worker(tmp_path):
    job = write_sweep(tmp_path, f"sweep.storage='sqlite:///{tmp_path}/trials.db'", "sweep.trials=2")
    sweep = open_sweep(job)
    work(sweep, lambda _: None, parabola)
    assert states(sweep) == [TrialState.COMPLETE] * 2


def test_a_url_in_a_file_is_looked_at_as_one_in_the_job(tmp_path):
    (tmp_path / "url").write_text("sqlite:///trials.db\n")
    job = write_sweep(tmp_path, "sweep.storage=file:url", "sweep.workers=2")
    with pytest.raises(RefusedError, match=r"sweep\.storage must be a file with the URL .*SQLite locks them out"):
        open_sweep(job)


def test_a_job_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(RefusedError, match=r"sweep must be a table of the job file"):
        check_sweep(write_job(tmp_path))


def test_values_that_the_job_file_would_refuse_are_refused_before_anything_runs(tmp_path):
    job = write_sweep(tmp_path, 'sweep.parameters={"optimizer.batch_size"={low=0, high=8}}')
    with pytest.raises(RefusedError, match=r"sweep\.parameters\.optimizer\.batch_size .*optimizer\.batch_size must be"):
        check_sweep(job)


def test_the_example_of_a_training_on_a_cluster_is_a_job_with_a_sweep():
    job = load_job(HERE.parents[1] / "docs" / "examples" / "training-job" / "job.toml")
    assert set(check_sweep(job).parameters) == {"optimizer.learning_rate", "optimizer.batch_size"}


def test_a_trial_is_the_job_with_its_values_its_name_and_its_folder(tmp_path):
    sweep = open_sweep(write_sweep(tmp_path, "budget.steps=20"))
    job = trial_job(sweep, 7, {"optimizer.learning_rate": 1e-5, "model.settings.plain": True})
    assert job.name == "toy-0007"
    assert job.folder == tmp_path / "sweeps" / "toy" / "trials" / "0007"
    assert (job.optimizer.learning_rate, job.model.settings["plain"], job.budget.steps) == (1e-5, True, 20)
    assert job.report.every_steps == sweep.section.every_steps
    assert sweep.job.optimizer.learning_rate == 0.02


def test_a_finished_sweep_adds_nothing_and_a_longer_one_goes_on(tmp_path):
    job = write_sweep(tmp_path)
    work(open_sweep(job), lambda _: None, parabola)
    sweep = open_sweep(job)
    assert sweep.done()
    before = [each.datetime_complete for each in sweep.trials()]
    work(sweep, lambda _: None, parabola)
    assert [each.datetime_complete for each in sweep.trials()] == before
    longer = open_sweep(load_job(job.path, ["sweep.trials=8"]))
    work(longer, lambda _: None, parabola)
    assert [each.datetime_complete for each in longer.trials()][:6] == before
    assert len(longer.trials()) == 8


def test_one_worker_tries_the_same_values_again_from_the_same_seed(tmp_path):
    found = []
    for name in ("a", "b"):
        sweep = open_sweep(write_sweep(tmp_path / name, "sweep.sampler=random"))
        work(sweep, lambda _: None, parabola)
        found.append([each.params for each in sweep.trials()])
    assert found[0] == found[1]


def test_another_direction_than_it_began_with_is_refused(tmp_path):
    job = write_sweep(tmp_path)
    open_sweep(job)
    with pytest.raises(RefusedError, match=r"sweep\.direction must stay what it was when the sweep began, minimize"):
        open_sweep(load_job(job.path, ["sweep.direction=maximize"]))


def test_workers_side_by_side_do_all_trials_and_no_more(tmp_path):
    job = write_sweep(tmp_path, "sweep.workers=3", "sweep.trials=12")
    workers = [start(job, 0.02) for _ in range(3)]
    said = [worker.communicate(timeout=PATIENCE)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], said
    sweep = open_sweep(job)
    assert states(sweep) == [TrialState.COMPLETE] * 12
    told = sorted(int(number) for lines in said for number in re.findall(r"^trial (\d+): ", lines, flags=re.M))
    assert told == [each.number for each in sweep.trials()]


def test_a_trial_that_was_one_too_many_does_not_count(tmp_path):
    sweep = open_sweep(write_sweep(tmp_path, "sweep.trials=2"))
    for _ in range(3):
        sweep.study.ask()
    assert not sweep.is_surplus(1)
    assert sweep.is_surplus(2)
    optuna.trial.Trial(sweep.study, 2).set_user_attr(SURPLUS, True)
    assert [each.number for each in sweep.trials()] == [0, 1]


def test_the_trial_of_a_killed_worker_fails_and_is_tried_again_with_the_same_values(tmp_path):
    job = write_sweep(tmp_path, "sweep.workers=2", "sweep.trials=3")
    worker = start(job, 600)
    sweep = open_sweep(job)
    until(lambda: any(is_at_work(each) for each in sweep.trials()), "a trial runs")
    assert sweep.fail_orphans() == 0
    tried = sweep.trials()[0].params
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate(timeout=PATIENCE)
    work(sweep, lambda _: None, parabola)
    assert sweep.study.trials[0].state is TrialState.FAIL
    assert states(sweep) == [TrialState.COMPLETE] * 3
    again = next(each for each in sweep.trials() if each.system_attrs.get("retry_history") == [0])
    assert again.params == tried


def test_a_trial_that_kills_its_worker_every_time_is_given_up(tmp_path):
    job = write_sweep(tmp_path, "sweep.trials=1", "sweep.retries=1")
    sweep = open_sweep(job)
    for _ in range(2):
        worker = start(job, 600)
        until(lambda: any(is_at_work(each) for each in sweep.trials()), "a trial runs")
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate(timeout=PATIENCE)
        sweep.fail_orphans()
    assert states(sweep) == [TrialState.FAIL]
    assert sweep.left() == 0


def test_a_worker_that_is_asked_to_stop_leaves_its_trial_to_others(tmp_path):
    sweep = open_sweep(write_sweep(tmp_path, "sweep.trials=2"))

    def stopped(sweep, trial):
        parabola(sweep, trial)
        raise StoppedError(15, 3)

    with pytest.raises(StoppedError):
        work(sweep, lambda _: None, stopped)
    work(sweep, lambda _: None, parabola)
    assert states(sweep) == [TrialState.COMPLETE] * 2


def test_values_that_are_no_good_cost_one_trial_and_not_the_sweep(tmp_path):
    sweep = open_sweep(write_sweep(tmp_path, "sweep.trials=3"))

    def diverges_once(sweep, trial):
        found = parabola(sweep, trial)
        if trial.number == 1:
            raise FailedTrialError("the loss is no finite number")
        return found

    said: list[str] = []
    work(sweep, said.append, diverges_once)
    assert states(sweep) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    assert said[1].startswith("trial 1: failed with optimizer.learning_rate=")
    assert report_of(sweep).trials[1].why == "the loss is no finite number"


def test_a_trial_that_does_worse_than_the_others_is_pruned_at_the_step_where_it_shows(tmp_path):
    job = write_sweep(tmp_path, "sweep.trials=7", "sweep.every_steps=5", "sweep.warmup_steps=10")
    sweep = open_sweep(job)

    def trained(sweep, trial):
        parabola(sweep, trial)
        watch = Watch(sweep.section, trial)
        worse = 100.0 if trial.number == 6 else 0.0
        for step in range(1, 31):
            watch({"event": "progress", "step": step, "loss": 1 / step + worse})
        return watch.last

    work(sweep, lambda _: None, trained)
    last = sweep.trials()[-1]
    assert last.state is TrialState.PRUNED
    assert list(last.intermediate_values) == [5, 10]
    assert states(sweep)[:6] == [TrialState.COMPLETE] * 6


def test_a_metric_of_the_score_is_followed_and_repeated_steps_are_not(tmp_path):
    section = SweepSection(
        parameters={"a.b": {"choices": (1,)}}, trials=1, metric="accuracy", pruner=Pruner.NONE, every_steps=1
    )
    trial = optuna.create_study().ask()
    watch = Watch(section, trial)
    for step, value in ((1, 0.1), (2, 0.2), (2, 0.9), (3, 0.3)):
        watch({"event": "progress", "step": step, "loss": 5.0, "metrics": {"accuracy": value}})
    watch({"event": "checkpoint", "step": 3})
    assert watch.last == 0.3
    assert trial.study.trials[0].intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3}


def test_the_report_tells_the_best_trial_and_what_mattered_and_needs_nothing_else(tmp_path):
    job = write_sweep(tmp_path, "sweep.trials=12")
    sweep = open_sweep(job)
    work(sweep, lambda _: None, parabola)
    report = write_report(sweep)
    values = {row.number: row.value for row in report.trials}
    assert report.best is not None
    assert report.best.value == min(values.values())
    assert report.importances["optimizer.learning_rate"] > report.importances["model.settings.plain"]
    told = json.loads((sweep.folder / JSON_FILE).read_text())
    assert told["best"]["number"] == report.best.number
    assert len(told["trials"]) == 12
    page = (sweep.folder / PAGE).read_text()
    assert f"--set optimizer.learning_rate={report.best.values['optimizer.learning_rate']}" in page
    assert page.count("<circle") == 12
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page


def test_where_no_trial_is_complete_none_is_the_best(tmp_path):
    report = report_of(open_sweep(write_sweep(tmp_path)))
    assert (report.best, report.importances) == (None, {})


def test_the_page_shows_a_users_words_as_words(tmp_path):
    job = write_sweep(tmp_path, """sweep.parameters={"model.settings.word"={choices=["<script>"]}}""", "sweep.trials=1")
    sweep = open_sweep(job)

    def any_word(sweep, trial):
        suggest(trial, "model.settings.word", sweep.section.parameters["model.settings.word"])
        return 1.0

    work(sweep, lambda _: None, any_word)
    write_report(sweep)
    assert "<script>" not in (sweep.folder / PAGE).read_text()


def test_the_command_trains_measures_and_reports_and_does_nothing_more_when_it_is_done(tmp_path):
    # The toy's model and data must be plain together, and a trial sets one of them.
    table = SWEEP.replace('"model.settings.plain" = { choices = [true, false] }', "")
    sets = ("sweep.trials=2", "sweep.workers=2", "budget.steps=10", "parallel.restarts=0")
    job = write_sweep(tmp_path, *sets, table=table)
    command = [sys.executable, "-m", "falaj.training.cli", "sweep", str(job.path)]
    command += [part for each in job.overrides for part in ("--set", each)]
    first = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    log = (tmp_path / "sweeps" / "toy" / "workers.log").read_text()
    assert first.returncode == 0, first.stderr + log
    told = json.loads((tmp_path / "sweeps" / "toy" / JSON_FILE).read_text())
    assert [row["state"] for row in told["trials"]] == ["complete"] * 2, log
    for row in told["trials"]:
        lines = (tmp_path / "sweeps" / "toy" / "trials" / f"{row['number']:04}" / "progress.jsonl").read_text()
        assert '"event": "end"' in lines
    assert f"best: trial {told['best']['number']}" in first.stdout
    second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert second.returncode == 0, second.stderr
    assert json.loads((tmp_path / "sweeps" / "toy" / JSON_FILE).read_text())["trials"] == told["trials"]


def test_a_killed_worker_is_replaced_until_all_trials_have_ended(tmp_path, monkeypatch):
    job = write_sweep(tmp_path, "sweep.workers=2", "sweep.trials=4")
    sweep, pauses, started = open_sweep(job), [600.0, 0.05], []

    def start_worker(job, _folder):
        # The first would never end; the others are so quick that they would leave it nothing.
        if len(started) == 1:
            until(lambda: any(is_at_work(each) for each in open_sweep(job).trials()), "the first is at work")
        started.append(start(job, pauses[0] if not started else pauses[1]))
        return started[-1]

    def kill_the_first():
        until(lambda: sum(each.state.is_finished() for each in open_sweep(job).trials()) == 3, "the others end")
        # It would take the trial up again itself.
        until(lambda: len(started) > 1 and started[1].poll() is not None, "the other worker ends")
        os.kill(started[0].pid, signal.SIGKILL)

    monkeypatch.setattr("falaj.training.sweep.worker._start", start_worker)
    killer = threading.Thread(target=kill_the_first)
    killer.start()
    said: list[str] = []
    supervise(sweep, job, said.append)
    killer.join(PATIENCE)
    assert states(sweep) == [TrialState.COMPLETE] * 4
    assert said == ["a worker ended with -9; its trial is tried again"]
    assert len(started) == 3
