"""What bounds Envoy as a whole: its connections and its memory, whatever clients do at once.

https://www.envoyproxy.io/docs/envoy/latest/configuration/operations/overload_manager/overload_manager
"""

from typing import Any

from falaj.lab.serving import gateway_limits as limits

_MONITORS = "type.googleapis.com/envoy.extensions.resource_monitors"
_HEAP = "envoy.resource_monitors.fixed_heap"
_ACTIONS = "envoy.overload_actions"


def manager() -> dict[str, Any]:
    """Return Envoy's overload manager: the fuller the memory, the sooner requests that stand still are given up.

    Requests for inference are gathered whole, so that many large ones at once fill the memory. Almost full, it takes
    no new ones, which is answered with 503.
    """
    idle = {"timer": "HTTP_DOWNSTREAM_STREAM_IDLE", "min_timeout": limits.HURRIED_IDLE}
    timers = {
        "@type": "type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig",
        "timer_scale_factors": [idle],
    }
    return {
        "refresh_interval": "0.1s",
        "resource_monitors": [
            _monitor(
                "global_downstream_max_connections",
                "downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=limits.ALL_CONNECTIONS,
            ),
            _monitor("fixed_heap", "fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=limits.HEAP_BYTES),
        ],
        "actions": [
            {"name": f"{_ACTIONS}.shrink_heap", "triggers": [_above(0.8)]},
            {
                "name": f"{_ACTIONS}.reduce_timeouts",
                "triggers": [
                    {"name": _HEAP, "scaled": {"scaling_threshold": 0.7, "saturation_threshold": 0.9}},
                ],
                "typed_config": timers,
            },
            {"name": f"{_ACTIONS}.stop_accepting_requests", "triggers": [_above(0.95)]},
        ],
    }


def _monitor(name: str, message: str, **settings: int) -> dict[str, Any]:
    return {
        "name": f"envoy.resource_monitors.{name}",
        "typed_config": {"@type": f"{_MONITORS}.{message}", **settings},
    }


def _above(share: float) -> dict[str, Any]:
    return {"name": _HEAP, "threshold": {"value": share}}
