"""What comes after training: the model of the last checkpoint is judged, and exported."""

import getpass
import platform
from pathlib import Path

import torch
from safetensors.torch import load_model
from torch import nn

from falaj.training.contract import make_model
from falaj.training.errors import RefusedError
from falaj.training.export.folder import Module, export
from falaj.training.export.observed import observed
from falaj.training.export.section import ExportSection
from falaj.training.export.served import captured_inputs
from falaj.training.export.weights import save_weights, weights_digest
from falaj.training.gate.decide import decide
from falaj.training.gate.evaluate import evaluate
from falaj.training.gate.evaluation import Evaluation
from falaj.training.gate.signed import sign_verdict
from falaj.training.job import Job
from falaj.training.lineage.digests import file_digest
from falaj.training.lineage.facts import Facts, ModelFacts
from falaj.training.lineage.passport import passport
from falaj.training.lineage.signatures import open_signer
from falaj.training.order import Loader, Share
from falaj.training.tracked import FACTS
from falaj.training.trained import load_trained
from falaj.training.user import User, call, load_user
from falaj.training.watch.reference import REFERENCE

MODELS, WEIGHTS, VERDICT = "models", "model.safetensors", "verdict.json"
"""In the run's folder: the repository of exported models, the weights that were judged, and the signed verdict."""
_EXAMPLES = 4


def judge(job: Job, champion: Path | None = None) -> tuple[str, Path]:
    """Judge the model of the last checkpoint on the validation data; return the verdict's outcome and its signed file.

    ``champion`` are the weights of the model that is served now, as an earlier evaluation left them. The weights that
    are judged lie beside the verdict, whatever it says. Raises ``RefusedError`` where the job has no gate.
    """
    if job.gate is None or job.signing is None:
        raise RefusedError("gate", None, "must be a table of the job file, with a key in [signing]")
    user = load_user(job)
    model, _ = load_trained(job, user)
    found = _evaluated(model, user, job)
    before = None if champion is None else _evaluated(_champion(champion, user, job), user, job)
    verdict = decide(found, before, job.gate)
    job.folder.mkdir(parents=True, exist_ok=True)
    save_weights(model, job.folder / WEIGHTS)
    signed = sign_verdict(
        verdict,
        open_signer(job.signing.key, base=job.base),
        job=job.name,
        model_digest=weights_digest(model),
        job_digest=file_digest(job.path),
        data_digests={"validation": found.data_digest} if found.data_digest else {},
        who=f"{getpass.getuser()}@{platform.node()}",
        valid_days=job.gate.valid_days,
    )
    path = job.folder / VERDICT
    path.write_bytes(signed)
    return verdict.outcome, path


def export_model(job: Job) -> ModelFacts:
    """Export the model of the last checkpoint, signed where the job has a key; return what was made.

    Raises ``RefusedError`` where the job says nothing of an export, or the model cannot be exported as it says.
    """
    if job.export is None:
        raise RefusedError("export", None, "must be a table of the job file, with inputs and outputs")
    user = load_user(job)
    model, _ = load_trained(job, user)
    made = Module(model, inputs(model, user, job, job.export), job.name, job.model.entry, job.model.settings)
    signer = open_signer(job.signing.key, base=job.base) if job.signing else None
    evidence = {**_evidence(job), **_reference(model, user, job, job.export)}
    return export(made, job.export, job.folder / MODELS, signer=signer, evidence=evidence)


def inputs(model: nn.Module, user: User, job: Job, section: ExportSection) -> dict[str, torch.Tensor]:
    """Return a few examples of the model's inputs by name: what the user's score calls the model with."""
    share = Share(0, 1, _EXAMPLES, 1)
    loader = Loader(lambda: call("data.entry", user.data, job.data.settings, "validation"), share, job.seed)
    return captured_inputs(model, user.score, next(iter(loader)), section)


def _evaluated(model: nn.Module, user: User, job: Job) -> Evaluation:
    assert job.gate is not None
    data = call("data.entry", user.data, job.data.settings, "validation")
    return evaluate(model, data, user.score, job.optimizer.batch_size, _device(job), latency=job.gate.latency)


def _reference(model: nn.Module, user: User, job: Job, section: ExportSection) -> dict[str, bytes]:
    """Return the file by which requests are seen to drift; none where there are too few examples to tell by."""
    data = call("data.entry", user.data, job.data.settings, "validation")
    found = observed(model, data, user.score, section, batch_size=job.optimizer.batch_size, device=_device(job))
    return {} if found is None else {REFERENCE: found.encoded()}


def _device(job: Job) -> str:
    return "cuda" if torch.cuda.is_available() and job.parallel.device != "cpu" else "cpu"


def _champion(weights: Path, user: User, job: Job) -> nn.Module:
    model = make_model(job, user)
    try:
        load_model(model, weights)
    except (OSError, RuntimeError, ValueError) as error:
        raise RefusedError("--champion", str(weights), f"must be weights of this job's model: {error}") from error
    return model


def _evidence(job: Job) -> dict[str, bytes]:
    facts, verdict = job.folder / FACTS, job.folder / VERDICT
    if not facts.exists():
        return {"job.toml": job.path.read_bytes()}
    return passport(
        Facts.model_validate_json(facts.read_text()), job.path, verdict if job.gate and verdict.exists() else None
    )
