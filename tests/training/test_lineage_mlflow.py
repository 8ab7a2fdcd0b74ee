"""What MLflow knows in the end: a run once, whatever was said twice, in a database or through its real server."""

import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from training.lineage_examples import MODEL, facts
from training.runs import free_port
from werkzeug.serving import make_server

from falaj.training.lineage.courier import TRACKING, Courier
from falaj.training.lineage.facts import EnergyFacts
from falaj.training.lineage.mlflow_runs import MlflowRuns, client, parameters
from falaj.training.lineage.outbox import Outbox, RejectedError
from falaj.training.lineage.run_log import RunLog, send_waiting, waiting
from falaj.training.lineage.section import TrackingSection


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all tests: making its tables takes MLflow seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    client(uri).create_experiment("warm", artifact_location="file:///nowhere")
    return uri


@pytest.fixture
def section(database: str, request: pytest.FixtureRequest) -> TrackingSection:
    return TrackingSection(uri=database, experiment=request.node.name, model=request.node.name)


def told(folder: Path, section: TrackingSection, **more: Any) -> RunLog:
    """A run that was told of, of which nothing was delivered yet."""
    log = RunLog(facts(), folder, base=folder, tracking=section, settings={"optimizer": {"learning_rate": 0.1}}, **more)
    log._track("start", **log._beginning())
    for step in range(3):
        log.metrics(step, {"loss": 1 / (step + 1), "accuracy": 0.5})
    log.energy(EnergyFacts(joules=12.5, method="nvml"))
    log.exported(MODEL)
    log._end("COMPLETE", "FINISHED")
    return log


def runs(uri: str, experiment: str) -> list[Any]:
    mlflow = client(uri)
    return list(mlflow.search_runs([mlflow.get_experiment_by_name(experiment).experiment_id]))


def test_a_run_is_found_with_its_facts_metrics_and_model(
    tmp_path: Path, section: TrackingSection, database: str
) -> None:
    told(tmp_path, section)
    assert Courier(tmp_path / "outbox").round()

    (run,) = runs(database, section.experiment or "")
    assert run.info.status == "FINISHED"
    assert run.data.params == {"optimizer.learning_rate": "0.1"}
    assert run.data.metrics == {"loss": pytest.approx(1 / 3), "accuracy": 0.5}
    assert run.data.tags["falaj.run"] == facts().run
    assert run.data.tags["falaj.job_digest"] == facts().job_digest
    assert run.data.tags["falaj.data.train"] == facts().data[0].digest
    assert run.data.tags["falaj.data.reference"] == "unknown"
    assert run.data.tags["falaj.energy_joules"] == "12.5"
    assert run.data.tags["falaj.dirty"] == "true"
    assert run.data.tags["mlflow.source.git.commit"] == "a" * 40
    (version,) = client(database).search_model_versions(f"name = '{section.model}'")
    assert version.tags["falaj.digest"] == MODEL.digest
    assert version.source == MODEL.location
    assert version.run_id == run.info.run_id


def test_what_is_said_twice_is_known_once(tmp_path: Path, section: TrackingSection, database: str) -> None:
    """A courier that dies before it notes how far it came says everything once more."""
    told(tmp_path, section)
    content = (tmp_path / "outbox" / TRACKING).read_bytes()
    assert Courier(tmp_path / "outbox").round()
    (tmp_path / "outbox" / TRACKING).write_bytes(content)
    assert Courier(tmp_path / "outbox").round()

    (run,) = runs(database, section.experiment or "")
    assert run.info.status == "FINISHED"
    assert [each.step for each in client(database).get_metric_history(run.info.run_id, "loss")] == [0, 1, 2]
    assert len(client(database).search_model_versions(f"name = '{section.model}'")) == 1


def test_a_metric_that_is_no_number_or_has_an_odd_name_is_known_too(
    tmp_path: Path, section: TrackingSection, database: str
) -> None:
    log = RunLog(facts(), tmp_path, base=tmp_path, tracking=section)
    log._track("start", **log._beginning())
    log.metrics(1, {"loss": float("nan"), "norm": float("inf"), "slice/age (%)": 1.0})
    log.metrics(2, {"loss": 0.5})
    assert Courier(tmp_path / "outbox").round()
    (run,) = runs(database, section.experiment or "")
    assert run.data.metrics["loss"] == 0.5
    assert run.data.metrics["slice/age ___"] == 1.0
    history = client(database).get_metric_history(run.info.run_id, "loss")
    assert [math.isnan(each.value) for each in history] == [True, False]
    assert not (tmp_path / "outbox" / f"{TRACKING}.rejected").exists()


def test_a_run_that_nothing_is_known_of_is_put_aside(database: str) -> None:
    with pytest.raises(RejectedError, match="knows nothing of run"):
        MlflowRuns(database).send([{"kind": "tags", "run": "unheard-of", "tags": {"a": "b"}}])
    with pytest.raises(RejectedError, match="no kind of record"):
        MlflowRuns(database).send([{"kind": "dance", "run": "unheard-of"}])


def test_settings_become_parameters_of_one_level() -> None:
    given = {"seed": 1, "model": {"settings": {"width": 8, "names": ["a"]}, "none": None}}
    assert parameters(given) == {"seed": "1", "model.settings.width": "8", "model.settings.names": "['a']"}


def test_mlflow_tells_its_makers_nothing(database: str) -> None:
    client(database)
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert is_telemetry_disabled()


class TrackingServer:
    """MLflow's own server, over a database, that can go away and come back on its port."""

    def __init__(self, uri: str) -> None:
        from flask import Flask
        from mlflow.server import ARTIFACT_ROOT_ENV_VAR, BACKEND_STORE_URI_ENV_VAR, handlers

        os.environ[BACKEND_STORE_URI_ENV_VAR] = uri
        os.environ[ARTIFACT_ROOT_ENV_VAR] = "s3://artifacts"
        self._app = Flask("mlflow")
        for path, handler, methods in handlers.get_endpoints():
            self._app.add_url_rule(path, f"{path}{methods}", handler, methods=methods)
        self.port = free_port()

    def up(self) -> None:
        self._server = make_server("127.0.0.1", self.port, self._app, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def tracking(database: str) -> Iterator[TrackingServer]:
    server = TrackingServer(database)
    server.up()
    yield server
    server.down()


def test_a_tracking_server_that_was_away_is_told_everything_by_the_next_command(
    tracking: TrackingServer, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    section = TrackingSection(uri=f"http://127.0.0.1:{tracking.port}", experiment="served", model="served")
    tracking.down()
    told(tmp_path, section)
    assert not Courier(tmp_path / "outbox").round()
    assert waiting(tmp_path / "outbox") == Outbox(tmp_path / "outbox" / TRACKING).path.stat().st_size

    tracking.up()
    assert send_waiting(tmp_path, patience=240) == 0
    (run,) = runs(database, "served")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["accuracy"] == 0.5
    (version,) = client(database).search_model_versions("name = 'served'")
    assert version.tags["falaj.digest"] == MODEL.digest
    assert not list((tmp_path / "outbox").glob("*.rejected"))


def test_a_server_is_told_of_a_model_in_a_folder_that_it_cannot_see(tracking: TrackingServer, database: str) -> None:
    server = MlflowRuns(f"http://127.0.0.1:{tracking.port}")
    start = {"kind": "start", "run": "r", "time": 1, "name": "n", "experiment": "local", "tags": {}, "parameters": {}}
    model = {"kind": "model", "run": "r", "time": 2, "name": "local", "digest": MODEL.digest, "location": "/srv/m"}
    server.send([start, {**model, "tags": {}}])
    (version,) = client(database).search_model_versions("name = 'local'")
    assert version.tags["falaj.location"] == "/srv/m"
    assert version.source.startswith("falaj://models/sha256-")
