"""The four versions: two that are trained, and two that somebody spoiled after the gate had judged the weights."""

import base64
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from falaj.lab.errors import LabError
from falaj.lab.progress import Progress
from falaj.training.lineage.digests import every_file, file_digest
from falaj.training.lineage.signatures import FileSigner, new_key
from falaj.training.lineage.signed_models import SIGNATURE, sign_model
from serving_demo.programs import run

EXAMPLE = Path(__file__).parents[2] / "training-tabular"
SERVING = Path(__file__).parents[1] / "serving.toml"
NAME = "tumours"

_MANIFEST, _PROGRAM = "manifest.json", "model.py"
_SPOILED = """

_load = load


def load(*given):
    run = _load(*given)

    def spoiled(arrays):
        {body}

    return spoiled
"""
_BODIES = {
    "slow": "__import__('time').sleep({seconds})\n        return run(arrays)",
    "wrong": "return [-scores for scores in run(arrays)]",
}


@dataclass(frozen=True)
class Keys:
    """Where the demonstration's own keys are: one signs models and verdicts, one seals checkpoints."""

    signing: Path
    public: Path
    checkpoint: Path

    @classmethod
    def new(cls, folder: Path) -> "Keys":
        """Make them."""
        made = cls(*(folder / name for name in ("signing.pem", "signing.pub", "checkpoint.key")))
        made.public.write_bytes(new_key(made.signing))
        made.checkpoint.touch(0o600)
        made.checkpoint.write_bytes(base64.b64encode(os.urandom(32)))
        return made


def train(folder: Path, keys: Keys, progress: Progress, on_line: Callable[[str], object], *sets: str) -> Path:
    """Train the tabular example as a person does, and return the exported, judged and signed model."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("runs", "checkpoints", "*.key", "__pycache__"))
    job = folder / "job.toml"
    job.write_text(job.read_text() + SERVING.read_text())
    for key in (keys.signing, keys.checkpoint):
        shutil.copy2(key, folder / key.name)
    told = [word for each in sets for word in ("--set", each)]
    lines = run(progress, ["falaj-train", "run", str(job), *told], on_line=on_line)
    model = folder / "runs" / NAME / "models" / NAME
    if not model.is_dir():
        raise LabError(f"`falaj-train run` exported nothing: {lines[-1] if lines else 'it said nothing'}")
    return model


def labelled_rows(progress: Progress, folder: Path) -> tuple[list[list[float]], list[int]]:
    """Return the example's held back rows, with their labels."""
    lines = run(progress, ["python", str(Path(__file__).with_name("rows.py")), str(folder)])
    told = json.loads(next(line for line in lines if line.startswith("{")))
    return told["rows"], told["labels"]


def spoiled(model: Path, into: Path, keys: Keys, how: str, *, seconds: float = 0.0) -> Path:
    """Return the same model with the same weights and verdict, whose program is ``slow`` or ``wrong``, signed again.

    The verdict is about the weights, so that it still holds: only live figures show what was done here.
    """
    made = into / model.name
    shutil.copytree(model, made)
    (program,) = made.glob(f"*/{_PROGRAM}")
    body = _BODIES[how].format(seconds=seconds)
    program.write_text(program.read_text() + _SPOILED.format(body=body))
    (made / SIGNATURE).unlink()
    manifest = json.loads((made / _MANIFEST).read_text())
    others = [path for path in sorted(every_file(made)) if path.name != _MANIFEST]
    manifest["files"] = {path.relative_to(made).as_posix(): file_digest(path) for path in others}
    (made / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    sign_model(made, FileSigner(keys.signing))
    return made
