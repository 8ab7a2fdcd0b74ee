"""Traces: the same from the same seed, read from public formats, replayed as they were written."""

import json
from pathlib import Path

import pytest

from falaj.lab.errors import LabError
from falaj.lab.simulation import arrivals, trace
from falaj.lab.simulation.public_traces import Format, read_trace
from falaj.lab.simulation.scenario import Size, load
from falaj.lab.simulation.trace import TraceJob

SMALL = load("steady", Size(nodes=20, jobs=2000, tenants=5))

PHILLY = [
    {
        "status": "Pass",
        "vc": "ee9e8c",
        "jobid": "application_1_1",
        "attempts": [
            {
                "start_time": "2017-10-07 01:12:09",
                "end_time": "2017-10-07 01:13:09",
                "detail": [{"ip": "m47", "gpus": ["gpu0", "gpu1"]}],
            },
            {
                "start_time": "2017-10-07 01:14:00",
                "end_time": "2017-10-07 02:14:00",
                "detail": [{"ip": "m1", "gpus": ["gpu0", "gpu1"]}, {"ip": "m2", "gpus": ["gpu0", "gpu1"]}],
            },
        ],
        "submitted_time": "2017-10-07 01:11:39",
        "user": "ce2f4c",
    },
    {"status": "Killed", "vc": "ee9e8c", "jobid": "never-ran", "attempts": [], "submitted_time": "2017-10-07 01:00:00"},
    {
        "status": "Pass",
        "vc": "6214e9",
        "jobid": "still-running",
        "attempts": [{"start_time": "2017-10-07 01:12:09", "end_time": None, "detail": []}],
        "submitted_time": "2017-10-07 01:00:00",
    },
]

ALIBABA_2020 = """\
4f05,worker,2.0,Terminated,1000.0,1600.0,600.0,29.3,50.0,MISC
4f05,ps,1.0,Terminated,990.0,1500.0,600.0,29.3,,
77aa,tensorflow,4.0,Terminated,2000.0,2300.0,600.0,29.3,100.0,V100
88bb,evaluator,1.0,Running,2100.0,,600.0,29.3,100.0,V100
"""

ALIBABA_2023 = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
openb-pod-0017,88000,327680,8,1000,,Burstable,Succeeded,9437497,10769854,9437500
openb-pod-0022,4000,15258,1,220,,BE,Running,9679175,9973826,9679175
openb-pod-0099,4000,15258,0,0,,BE,Running,9679175,9973826,9679175
openb-pod-0100,4000,15258,1,1000,,LS,Pending,9679175,,
"""


def test_the_same_seed_gives_the_same_trace_and_another_seed_another():
    again = arrivals.generate(load("steady", Size(nodes=20, jobs=2000, tenants=5)))
    other = arrivals.generate(load("steady", Size(nodes=20, jobs=2000, tenants=5, seed=8)))
    assert arrivals.generate(SMALL) == again
    assert other != again


def test_a_trace_makes_the_load_that_the_scenario_says():
    jobs = arrivals.generate(SMALL)
    work = sum(job.seconds * job.all_gpus for job in jobs)
    assert work / (jobs[-1].arrival * SMALL.gpus) == pytest.approx(SMALL.load, rel=0.02)
    assert [job.arrival for job in jobs] == sorted(job.arrival for job in jobs)


def test_sizes_and_tiers_come_in_the_proportions_that_the_scenario_says():
    jobs = arrivals.generate(SMALL)
    assert sum(job.gpus == 1 for job in jobs) / len(jobs) == pytest.approx(0.56, abs=0.04)
    assert sum(job.tier == "batch" for job in jobs) / len(jobs) == pytest.approx(0.5, abs=0.04)
    assert {job.gpus for job in jobs} == {1, 2, 4, 8, 16, 32}
    assert sum(job.tenant == "team01" for job in jobs) == 400


def test_deadlines_are_given_to_the_tiers_that_have_a_rule_and_leave_room_for_the_work():
    jobs = arrivals.generate(SMALL)
    due = {tier: [job for job in jobs if job.tier == tier and job.deadline] for tier in SMALL.tiers}
    assert not due["scavenger"]
    assert not due["interactive"]
    assert len(due["production"]) == pytest.approx(200, rel=0.2)
    slack = [(job.deadline - job.arrival) / job.seconds for job in due["production"] if job.deadline]
    assert min(slack) >= 1.199
    assert max(slack) <= 3.001


def test_bursts_bring_their_part_of_the_jobs_in_their_time():
    burst = load("burst", Size(nodes=20, jobs=2000, tenants=5))
    jobs = arrivals.generate(burst)
    length = trace.window(jobs, burst.gpus, burst.load)
    in_it = sum(0.25 * length <= job.arrival <= 0.27 * length for job in jobs)
    assert in_it / len(jobs) == pytest.approx(0.4, abs=0.05)


def test_a_tenants_work_comes_only_when_the_tenant_is_active():
    attack = load("starvation-attack", Size(nodes=20, jobs=2000, tenants=5))
    jobs = arrivals.generate(attack)
    length = trace.window(jobs, attack.gpus, attack.load)
    mine = [job.arrival / length for job in jobs if job.tenant == "attacker"]
    assert len(mine) > 500
    assert min(mine) >= 0.1
    assert max(mine) <= 0.9


def test_a_job_larger_than_a_node_has_alike_pods_of_one_node_each():
    job = TraceJob("one", "team", "batch", 0, 60, gpus=32)
    assert (job.pods, job.gpus_per_pod, job.all_gpus) == (4, 8, 32)
    odd = TraceJob("two", "team", "batch", 0, 60, gpus=12)
    assert (odd.pods, odd.gpus_per_pod) == (2, 6)


def test_a_trace_that_was_written_is_read_as_it_was(tmp_path: Path):
    jobs = arrivals.generate(SMALL)
    trace.write(tmp_path / "trace.jsonl", jobs)
    assert read_trace(tmp_path / "trace.jsonl", Format.FALAJ) == jobs


def test_a_line_that_is_no_job_is_named(tmp_path: Path):
    path = tmp_path / "trace.jsonl"
    trace.write(path, arrivals.generate(SMALL)[:2])
    path.write_text(path.read_text() + '{"name": "three", "gpu": 1}\n')
    with pytest.raises(LabError, match=r"trace.jsonl:3: gpu is no field of a job; write one JSON object a line"):
        read_trace(path, Format.FALAJ)


def test_philly_jobs_run_as_long_as_all_attempts_on_the_gpus_of_the_largest(tmp_path: Path):
    path = tmp_path / "cluster_job_log"
    path.write_text(json.dumps(PHILLY))
    [job] = read_trace(path, Format.PHILLY)
    assert (job.tenant, job.gpus, job.seconds) == ("ee9e8c", 4, 60 + 3600)


def test_alibabas_tasks_of_2020_become_jobs_with_the_gpus_of_their_instances(tmp_path: Path):
    path = tmp_path / "pai_task_table.csv"
    path.write_text(ALIBABA_2020)
    first, second = read_trace(path, Format.ALIBABA_2020)
    assert (first.arrival, first.seconds, first.gpus) == (1000, 600, 1)
    assert (second.arrival, second.seconds, second.gpus) == (2000, 300, 4)


def test_alibabas_pods_of_2023_become_jobs_and_those_without_gpu_or_end_do_not(tmp_path: Path):
    path = tmp_path / "openb_pod_list_default.csv"
    path.write_text(ALIBABA_2023)
    jobs = read_trace(path, Format.ALIBABA_2023)
    assert [(job.name, job.gpus, job.seconds) for job in jobs] == [
        ("openb-pod-0017", 8, 10769854 - 9437500),
        ("openb-pod-0022", 1, 9973826 - 9679175),
    ]


@pytest.mark.parametrize("form", [Format.PHILLY, Format.ALIBABA_2020, Format.ALIBABA_2023])
def test_a_file_of_another_format_is_refused(tmp_path: Path, form: Format):
    path = tmp_path / "other"
    path.write_text("[1, 2]\n")
    with pytest.raises(LabError, match=r"name its format with --format"):
        read_trace(path, form)


def test_a_public_trace_keeps_its_jobs_and_gets_the_scenarios_tenants_tiers_and_load(tmp_path: Path):
    path = tmp_path / "openb_pod_list_default.csv"
    path.write_text(ALIBABA_2023)
    public = read_trace(path, Format.ALIBABA_2023)
    adopted = arrivals.adopt(SMALL, public)
    assert [(job.gpus, job.seconds) for job in adopted] == [(job.gpus, job.seconds) for job in public]
    assert {job.tenant for job in adopted} <= {tenant.name for tenant in SMALL.tenants}
    assert adopted[-1].arrival == pytest.approx(trace.window(public, SMALL.gpus, SMALL.load), rel=0.001)
    assert arrivals.adopt(SMALL, public) == adopted
