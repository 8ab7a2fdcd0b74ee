"""Fairness as numbers: who was entitled to how many GPUs, and how evenly all got what they were entitled to."""

from collections.abc import Iterable, Mapping


def entitled(capacity: float, shares: Mapping[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
    """Return each tenant's max-min fair part of the capacity: by share, never above what it wants, nothing left over.

    What a tenant does not want goes to the others by their shares (progressive filling; Bertsekas and Gallager).
    """
    given = dict.fromkeys(wanted, 0.0)
    open_ = {tenant for tenant, gpus in wanted.items() if gpus > 0}
    left = capacity
    while open_ and left > 1e-9:
        unit = left / sum(shares[tenant] for tenant in open_)
        full = {tenant for tenant in open_ if wanted[tenant] - given[tenant] <= unit * shares[tenant]}
        for tenant in full or open_:
            more = min(wanted[tenant] - given[tenant], unit * shares[tenant])
            given[tenant] += more
            left -= more
        if not full:
            break
        open_ -= full
    return given


def jain(ratios: Iterable[float]) -> float:
    """Return Jain's index of fairness (Jain, Chiu and Hawe, 1984): 1 when all are equal, 1/n when one has all."""
    values = list(ratios)
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0
