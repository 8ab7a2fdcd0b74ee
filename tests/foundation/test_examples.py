"""Every example comes up, stays as it is, and goes: on the quick provider too, which records what it does not enact."""

from pathlib import Path

import pytest
from examples import EXAMPLES, Example
from run import names

pytestmark = pytest.mark.lab
NEEDS_MORE = {
    *(
        "gpu-autoscaler",
        "gpu-operators",
        "gpu-queues",
        "karpenter-pool",
        "secrets-vault",
        "sla-scheduler",
        "tenant",
        "training-job",
        "triton-canary",
        "triton-strategies",
    ),
}
"""Examples of what is not AWS; tests of their own bring them up."""


@pytest.mark.parametrize("name", sorted(set(names()) - NEEDS_MORE))
def test_an_example_comes_up_stays_and_goes_on_the_quick_provider(emulated, name):
    example = Example(emulated, name)
    example.up()
    assert example.changes() == {}
    example.destroy()


def test_every_example_says_what_it_is():
    for name in names():
        assert (EXAMPLES / name / "__main__.py").read_text().startswith('"""'), name
        assert "description:" in Path(EXAMPLES / name / "Pulumi.yaml").read_text(), name
