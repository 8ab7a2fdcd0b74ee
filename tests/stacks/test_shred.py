"""shred.py: it shows before it does, does what was repeated, takes back what can be taken back, and leaves evidence."""

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

import shred
from falaj.components.crypto_shred import KeyKind
from key_holders import Done

ARN = "arn:aws:kms:me-central-1:123456789012:key/k1"
TENANT = "urn:pulumi:prod::falaj::falaj:index:Tenant::vision"
RESOURCES = [
    {
        "urn": "urn:pulumi:prod::falaj::aws:kms/key:Key::datasets-key",
        "type": "aws:kms/key:Key",
        "id": "k1",
        "inputs": {"tags": {"purpose": "datasets", "classification": "restricted"}, "deletionWindowInDays": 30},
        "outputs": {"arn": ARN},
    },
    {
        "urn": "urn:pulumi:prod::falaj::aws:cloudwatch/logGroup:LogGroup::flow",
        "type": "aws:cloudwatch/logGroup:LogGroup",
        "inputs": {"name": "/falaj/flow", "kmsKeyId": ARN},
    },
    {"urn": TENANT, "type": "falaj:index:Tenant", "outputs": {"namespace": "vision"}},
    {
        "urn": "urn:pulumi:prod::falaj::vault:transit/secretBackendKey:SecretBackendKey::vision-key",
        "type": "vault:transit/secretBackendKey:SecretBackendKey",
        "parent": TENANT,
        "inputs": {"backend": "prod-transit", "name": "vision"},
    },
]
DATE = datetime(2026, 12, 24, tzinfo=UTC)
DESTROYED = Done("unreadable now", "destroy", DATE)


class Keeper:
    """A holder that notes what it is told, in place of KMS and Vault."""

    def __init__(self, done=DESTROYED):
        self.done, self.told = done, []

    def state(self, key):
        return "Enabled"

    def destroy(self, key, days):
        self.told.append(("destroy", key.identifier, days))
        return self.done

    def bring_back(self, key):
        self.told.append(("bring back", key.identifier))
        return Done("readable again", "bring back")

    def actor(self):
        return "arn:aws:iam::123456789012:role/keeper"


@pytest.fixture
def keeper(monkeypatch):
    keeper = Keeper()
    monkeypatch.setattr(shred, "exported", lambda stack, project: {"resources": RESOURCES})
    monkeypatch.setattr(shred, "_holder", lambda key: keeper)
    return keeper


def test_without_yes_it_shows_and_changes_nothing(keeper, capfd):
    assert shred.main(["prod", "--key", "datasets"]) == 0
    shown = capfd.readouterr().out
    assert "datasets  Enabled  at once     after 30 days, until then --cancel brings it back" in shown
    assert "log events  /falaj/flow  restricted      datasets" in shown
    assert "its service cannot write there any more" in shown
    assert "Nothing was changed. To make it unreadable, repeat the name: --yes datasets" in shown
    assert keeper.told == []


def test_a_tenant_s_preview_says_that_vault_has_no_way_back(keeper, capfd):
    assert shred.main(["prod", "--tenant", "vision"]) == 0
    shown = capfd.readouterr().out
    assert "at once, nothing brings it back" in shown
    assert "log events  /falaj/flow  restricted      datasets" in shown.partition("Stays readable")[2]


def grant(tenant, *arns):
    return {
        "urn": f"urn:pulumi:prod::falaj::aws:iam/rolePolicy:RolePolicy::{tenant}-reach-train",
        "type": "aws:iam/rolePolicy:RolePolicy",
        "parent": TENANT.replace("vision", tenant),
        "inputs": {"policy": json.dumps({"Statement": [{"Effect": "Allow", "Resource": arn} for arn in arns]})},
    }


def a_tenant(name):
    return {"urn": TENANT.replace("vision", name), "type": "falaj:index:Tenant", "outputs": {"namespace": name}}


def a_key(purpose, identifier):
    """Return a KMS key of the stack and its ARN."""
    arn = ARN.replace("k1", identifier)
    key = RESOURCES[0] | {
        "urn": f"urn:pulumi:prod::falaj::aws:kms/key:Key::{purpose}",
        "id": identifier,
        "inputs": {"tags": {"purpose": purpose, "classification": "restricted"}},
        "outputs": {"arn": arn},
    }
    return key, arn


def test_a_shared_store_s_key_is_of_all_tenants_folders_and_the_preview_names_them(keeper, monkeypatch, capfd):
    shared = [*RESOURCES, a_tenant("speech"), grant("vision", ARN, "arn:aws:s3:::x/vision/*"), grant("speech", ARN)]
    monkeypatch.setattr(shred, "exported", lambda stack, project: {"resources": shared})
    assert shred.main(["prod", "--key", "datasets"]) == 0
    assert "under the key datasets lie folders of speech, vision: all of them go" in capfd.readouterr().out
    assert shred.main(["prod", "--tenant", "vision"]) == 0
    shown = capfd.readouterr().out
    assert "the folders of vision under datasets stay readable, as these keys are not its own" in shown
    assert shred.main(["prod", "--tenant", "vision", "--yes", "vision"]) == 0
    assert [told[:2] for told in keeper.told] == [("destroy", "prod-transit/vision")]


def test_a_store_named_after_a_tenant_is_its_own_and_goes_with_it(keeper, monkeypatch, capfd):
    key, arn = a_key("bucket-vision", "k2")
    own = [*RESOURCES, key, grant("vision", arn)]
    monkeypatch.setattr(shred, "exported", lambda stack, project: {"resources": own})
    assert shred.main(["prod", "--tenant", "vision"]) == 0
    shown = capfd.readouterr().out
    assert "under the key bucket-vision lie folders of vision: all of them go" in shown
    assert "as these keys are not" not in shown
    assert shred.main(["prod", "--tenant", "vision", "--yes", "vision"]) == 0
    assert [told[1] for told in keeper.told] == [arn, "prod-transit/vision"]


def test_a_store_named_after_a_tenant_that_another_one_uses_is_not_its_own(keeper, monkeypatch, capfd):
    key, arn = a_key("bucket-vision", "k2")
    lent = [*RESOURCES, key, a_tenant("speech"), grant("vision", arn), grant("speech", arn)]
    monkeypatch.setattr(shred, "exported", lambda stack, project: {"resources": lent})
    assert shred.main(["prod", "--tenant", "vision"]) == 0
    assert "the folders of vision under bucket-vision stay readable" in capfd.readouterr().out
    assert shred.main(["prod", "--tenant", "vision", "--yes", "vision"]) == 0
    assert [told[1] for told in keeper.told] == ["prod-transit/vision"]


def test_a_tenant_s_key_in_vault_is_of_the_classification_in_its_name(keeper, monkeypatch, capfd):
    transit = RESOURCES[3] | {"inputs": {"backend": "prod-transit", "name": "vision.internal"}}
    monkeypatch.setattr(shred, "exported", lambda stack, project: {"resources": [*RESOURCES[:3], transit]})
    assert shred.main(["prod", "--tenant", "vision", "--yes", "vision"]) == 0
    evidence = json.loads(capfd.readouterr().out.splitlines()[1])
    assert (evidence["key"]["identifier"], evidence["classification"]) == ("prod-transit/vision.internal", "internal")


def test_with_the_name_repeated_it_does_so_and_prints_the_evidence(keeper, capfd):
    assert shred.main(["prod", "--key", "datasets", "--yes", "datasets"]) == 0
    assert keeper.told == [("destroy", ARN, 30)]
    said, line = capfd.readouterr().out.splitlines()
    assert said == "kms key datasets: unreadable now"
    found = json.loads(line)
    assert datetime.fromisoformat(found.pop("time")).tzinfo
    assert found == {
        "actor": "arn:aws:iam::123456789012:role/keeper",
        "action": "destroy",
        "stack": "prod",
        "key": {"kind": "kms", "purpose": "datasets", "identifier": ARN},
        "classification": "restricted",
        "deleted": "2026-12-24T00:00:00+00:00",
        "data": [{"what": "log events", "place": "/falaj/flow", "classification": "restricted"}],
    }


def test_evidence_is_added_to_the_record(keeper, tmp_path, capfd):
    record = tmp_path / "record.jsonl"
    record.write_text("before\n")
    arguments = ["prod", "--key", "datasets", "--record", str(record)]
    assert shred.main([*arguments, "--yes", "datasets", "--days", "7"]) == 0
    assert shred.main([*arguments, "--cancel"]) == 0
    assert keeper.told == [("destroy", ARN, 7), ("bring back", ARN)]
    before, *lines = record.read_text().splitlines()
    assert before == "before"
    assert [json.loads(line)["action"] for line in lines] == ["destroy", "bring back"]
    assert "actor" not in capfd.readouterr().out


def test_what_is_as_wanted_already_leaves_no_evidence(keeper, capfd):
    keeper.done = Done("unreadable already, deleted on 2026-12-24")
    assert shred.main(["prod", "--key", "datasets", "--yes", "datasets"]) == 0
    assert capfd.readouterr().out == "kms key datasets: unreadable already, deleted on 2026-12-24\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--key", "datasets", "--yes", "logs"], "--yes must repeat what becomes unreadable: datasets (got 'logs')"),
        (
            ["--key", "datasets", "--yes", "datasets", "--cancel"],
            "--cancel must stand without --yes (got 'datasets')",
        ),
        (["--key", "datasets", "--days", "3"], "--days must be a whole number from 7 to 30 days (got 3)"),
        (["--key", "models"], "--key must be the purpose of one key of the stack, which has datasets (got 'models')"),
    ],
)
def test_a_wrong_argument_is_refused_and_nothing_is_done(keeper, capfd, arguments, message):
    assert shred.main(["prod", *arguments]) == 2
    assert capfd.readouterr().err == f"error: {message}\n"
    assert keeper.told == []


def test_nothing_is_done_that_cannot_be_written_down(keeper, tmp_path, capfd):
    unwritable = str(tmp_path / "nowhere" / "record.jsonl")
    assert shred.main(["prod", "--key", "datasets", "--yes", "datasets", "--record", unwritable]) == 1
    assert "nowhere" in capfd.readouterr().err
    assert keeper.told == []


def test_what_aws_refuses_is_one_line(keeper, monkeypatch, capfd):
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeKey")

    def state(key):
        raise denied

    monkeypatch.setattr(keeper, "state", state)
    assert shred.main(["prod", "--key", "datasets", "--yes", "datasets"]) == 1
    assert capfd.readouterr().err.startswith("error: An error occurred (AccessDeniedException)")
    assert keeper.told == []


def test_each_kind_of_key_has_its_holder(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    (kms,), (transit,) = (
        shred.keys_of_purpose(RESOURCES, "datasets"),
        shred.keys_of_tenant(RESOURCES, "vision"),
    )
    assert (kms.kind, transit.kind) == (KeyKind.KMS, KeyKind.TRANSIT)
    assert type(shred._holder(kms)).__name__ == "Kms"
    assert type(shred._holder(transit)).__name__ == "Transit"
