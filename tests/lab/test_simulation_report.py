"""The report: verdicts that say what was measured, and one page that needs nothing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from falaj.lab.simulation import arrivals, cycles, plots, report
from falaj.lab.simulation.events import Event, Seen
from falaj.lab.simulation.measuring import measure
from falaj.lab.simulation.scenario import load

SMALL = load("steady", small=True)
TRACE = arrivals.generate(SMALL)
SCALE = 100.0


def a_run(late: int, *, complete: bool = True) -> dict[str, Any]:
    """Return the figures of a run in which all jobs came and ran at once, and so many deadlines were missed."""
    due = [job for job in TRACE if job.deadline is not None]
    missed = {job.name for job in due[:late]}
    events: list[Event] = [Event(0, Seen.CAPACITY, value=SMALL.gpus, note="at the start")]
    for job in TRACE:
        end = 5.0 if job.deadline is None else job.deadline / SCALE + (1 if job.name in missed else -0.5)
        events += [Event(0, Seen.SUBMITTED, job.name), Event(1, Seen.ADMITTED, job.name)]
        events += [Event(1, Seen.READY, job.name, job.pods), Event(end, Seen.FINISHED, job.name)]
    return {
        "controller": None,
        "complete": complete,
        "seconds": 1001.0,
        "simulated_seconds_per_second": 1.0,
        "time_to_scale": [{"nodes": 6, "seconds_until_ready": 0.4}],
        "cycles": {"count": 40, "mean_seconds": 0.25, "longest_at_least": 0.5},
        "restarts": {},
        "load_average": 1.5,
        "control_plane": {"kube-apiserver": {"cpu_seconds": 10.0, "peak_mib": 300.0}},
        **measure(SMALL, TRACE, events, SCALE, 1001.0),
    }


def verdicts(runs: dict[str, Any]) -> dict[str, str]:
    return {one["target"]: one["verdict"] for one in report.targets(runs)}


def test_half_the_misses_of_plain_kueue_meet_the_target_and_more_do_not():
    name = "deadline misses, as a part of those of plain Kueue"
    assert verdicts({"plain": a_run(8), "controlled": a_run(4)})[name] == "met"
    assert verdicts({"plain": a_run(8), "controlled": a_run(5)})[name] == "missed"


def test_without_a_miss_under_plain_kueue_nothing_is_claimed_of_the_other():
    name = "deadline misses, as a part of those of plain Kueue"
    assert verdicts({"plain": a_run(0), "controlled": a_run(0)})[name] == "undetermined"
    assert name not in verdicts({"controlled": a_run(0)})


def test_a_run_that_ended_early_meets_no_target():
    assert set(verdicts({"plain": a_run(1, complete=False)}).values()) == {"undetermined"}


def test_a_run_in_which_work_hardly_waited_says_nothing_of_fairness_and_utilization():
    run = a_run(1)
    run["utilization"]["seconds_while_work_waits"] = 3.0
    assert set(verdicts({"plain": run}).values()) == {"undetermined"}


def test_a_run_in_which_time_passed_too_fast_is_not_judged_and_says_how_much_longer_it_has_to_be():
    run = {**a_run(1), "start_seconds": {"p50": 2.0}, "run_seconds_mean": 32.0}
    assert set(verdicts({"plain": run, "controlled": run}).values()) == {"undetermined"}
    line = report.summary({"plain": run})[-1]
    assert line.startswith("plain: not judged, since time passed too fast: half of the work took 2.0 s or more to")
    assert line.endswith("of 32.0 s that the mean job runs; 2.5% is the most: give 2.5 times the --minutes")
    assert line in report.page(report.describe(SMALL, TRACE), {"plain": run})
    assert "too fast" not in report.summary({"plain": {**run, "complete": False}})[-1]
    assert report.too_fast({**run, "run_seconds_mean": 80.0}) == pytest.approx(1)
    assert report.too_fast(a_run(1)) < 1


def test_nobody_is_below_its_share_and_left_out_for_longer_than_a_round_and_a_preemption():
    name = "seconds left out below the nominal share, plain"
    run = a_run(0)
    assert verdicts({"plain": run})[name] == "undetermined", "nobody knows where the jobs were"
    run["evictions"]["preemption_seconds"]["p95"] = 2.0
    for longest, verdict in ((2.5, "met"), (3.0, "missed")):
        run["nominal"]["left_out"] = {"longest_seconds": {"p50": 0.0, "max": longest}}
        assert verdicts({"plain": run})[name] == verdict
    assert verdicts({"plain": {**run, "cycles": None}})[name] == "undetermined"


def test_of_kueue_s_cycles_the_number_the_mean_and_the_least_that_the_longest_took_are_told():
    name = "kueue_admission_attempt_duration_seconds"
    buckets = {"success": (3, 4, 4), "inadmissible": (5, 5, 6)}
    lines = [
        f'{name}_bucket{{replica_role="standalone",result="{result}",le="{bound}"}} {count}'
        for result, counts in buckets.items()
        for bound, count in zip(("0.5", "1", "+Inf"), counts, strict=True)
    ]
    lines += [f'{name}_sum{{result="success"}} 1.5', f'{name}_sum{{result="inadmissible"}} 2.5']
    lines += [f'{name}_count{{result="success"}} 4', f'{name}_count{{result="inadmissible"}} 6']
    assert cycles.read("\n".join(lines)) == {"count": 10, "mean_seconds": 0.4, "longest_at_least": 1.0}
    assert cycles.read("") is None


def test_the_summary_says_verdict_figure_and_target_of_each():
    run = a_run(2)
    run["utilization"]["while_work_waits"], run["fairness"]["jain"] = 0.97, 0.5
    lines = report.summary({"plain": run})
    assert "      missed  fairness under contention, plain: 0.5 (>= 0.98)" in lines
    assert "         met  GPU utilization while work waits, plain: 0.97 (>= 0.95)" in lines
    assert lines[-1].startswith("plain: 72 of 72 jobs finished in 1001 s, 2 of 24 deadlines missed")


def test_both_reports_are_written_and_the_page_needs_nothing_else(tmp_path: Path):
    report.write(tmp_path, SMALL, TRACE, {"plain": a_run(8), "controlled": a_run(4)})
    told = json.loads((tmp_path / "report.json").read_text())
    page = (tmp_path / "report.html").read_text()
    assert told["scenario"]["jobs"] == 72
    assert told["runs"]["plain"]["deadlines"]["all"]["missed"] == 8
    assert page.count("<svg") == 10
    assert not re.findall(r'(?:src|href)="', page)
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", page)


def test_a_plot_of_nothing_says_so():
    assert "there was nothing of this" in plots.lines("Preemptions", "s", "n", {})
    assert "there was nothing of this" in plots.bars("Misses", "n", {})


def test_a_bar_is_as_high_as_its_value_and_names_it():
    drawn = plots.bars("Misses", "jobs", {"batch": {"plain": 10, "controlled": 5}})
    high = [float(height) for height in re.findall(r'<rect x="[^"]*" y="[^"]*" width="[^"]*" height="([^"]*)"', drawn)]
    assert high[0] == pytest.approx(2 * high[1], rel=0.01)
    assert "<title>batch, plain: 10</title>" in drawn


def test_long_lines_are_thinned_and_keep_their_end():
    points = [(float(at), at * 2.0) for at in range(5000)]
    kept = plots.thinned(points)
    assert len(kept) <= plots.MOST_POINTS + 1
    assert kept[-1] == points[-1]


@pytest.mark.parametrize(("value", "expected"), [(0, 1), (7, 8), (101, 120), (0.9, 1), (160, 200), (1000, 1000)])
def test_axes_end_at_round_numbers(value: float, expected: float):
    assert plots.nice(value) == pytest.approx(expected)


def test_names_are_escaped_in_the_page():
    run = a_run(1)
    run["controller"] = "run <script>"
    assert "run <script>" not in report.page(report.describe(SMALL, TRACE), {"controlled": run})
