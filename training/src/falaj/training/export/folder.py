"""The export: a module as a signed folder of a Triton model repository, compared with the module before it is there.

```
NAME/config.pbtxt           Triton's description
NAME/labels-OUTPUT.txt      names of an output's classes
NAME/VERSION/model.onnx     or model.pt2, or model.safetensors with module.json
NAME/VERSION/model.py       for the Python backend
NAME/manifest.json          every file's digest, how it was exported, how far it was from the module
NAME/lineage.json …         where it comes from, if that is known: job file, facts of the run, the gate's verdict
NAME/model.sig              the signature over all of it
```
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import nn

from falaj.training.errors import RefusedError
from falaj.training.export.agreement import Agreement, check_agreement
from falaj.training.export.programs import program, save_onnx, save_program
from falaj.training.export.section import ExportSection
from falaj.training.export.serve import load
from falaj.training.export.served import Tensors, check_examples, reference
from falaj.training.export.triton_config import config, labels_file
from falaj.training.export.weights import save_weights, weights_digest
from falaj.training.lineage.digests import every_file, file_digest
from falaj.training.lineage.facts import ModelFacts
from falaj.training.lineage.signatures import Signer, fingerprint
from falaj.training.lineage.signed_models import sign_model, unverified_model

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Module:
    """A trained module, and what else its export needs to know."""

    module: nn.Module
    """The module with its trained weights."""
    examples: Mapping[str, torch.Tensor]
    """At least two examples of its inputs, by the names in the job's table; they are compared on and not kept."""
    name: str
    """Name of the job."""
    entry: str
    """The user's function that makes the module, for a server that runs the module itself."""
    settings: Mapping[str, Any]
    """What that function is given."""


def export(
    trained: Module,
    section: ExportSection,
    repository: Path,
    *,
    signer: Signer | None = None,
    evidence: Mapping[str, bytes] | None = None,
) -> ModelFacts:
    """Export a module to ``repository``, a folder of models; return what was made.

    ``evidence`` are files that are to lie in the model's folder under the same signature (see `lineage.passport`).
    Raises `RefusedError` where the module cannot be exported, where the exported model differs from the module, and
    where the model is there already; then nothing is left in ``repository``.
    """
    name = section.name or trained.name.replace(".", "-")
    place = repository / name
    if place.exists():
        raise RefusedError("export", str(place), "must not be there yet: remove it, or export to another repository")
    check_examples(trained.examples, section)
    repository.mkdir(parents=True, exist_ok=True)
    # Beside the repository, not in it: a server that polls it must never see half a model.
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=repository.absolute().parent) as scratch:
        folder = Path(scratch) / name
        agreement = _write(folder, trained, section, name)
        for file, content in (evidence or {}).items():
            (folder / file).write_bytes(content)
        _manifest(folder, trained, section, agreement)
        digest = sign_model(folder, signer) if signer else unverified_model(folder).digest
        shutil.move(folder, place)
    return ModelFacts(
        name=name,
        digest=digest,
        location=str(place.absolute()),
        format=section.format,
        size=sum(path.stat().st_size for path in every_file(place)),
        files=len(every_file(place)),
        signed_by=fingerprint(signer.public_pem) if signer else None,
    )


def _write(folder: Path, trained: Module, section: ExportSection, name: str) -> Agreement:
    inside = folder / str(section.version)
    inside.mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config(section, name))
    for each in section.outputs:
        if each.labels:
            (folder / labels_file(each)).write_text("".join(f"{label}\n" for label in each.labels))
    _artifact(inside, trained, section)
    if section.format != "onnx":
        served = files("falaj.training.export").joinpath("serve.py").read_bytes()
        (inside / "model.py").write_bytes(served)
    return check_agreement(reference(trained.module, section), _reloaded(inside, section), trained.examples, section)


def _artifact(inside: Path, trained: Module, section: ExportSection) -> None:
    if section.runs == "weights":
        save_weights(trained.module, inside / "model.safetensors")
        made = {"entry": trained.entry, "settings": dict(trained.settings)}
        (inside / "module.json").write_text(json.dumps(made, indent=2) + "\n")
        return
    exported = program(trained.module, trained.examples, section)
    if section.runs == "torch-export":
        save_program(exported, inside / "model.pt2")
    else:
        save_onnx(exported, inside / "model.onnx", section)


def _reloaded(inside: Path, section: ExportSection) -> Callable[[Tensors], Tensors]:
    """Return what the written artifact computes, by the very code that serves it in Triton's Python backend."""
    names = [each.name for each in section.inputs], [each.name for each in section.outputs]
    run = load(inside, *names, "cpu")

    def call(inputs: Tensors) -> Tensors:
        results = run([inputs[name].numpy() for name in names[0]])
        return {name: torch.from_numpy(each) for name, each in zip(names[1], results, strict=True)}

    return call


def _manifest(folder: Path, trained: Module, section: ExportSection, agreement: Agreement) -> None:
    manifest = {
        "version": 1,
        "weights": weights_digest(trained.module),
        "files": {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(every_file(folder))},
        "export": section.model_dump(mode="json"),
        "agreement": agreement.model_dump(mode="json"),
        "made_with": {name: version(name) for name in _libraries(section)},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _libraries(section: ExportSection) -> tuple[str, ...]:
    onnx = ("onnx", "onnxruntime", "onnxscript") if section.runs == "onnx" else ()
    return ("falaj-training", "torch", *onnx)
