"""PlatformConfig: what is refused, in one line with the key's path, and that every environment reads."""

import json
from pathlib import Path

import pytest
import yaml

from platform_config import Environment, PlatformConfigError, Target, read_config

ROLES = "arn:aws:iam::123456789012:role"
STACKS = Path(__file__).parents[2] / "stacks"


def raw(environment="local", **changes):
    """The configuration of an environment as Pulumi hands it to a program: text, JSON where it has structure."""
    values = yaml.safe_load((STACKS / f"Pulumi.{environment}.yaml").read_text())["config"]
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = values
        for index, parent in enumerate(parents):
            target = target[int(parent) if parent.isdigit() else f"falaj:{parent}" if index == 0 else parent]
        if value is None:
            del target[last if parents else f"falaj:{last}"]
        else:
            target[last if parents else f"falaj:{last}"] = value
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


@pytest.mark.parametrize("environment", list(Environment))
def test_every_committed_environment_reads(environment):
    config = read_config(raw(environment))
    assert config.environment is environment
    assert config.target is (Target.LAB if environment is Environment.LOCAL else Target.AWS)
    assert config.regime.home_region == "me-central-1"


@pytest.mark.parametrize("environment", list(Environment))
def test_no_environment_lets_a_default_provider_choose_region_or_account(environment):
    settings = yaml.safe_load((STACKS / f"Pulumi.{environment}.yaml").read_text())["config"]
    assert settings["pulumi:disable-default-providers"] == ["*"]


def test_one_argument_takes_prod_into_the_lab():
    assert read_config(raw("prod", target="lab")).target is Target.LAB


def test_settings_of_other_namespaces_are_none_of_its_business():
    assert read_config({**raw(), "aws:region": "me-central-1"}) == read_config(raw())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "blue"}, "falaj:colour is not a known key"),
        ({"network__colour": "blue"}, "falaj:network.colour is not a known key"),
        ({"owner": None}, "falaj:owner is missing"),
        ({"regime__homeRegion": None}, "falaj:regime.homeRegion is missing"),
        ({"target": "azure"}, "falaj:target should be 'lab' or 'aws'"),
        ({"pools__1__min": 2, "pools__1__max": 1}, "falaj:pools[1].max must be >= min (got 1 < 2)"),
        ({"pools__1__nodes": 9}, "falaj:pools[1].nodes must be from min to max (got 9, not 0 to 4)"),
        ({"tenants__0__shares": []}, "falaj:tenants[0].shares List should have at least 1 item"),
        (
            {"tenants__0__gpus": 7},
            "falaj:tenants[0].shares must not be more together than gpus (got 8 > 7): raise gpus or lower a share",
        ),
        ({"tenants__0__tiers": ["urgent"]}, "falaj:tenants[0].tiers[0] should be 'interactive', 'production', 'batch'"),
        ({"tenants__1__name": "vision"}, "falaj:tenants must differ in name (got vision twice)"),
        ({"tenants__0__gpus": "many"}, "falaj:tenants[0].gpus should be a valid integer"),
        ({"services__0__tenant": "nobody"}, "falaj:services detector: tenant nobody is not one of vision, speech"),
        ({"services__0__pool": "tpu"}, "falaj:services detector: pool tpu is not one of gpu"),
        (
            {"services__0__models": "attic"},
            "falaj:services detector: models attic is not one of datasets, models, logs, scratch",
        ),
        (
            {"fileSystems": [{"name": "fast", "kind": "training", "store": "attic"}]},
            "falaj:fileSystems fast: store attic is not one of datasets, models, logs, scratch",
        ),
        ({"stores__0__kind": "attic"}, "falaj:stores[0].kind should be 'dataset', 'model-artifacts', 'logs' or"),
        ({"budget": {"monthlyUsd": 0, "emails": []}}, "falaj:budget.monthlyUsd should be greater than or equal to 1"),
        ({"services__0__gpus": -1}, "falaj:services[0].gpus should be greater than or equal to 0"),
        (
            {"services__0__autoscaling": {"most": 13}},
            "falaj:services detector needs 1 GPUs more than vision has",
        ),
        (
            {"services__0__autoscaling": {"most": 4}, "services__0__replicas": 2},
            "falaj:services[0] detector: replicas must be left out where autoscaling sets them (got 2)",
        ),
        ({"services__0__replicas": 13}, "falaj:services detector needs 1 GPUs more than vision has"),
        (
            {"keys": {"administrators": ["platform-deployer"]}},
            "falaj:keys.administrators[0] must be the ARN of an IAM role or user, without a wildcard"
            " (got platform-deployer)",
        ),
        (
            {"keys": {"users": {"records": [f"{ROLES}/*"]}}},
            f"falaj:keys.users.records[0] must be the ARN of an IAM role or user, without a wildcard (got {ROLES}/*)",
        ),
        ({"keys": {"users": {"records": []}}}, "falaj:keys.users.records List should have at least 1 item"),
        (
            {"keys": {"administrators": [f"{ROLES}/one"], "users": {"records": [f"{ROLES}/one"]}}},
            "falaj:keys.users records must be others than the administrators: who could use the key could also change"
            f" who may (got {ROLES}/one)",
        ),
        (
            {"keys": {"administrators": ["arn:aws:iam::999999999999:role/one"]}},
            "falaj:keys must be of the account 123456789012, which alone uses the keys"
            " (got arn:aws:iam::999999999999:role/one)",
        ),
        ({"stores": "{not json"}, "falaj:stores should be a valid list"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_with_its_path(changes, message):
    with pytest.raises(PlatformConfigError) as refused:
        read_config(raw(**changes))
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"services__0__published__version": None}, "falaj:services[0].published.version is missing"),
        ({"services__0__published__colour": "blue"}, "falaj:services[0].published.colour is not a known key"),
        (
            {"services__0__strategy": {"canary": {"steps": [{"weight": 5}]}}},
            "falaj:services[0].strategy.canary.analysis is missing",
        ),
        (
            {"services__0__strategy__canary__steps": [{"weight": 5, "pause": 60}]},
            "falaj:services[0].strategy.canary.steps[0].pause is not a known key",
        ),
        (
            {"services__0__models": "datasets"},
            "falaj:services detector: models must be a store of the kind model-artifacts among the stores of vision:"
            " models (got datasets)",
        ),
        (
            {"tenants__0__stores": []},
            "falaj:services detector: models must be a store of the kind model-artifacts among the stores of vision:"
            " none (got models)",
        ),
        (
            {"tenants__0__publishes": False},
            "falaj:services detector: published needs publishes: true of vision, whose key seals them",
        ),
        (
            {"network__storageCidrs": None},
            "falaj:services detector: published needs falaj:network.storageCidrs, the addresses of S3 (got none)",
        ),
        (
            {"network__storageCidrs": ["0.0.0.0/0"]},
            "falaj:network.storageCidrs ranges must be endpoints' addresses, at most a /16 each (got '0.0.0.0/0')",
        ),
        (
            {"services__0__serviceAccount": "server"},
            "falaj:services detector: serviceAccount server is not one of workload",
        ),
        (
            {"services__0__drift": {"serviceAccount": "watcher"}},
            "falaj:services detector: drift.serviceAccount watcher is not one of workload",
        ),
        (
            {"services__0__drift": {"samples": "attic"}},
            "falaj:services detector: drift.samples attic is not one of models",
        ),
        # While one version takes over, the pods of both are there.
        ({"services__0__replicas": 5}, "falaj:services detector needs 2 GPUs more than vision has"),
    ],
)
def test_what_is_wrong_about_a_published_model_is_refused_in_one_line_with_its_path(changes, message):
    with pytest.raises(PlatformConfigError) as refused:
        read_config(raw("staging", **changes))
    assert str(refused.value) == message


@pytest.mark.parametrize("environment", ["staging", "prod"])
@pytest.mark.parametrize("keys", [None, {}, {"users": {"records": [f"{ROLES}/auditor"]}}])
def test_keys_of_people_s_data_have_administrators_who_are_named(environment, keys):
    with pytest.raises(PlatformConfigError) as refused:
        read_config(raw(environment, keys=keys))
    assert str(refused.value) == (
        f"falaj:keys administrators must name who administers keys in {environment}, the role that runs Pulumi among"
        " them (got none)"
    )


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_what_holds_people_s_data_names_its_organization_and_the_deployer_as_administrator(environment):
    config = read_config(raw(environment))
    assert config.regime.organization_id
    assert set(config.cluster.administrators) <= set(config.keys.administrators)


def test_every_wrong_setting_is_named_at_once():
    with pytest.raises(PlatformConfigError) as refused:
        read_config(raw(colour="blue", owner=None))
    assert str(refused.value) == "falaj:owner is missing; falaj:colour is not a known key"


def test_a_refusal_does_not_repeat_what_else_was_configured():
    with pytest.raises(PlatformConfigError) as refused:
        read_config(raw(costCentre=None, owner="cc-secret"))
    assert "cc-secret" not in str(refused.value)


def test_a_configuration_cannot_be_changed_after_it_was_read():
    with pytest.raises(ValueError, match="frozen"):
        read_config(raw()).owner = "somebody"
