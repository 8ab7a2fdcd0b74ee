"""The page of attempts tells of each test, and of no other."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "isolation.md"


def test_every_attempt_is_told_and_every_attempt_told_is_made():
    made = {name for path in HERE.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}
    told = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert told == made - {"test_every_attempt_is_told_and_every_attempt_told_is_made"}
