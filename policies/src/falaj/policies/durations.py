"""Spans of time as Kubernetes, Go and Vault write them."""

import re
from collections.abc import Callable
from typing import Any

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)")


def seconds(span: Any) -> float:
    """Return a span in seconds: a number, digits, or parts such as ``1h30m``; other text raises ``ValueError``."""
    if isinstance(span, bool):
        raise ValueError("not a span of time")
    if isinstance(span, (int, float)):
        return float(span)
    text = str(span).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not text or _PART.sub("", text):
        raise ValueError("not a span of time")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def ends_within(limit: float) -> Callable[[Any], bool]:
    """Return a test for spans that end: above nothing, since nothing stands for no end, and at most the limit."""
    return lambda span: 0 < seconds(span) <= limit
