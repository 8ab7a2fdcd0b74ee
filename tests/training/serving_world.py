"""A model's folder as an export leaves it, with keys, and a store that it is published to. No torch is needed."""

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from falaj.training.gate.signed import sign_verdict
from falaj.training.gate.verdict import Check, Verdict
from falaj.training.lineage.digests import bytes_digest, every_file, file_digest
from falaj.training.lineage.facts import Facts, data_facts, gather
from falaj.training.lineage.passport import passport
from falaj.training.lineage.signatures import FileSigner, new_key
from falaj.training.lineage.signed_models import SIGNATURE, sign_model
from falaj.training.sealing import KeySource, open_keys
from falaj.training.serving.verification import Trust
from falaj.training.serving.versions import Versions
from falaj.training.stores.local import LocalStore

CONFIG = """name: "income"
backend: "onnxruntime"
max_batch_size: 64  # { not a brace
input { name: "features" data_type: TYPE_FP32 dims: [6] }
output { name: "scores" data_type: TYPE_FP32 dims: [3] label_filename: "labels-scores.txt" }
version_policy { specific { versions: [1] } }
"""
JOB = "version = 1\n"
WHO = {"user": "salma", "host": "workstation"}


@dataclass
class World:
    """Everything that publishing needs."""

    base: Path
    folder: Path
    signer: FileSigner
    trust: Trust
    versions: Versions
    keys: KeySource

    @property
    def store(self) -> LocalStore:
        """The store, in a folder."""
        assert isinstance(self.versions.store, LocalStore)
        return self.versions.store

    def options(self) -> list[str]:
        """What the command line is told of store, model, tenant and keys."""
        base = self.base
        return [
            *("--name", "income", "--tenant", "vision", "--key", f"file:{base / 'seal.key'}"),
            *("--public-key", str(base / "signing.pub")),
        ]

    def changed(self, **more: Any) -> Path:
        """Make another model, which is signed and judged as the first one."""
        return write_model(self.base / f"model-{len(list(self.base.iterdir()))}" / "income", self.signer, **more)


def write_model(
    folder: Path,
    signer: FileSigner,
    *,
    content: bytes = b"weights" * 1000,
    artifact: str = "model.onnx",
    config: str | None = CONFIG,
    outcome: Any = "pass",
    judge: FileSigner | None = None,
    judged: str | None = None,
    with_verdict: bool = True,
    classification: str | None = None,
    before_signing: Callable[[Path], None] = lambda _: None,
    **about: Any,
) -> Path:
    """Write what `falaj-train export` writes, under a signature and a verdict."""
    (folder / "1").mkdir(parents=True)
    (folder / "1" / artifact).write_bytes(content)
    (folder / "labels-scores.txt").write_text("low\nmiddle\nhigh\n")
    if config is not None:
        (folder / "config.pbtxt").write_text(config)
    job = folder.parent / "job.toml"
    job.write_text(JOB)
    facts = _facts(classification)
    weights = bytes_digest(content)
    check = Check(check="metric", subject="accuracy", outcome=outcome, measured=0.9)
    told = {"job": "income", "model_digest": judged or weights, "job_digest": facts.job_digest, "data_digests": {}}
    verdict = sign_verdict(
        Verdict(outcome=outcome, checks=(check,)), judge or signer, **{**told, "who": "ci", "valid_days": 30, **about}
    )
    (folder.parent / "verdict.json").write_bytes(verdict)
    evidence = passport(facts, job, folder.parent / "verdict.json" if with_verdict else None)
    for name, written in evidence.items():
        (folder / name).write_bytes(written)
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(every_file(folder))}
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "weights": weights, "files": files}))
    before_signing(folder)
    sign_model(folder, signer)
    return folder


def new_world(base: Path) -> World:
    """Make keys, a model and a store below ``base``."""
    (base / "signing.pub").write_bytes(new_key(base / "signing.pem"))
    new_key(base / "other.pem")
    for name in ("seal.key", "other-seal.key"):
        write_seal_key(base / name)
    signer = FileSigner(base / "signing.pem")
    return World(
        base=base,
        folder=write_model(base / "first" / "income", signer),
        signer=signer,
        trust=Trust.read(base / "signing.pub"),
        versions=Versions(LocalStore(base / "store"), "income", "vision"),
        keys=open_keys(f"file:{base / 'seal.key'}"),
    )


def write_seal_key(path: Path) -> None:
    """Write a key that seals."""
    path.touch(0o600)
    path.write_bytes(base64.b64encode(os.urandom(32)))


def copy_of(world: World, to: Path) -> World:
    """Copy a world, to tamper with."""
    base = Path(shutil.copytree(world.base, to))
    versions = Versions(LocalStore(base / "store"), "income", "vision")
    return World(base, base / "first" / "income", world.signer, world.trust, versions, world.keys)


def below(folder: Path) -> list[str]:
    """Name every file below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in every_file(folder))


@cache
def _gathered() -> Facts:
    """What a run knows of itself; to list what is installed takes long."""
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.toml"
        job.write_text(JOB)
        return gather("income", job, seed=3, code=Path(folder) / "code")


def _facts(classification: str | None) -> Facts:
    data = [data_facts("train", "s3://data/income", classification=classification)] if classification else []
    return _gathered().model_copy(update={"data": tuple(data)})


__all__ = ["CONFIG", "SIGNATURE", "WHO", "World", "below", "copy_of", "new_world", "write_model", "write_seal_key"]
