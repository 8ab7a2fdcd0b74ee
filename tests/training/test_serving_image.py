"""The image of `falaj-serve`: its lock is enough for what pods run, and has nothing that trains."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from training.serving_cluster import FakeCluster, serving
from training.serving_world import World, new_world

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "training" / "serving.lock"
PATIENCE = 120.0
AS_IN_THE_IMAGE = """
import importlib.metadata, re, sys
def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()
locked = {plain(line.split("==")[0]) for line in open(sys.argv.pop(1)) if "==" in line}
of = importlib.metadata.packages_distributions()
class Image:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in of and not locked & {plain(each) for each in of[top]} and top != "falaj":
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Image())
from falaj.training.serving.cli import main
main()
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A model whose first version was published by the image."""
    (tmp_path / "world").mkdir()
    world = new_world(tmp_path / "world")
    made = serve("publish", str(world.folder), "--to", str(world.store.root), *world.options())
    assert made.returncode == 0, made.stderr
    return world


@pytest.fixture
def kubeconfig(world: World, tmp_path: Path) -> Iterator[Path]:
    """A cluster on which version 1 is served."""
    digests = {number: world.versions.open(number, world.keys).digest for number in world.versions.numbers()}
    with serving(FakeCluster(digests), tmp_path / "kubeconfig"):
        yield tmp_path / "kubeconfig"


def serve(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `falaj-serve` where nothing can be imported but what the image has."""
    told = [sys.executable, "-c", AS_IN_THE_IMAGE, str(LOCK), *words]
    known = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.run(told, env=known | variables, capture_output=True, text=True, timeout=PATIENCE, check=False)


def pins(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def test_the_image_has_the_versions_that_are_tested_here_and_nothing_that_trains() -> None:
    tested = [pins(ROOT / name) for name in ("requirements.lock", "requirements-training.lock")]
    for name, versions in pins(LOCK).items():
        assert any(versions <= each.get(name, set()) for each in tested), name
    assert not {"torch", "pandas", "mlflow-skinny", "onnxruntime"} & pins(LOCK).keys()


def test_a_pod_of_the_image_publishes_and_fetches(world: World) -> None:
    options = [word if word != "--name" else "--model" for word in world.options()]
    place = ["--store", str(world.store.root), "--into", str(world.base / "models"), "--version", "1"]
    found = serve("fetch", *place, *options)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["version"] == 1


def test_a_pod_of_the_image_records_what_argo_decided(world: World, kubeconfig: Path) -> None:
    place = ["--store", str(world.store.root), "--name", "income"]
    found = serve("record", "--service", "vision/income", "--kubeconfig", str(kubeconfig), *place)
    assert found.returncode == 0, found.stderr
    event = json.loads(found.stdout)
    assert (event["what"], event["version"], event["decided_by"]) == ("served", 1, "argo-rollouts")


def test_a_pod_without_its_token_is_told_that_it_has_none(world: World, tmp_path: Path) -> None:
    inside = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    place = ["--store", str(world.store.root), "--name", "income"]
    found = serve("record", "--service", "vision/income", *place, **inside, FALAJ_CLUSTER_FOLDER=str(tmp_path))
    assert found.returncode == 2
    assert found.stderr == (
        "falaj-serve: --kubeconfig must lead to a cluster: Service token file does not exist. (got None)\n"
    )


def test_what_the_image_lacks_is_not_found_by_this_test_either() -> None:
    found = subprocess.run(
        [sys.executable, "-c", AS_IN_THE_IMAGE.replace("main()\n", "import pandas\n"), str(LOCK)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "ModuleNotFoundError: pandas is not in the image" in found.stderr


@pytest.mark.parametrize("command", ["publish", "status", "promote", "rollback", "history", "watch", "samples"])
def test_every_command_starts_in_the_image(command: str) -> None:
    found = serve(command, "--help")
    assert found.returncode == 0, found.stderr
