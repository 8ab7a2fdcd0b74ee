"""What the trainer really exports is published, fetched, and computes there what the module computes."""

import base64
import os
from pathlib import Path

import numpy as np
import torch
from training.export_examples import section, trained

from falaj.training.export.folder import export
from falaj.training.export.observed import observed
from falaj.training.export.serve import load
from falaj.training.export.weights import weights_digest
from falaj.training.gate.signed import sign_verdict
from falaj.training.gate.verdict import Check, Verdict
from falaj.training.lineage.facts import data_facts, gather
from falaj.training.lineage.passport import passport
from falaj.training.lineage.signatures import FileSigner, new_key
from falaj.training.sealing import open_keys
from falaj.training.serving.fetching import fetch
from falaj.training.serving.publishing import publish
from falaj.training.serving.references import read_reference
from falaj.training.serving.verification import Trust
from falaj.training.serving.versions import Versions
from falaj.training.stores.local import LocalStore
from falaj.training.watch.reference import REFERENCE


def test_an_export_goes_from_the_trainer_to_the_server(tmp_path: Path) -> None:
    (tmp_path / "signing.pub").write_bytes(new_key(tmp_path / "signing.pem"))
    (tmp_path / "seal.key").touch(0o600)
    (tmp_path / "seal.key").write_bytes(base64.b64encode(os.urandom(32)))
    (tmp_path / "job.toml").write_text("version = 1\n")
    signer, module = FileSigner(tmp_path / "signing.pem"), trained()
    data = [data_facts("train", "s3://data/income", classification="confidential")]
    facts = gather("income", tmp_path / "job.toml", seed=3, code=tmp_path / "code", data=data)
    verdict = sign_verdict(
        Verdict(outcome="pass", checks=(Check(check="metric", subject="accuracy", outcome="pass", measured=0.9),)),
        signer,
        job="income",
        model_digest=weights_digest(module.module),
        job_digest=facts.job_digest,
        data_digests={},
        who="ci",
        valid_days=30,
    )
    (tmp_path / "verdict.json").write_bytes(verdict)
    rows = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    watched = observed(
        module.module, list(rows), lambda model, batch: {"loss": model(batch).mean()}, section(), batch_size=64
    )
    assert watched is not None
    evidence = passport(facts, tmp_path / "job.toml", tmp_path / "verdict.json") | {REFERENCE: watched.encoded()}
    made = export(module, section(), tmp_path / "exported", signer=signer, evidence=evidence)

    keys, trust = open_keys(f"file:{tmp_path / 'seal.key'}"), Trust.read(tmp_path / "signing.pub")
    versions = Versions(LocalStore(tmp_path / "store"), made.name, "vision")
    for _ in range(4):
        versions.claim({"user": "salma"})
    published = publish(Path(made.location), versions, keys, trust, who={"user": "salma"})
    assert (published.manifest.version, published.manifest.model_digest) == (5, made.digest)
    assert published.manifest.classification == "confidential"

    assert read_reference(versions, 5, keys, trust) == watched

    folder = fetch(versions, 5, keys, trust, tmp_path / "models").folder
    run = load(folder / "5", ["features"], ["scores"], "cpu")
    given = module.examples["features"].numpy()
    expected = module.module.eval()(torch.from_numpy(given)).detach().numpy()
    assert np.allclose(run([given])[0], expected, atol=1e-5)
    assert "versions: [5]" in (folder / "config.pbtxt").read_text()
