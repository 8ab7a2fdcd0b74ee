"""The autoscaler: looks, plans, acts. What it must not forget is in the cluster, so that it may be killed at any time.

Since when a node is empty, and that it is to go, are annotations of the node; sizes are asked for as absolute numbers.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from falaj.scheduler.autoscale_groups import Group, NotNowError, instance_of
from falaj.scheduler.autoscale_metrics import Metrics
from falaj.scheduler.autoscale_news import News
from falaj.scheduler.autoscale_plan import plan
from falaj.scheduler.autoscale_policy import Policy, PoolPolicy, Shrink
from falaj.scheduler.autoscale_reading import Found
from falaj.scheduler.autoscale_state import Change, Node, Pool, PoolPlan

REMEMBERED = 3600.0
"""Seconds that changes are remembered; longer than any cool-down that makes sense."""

log = logging.getLogger(__name__)


class Nodes(Protocol):
    """What is done in Kubernetes."""

    def read(self) -> Found:
        """Read everything."""
        ...

    def is_empty(self, node: str) -> bool:
        """Tell whether nothing runs on a node."""
        ...

    def mark(self, node: str, now: float | None) -> None:
        """Note since when a node is empty."""
        ...

    def condemn(self, node: str, now: float) -> None:
        """Keep work off a node."""
        ...

    def pardon(self, node: str) -> None:
        """Let work onto it again."""
        ...


class Machines(Protocol):
    """What is done in AWS."""

    def read(self, pool: PoolPolicy) -> Group:
        """Return how a pool's node group is."""
        ...

    def resize(self, pool: PoolPolicy, size: int) -> None:
        """Ask for a number of nodes."""
        ...

    def terminate(self, group: Group, instances: Sequence[str]) -> list[str]:
        """End instances and lower the desired size by as many."""
        ...


class Autoscaler:
    """Brings pools to the size that the work needs, one look at a time."""

    def __init__(
        self,
        policy: Policy,
        nodes: Nodes,
        machines: Machines,
        *,
        news: News,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._policy = policy
        self._nodes = nodes
        self._machines = machines
        self._news = news
        self._metrics = metrics
        self._clock = clock
        self._leads = leads
        self._changes: dict[str, list[Change]] = {}
        self._said: dict[str, str] = {}

    def look(self) -> None:
        """Look once and do what is due."""
        began, now = time.monotonic(), self._clock()
        groups = self._groups()
        found = self._nodes.read()
        pools = [self._pool(name, group, found.nodes[name], now) for name, group in groups.items()]
        planned = plan(pools, found.works, now, self._policy)
        for pool in pools:
            if not self._leads():  # this took so long that another may have begun
                return
            self._settle(pool, planned.pools[pool.name], now)
            try:
                self._resize(pool, groups[pool.name], planned.pools[pool.name], found.instances, now)
            except NotNowError as error:
                self._say(pool.name, str(error))
        self._news.spread(planned, found.works, now)
        self._metrics.state(pools, found.works, planned, self._policy)
        self._metrics.looked(time.monotonic() - began)

    def _groups(self) -> Mapping[str, Group]:
        """Return the node groups by pool, without those that AWS does not tell of now."""
        groups: dict[str, Group] = {}
        for name, pool in self._policy.pools.items():
            try:
                groups[name] = self._machines.read(pool)
            except NotNowError as error:
                self._say(name, str(error))
            else:
                self._said.pop(name, None)
        return groups

    def _pool(self, name: str, group: Group, nodes: Sequence[Node], now: float) -> Pool:
        if name not in self._changes:
            # Whoever asked for what is on its way did so a moment ago, as far as anybody knows.
            on_the_way = group.desired - sum(node.ready for node in nodes)
            self._changes[name] = [Change(now, on_the_way)] if on_the_way > 0 else []
        changes = [change for change in self._changes[name] if now - change.time < REMEMBERED]
        self._changes[name] = changes
        return Pool(
            name,
            min_nodes=group.min_nodes,
            max_nodes=group.max_nodes,
            desired=group.desired,
            nodes=nodes,
            machines=group.machines,
            changes=tuple(changes),
        )

    def _settle(self, pool: Pool, planned: PoolPlan, now: float) -> None:
        """Mark nodes, and shut and open them for work."""
        for node in planned.mark:
            self._nodes.mark(node, now)
        for node in planned.clear:
            self._nodes.mark(node, None)
        for node in planned.pardon:
            log.info("%s: %s is wanted again", pool.name, node)
            self._nodes.pardon(node)
        for node in planned.condemn:
            log.info("%s: %s has been empty for long and takes no more work", pool.name, node)
            self._nodes.condemn(node, now)

    def _resize(self, pool: Pool, group: Group, planned: PoolPlan, instances: Mapping[str, str], now: float) -> None:
        """Ask for the planned size; nodes that are to go are looked at once more."""
        own = self._policy.pools[pool.name]
        take = [node for node in planned.take if self._nodes.is_empty(node)]
        size = planned.size + len(planned.take) - len(take)
        named = self._policy.shrink is Shrink.TERMINATE
        asked = size + len(take) if named else size
        if asked != pool.desired:
            self._machines.resize(own, asked)
            self._note(pool.name, Change(now, asked - pool.desired), f"{pool.desired} to {asked}", planned.why)
        if named and take:
            ended = self._machines.terminate(group, [instance_of(instances[node]) for node in take])
            if ended:
                self._note(pool.name, Change(now, -len(ended)), f"without {', '.join(ended)}", planned.why)

    def _note(self, pool: str, change: Change, what: str, why: str) -> None:
        self._changes[pool].append(change)
        self._metrics.changed(pool, change.nodes)
        log.info("%s: %s: %s", pool, what, why)

    def _say(self, pool: str, what: str) -> None:
        if self._said.get(pool) != what:
            log.warning("%s: trying again: %s", pool, what)
        self._said[pool] = what
