"""The autoscaler's metrics, for Prometheus."""

from collections import defaultdict
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from falaj.scheduler.autoscale_policy import Policy
from falaj.scheduler.autoscale_state import Plan, Pool, Refusal, Work

_SECONDS = (5, 10, 20, 30, 60, 90, 120, 180, 300, 600, 1200, 3600)


class Metrics:
    """What waits, what pools are and are to be, what they cost, how long scaling takes, what was refused."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pending = Gauge(
            "falaj_autoscaler_pending_units",
            "GPUs, or parts of them, that admitted work asks for and has no node for",
            ["pool", "tier"],
            registry=registry,
        )
        self._nodes = Gauge(
            "falaj_autoscaler_nodes", "Nodes: planned, desired, present, ready", ["pool", "state"], registry=registry
        )
        self._usd = Gauge(
            "falaj_autoscaler_usd_per_hour", "What the desired size costs, by the policy", ["pool"], registry=registry
        )
        self._took = Histogram(
            "falaj_autoscaler_time_to_scale_seconds",
            "From admission until all pods of work that made a pool grow had nodes",
            ["pool", "tier"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._refusals = Counter(
            "falaj_autoscaler_refusals", "Growths that a bound forbade", ["pool", "field"], registry=registry
        )
        self._changes = Counter(
            "falaj_autoscaler_node_changes", "Nodes asked for and given back", ["pool", "direction"], registry=registry
        )
        self._look = Gauge("falaj_autoscaler_look_seconds", "How long the last look took", registry=registry)

    def state(self, pools: Sequence[Pool], works: Sequence[Work], plan: Plan, policy: Policy) -> None:
        """Show what was found and what is planned."""
        waiting: defaultdict[tuple[str, str], int] = defaultdict(int)
        for work in works:
            waiting[work.pool, work.tier] += sum(work.unplaced)
        for pool in pools:
            for tier in policy.tiers:
                self._pending.labels(pool.name, tier).set(waiting[pool.name, tier])
            states = {
                "planned": plan.pools[pool.name].size,
                "desired": pool.desired,
                "present": len(pool.nodes),
                "ready": sum(node.ready for node in pool.nodes),
            }
            for state, nodes in states.items():
                self._nodes.labels(pool.name, state).set(nodes)
            self._usd.labels(pool.name).set(pool.desired * policy.pools[pool.name].usd_per_node_hour)

    def refused(self, refusal: Refusal) -> None:
        """Count a refused growth."""
        self._refusals.labels(refusal.work.pool, refusal.field).inc()

    def scaled(self, work: Work, took: float) -> None:
        """Note how long a work waited for nodes."""
        self._took.labels(work.pool, work.tier).observe(took)

    def changed(self, pool: str, nodes: int) -> None:
        """Count nodes that were asked for, or with a minus given back."""
        self._changes.labels(pool, "up" if nodes > 0 else "down").inc(abs(nodes))

    def looked(self, took: float) -> None:
        """Note how long a look took."""
        self._look.set(took)
