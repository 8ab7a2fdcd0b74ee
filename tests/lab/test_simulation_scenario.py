"""What a scenario may say, and what it is refused for."""

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from falaj.lab.errors import LabError
from falaj.lab.simulation import arrivals, objects, report, scenario
from falaj.lab.simulation.measuring import measure
from falaj.lab.simulation.scenario import SHIPPED, Size, load, parse
from falaj.lab.simulation.trace import window

STEADY: dict[str, Any] = tomllib.loads((SHIPPED / "steady.toml").read_text())
del STEADY["small"]


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    content = copy.deepcopy(STEADY)
    change(content)
    return content


def test_the_lab_comes_with_the_five_scenarios_and_one_for_throughput():
    assert scenario.shipped() == ["burst", "greedy-tenant", "starvation-attack", "steady", "throughput", "zone-loss"]


@pytest.mark.parametrize("name", scenario.shipped())
def test_every_scenario_is_a_thousand_nodes_of_eight_gpus_with_fifty_tenants(name: str):
    full = load(name)
    assert (sum(pool.nodes for pool in full.pools), full.gpus, len(full.tenants)) == (1000, 8000, 50)
    assert full.jobs == 10_000 or name == "throughput"


@pytest.mark.parametrize("name", scenario.shipped())
def test_every_scenario_has_a_small_size_with_every_kind_of_tenant(name: str):
    small = load(name, small=True)
    kinds = {tenant.name.rstrip("0123456789") for tenant in load(name).tenants}
    assert small.gpus < 100
    assert small.minutes < 5
    assert {tenant.name.rstrip("0123456789") for tenant in small.tenants} == kinds


@pytest.mark.parametrize("name", scenario.shipped())
def test_the_small_size_of_every_scenario_is_slow_enough_to_be_judged(name: str):
    small = load(name, small=True)
    jobs = arrivals.generate(small)
    scale = window(jobs, small.gpus, small.load) / (small.minutes * 60)
    run = {**measure(small, jobs, [], scale, 0.0), "start_seconds": {"p50": 2.1}}  # as on 2 CPUs
    assert report.too_fast(run) <= 1
    assert max(job.pods for job in jobs) == 1, "work of several nodes would be most of such a small cluster"


def test_a_key_that_the_small_size_misspells_is_refused(tmp_path: Path):
    text = (SHIPPED / "steady.toml").read_text().replace("drain = 0.4", "drian = 0.4")
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(LabError, match=r"drian: 0.4 cannot be used; there is no such key"):
        load(str(tmp_path / "mine.toml"), small=True)


def test_a_size_that_is_asked_for_goes_before_the_small_one():
    assert load("steady", Size(jobs=7), small=True).jobs == 7


def test_fewer_tenants_keep_each_kinds_part_of_the_share_and_of_the_work():
    full, few = load("greedy-tenant"), load("greedy-tenant", Size(tenants=5))
    assert len(few.tenants) == 5
    for one, other in ((full, few), (few, full)):
        greedy = next(tenant for tenant in one.tenants if tenant.name == "greedy")
        assert greedy.share / one.share_sum == pytest.approx(1 / other.share_sum)
        assert greedy.demand / sum(tenant.demand for tenant in one.tenants) == pytest.approx(0.5)


def test_fewer_tenants_than_there_are_kinds_are_refused():
    with pytest.raises(LabError, match="--tenants: 1 cannot be used; the scenario has 2 kinds"):
        load("greedy-tenant", Size(tenants=1))


def test_a_scenario_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(LabError, match=r"SCENARIO: 'stedy' cannot be used; name one of burst, greedy-tenant"):
        load("stedy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(lode=1.3), r"lode: 1.3 cannot be used; there is no such key"),
        (lambda c: c["pools"][0].update(gpu=8), r"pools\[0\].gpu: 8 cannot be used; there is no such key"),
        (lambda c: c.update(jobs="many"), r"jobs: 'many' cannot be used; it has to be a int"),
        (lambda c: c.update(jobs=0), r"jobs: 0 cannot be used; choose 1 or more"),
        (lambda c: c.update(load=0), r"load: 0.0 cannot be used; choose from 0.01"),
        (lambda c: c.pop("title"), r"title: 'nothing' cannot be used; write title = a str"),
        (lambda c: c.update(pools=[]), r"pools: \[\] cannot be used; write at least one"),
        (lambda c: c["tenants"][0].update(tiers={"gold": 1}), r"tier: 'gold' cannot be used; the tiers are scavenger"),
        (lambda c: c["tenants"][0].update(work="huge"), r"tenants.work: 'huge' cannot be used; name one of"),
        (lambda c: c["tenants"].append({"name": "team01"}), r"tenants.name: 'team01' cannot be used; give each"),
        (lambda c: c["work"]["default"].update(sizes={"half": 1}), r"sizes: \['half'\] cannot be used; its keys"),
        (lambda c: c["work"]["default"].update(durations="zipf"), r"durations: 'zipf' cannot be used; it is philly"),
        (lambda c: c["work"]["default"].update(minutes=[9, 3]), r"minutes: \[9, 3\] cannot be used; write \[least"),
        (lambda c: c["deadlines"]["batch"].update(part=2), r"deadlines.batch.part: 2.0 cannot be used"),
        (
            lambda c: c.update(failures=[{"at": 0.2, "until": 0.3, "zone": "eu-west-1a"}]),
            r"failures.zone: 'eu-west-1a' cannot be used; the pools' zones are me-central-1a",
        ),
        (
            lambda c: c.update(failures=[{"at": 0.3, "until": 0.2, "nodes": 1}]),
            r"failures.until: 0.2 cannot be used; it has to come after 0.3",
        ),
        (lambda c: c.update(failures=[{"at": 0.1, "until": 0.2}]), r"failures\[0\]: 'a failure of nothing'"),
        (lambda c: c.update(bursts=[{"at": 0, "part": 0.6}] * 2), r"bursts.part: \[0.6, 0.6\] cannot be used"),
    ],
)
def test_a_wrong_scenario_is_refused_with_field_value_and_remedy(
    change: Callable[[dict[str, Any]], object], message: str
):
    with pytest.raises(LabError, match=message):
        parse(changed(change), "wrong")


def test_nominal_quotas_are_whole_and_make_up_the_pool_exactly():
    uneven = load("steady", Size(nodes=10, tenants=3))
    numbers = objects.quotas(uneven, uneven.pools[0])
    assert sorted(numbers.values()) == [26, 27, 27]


def test_a_cluster_has_a_queue_below_its_department_for_every_tenant():
    made = list(objects.cluster(load("greedy-tenant", small=True)))
    queues = {one["metadata"]["name"]: one["spec"] for _, one in made if one["kind"] == "ClusterQueue"}
    cohorts = {one["metadata"]["name"]: one["spec"] for _, one in made if one["kind"] == "Cohort"}
    assert {name: spec["cohortName"] for name, spec in queues.items()} == {
        "team01": "vision",
        "team02": "language",
        "team03": "speech",
        "greedy": "falaj",
    }
    assert cohorts["falaj"] == {}
    assert cohorts["vision"]["parentName"] == "falaj"
    namespaces = [path for path, one in made if one["kind"] == "LocalQueue"]
    assert len(namespaces) == 4
