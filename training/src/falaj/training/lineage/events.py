"""OpenLineage events of a run: data sets lead into it, a model comes out of it.

The events are complete when they are made; nothing of the library's own sending is used here, because its
asynchronous transport leaves events behind when a process ends. https://openlineage.io/spec/2-0-2/OpenLineage.json
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openlineage.client import event_v2 as ol
from openlineage.client import facet_v2 as facet
from openlineage.client.serde import Serde

from falaj.training.lineage.facets import (
    ClassificationDatasetFacet,
    ModelDatasetFacet,
    TrainingRunFacet,
    without_empty,
)
from falaj.training.lineage.facts import DataFacts, Facts, ModelFacts

PRODUCER = f"urn:falaj:training:{version('falaj-training')}"


def run_event(
    kind: str,
    facts: Facts,
    *,
    namespace: str,
    models: Sequence[ModelFacts] = (),
    error: str | None = None,
    step: int | None = None,
) -> dict[str, Any]:
    """Return an event of the run: ``kind`` is START, RUNNING, COMPLETE, FAIL or ABORT."""
    ol.set_producer(PRODUCER)  # of every event and facet that is made from now on
    event = ol.RunEvent(
        eventType=ol.RunState[kind],
        eventTime=datetime.now(UTC).isoformat(),
        run=ol.Run(facts.run, facets=_run_facets(facts, error, step)),
        job=ol.Job(namespace, facts.job, facets=_job_facets(facts)),
        inputs=[_input(facts.job, each, namespace) for each in facts.data],
        outputs=[_output(each, facts, namespace) for each in models],
    )
    return Serde.to_dict(event)


def _run_facets(facts: Facts, error: str | None, step: int | None) -> dict[str, Any]:
    energy = facts.energy
    return without_empty(
        {
            "processing_engine": facet.processing_engine_run.ProcessingEngineRunFacet(
                version=facts.libraries.get("torch", "unknown"), name="torch"
            ),
            "falaj_training": TrainingRunFacet(
                jobDigest=facts.job_digest,
                codeDigest=facts.code.digest,
                seed=facts.seed,
                dirty=facts.code.dirty,
                imageDigest=facts.image,
                step=facts.step if step is None else step,
                energyJoules=None if energy is None else energy.joules,
                energyMethod=None if energy is None else energy.method,
            ),
            "errorMessage": None if error is None else facet.error_message_run.ErrorMessageRunFacet(error, "PYTHON"),
        }
    )


def _job_facets(facts: Facts) -> dict[str, Any]:
    code = facts.code
    location = facet.source_code_location_job.SourceCodeLocationJobFacet
    return without_empty(
        {
            "jobType": facet.job_type_job.JobTypeJobFacet("BATCH", "FALAJ", jobType="TRAINING"),
            "sourceCodeLocation": None
            if code.commit is None or code.repository is None
            else location("git", code.repository, repoUrl=code.repository, path=code.path, version=code.commit),
        }
    )


def _input(job: str, data: DataFacts, namespace: str) -> ol.InputDataset:
    place = _place(data.location) if data.location else (namespace, f"{job}/{data.name}")
    columns = facet.schema_dataset.SchemaDatasetFacetFields
    metrics = facet.data_quality_metrics_input_dataset
    assertions = facet.data_quality_assertions_dataset
    return ol.InputDataset(
        *place,
        facets=without_empty(
            {
                **_protection(data.classification, data.region, data.owner),
                "schema": facet.schema_dataset.SchemaDatasetFacet(
                    [columns(each.name, each.type) for each in data.columns]
                )
                if data.columns
                else None,
                "version": _version(data.known_by),
            }
        ),
        inputFacets=without_empty(
            {
                "dataQualityMetrics": metrics.DataQualityMetricsInputDatasetFacet(
                    {each.name: metrics.ColumnMetrics(nullCount=each.nulls) for each in data.columns},
                    rowCount=data.rows,
                )
                if data.columns or data.rows is not None
                else None,
                "dataQualityAssertions": assertions.DataQualityAssertionsDatasetFacet(
                    [assertions.Assertion(each.check, each.passed, each.column) for each in data.checks]
                )
                if data.checks
                else None,
            }
        ),
    )


def _output(model: ModelFacts, facts: Facts, namespace: str) -> ol.OutputDataset:
    """Return the model; it is as confidential as the most confidential data that it learned from says."""
    statistics = facet.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
    region = next((each.region for each in facts.data if each.region), None)
    return ol.OutputDataset(
        namespace,
        f"models/{model.name}",
        facets=without_empty(
            {
                **_protection(highest([each.classification for each in facts.data]), region, None),
                "version": _version(model.digest),
                "falaj_model": ModelDatasetFacet(
                    digest=model.digest, format=model.format, signedBy=model.signed_by, verdict=model.verdict
                ),
            }
        ),
        outputFacets={"outputStatistics": statistics(size=model.size, fileCount=model.files)},
    )


def highest(classifications: Sequence[str | None]) -> str | None:
    """Return the strictest of some classifications; one that nobody knows counts as the strictest of all."""
    order = ("public", "internal", "confidential", "restricted")
    said = [each for each in classifications if each is not None]
    return max(said, key=lambda each: order.index(each) if each in order else len(order), default=None)


def _protection(classification: str | None, region: str | None, owner: str | None) -> dict[str, Any]:
    return {
        "falaj_classification": ClassificationDatasetFacet(classification, region)
        if classification or region
        else None,
        "ownership": facet.ownership_dataset.OwnershipDatasetFacet([facet.ownership_dataset.Owner(owner)])
        if owner
        else None,
    }


def _version(digest: str | None) -> Any:
    if digest is None:
        return None
    return facet.dataset_version_dataset.DatasetVersionDatasetFacet(digest)


def _place(location: str) -> tuple[str, str]:
    """Name a data set as OpenLineage does: https://openlineage.io/docs/spec/naming."""
    parts = urlsplit(location)
    if parts.scheme and parts.netloc:
        return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") or "/"
    return "file", str(Path(location))
