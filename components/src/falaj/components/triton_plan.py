"""All that is said of a Triton service, checked before anything of it is made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.components.checks import bounded
from falaj.components.errors import ConfigError
from falaj.components.rollout_analysis import Promise, check_promise
from falaj.components.rollout_strategies import Strategy, check_strategy, in_parts
from falaj.components.serving_envoy_gateway import CLUSTER
from falaj.components.serving_recorder import CheckedRecorder, check_recorder
from falaj.components.serving_routes import Access, check_access
from falaj.components.serving_scaling import Scaling, check_scaling
from falaj.components.serving_watch import CheckedDrift, check_drift
from falaj.components.tiers import Tier, check_tiers
from falaj.components.triton_checks import TritonPod, check_pod, check_ranges

_DURATION = re.compile(r"(\d+)([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class ServicePlan:
    """What is to be made."""

    pod: TritonPod
    access: Access
    scaling: Scaling | None
    replicas: int | None
    """Pods; None where an autoscaler says how many."""
    promise: Promise
    strategy: Strategy | None
    recorder: CheckedRecorder | None
    drift: CheckedDrift | None
    storage: Sequence[str]
    """Address ranges that the pods call over TLS."""
    tier: Tier
    ready: str
    """How long pods may take to be ready, as Pulumi has it."""
    monitoring: bool

    @property
    def may_sleep(self) -> bool:
        """Whether there may be no pod at all."""
        return self.scaling is not None and self.scaling.least == 0

    @property
    def ready_seconds(self) -> int:
        """How long pods may take to be ready."""
        return check_duration("ready_timeout", self.ready)


def check_service(name: str, args: Mapping[str, Any]) -> ServicePlan:
    """Return what is to be made; raise ``ConfigError`` for a value, or for values that do not go together."""
    pod = check_pod(name, args)
    access = check_access(name, args, pod.service_name)
    scaling = check_scaling(name, args)
    strategy = check_strategy(f"{name}.strategy", args["strategy"]) if "strategy" in args else None
    if strategy and access.gateway is None:
        raise ConfigError(f"{name}.gateway", None, "must be given for a strategy: versions are told apart there")
    if strategy and access.envoys is not None:
        strategy = in_parts(f"{name}.strategy", strategy, CLUSTER)
    (tier,) = check_tiers(f"{name}.tier", [args.get("tier", Tier.PRODUCTION)])
    ready = args.get("ready_timeout", "5m")
    check_duration(f"{name}.ready_timeout", ready)
    return ServicePlan(
        pod=pod,
        access=access,
        scaling=scaling,
        replicas=None if scaling else bounded(f"{name}.replicas", args.get("replicas", 2), 1, 1000),
        promise=check_promise(name, args.get("p99_milliseconds", 1000), args.get("error_percent", 1)),
        strategy=strategy,
        recorder=check_recorder(name, args, pod.model),
        drift=check_drift(name, args, pod, access),
        storage=check_ranges(f"{name}.storage_cidrs", args.get("storage_cidrs", [])),
        tier=tier,
        ready=ready,
        monitoring=bool(args.get("monitoring", False)),
    )


def check_duration(field: str, text: str) -> int:
    """Return a duration in seconds."""
    found = _DURATION.fullmatch(text)
    if found is None or found[1] == "0":
        raise ConfigError(field, text, "must be a duration such as 90s, 5m or 1h")
    return int(found[1]) * _SECONDS[found[2]]
