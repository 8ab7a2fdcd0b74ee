"""Facets of our own for OpenLineage events; their schemas are in `schemas/`, named by the facets."""

from typing import Any

import attr
from openlineage.client.facet_v2 import DatasetFacet, RunFacet

SCHEMAS = "urn:falaj:openlineage:1-0-0:"


@attr.define
class ClassificationDatasetFacet(DatasetFacet):
    """How a data set or a model is classified, and where it must stay."""

    classification: str | None = None
    region: str | None = None

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMAS}ClassificationDatasetFacet.json"


@attr.define
class TrainingRunFacet(RunFacet):
    """What a training run began with, and what it cost."""

    jobDigest: str  # noqa: N815 - the format's way of naming
    codeDigest: str  # noqa: N815 - the same
    seed: int
    dirty: bool | None = None
    imageDigest: str | None = None  # noqa: N815 - the same
    step: int | None = None
    energyJoules: float | None = None  # noqa: N815 - the same
    energyMethod: str | None = None  # noqa: N815 - the same

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMAS}TrainingRunFacet.json"


@attr.define
class ModelDatasetFacet(DatasetFacet):
    """A model that a run has exported."""

    digest: str
    format: str | None = None
    signedBy: str | None = None  # noqa: N815 - the same
    verdict: str | None = None

    @staticmethod
    def _get_schema() -> str:
        return f"{SCHEMAS}ModelDatasetFacet.json"


def without_empty(facets: dict[str, Any]) -> dict[str, Any]:
    """Leave out facets that nothing is known for."""
    return {name: facet for name, facet in facets.items() if facet is not None}
