"""The files beside a configuration: waivers and the transfer register, read once for a run."""

import datetime
from collections.abc import Iterable
from dataclasses import replace

from falaj.policies.config import Config
from falaj.policies.engine import Engine
from falaj.policies.model import Rule
from falaj.policies.residency.transfers import DEFAULT, read_transfers
from falaj.policies.waivers import Waivers, read_waivers


def ready(rules: Iterable[Rule], config: Config, today: datetime.date) -> Engine:
    """Return an engine with what the files of a configuration hold.

    Raises ``RefusedError`` for what is wrong in them, and ``OSError`` where one cannot be read.
    """
    chosen = tuple(rules)
    ids = [rule.id for rule in chosen]
    waivers = read_waivers(config.waivers, ids) if config.waivers else []
    if config.register:
        transfers = read_transfers(config.register, ids, config.common.get("regime", DEFAULT))
        config = replace(config, common={**config.common, "transfers": transfers})
    return Engine(chosen, config, Waivers(waivers, today))
