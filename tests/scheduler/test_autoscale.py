"""The loop around the plan: what it does in which order, what it tells, and what a kill leaves behind."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from falaj.scheduler.autoscale import Autoscaler
from falaj.scheduler.autoscale_groups import Group, NotNowError
from falaj.scheduler.autoscale_metrics import Metrics
from falaj.scheduler.autoscale_news import News
from falaj.scheduler.autoscale_policy import Policy, PoolPolicy, Shrink
from falaj.scheduler.autoscale_reading import Found
from falaj.scheduler.autoscale_state import Node, Work

POLICY = Policy(
    "falaj",
    {"gpu": PoolPolicy("gpu", "nvidia.com/gpu", 8, 100, node_group="gpu", flavor="gpu")},
    idle_seconds=10,
    cooldown_seconds=5,
    settle_seconds=2,
)


class World:
    """A cluster and an AWS in memory, with a clock; work is placed when nodes are there."""

    def __init__(self, shrink: Shrink = Shrink.TERMINATE) -> None:
        self.now = 1000.0
        self.policy = dataclasses.replace(POLICY, shrink=shrink)
        self.nodes: dict[str, Node] = {}
        self.works: list[Work] = []
        self.group = Group(0, 4, 0)
        self.calls: list[tuple[Any, ...]] = []
        self.told: list[tuple[str, str, str]] = []
        self.late: set[str] = set()
        self.busy_aws = False
        self.leads = True
        self.registry = CollectorRegistry()
        self.start()

    def start(self) -> None:
        """Start the autoscaler, as after a kill: with nothing in its memory."""
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        news = News(self.tell, metrics)
        self.scaler = Autoscaler(
            self.policy,
            self,
            self.Aws(self),
            news=news,
            metrics=metrics,
            clock=lambda: self.now,
            leads=lambda: self.leads,
        )

    def look(self, *, after: float = 1) -> None:
        self.now += after
        self.scaler.look()

    def tell(self, work: Work, reason: str, message: str) -> None:
        self.told.append((work.name, reason, message))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def join(self, *names: str) -> None:
        for name in names:
            self.nodes[name] = Node(name, 8, made=self.now)
        self.group = dataclasses.replace(
            self.group,
            machines=len(self.nodes),
            in_service=frozenset(f"i-{name}" for name in self.nodes),
            desired=max(self.group.desired, len(self.nodes)),
        )

    # Kubernetes

    def read(self) -> Found:
        instances = {name: f"aws:///me-central-1a/i-{name}" for name in self.nodes}
        return Found({"gpu": [*self.nodes.values()]}, self.works, instances)

    def is_empty(self, node: str) -> bool:
        return node not in self.late

    def mark(self, node: str, now: float | None) -> None:
        self.nodes[node] = dataclasses.replace(self.nodes[node], empty_since=now)

    def condemn(self, node: str, now: float) -> None:
        self.nodes[node] = dataclasses.replace(self.nodes[node], condemned_since=now, schedulable=False)

    def pardon(self, node: str) -> None:
        self.nodes[node] = dataclasses.replace(self.nodes[node], condemned_since=None, schedulable=True)

    class Aws:
        """Its node group."""

        def __init__(self, world: "World") -> None:
            self.world = world

        def read(self, _pool: PoolPolicy) -> Group:
            if self.world.busy_aws:
                raise NotNowError("AWS says ResourceInUseException: later")
            return self.world.group

        def resize(self, _pool: PoolPolicy, size: int) -> None:
            self.world.calls.append(("resize", size))
            self.world.group = dataclasses.replace(self.world.group, desired=size)

        def terminate(self, group: Group, instances: Sequence[str]) -> list[str]:
            ended = [each for each in instances if each in group.in_service]
            self.world.calls.append(("terminate", *ended))
            self.world.group = dataclasses.replace(
                group, desired=group.desired - len(ended), in_service=group.in_service - set(ended)
            )
            return ended


def work(*unplaced: int, placed: int = 0, since: float = 1000, tier: str = "production") -> Work:
    return Work("vision", "train", "gpu", "vision", tier, since, uid="w", unplaced=unplaced, placed=placed)


def test_nodes_are_asked_for_once_and_the_work_is_told():
    world = World()
    world.works = [work(8, 8)]
    world.look()
    world.look(after=12)
    assert world.calls == [("resize", 2)]
    assert world.told == [("train", "WaitsForNodes", "waits for 2 nodes of pool gpu, asked 0 s ago")]
    world.look(after=60)
    assert world.told[-1] == ("train", "WaitsForNodes", "waits for 2 nodes of pool gpu, asked 1 min ago")
    assert world.value("falaj_autoscaler_pending_units", pool="gpu", tier="production") == 16
    assert world.value("falaj_autoscaler_nodes", pool="gpu", state="desired") == 2
    world.join("a", "b")
    world.works = [work(placed=16)]
    world.look(after=27)
    assert world.told[-1][1:] == ("NodesArrived", "has its nodes of pool gpu, 1 min after it was admitted")
    assert world.value("falaj_autoscaler_time_to_scale_seconds_sum", pool="gpu", tier="production") == 100
    assert world.value("falaj_autoscaler_usd_per_hour", pool="gpu") == 200


def test_an_empty_node_is_marked_cordoned_and_then_ended_by_name():
    world = World()
    world.join("a", "b")
    world.nodes["b"] = dataclasses.replace(world.nodes["b"], used=8, pods=1)
    world.look()
    assert world.nodes["a"].empty_since == world.now
    world.look(after=10)
    assert world.nodes["a"].condemned_since == world.now
    world.look(after=1)
    assert world.calls == []
    world.look(after=1)
    assert world.calls == [("terminate", "i-a")]
    world.look()
    assert world.calls == [("terminate", "i-a")]
    assert world.nodes["b"].condemned_since is None


def test_a_pod_that_came_at_the_last_moment_saves_its_node():
    world = World()
    world.join("a")
    world.nodes["a"] = dataclasses.replace(world.nodes["a"], empty_since=0, condemned_since=0, schedulable=False)
    world.late = {"a"}
    world.look()
    assert world.calls == []


def test_where_no_machine_can_be_named_the_size_is_lowered():
    world = World(Shrink.RESIZE)
    world.join("a")
    world.nodes["a"] = dataclasses.replace(world.nodes["a"], empty_since=0, condemned_since=0, schedulable=False)
    world.look()
    assert world.calls == [("resize", 0)]


def test_a_kill_between_cordoning_and_ending_leaves_nothing_undone():
    world = World()
    world.join("a", "b")
    for _ in range(3):
        world.look(after=10)
        world.start()
    assert world.calls == [("terminate", "i-a", "i-b")]


def test_a_kill_after_asking_asks_for_nothing_twice_and_gives_nothing_back_at_once():
    world = World()
    world.works = [work(8, 8)]
    world.look()
    world.start()
    world.works = []
    world.look()
    assert world.calls == [("resize", 2)]
    world.look(after=6)
    assert world.calls == [("resize", 2), ("resize", 0)]


def test_aws_that_is_busy_is_asked_again():
    world = World()
    world.works = [work(8)]
    world.busy_aws = True
    world.look()
    assert world.calls == []
    world.busy_aws = False
    world.look()
    assert world.calls == [("resize", 1)]


def test_a_refusal_is_told_and_counted_once():
    world = World()
    world.works = [work(*[8] * 5)]
    world.look()
    world.look()
    assert [told[1:] for told in world.told] == [
        (
            "NodesRefused",
            "gets no nodes: gpu.max_nodes must be 5 nodes or more for vision/train, or other work has to end first"
            " (is 4)",
        )
    ]
    assert world.value("falaj_autoscaler_refusals_total", pool="gpu", field="gpu.max_nodes") == 1


def test_a_countdown_is_not_told_second_by_second():
    world = World()
    world.works = [work(8, tier="batch")]
    for _ in range(5):
        world.look()
    assert [message for _, _, message in world.told] == [
        "waits in pool gpu: its tier lets the pool grow 299 s from now, if nothing else frees nodes"
    ]


def test_one_that_leads_no_more_does_nothing():
    world = World()
    world.works = [work(8)]
    world.leads = False
    world.look()
    assert (world.calls, world.told) == ([], [])
