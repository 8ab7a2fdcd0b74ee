"""The guide's examples are programs that run."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "components.md"


def test_the_guides_examples_run_one_after_the_other(run, engine):
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.S)
    names = {}

    def program():
        for example in examples:
            exec(compile(example, str(GUIDE), "exec"), names)  # noqa: S102 - the guide is ours
        return names["detector"].url

    assert run(program) == "http://detector.vision.svc:8000"
    documented = set(re.findall(r"^## (.*)$", GUIDE.read_text(), flags=re.M))
    assert {"ResidencyKey", "DataStore", "Network", "Cluster", "SecretsVault", "Tenant", "TritonService"} <= documented
