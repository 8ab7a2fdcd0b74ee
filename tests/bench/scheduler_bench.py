"""Measure what one look of the deadline scheduler computes, against its rules without nodes on the same works.

    python tests/bench/scheduler_bench.py               10,000 works, 1,000 nodes of 8 GPUs, 50 queues
    python tests/bench/scheduler_bench.py --runs 9

All nodes are full and a fifth of the queues have borrowed. What waits is of one GPU to 32. Each row is the median of
processor seconds; nothing is read or written.
"""

import argparse
import random
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from falaj.scheduler.decide import decide
from falaj.scheduler.placement import Node, Pools, Queue
from falaj.scheduler.policy import Policy
from falaj.scheduler.work import Work

sys.path.insert(0, str(Path(__file__).parents[1]))
from scheduler.queue_model import work

WORKS, NODES, QUEUES, GPUS = 10_000, 1_000, 50, 8
NOW = 36_000.0
RULES = Policy(backfill=False, consolidate=False)
LOOKS = {
    "the rules alone": RULES,
    "and what has room goes first": replace(RULES, backfill=True),
    "and what moves for whole nodes": replace(RULES, consolidate=True),
    "all": Policy(),
}


def main() -> None:
    """Print a row for each kind of look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: 5)")
    runs = parser.parse_args().runs
    pools, works = full_cluster(random.Random(1))  # noqa: S311 - a cluster, no secret
    print(f"{sum(each.runs for each in works)} works run, {sum(not each.runs for each in works)} wait")
    base = 0.0
    for name, policy in LOOKS.items():
        taken = statistics.median(seconds(works, policy, pools) for _ in range(runs))
        base = base or taken
        print(f"{name:32} {taken:.2f} s  {taken / base:.1f}")


def seconds(works: list[Work], policy: Policy, pools: Pools) -> float:
    """Return the processor seconds of one look."""
    began = time.process_time()
    decide(works, NOW, policy, pools)
    return time.process_time() - began


def full_cluster(dice: random.Random) -> tuple[Pools, list[Work]]:
    """Return nodes that are full, and the works."""
    nodes = [Node(f"node-{number}", GPUS, {}) for number in range(NODES)]
    names = [f"team{number}" for number in range(QUEUES)]
    queue = Queue(frozenset({"gpu"}), NODES * GPUS // QUEUES, "all", takes_back=True)
    works: list[Work] = []
    for node in nodes:
        left = node.gpus
        while left:
            gpus = dice.choice([size for size in (1, 1, 2, 4, 8) if size <= left])
            left -= gpus
            queue_name = dice.choice(names if dice.random() < 0.7 else names[:10])
            works.append(running(len(works), gpus, node.name, queue_name))
    while len(works) < WORKS:
        gpus = dice.choice((1, 1, 1, 2, 4, 8, 16, 32))
        tier = dice.choice(("scavenger", "batch", "interactive"))
        works.append(waiting(len(works), gpus, dice.choice(names), tier, dice.random() * 1000))
    return Pools(nodes, {"gpu": {}}, dict.fromkeys(names, queue)), works


def running(number: int, gpus: int, node: str, queue: str) -> Work:
    """Return work that has been on a node for ten hours, and has most of its time before it."""
    place = {"places": ((node, gpus),), "flavors": frozenset({"gpu"}), "admitted": 0.0}
    return work(f"{number}", gpus=gpus, pods=1, queue=queue, expected=1e5, checkpoint=900.0, **place)


def waiting(number: int, gpus: int, queue: str, tier: str, created: float) -> Work:
    """Return work that waits, of pods of a node at most."""
    pods = max(1, gpus // GPUS)
    return work(f"{number}", gpus=gpus, pods=pods, queue=queue, tier=tier, expected=5e4, created=created)


if __name__ == "__main__":
    main()
