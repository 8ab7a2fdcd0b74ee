"""The chain behind a model: what is checked is said to be so, and what is not is never taken for good."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from training.export_examples import section, trained
from typer.testing import CliRunner

from falaj.training.errors import RefusedError
from falaj.training.export.folder import export
from falaj.training.export.weights import weights_digest
from falaj.training.gate.signed import sign_verdict
from falaj.training.gate.verdict import Check, Verdict
from falaj.training.lineage.chain import Link, Witnesses, trace
from falaj.training.lineage.command import lineage
from falaj.training.lineage.courier import Courier
from falaj.training.lineage.facts import Facts, data_facts, gather
from falaj.training.lineage.passport import passport
from falaj.training.lineage.run_log import RunLog
from falaj.training.lineage.section import TrackingSection
from falaj.training.lineage.signatures import FileSigner, new_key
from falaj.training.lineage.signed_models import sign_model

GIT = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


class World:
    """A job's folder with code in a repository, data, keys, and a model that was made from them."""

    def __init__(self, base: Path) -> None:
        self.base, self.code = base, base / "work" / "model"
        self.code.mkdir(parents=True)
        (self.code / "net.py").write_text("layers = 2\n")
        for arguments in (["init"], ["add", "."], ["commit", "-m", "First"]):
            git(base / "work", *arguments)
        (base / "job.toml").write_text("version = 1\n")
        (base / "train.csv").write_text("a,b\n1,2\n")
        self.public = new_key(base / "key.pem")
        self.signer = FileSigner(base / "key.pem")
        data = [data_facts("train", "train.csv", base=base), data_facts("reference", "s3://data/ref", base=base)]
        self.facts: Facts = gather("income", base / "job.toml", seed=3, code=self.code, data=data)
        self.module = trained()
        (base / "verdict.json").write_bytes(self.verdict())
        evidence = passport(self.facts, base / "job.toml", base / "verdict.json")
        self.made = export(self.module, section(), base / "models", signer=self.signer, evidence=evidence)
        self.model = Path(self.made.location)

    def verdict(self, passed: bool = True, **more: Any) -> bytes:
        check = Check(check="metric", subject="accuracy", outcome="pass" if passed else "fail", measured=0.9)
        told: dict[str, Any] = {
            "job": "income",
            "model_digest": weights_digest(self.module.module),
            "job_digest": self.facts.job_digest,
            "data_digests": {},
            "who": "ci",
            "valid_days": 30,
        }
        return sign_verdict(Verdict(outcome=check.outcome, checks=(check,)), self.signer, **{**told, **more})

    def witnesses(self, **more: Any) -> Witnesses:
        return Witnesses(**{"public_pem": self.public, "code": self.code, "base": self.base, **more})

    def replaced(self, name: str, content: bytes) -> None:
        """Put another file into the model, under a good signature."""
        (self.model / name).write_bytes(content)
        sign_model(self.model, self.signer)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    """A copy of the model, the code and the data to tamper with."""
    copy = object.__new__(World)
    copy.__dict__.update(made.__dict__)
    copy.base = Path(shutil.copytree(made.base, tmp_path / "world"))
    copy.code, copy.model = copy.base / "work" / "model", copy.base / "models" / "income-v2"
    return copy


def statuses(links: list[Link]) -> dict[str, str]:
    return {link.link: link.status for link in links}


def reason(links: list[Link], name: str) -> str:
    return next(link.reason for link in links if link.link == name)


def test_every_link_that_can_be_checked_is_verified_and_the_others_are_not(world: World) -> None:
    links = trace(world.model, world.witnesses())
    assert [link.link for link in links] == [
        "model", "verdict", "run", "job", "code", "image", "data train", "data reference",
    ]  # fmt: skip
    assert statuses(links) == {
        "model": "verified",
        "verdict": "verified",
        "run": "unverified",  # no tracking server was named
        "job": "verified",
        "code": "verified",
        "image": "unverified",
        "data train": "verified",
        "data reference": "unverified",  # elsewhere
    }
    assert links[0].value == world.made.digest


def test_without_a_key_nothing_is_verified(world: World) -> None:
    links = trace(world.model, world.witnesses(public_pem=None))
    assert set(statuses(links).values()) == {"unverified"}
    assert "no public key was given" in links[0].reason


def test_with_another_key_the_model_is_broken_and_nothing_is_verified(world: World, tmp_path: Path) -> None:
    links = trace(world.model, world.witnesses(public_pem=new_key(tmp_path / "other.pem")))
    assert statuses(links)["model"] == "broken"
    assert "verified" not in statuses(links).values()


def test_a_tampered_model_is_broken_and_what_it_says_is_not_taken_for_good(world: World) -> None:
    (world.model / "1" / "model.onnx").write_bytes(b"other weights")
    links = trace(world.model, world.witnesses())
    assert statuses(links)["model"] == "broken"
    assert "Hash mismatch" in links[0].reason
    assert "verified" not in statuses(links).values()


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ({"passed": False}, "must be pass"),
        ({"model_digest": f"sha256:{'1' * 64}"}, "must be of the model served"),
        ({"job_digest": f"sha256:{'1' * 64}"}, "another job file"),
        ({"valid_days": -1}, "verdict"),
    ],
)
def test_a_verdict_about_something_else_or_that_did_not_pass_breaks_the_chain(
    world: World, verdict: dict[str, Any], said: str
) -> None:
    world.replaced("verdict.json", world.verdict(**verdict))
    links = trace(world.model, world.witnesses())
    assert statuses(links)["model"] == "verified"
    assert statuses(links)["verdict"] == "broken"
    assert said in reason(links, "verdict")


def test_a_verdict_by_another_key_than_the_gates_breaks_the_chain(world: World, tmp_path: Path) -> None:
    links = trace(world.model, world.witnesses(verdict_pem=new_key(tmp_path / "gate.pem")))
    assert statuses(links)["verdict"] == "broken"


def test_a_model_that_no_gate_has_judged_is_not_said_to_be_judged(world: World) -> None:
    (world.model / "verdict.json").unlink()
    sign_model(world.model, world.signer)
    links = trace(world.model, world.witnesses())
    assert statuses(links)["verdict"] == "unverified"
    assert "no gate has judged it" in reason(links, "verdict")


def test_a_job_file_that_is_not_the_runs_breaks_the_chain(world: World) -> None:
    world.replaced("job.toml", b"version = 1\nseed = 4\n")
    assert statuses(trace(world.model, world.witnesses()))["job"] == "broken"


def test_code_that_went_on_is_found_in_its_history(world: World) -> None:
    (world.code / "net.py").write_text("layers = 3\n")
    links = trace(world.model, world.witnesses())
    assert (statuses(links)["code"], reason(links, "code")) == ("verified", "its commit has this digest")


def test_code_whose_commit_holds_something_else_breaks_the_chain(world: World) -> None:
    """A file that git ignores ran too."""
    told = world.facts.model_copy(update={"code": world.facts.code.model_copy(update={"digest": f"sha256:{'2' * 64}"})})
    world.replaced("lineage.json", told.model_dump_json().encode())
    assert statuses(trace(world.model, world.witnesses()))["code"] == "broken"


def test_code_that_is_nowhere_to_be_seen_is_unverified(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for code in (None, tmp_path / "other"):
        assert statuses(trace(world.model, world.witnesses(code=code)))["code"] == "unverified"
    changed = world.facts.model_copy(update={"code": world.facts.code.model_copy(update={"dirty": True})})
    world.replaced("lineage.json", changed.model_dump_json().encode())
    (world.code / "net.py").write_text("layers = 3\n")
    assert statuses(trace(world.model, world.witnesses()))["code"] == "unverified"


def test_data_that_changed_since_breaks_the_chain_and_data_that_is_gone_is_unverified(world: World) -> None:
    (world.base / "train.csv").write_text("a,b\n1,3\n")
    assert statuses(trace(world.model, world.witnesses()))["data train"] == "broken"
    (world.base / "train.csv").unlink()
    assert statuses(trace(world.model, world.witnesses()))["data train"] == "unverified"


def test_facts_that_are_none_break_the_chain(world: World) -> None:
    world.replaced("lineage.json", b'{"run": "someone\'s"}')
    assert statuses(trace(world.model, world.witnesses()))["run"] == "broken"
    (world.model / "lineage.json").unlink()
    sign_model(world.model, world.signer)
    assert statuses(trace(world.model, world.witnesses()))["run"] == "unverified"


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="must be the folder"):
        trace(tmp_path / "missing", Witnesses())


def command(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(lineage)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_command_prints_the_chain_and_its_exit_code_says_how_it_is(world: World, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_bytes(world.public)
    options = ["--key", tmp_path / "key.pub", "--code", world.code, "--base", world.base]
    done = command(world.model, *options)
    assert done.exit_code == 0, done.output
    assert f"verified    model           {world.made.digest}" in done.output
    assert command(world.model, *options, "--strict").exit_code == 5

    (world.base / "train.csv").write_text("changed")
    broken = command(world.model, *options, "--json")
    assert broken.exit_code == 1
    told = {link["link"]: link["status"] for link in json.loads(broken.output)["links"]}
    assert told["data train"] == "broken"


def test_a_registry_entry_leads_to_its_folder_and_its_run(world: World, tmp_path: Path) -> None:
    tracking = TrackingSection(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", model="income")
    log = RunLog(world.facts, tmp_path, base=tmp_path, tracking=tracking)
    log._track("start", **log._beginning())
    log.exported(world.made.model_copy(update={"location": str(world.model)}))
    assert Courier(tmp_path / "outbox").round()
    (tmp_path / "key.pub").write_bytes(world.public)

    options = ["--tracking", tracking.uri, "--key", tmp_path / "key.pub", "--json"]
    found = command("models:/income/1", *options)
    assert found.exit_code == 0, found.output
    told = {link["link"]: link["status"] for link in json.loads(found.output)["links"]}
    assert (told["registry"], told["model"], told["run"]) == ("verified", "verified", "verified")

    world.replaced("labels.txt", b"another model, by the same key")
    told = json.loads(command("models:/income/1", *options).output)["links"]
    assert (told[0]["link"], told[0]["status"]) == ("registry", "broken")
    missing = command("models:/income/2", *options)
    assert isinstance(missing.exception, RefusedError)


def test_a_tracking_database_that_is_not_there_is_not_made(world: World, tmp_path: Path) -> None:
    links = trace(world.model, world.witnesses(tracking=f"sqlite:///{tmp_path / 'none.db'}"))
    assert statuses(links)["run"] == "unverified"
    assert "there is no database" in reason(links, "run")
    assert not (tmp_path / "none.db").exists()
