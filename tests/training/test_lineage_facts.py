"""The facts of a run: digests that depend on content alone, and what git can and cannot say."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falaj.training.errors import RefusedError
from falaj.training.lineage.code import code_facts, has_commit, without_password
from falaj.training.lineage.digests import content_digest, tree_digest
from falaj.training.lineage.facts import IMAGE, Facts, data_facts, gather

GIT = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "model"
    folder.mkdir(parents=True)
    (folder / "net.py").write_text("layers = 2\n")
    (folder / "weights.bin").write_bytes(b"no code")
    return folder


@pytest.fixture
def repository(code: Path) -> Path:
    git(code.parent, "init")
    git(code.parent, "remote", "add", "origin", "https://me:secret@git.example.com/team/model.git")
    git(code.parent, "add", "model/net.py")
    git(code.parent, "commit", "-m", "First")
    return code


def test_the_digest_of_a_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "x").write_text("1")
        (tmp_path / name / "y").write_text("2")
    assert tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b")
    (tmp_path / "b" / "y").rename(tmp_path / "b" / "z")
    assert tree_digest(tmp_path / "a") != tree_digest(tmp_path / "b")


@given(
    st.lists(
        st.dictionaries(st.text("abc\n 1", min_size=1, max_size=4), st.binary(max_size=4), max_size=3),
        min_size=2,
        max_size=2,
        unique_by=lambda files: tuple(sorted(files.items())),
    )
)
def test_two_folders_that_differ_have_two_digests(
    tmp_path_factory: pytest.TempPathFactory, contents: list[dict[str, bytes]]
) -> None:
    digests = []
    for files in contents:
        folder = tmp_path_factory.mktemp("tree")
        for name, content in files.items():
            (folder / name).write_bytes(content)
        digests.append(tree_digest(folder))
    assert digests[0] != digests[1]


def test_code_in_a_repository_is_known_by_its_commit_and_without_the_password(repository: Path) -> None:
    facts = code_facts(repository)
    assert facts.commit == git(repository, "rev-parse", "HEAD").strip()
    assert facts.repository == "https://git.example.com/team/model.git"
    assert facts.path == "model"
    assert has_commit(repository, facts.commit) is True
    assert has_commit(repository, "0" * 40) is False


def test_code_is_dirty_exactly_when_it_differs_from_its_commit(repository: Path) -> None:
    (repository / "weights.bin").unlink()
    clean = code_facts(repository)
    assert clean.dirty is False
    (repository / "net.py").write_text("layers = 3\n")
    changed = code_facts(repository)
    assert changed.dirty is True
    assert changed.digest != clean.digest
    git(repository, "checkout", "net.py")
    (repository / "extra.py").write_text("")
    assert code_facts(repository).dirty is True


def test_code_outside_a_repository_is_known_by_its_digest_alone(code: Path) -> None:
    facts = code_facts(code)
    assert (facts.commit, facts.dirty, facts.repository) == (None, None, None)
    assert has_commit(code, "0" * 40) is None


def test_without_git_the_code_is_known_by_its_digest_alone(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = code_facts(repository).digest
    monkeypatch.setenv("PATH", "")
    assert code_facts(repository).model_dump(exclude_none=True) == {"digest": digest}


def test_what_is_no_code_does_not_change_the_digest_of_the_code(code: Path) -> None:
    before = code_facts(code).digest
    (code / "weights.bin").write_bytes(b"other")
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "net.cpython-311.py").write_text("")
    (code / "venv").mkdir()
    (code / "venv" / "pyvenv.cfg").write_text("")
    (code / "venv" / "installed.py").write_text("")
    assert code_facts(code).digest == before
    (code / "net.py").write_text("layers = 4\n")
    assert code_facts(code).digest != before


@pytest.mark.parametrize(
    ("address", "clean"),
    [
        ("https://me:secret@git.example.com/a.git", "https://git.example.com/a.git"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("git@git.example.com:a.git", "git@git.example.com:a.git"),
        ("postgresql://u:p@db.example.com:5432/x", "postgresql://db.example.com:5432/x"),
    ],
)
def test_an_address_is_kept_without_its_password(address: str, clean: str) -> None:
    assert without_password(address) == clean


def test_facts_hold_what_a_later_reader_needs_and_survive_json(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tmp_path / "job.toml"
    job.write_text("version = 1\n")
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    monkeypatch.setenv(IMAGE, f"registry.example.com/train@sha256:{'ab' * 32}")
    data = data_facts("train", "train.csv", base=tmp_path, classification="confidential", region="me-central-1")
    facts = gather("income", job, seed=7, code=repository, data=[data], overrides=["budget.steps=3"])

    assert facts.job_digest == content_digest(job)
    assert facts.image == f"sha256:{'ab' * 32}"
    assert facts.data[0].digest == content_digest(tmp_path / "train.csv")
    assert "torch" in facts.libraries
    assert Facts.model_validate_json(facts.model_dump_json()) == facts
    assert gather("income", job, seed=7, code=repository, run=facts.run).run == facts.run


def test_data_that_nobody_read_has_no_digest(tmp_path: Path) -> None:
    assert data_facts("train", "s3://bucket/train", base=tmp_path).digest is None
    assert data_facts("train", "missing.csv", base=tmp_path).digest is None
    assert data_facts("train", None).known_by is None


def test_data_is_known_by_its_files_and_else_by_its_examples(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a\n1\n")
    examples = f"sha256:{'3' * 64}"
    here = data_facts("train", "train.csv", base=tmp_path, digest=examples)
    assert (here.known_by, here.examples) == (content_digest(tmp_path / "train.csv"), examples)
    assert data_facts("train", "s3://bucket/train", base=tmp_path, digest=examples).known_by == examples


@pytest.mark.parametrize("digest", ["latest", "sha256:abc", "sha512:" + "a" * 64, "registry/image:tag"])
def test_an_image_that_is_not_named_by_its_digest_is_refused(
    digest: str, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tmp_path / "job.toml"
    job.write_text("")
    monkeypatch.setenv(IMAGE, digest)
    with pytest.raises(RefusedError, match=r"FALAJ_IMAGE_DIGEST must be the image's digest"):
        gather("income", job, seed=0, code=code)
