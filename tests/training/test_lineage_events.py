"""OpenLineage events: from data sets by a run to a model, with facets that keep to their schemas."""

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from training.lineage_examples import DIGEST, MODEL, facts

from falaj.training.lineage.code import CodeFacts
from falaj.training.lineage.events import highest, run_event
from falaj.training.lineage.facets import SCHEMAS
from falaj.training.lineage.facts import EnergyFacts


def every_facet(event: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    places: list[dict[str, Any]] = [event["run"]["facets"], event["job"]["facets"]]
    for dataset in [*event["inputs"], *event["outputs"]]:
        places += [dataset.get(kind, {}) for kind in ("facets", "inputFacets", "outputFacets")]
    return [item for place in places for item in place.items()]


@pytest.mark.parametrize("kind", ["START", "RUNNING", "COMPLETE", "FAIL", "ABORT"])
def test_our_facets_keep_to_the_schemas_that_they_name(kind: str) -> None:
    event = run_event(kind, facts(energy=EnergyFacts(joules=5.5, method="nvml")), namespace="n", models=[MODEL])
    assert event["eventType"] == kind
    ours = [facet for name, facet in every_facet(event) if name.startswith("falaj_")]
    assert len(ours) == 5  # the run's, two inputs' and the output's classification, the model's
    for facet in ours:
        name = facet["_schemaURL"].removeprefix(SCHEMAS)
        schema = json.loads(files("falaj.training.lineage").joinpath("schemas", name).read_text())
        assert schema["$id"] == facet["_schemaURL"]
        Draft202012Validator(schema).validate(facet)


def test_every_facet_says_who_made_it_and_by_which_schema() -> None:
    event = run_event("COMPLETE", facts(), namespace="n", models=[MODEL])
    assert event["producer"].startswith("urn:falaj:training:")
    for name, facet in every_facet(event):
        assert facet["_producer"] == event["producer"], name
        assert facet["_schemaURL"], name


def test_an_event_leads_from_the_data_by_the_run_to_the_model() -> None:
    event = run_event("COMPLETE", facts(), namespace="falaj", models=[MODEL], step=9)

    train, reference = event["inputs"]
    assert (train["namespace"], train["name"]) == ("s3://datasets", "income/train.parquet")
    assert (reference["namespace"], reference["name"]) == ("falaj", "income/reference")
    assert train["facets"]["version"]["datasetVersion"] == DIGEST
    assert train["facets"]["ownership"]["owners"] == [{"name": "team:risk"}]
    assert [field["name"] for field in train["facets"]["schema"]["fields"]] == ["age", "pay"]
    assert train["inputFacets"]["dataQualityMetrics"]["columnMetrics"]["age"]["nullCount"] == 2
    assertion = train["inputFacets"]["dataQualityAssertions"]["assertions"][0]
    assert (assertion["assertion"], assertion["success"], assertion["column"]) == ("not_null", False, "age")
    assert (event["job"]["namespace"], event["job"]["name"]) == ("falaj", "income")
    assert event["job"]["facets"]["sourceCodeLocation"]["version"] == "a" * 40
    assert event["run"]["facets"]["falaj_training"]["step"] == 9
    assert event["run"]["facets"]["falaj_training"]["dirty"] is True
    (model,) = event["outputs"]
    assert model["name"] == "models/income"
    assert model["facets"]["version"]["datasetVersion"] == DIGEST


def test_a_model_is_as_confidential_as_the_strictest_of_its_data() -> None:
    (model,) = run_event("COMPLETE", facts(), namespace="n", models=[MODEL])["outputs"]
    assert model["facets"]["falaj_classification"]["classification"] == "confidential"
    assert model["facets"]["falaj_classification"]["region"] == "me-central-1"
    assert highest(["public", "restricted", "internal"]) == "restricted"
    assert highest(["restricted", "ours-alone"]) == "ours-alone"
    assert highest([None, "public"]) == "public"
    assert highest([]) is None


def test_what_is_not_known_is_left_out_and_not_invented() -> None:
    event = run_event("START", facts(data=(), code=CodeFacts(digest=DIGEST), image=None), namespace="n")
    assert "sourceCodeLocation" not in event["job"]["facets"]
    training = event["run"]["facets"]["falaj_training"]
    assert not {"imageDigest", "dirty", "energyJoules", "step"} & set(training)
    assert "errorMessage" not in event["run"]["facets"]


def test_a_failed_run_says_why() -> None:
    event = run_event("FAIL", facts(), namespace="n", error="ValueError: no loss")
    assert event["run"]["facets"]["errorMessage"]["message"] == "ValueError: no loss"
