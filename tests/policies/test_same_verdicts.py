"""The real engine with the pack, and `falaj-policy check` on what the CLI wrote, come to the same verdicts.

Where they may differ is named in ``may_differ``, and then one of them says undetermined: none says that it is well.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from falaj.lab.testing import RunningLab, temporary_lab
from falaj.policies import RULES
from falaj.policies.analyzer import SUMMARY

pytestmark = pytest.mark.lab
CHECK = str(Path(sys.executable).with_name("falaj-policy"))
PACK = Path(__file__).parents[2] / "policies"
PROGRAM = Path(__file__).parent / "shop" / "__main__.py"
PLANTED = "planted-4711"
OVER_THE_GRAPH = frozenset(rule.id for rule in RULES if rule.reads)
MENDED = "FJ-NET-006"
"""A rule with a remedy of its own."""
TELLING = {"all": "advisory"}
TUNED = {
    "settings": {"packs": ["iso27001", "residency"], "waivers": "waivers.toml", "register": "transfers.toml"},
    "FJ-KMS-001": "advisory",
    "FJ-S3-008": "disabled",
    "FJ-INV-001": {"requiredTags": ["owner"]},
}
WAIVERS = """
[[waivers]]
rule = "FJ-S3-004"
resource = "urn:pulumi:test::shop::aws:s3/bucket:Bucket::bare"
reason = "It goes."
owner = "team"
expires = 2999-01-01
"""
REGISTER = """
[[transfers]]
id = "T-1"
resource = "urn:pulumi:test::shop::aws:sns/topic:Topic::abroad"
rules = ["FJ-RES-001"]
destinations = ["IE"]
basis = "approval"
article = "Approval 17"
owner = "dpo@example.ae"
classification = "internal"
expires = 2999-01-01
"""


@dataclass
class Told:
    """What one way in says."""

    verdicts: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """Fail or undetermined, by rule and the resource's name; all else passes or is not applicable."""
    stopping: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Failures that stop the run."""
    unmapped: list[str] = field(default_factory=list[str])
    code: int = 0

    def differences(self, other: "Told") -> dict[tuple[str, str], tuple[str | None, str | None]]:
        """Return where another way in says something else."""
        keys = self.verdicts.keys() | other.verdicts.keys()
        both = {key: (self.verdicts.get(key), other.verdicts.get(key)) for key in keys}
        return {key: said for key, said in both.items() if said[0] != said[1]}


class Shop:
    """A stack of the program in a lab."""

    def __init__(self, lab: RunningLab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
        config = {"aws:region": lab.env["AWS_REGION"], "aws:skipMetadataApiCheck": "true"}
        files = {
            "Pulumi.yaml": json.dumps({"name": "shop", "runtime": runtime}),
            "Pulumi.test.yaml": json.dumps({"config": config}),
            "__main__.py": PROGRAM.read_text(),
            "waivers.toml": WAIVERS,
            "transfers.toml": REGISTER,
        }
        for name, content in files.items():
            (folder / name).write_text(content)
        self.run("pulumi", "stack", "select", "--create", "test", "--non-interactive")

    def run(self, *command: str, expected: Sequence[int] = (0,), **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the program."""
        environment = {**self.lab.env, "PULUMI_SKIP_UPDATE_CHECK": "true", **variables}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode in expected, f"{command}: {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr}"
        return done

    def preview(self, name: str, *options: str) -> Path:
        """Preview in one piece, without the pack."""
        return self._written(name, self.run("pulumi", "preview", "--json", "--non-interactive", *options).stdout)

    def judged(self, name: str, config: Mapping[str, Any], *command: str) -> tuple[Path, Told]:
        """Run the engine with the pack, and return the events and what the pack says."""
        packed = ("--policy-pack", str(PACK), "--policy-pack-config", str(self.configured(config)))
        streaming = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "1"}
        done = self.run("pulumi", *command, "--json", "--non-interactive", *packed, expected=(0, 1, 255), **streaming)
        assert PLANTED not in done.stdout
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return self._written(name, done.stdout), _told_by_the_engine(events, done.returncode)

    def checked(self, option: str, path: Path, config: Mapping[str, Any] = TELLING) -> Told:
        """Run `falaj-policy check` on a file."""
        settings = str(self.configured(config))
        command = (CHECK, "check", option, str(path), "--config", settings, "--format", "json")
        done = self.run(*command, expected=(0, 1))
        assert PLANTED not in done.stdout
        told = Told(code=done.returncode)
        given = json.loads(done.stdout)
        told.unmapped = sorted(given["unmapped"])
        for each in given["findings"]:
            key = each["rule"], _name(each["urn"])
            if each["verdict"] != "pass":
                told.verdicts[key] = each["verdict"]
            if each["verdict"] == "fail" and each["level"] != "advisory" and each["waiver"] is None:
                told.stopping.add(key)
        return told

    def exported(self, *options: str) -> Path:
        """Export the state."""
        return self._written(f"state{''.join(options)}", self.run("pulumi", "stack", "export", *options).stdout)

    def configured(self, config: Mapping[str, Any]) -> Path:
        """Write the pack's configuration, one file for both ways in."""
        return self._written("policy", json.dumps(config))

    def lets_in(self) -> bool:
        """Return whether the default security group that really exists lets anything in."""
        ec2 = self.lab.aws("ec2")
        (net,) = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.40.0.0/16"]}])["Vpcs"]
        within = [{"Name": "vpc-id", "Values": [net["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
        (group,) = ec2.describe_security_groups(Filters=within)["SecurityGroups"]
        return bool(group["IpPermissions"])

    def _written(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.json"
        path.write_text(text)
        return path


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _told_by_the_engine(events: Sequence[Mapping[str, Any]], code: int) -> Told:
    told = Told(code=code)
    for each in (event["policyEvent"] for event in events if "policyEvent" in event):
        key, message = (each["policyName"], _name(each.get("resourceUrn", ""))), each["message"]
        if key[0] == SUMMARY:
            if message.startswith("Types judged by no rule"):
                told.unmapped = sorted(message.strip().rpartition("in all: ")[2].split(", "))
        elif not message.startswith("undetermined: "):
            told.verdicts[key] = "fail"
            if each["enforcementLevel"] == "mandatory":
                told.stopping.add(key)
        else:
            told.verdicts.setdefault(key, "undetermined")
    return told


@dataclass
class Undeployed:
    """The shop before anything exists."""

    shop: Shop
    engine: Told
    streamed: Path
    plain: Path


@pytest.fixture(scope="module")
def undeployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undeployed]:
    """Preview the shop in both forms, in a lab that is an AWS alone."""
    folder = tmp_path_factory.mktemp("shop")
    with temporary_lab(tmp_path_factory.mktemp("lab") / "state", aws="emulated", only=["moto"]) as lab:
        shop = Shop(lab, folder)
        streamed, engine = shop.judged("streamed", TELLING, "preview")
        yield Undeployed(shop, engine, streamed, shop.preview("plain"))


@dataclass
class Deployed:
    """The shop as it was made."""

    shop: Shop
    engine: Told
    streamed: Path


@pytest.fixture(scope="module")
def deployed(undeployed: Undeployed) -> Deployed:
    """Make the shop, failures told only, and preview it once more."""
    shop = undeployed.shop
    _, made = shop.judged("up", TELLING, "up", "--yes", "--skip-preview")
    assert made.code == 0
    streamed, engine = shop.judged("streamed-again", TELLING, "preview", "--show-sames")
    assert not made.differences(engine)
    return Deployed(shop, engine, streamed)


def may_differ(rule: str, name: str, engine: str | None, other: str | None, *, form: str) -> bool:
    """Say where a preview may differ from the engine: where it does not tell what the engine knows."""
    # What it says where it knows less: that, never nothing.
    careful = other == "undetermined"
    # Secrets are left out of what the CLI prints; the pack receives them.
    if name in ("group", "version"):
        return careful and engine == "fail"
    # The default provider is not in it: only the stack's configuration is known of it, not what the environment adds.
    if name.startswith("default_") or (name == "still" and rule == "FJ-INV-001"):
        return careful
    if rule not in OVER_THE_GRAPH:
        return False
    # The streamed form does not say from which resource an unknown value comes.
    if form == "streamed":
        return careful
    # In one piece it holds no outputs before there are any: what AWS will say counts as left out, as in a program.
    return form == "plain" and (engine, other) == ("undetermined", "fail")


@pytest.mark.parametrize("form", ["plain", "streamed"])
def test_before_anything_exists_a_preview_is_judged_as_the_engine_judges(undeployed: Undeployed, form: str) -> None:
    engine = undeployed.engine
    for rule, name, verdict in (
        ("FJ-KMS-001", "still", "fail"),
        ("FJ-S3-004", "bare", "fail"),
        ("FJ-NET-001", "group", "fail"),
        ("FJ-RES-001", "abroad", "fail"),
        ("FJ-S3-002", "open", "undetermined"),
        ("FJ-S3-002", "sound-policy", "undetermined"),
        ("FJ-LOG-001", "log", "undetermined"),
    ):
        assert engine.verdicts[rule, name] == verdict
    assert engine.code == 0
    other = undeployed.shop.checked("--preview", getattr(undeployed, form))
    unexplained = {
        (*key, *said) for key, said in engine.differences(other).items() if not may_differ(*key, *said, form=form)
    }
    assert not unexplained
    assert not other.stopping
    assert other.unmapped == engine.unmapped
    assert "aws:glue/registry:Registry" in engine.unmapped


def test_where_all_is_known_a_state_is_judged_as_the_engine_judges(deployed: Deployed) -> None:
    opened = deployed.shop.checked("--state", deployed.shop.exported("--show-secrets"))
    assert not deployed.engine.differences(opened)
    assert deployed.engine.verdicts["FJ-S3-002", "open"] == "fail"
    assert set(deployed.engine.verdicts.values()) == {"fail"}
    assert opened.unmapped == deployed.engine.unmapped
    sealed = deployed.shop.checked("--state", deployed.shop.exported())
    hidden = deployed.engine.differences(sealed)
    assert ("FJ-NET-001", "group") in hidden
    assert {(name, *said) for (_, name), said in hidden.items()} == {("group", "fail", "undetermined")}


def test_a_preview_of_what_exists_is_judged_likewise_and_refused_where_it_leaves_out_what_stays(
    deployed: Deployed,
) -> None:
    shop = deployed.shop
    for path in (deployed.streamed, shop.preview("plain-again", "--show-sames")):
        differences = deployed.engine.differences(shop.checked("--preview", path))
        assert ("FJ-NET-001", "group") in differences
        assert not {(*key, *said) for key, said in differences.items() if not may_differ(*key, *said, form="whole")}
    changes = shop.preview("changes")
    refused = shop.run(CHECK, "check", "--preview", str(changes), expected=(2,))
    assert "--show-sames" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_packs_levels_waivers_and_the_register_have_the_same_effect_both_ways(deployed: Deployed) -> None:
    shop = deployed.shop
    _, engine = shop.judged("tuned", TUNED, "preview")
    check = shop.checked("--state", shop.exported("--show-secrets"), TUNED)
    assert not engine.differences(check)
    assert engine.stopping == check.stopping
    assert (engine.code != 0, check.code) == (True, 1)
    told = set(engine.verdicts)
    assert ("FJ-KMS-001", "still") in told - engine.stopping
    assert ("FJ-S3-004", "bare") in told - engine.stopping
    assert ("FJ-S3-002", "open") in engine.stopping
    quiet = {("FJ-S3-008", "bare"), ("FJ-INV-001", "still"), ("FJ-RES-001", "abroad")}
    assert quiet <= set(deployed.engine.verdicts)
    assert not quiet & told


def test_a_remedy_that_is_asked_for_changes_what_is_made(deployed: Deployed) -> None:
    shop, mended = deployed.shop, (MENDED, "whoever")
    assert mended in deployed.engine.verdicts
    assert shop.lets_in()
    mending = {**TELLING, MENDED: "remediate"}
    _, engine = shop.judged("mended", mending, "up", "--yes", "--skip-preview")
    assert engine.code == 0
    assert not shop.lets_in()
    opened = shop.checked("--state", shop.exported("--show-secrets"), mending)
    assert not engine.differences(opened)
    gone = set(deployed.engine.verdicts) - set(opened.verdicts)
    assert mended in gone
    assert {name for _, name in gone} == {"whoever"}
