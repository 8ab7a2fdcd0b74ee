"""What an outbox tells MLflow: runs with their parameters, metrics and tags, and versions of registered models.

Everything that is said may be said twice. A run is found by the tag ``falaj.run``, a model's version by the tag
``falaj.digest``; the same value of a metric at the same step and time is kept once.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.lineage.outbox import Record, RejectedError

RUN, DIGEST, LOCATION = "falaj.run", "falaj.digest", "falaj.location"
"""Tags that runs and versions of models are found by."""
STATUSES = ("FINISHED", "FAILED", "KILLED")

_AT_ONCE = 1000  # metrics of one request: MLflow's own limit
_LONGEST_PARAMETER, _LONGEST_TAG = 6000, 8000


class MlflowRuns:
    """An MLflow database or tracking server."""

    def __init__(self, uri: str, artifacts: str | None = None) -> None:
        self._uri = uri
        self._artifacts = artifacts
        self._found: dict[str, str] = {}
        self._client: Any = None

    def send(self, records: Sequence[Record]) -> None:
        """Say what the records say.

        Raises `RejectedError` where MLflow refuses their content, whatever it raises itself where it cannot be reached.
        """
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see `client`

        self._client = self._client or client(self._uri)
        try:
            for several in _together(records):
                self._say(several)
        except MlflowException as error:
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise RejectedError(_first_line(error)) from error
            raise

    def _say(self, records: Sequence[Record]) -> None:
        first = records[0]
        match first["kind"]:
            case "start":
                self._start(first)
            case "metrics":
                self._metrics(records)
            case "tags":
                self._batch(first["run"], tags=first["tags"])
            case "end":
                self._client.set_terminated(self._run(first["run"]), first["status"], end_time=first["time"])
            case "model":
                self._model(first)
            case other:
                raise RejectedError(f"{other} is no kind of record")

    def _start(self, record: Record) -> None:
        experiment = self._experiment(record["experiment"])
        found = self._search(record["run"], [experiment])
        if found is None:
            tags = {RUN: record["run"], **_cut(record["tags"], _LONGEST_TAG)}
            made = self._client.create_run(experiment, start_time=record["time"], tags=tags, run_name=record["name"])
            found = made.info.run_id
        else:
            self._client.update_run(found, status="RUNNING")
        self._found[record["run"]] = found
        self._batch(record["run"], tags=record["tags"], parameters=record["parameters"])

    def _metrics(self, records: Sequence[Record]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415 - see `client`

        values = [
            Metric(_named(name), float(value), record["time"], record["step"])
            for record in records
            for name, value in record["values"].items()
        ]
        for first in range(0, len(values), _AT_ONCE):
            self._client.log_batch(self._run(records[0]["run"]), metrics=values[first : first + _AT_ONCE])

    def _batch(self, run: str, tags: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> None:
        from mlflow.entities import Param, RunTag  # noqa: PLC0415 - see `client`

        said = [RunTag(name, value) for name, value in _cut(tags, _LONGEST_TAG).items()]
        given = [Param(name, value) for name, value in _cut(parameters or {}, _LONGEST_PARAMETER).items()]
        for first in range(0, max(len(said), len(given)), 100):  # MLflow's own limit
            several = slice(first, first + 100)
            self._client.log_batch(self._run(run), params=given[several], tags=said[several])

    def _model(self, record: Record) -> None:
        name = record["name"]
        _made(lambda: self._client.create_registered_model(name))
        of_digest = f"name = '{_quoted(name)}' and tag.`{DIGEST}` = '{record['digest']}'"
        if self._client.search_model_versions(of_digest):
            return
        tags = {DIGEST: record["digest"], LOCATION: record["location"], **_cut(record["tags"], _LONGEST_TAG)}
        self._client.create_model_version(name, self._source(record), self._run(record["run"]), tags)

    def _source(self, record: Record) -> str:
        """Return where the model lies; a server refuses folders that are not its own, and is told the digest."""
        here = "://" not in record["location"] and self._uri.startswith(("http://", "https://"))
        return f"falaj://models/{record['digest'].replace(':', '-')}" if here else record["location"]

    def _experiment(self, name: str) -> str:
        if (found := self._client.get_experiment_by_name(name)) is not None:
            return found.experiment_id
        server = self._uri.startswith(("http://", "https://"))  # a server has its own place for artifacts
        place = None if server else self._artifacts
        _made(lambda: self._client.create_experiment(name, artifact_location=place))
        return self._client.get_experiment_by_name(name).experiment_id

    def _run(self, run: str) -> str:
        if run not in self._found:
            every = [each.experiment_id for each in self._client.search_experiments()]
            if (found := self._search(run, every)) is None:
                raise RejectedError(f"MLflow knows nothing of run {run}")
            self._found[run] = found
        return self._found[run]

    def _search(self, run: str, experiments: Sequence[str]) -> str | None:
        found = self._client.search_runs(list(experiments), f"tags.`{RUN}` = '{_quoted(run)}'", max_results=1)
        return found[0].info.run_id if found else None


def client(uri: str) -> Any:
    """Return MLflow's client of a database or server.

    It gives up soon where nobody answers (whoever sends keeps what it has), and tells nobody else about it: MLflow
    reports its use to its makers unless it is told not to.
    """
    for name, value in (
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("DO_NOT_TRACK", "true"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
    ):
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - it takes seconds

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def run_tags(uri: str, run: str) -> dict[str, str] | None:
    """Return the tags that MLflow knows a run with; none where it knows no such run.

    Raises `TrainingError` where MLflow cannot be asked.
    """
    asked = _existing(uri)
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see `client`

    try:
        every = [each.experiment_id for each in asked.search_experiments()]
        found = asked.search_runs(every, f"tags.`{RUN}` = '{_quoted(run)}'", max_results=1)
    except MlflowException as error:
        raise TrainingError(f"the tracking server cannot be asked: {_first_line(error)}") from error
    return dict(found[0].data.tags) if found else None


def registered(uri: str, name: str, version: str) -> tuple[str, str]:
    """Return location and digest of a registered model's version; ``version`` is a number or an alias.

    Raises `RefusedError` where there is no such version, or none that was registered by falaj, `TrainingError` where
    there is no such database.
    """
    asked = _existing(uri)
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see `client`

    try:
        by_alias = not version.isdigit()
        get = asked.get_model_version_by_alias if by_alias else asked.get_model_version
        tags = get(name, version).tags
    except MlflowException as error:
        raise RefusedError("MODEL", f"{name}/{version}", f"must be registered: {_first_line(error)}") from None
    if LOCATION not in tags or DIGEST not in tags:
        raise RefusedError("MODEL", f"{name}/{version}", f"must be registered with {LOCATION} and {DIGEST}")
    return tags[LOCATION], tags[DIGEST]


def _existing(uri: str) -> Any:
    """Return a client for reading: MLflow would make a database that is not there, with nothing in it."""
    scheme, _, path = uri.partition(":///")
    if scheme == "sqlite" and not Path(path).is_file():
        raise TrainingError(f"there is no database {path}")
    return client(uri)


def parameters(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return a job's settings as MLflow's parameters: one level, with names such as ``optimizer.learning_rate``."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": said for inner, said in parameters(value).items()}
        elif value is not None:
            flat[name] = str(value)
    return flat


def _together(records: Sequence[Record]) -> list[list[Record]]:
    """Put neighbouring metrics of one run together; everything else is said alone, in its order."""
    groups: list[list[Record]] = []
    for record in records:
        kind = ("metrics", record["run"])
        if record["kind"] == "metrics" and groups and (groups[-1][0]["kind"], groups[-1][0]["run"]) == kind:
            groups[-1].append(record)
        else:
            groups.append([record])
    return groups


def _made(make: Any) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see `client`

    try:
        make()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _cut(texts: Mapping[str, str], longest: int) -> dict[str, str]:
    return {_named(name): text if len(text) <= longest else f"{text[: longest - 1]}…" for name, text in texts.items()}


def _named(name: str) -> str:
    """Return a name as MLflow takes it: letters, digits, spaces and a few signs."""
    return re.sub(r"[^\w./ :-]", "_", name)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _quoted(text: str) -> str:
    return text.replace("'", "\\'")
