"""Spans of time are read as Go, Kubernetes and Vault write them."""

import pytest

from falaj.policies.durations import ends_within, seconds


@pytest.mark.parametrize(
    ("span", "expected"),
    [("1h30m", 5400), ("15m0s", 900), ("86400", 86400), (900.0, 900), ("2d", 172800), ("1.5h", 5400), ("500ms", 0.5)],
)
def test_spans_are_read_in_every_spelling(span: object, expected: float) -> None:
    assert seconds(span) == expected


@pytest.mark.parametrize("span", ["", "soon", "1h later", "-1h", "1 h", True, None, "1x"])
def test_what_is_no_span_is_refused(span: object) -> None:
    with pytest.raises(ValueError, match="not a span"):
        seconds(span)


def test_nothing_stands_for_no_end() -> None:
    within = ends_within(3600)
    assert within("1h")
    assert not within("0s")
    assert not within(3601)
