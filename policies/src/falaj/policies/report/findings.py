"""The report for programs: JSON by docs/policy-findings.schema.json."""

import json
from pathlib import Path
from typing import Any

from falaj.policies.assessment import Assessment, plain


def render(assessment: Assessment) -> str:
    """Return the assessment as JSON."""
    return json.dumps(plain(assessment), indent=1) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON schema of what ``render`` returns."""
    return json.loads((Path(__file__).parent / "findings.schema.json").read_text(encoding="utf-8"))
