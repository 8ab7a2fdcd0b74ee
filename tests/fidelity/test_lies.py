"""The judge on a tiny program, with and without a lie in the emulated provider."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gaps
import pytest
from changes import Change
from compare import ABSENT, Difference
from judge import Judge
from sides import Program, Side, two_labs

from falaj.lab import tools
from falaj.lab.plugins import BRIDGED, Aws
from falaj.lab.table import cache

HERE = Path(__file__).parent
TINY = Program(
    "tiny",
    HERE / "tiny",
    (
        ("pulumi", "stack", "select", "--create", "tiny"),
        ("pulumi", "up", "--yes", "--skip-preview", "--stack", "tiny"),
    ),
    ("pulumi", "destroy", "--yes", "--skip-preview", "--stack", "tiny"),
    HERE / "tiny",
    only=("moto",),
)
CHANGES = (
    Change("addresses", {"Subnet": {"subnet": {"cidr_block": "10.40.2.0/24"}}}),
    Change("a name", {"Topic": {"told": {"name": "renamed"}}}),
    Change("retention", {"LogGroup": {"logs": {"retention_in_days": 60}}}),
    Change("a window that AWS refuses", {"Key": {"key": {"deletion_window_in_days": 5}}}, refused=True),
)
SUBNET, KEY, TOPIC = "subnet aws:ec2/subnet:Subnet", "key aws:kms/key:Key", "told aws:sns/topic:Topic"
pytestmark = [
    pytest.mark.fidelity,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        tools.resolve(BRIDGED).path is None,
        reason="the bridged provider is not built: `falaj-lab install --aws bridged` builds it once",
    ),
]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    """Two labs."""
    with two_labs(tmp_path_factory.mktemp("fidelity"), TINY) as labs:
        yield labs


def judged(sides: tuple[Side, Side]) -> list[Difference]:
    """Return what the judge cannot explain."""
    judge = Judge("tiny", CHANGES)
    judge.whole(sides)
    return list(gaps.explain(judge.differences, gaps.read(), ["tiny"]).unexplained)


@pytest.fixture(scope="module")
def caught(sides: tuple[Side, Side]) -> list[Difference]:
    """What the judge cannot explain of an emulated provider that tells five lies."""
    (launcher,) = sides[0].lab.root.glob("pulumi/plugins/resource-aws-v*/pulumi-resource-aws")
    honest = launcher.read_text()
    command = shlex.join([sys.executable, str(HERE / "lying_provider.py")])
    launcher.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    try:
        return judged(sides)
    finally:
        launcher.write_text(honest)


def of(caught: list[Difference], phase: str, resource: str) -> list[tuple[str, Any, Any]]:
    """Return what was found in a phase of a resource: where, and what either provider says."""
    found = (each for each in caught if (each.phase, each.resource) == (phase, resource))
    return [(each.path, each.emulated, each.bridged) for each in found]


def test_an_honest_provider_is_found_to_be_so(sides: tuple[Side, Side]) -> None:
    assert judged(sides) == []


def test_nobody_is_accused_but_who_was_lied_about(caught: list[Difference]) -> None:
    assert {each.resource for each in caught} == {SUBNET, KEY, TOPIC}
    assert {each.phase for each in caught if each.resource == SUBNET} == {"change: addresses"}


def test_a_replacement_that_is_called_an_update_is_caught(caught: list[Difference]) -> None:
    assert of(caught, "change: addresses", SUBNET) == [("operation (cidrBlock)", "update", "replace")]


def test_an_output_with_a_wrong_name_is_caught(caught: list[Difference]) -> None:
    assert "outputs.keyId" in [path for path, _, _ in of(caught, "state", KEY)]


def test_an_input_that_aws_refuses_is_caught(caught: list[Difference]) -> None:
    told = of(caught, "change: a window that AWS refuses", KEY)
    assert [(path, emulated) for path, emulated, _ in told] == [("refused (deletionWindowInDays)", "(absent)")]


def test_an_input_of_a_recorded_type_that_is_another_is_caught(caught: list[Difference]) -> None:
    assert of(caught, "state", TOPIC) == [("inputs.tracingConfig", "Active", ABSENT)]


def test_a_replacement_of_a_recorded_type_that_is_called_an_update_is_caught(caught: list[Difference]) -> None:
    assert of(caught, "change: a name", TOPIC) == [("operation (name)", "update", "replace")]


def test_a_recorded_type_that_the_judge_does_not_make_is_caught(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic goes before it is looked for."""
    up = Side.up

    def without_topics(side: Side) -> None:
        up(side)
        sns = side.aws.client("sns")
        for topic in sns.list_topics()["Topics"]:
            sns.delete_topic(TopicArn=topic["TopicArn"])

    monkeypatch.setattr(Side, "up", without_topics)
    assert "aws:sns/topic:Topic" in {each.resource for each in judged(sides) if each.phase == "inventory"}


def test_an_official_plugin_takes_part_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridged provider stands in for an official plugin where one is looked for."""
    bridged = tools.resolve(BRIDGED).path
    assert bridged
    plugin = (
        tmp_path / "home" / ".pulumi" / "plugins" / f"resource-aws-v{version('pulumi-aws')}" / "pulumi-resource-aws"
    )
    plugin.parent.mkdir(parents=True)
    shutil.copy(bridged, plugin)
    monkeypatch.setenv("FALAJ_CACHE", str(cache()))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with two_labs(tmp_path / "labs", TINY, judge=Aws.OFFICIAL) as labs:
        said = labs[1].lab.run("status").stdout
        assert "official" in said
        assert judged(labs) == []
