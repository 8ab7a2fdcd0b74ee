"""The component package: its schema is the public interface, and is reviewed in every diff."""

import json
from pathlib import Path

import pytest
from component_samples import KEY, OWNERSHIP, REGIME
from pulumi.provider.experimental.component import ComponentProvider

from falaj.components.package import COMPONENTS, NAME, VERSION

SNAPSHOT = Path(__file__).with_name("schema.json")


@pytest.fixture(scope="module")
def provider():
    return ComponentProvider(COMPONENTS, NAME, None, VERSION)


def test_the_schema_is_the_one_that_was_reviewed(provider, request):
    schema = json.dumps(json.loads(provider.schema), indent=2, sort_keys=True) + "\n"
    assert schema == SNAPSHOT.read_text(), f"renew it, and read the diff: python {Path(__file__).name}"


def test_every_component_input_and_output_is_described(provider):
    schema = json.loads(provider.schema)
    for token, resource in schema["resources"].items():
        assert resource["description"], token
        for kind in ("inputProperties", "properties"):
            for name, value in resource[kind].items():
                assert value.get("description"), f"{token}.{name}"


def test_a_call_from_another_language_makes_the_same_resources(provider, run, engine, providers):
    inputs = {
        "purpose": "datasets",
        "key": KEY,
        "regime": {"homeRegion": REGIME["home_region"], "accountId": REGIME["account_id"]},
        "ownership": {"owner": "ml-platform", "costCentre": "cc-1", "environment": OWNERSHIP["environment"]},
        "classification": "confidential",
        "noncurrentDays": 7.0,
    }
    state = run(lambda: provider.construct("datasets", "falaj:index:DataStore", inputs, providers()).state["bucket"])
    assert state == "test-datasets-123456789012-me-central-1"
    (rule,) = engine.one("BucketLifecycleConfiguration")["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    assert engine.one("Bucket")["tags"]["classification"] == "confidential"


def test_a_wrong_value_from_another_language_is_refused_alike(provider, run, providers):
    inputs = {
        "purpose": "datasets",
        "usedBy": ["rds"],
        "regime": {"homeRegion": "me-central-1", "accountId": "123456789012"},
        "ownership": {"owner": "ml-platform", "costCentre": "cc-1", "environment": "test"},
    }
    with pytest.raises(Exception, match=r"datasets\.used_by must be among s3, eks, ebs, logs, .* \(got 'rds'\)"):
        run(lambda: provider.construct("datasets", "falaj:index:ResidencyKey", inputs, providers()))


if __name__ == "__main__":
    found = json.loads(ComponentProvider(COMPONENTS, NAME, None, VERSION).schema)
    SNAPSHOT.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
