"""The tables for tracking, lineage and signing: what they refuse, and where things go by default."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from falaj.training.lineage.section import LineageSection, SigningSection, TrackingSection

BASE, FOLDER = Path("/srv/job"), Path("/srv/job/runs/income")


@pytest.mark.parametrize("uri", ["file:///var/mlruns", "mlruns", "./mlruns"])
def test_a_folder_is_refused_as_mlflow_refuses_it(uri: str) -> None:
    with pytest.raises(ValidationError, match="uri: must be a database such as sqlite"):
        TrackingSection(uri=uri)


def test_a_server_elsewhere_needs_tls_or_a_plain_word() -> None:
    with pytest.raises(ValidationError, match="must be https://"):
        TrackingSection(uri="http://mlflow.example.internal")
    with pytest.raises(ValidationError, match="must be https://"):
        LineageSection(url="http://marquez.example.internal")
    assert TrackingSection(uri="http://mlflow.example.internal", allow_http=True).uri
    assert LineageSection(url="http://127.0.0.1:5000").url


@pytest.mark.parametrize(
    "uri", ["https://me:secret@mlflow.example.com", "postgresql://u:p@db/x", "https://me@m.example"]
)
def test_a_password_has_no_place_in_a_job_file(uri: str) -> None:
    with pytest.raises(ValidationError, match="must not hold a password"):
        TrackingSection(uri=uri)
    if uri.startswith("https"):
        with pytest.raises(ValidationError, match="must not hold a password"):
            LineageSection(url=uri)


def test_runs_are_kept_in_a_database_in_the_runs_folder_by_default() -> None:
    assert TrackingSection().place(BASE, FOLDER) == "sqlite:////srv/job/runs/income/mlflow.db"
    assert TrackingSection(uri="sqlite:///shared.db").place(BASE, FOLDER) == "sqlite:////srv/job/shared.db"
    assert TrackingSection(uri="sqlite:////var/shared.db").place(BASE, FOLDER) == "sqlite:////var/shared.db"
    assert TrackingSection(uri="https://mlflow.example.com").place(BASE, FOLDER) == "https://mlflow.example.com"


def test_events_go_to_a_file_unless_there_is_a_server() -> None:
    assert LineageSection().events_file(BASE, FOLDER) == FOLDER / "lineage.jsonl"
    assert LineageSection(url="https://marquez.example.com").events_file(BASE, FOLDER) is None
    both = LineageSection(url="https://marquez.example.com", file="events.jsonl")
    assert both.events_file(BASE, FOLDER) == BASE / "events.jsonl"


def test_a_lineage_server_is_an_http_address() -> None:
    for url in ("kafka://broker", "marquez.example.com", "https://"):
        with pytest.raises(ValidationError, match="url: must be an https:// address"):
            LineageSection(url=url)


@pytest.mark.parametrize("key", ["key.pem", "vault:transit", "file:", "aws-kms:arn:aws:kms:me-central-1:1:key/2"])
def test_a_signing_key_is_a_file_or_vaults(key: str) -> None:
    with pytest.raises(ValidationError, match="must be file:PATH"):
        SigningSection(key=key)
    assert SigningSection(key="vault:transit/models").key == "vault:transit/models"
