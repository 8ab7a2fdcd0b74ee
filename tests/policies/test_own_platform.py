"""The rules pass falaj's own platform, in every environment, and fail it after a single unsafe change."""

import base64
import dataclasses
import datetime
import functools
import importlib
import json
import pkgutil
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks
from recording import answered, offered_at_home, told

from falaj.policies import RULES, Verdict
from falaj.policies.config import Config
from falaj.policies.decoding import from_json, provider_values
from falaj.policies.engine import Engine, Finding, Stack
from falaj.policies.model import Resource
from falaj.policies.values import View
from falaj.policies.waivers import Waivers

STACKS = Path(__file__).parents[2] / "stacks"
ENVIRONMENTS = sorted(path.name.split(".")[1] for path in STACKS.glob("Pulumi.*.yaml"))


class Recorder(mocks.Mocks):
    """Accepts every resource and remembers it as rules see it after an apply."""

    def __init__(self) -> None:
        self.providers: dict[str, Any] = {}
        self.resources: list[Resource] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        identity = f"{args.name}-id"
        is_provider = args.typ.startswith("pulumi:providers:")
        properties = (provider_values if is_provider else from_json)(args.inputs)
        if is_provider:
            self.providers[identity] = properties
        provider = View(self.providers.get((args.provider or "").rpartition("::")[2]), "provider")
        urn = f"urn:pulumi:test::falaj::{args.typ}::{args.name}"
        self.resources.append(Resource(args.typ, urn, args.name, View({"id": identity, **properties}), provider))
        outputs = told(args)
        if args.typ == "aws:secretsmanager/secret:Secret":
            called = args.inputs.get("name") or args.inputs.get("namePrefix") or args.name
            outputs["arn"] = f"arn:aws:secretsmanager:me-central-1:123456789012:secret:{called}-AbCdEf"
        if args.typ in ("aws:fsx/lustreFileSystem:LustreFileSystem", "aws:efs/fileSystem:FileSystem"):
            outputs |= {"dnsName": "fs.example", "mountName": "fsx"}
        return identity, outputs

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        return answered(args, offered_at_home())


def lab_kubeconfig(folder: Path) -> Path:
    """Write a kubeconfig as a lab does."""
    kubeconfig = folder / "kubeconfig"
    (folder / "ca.crt").write_text("CA")
    authority = {"certificate-authority": "ca.crt", "certificate-authority-data": base64.b64encode(b"CA").decode()}
    lab = {"server": "https://127.0.0.1:7443", **authority}
    contexts = [{"name": "lab", "context": {"cluster": "lab"}}]
    config = {"current-context": "lab", "contexts": contexts, "clusters": [{"name": "lab", "cluster": lab}]}
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[Resource]]]:
    """Compose an environment as in the lab and return what it registers."""
    variables = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
        "KUBECONFIG": str(lab_kubeconfig(tmp_path_factory.mktemp("lab"))),
        "VAULT_ADDR": "https://127.0.0.1:8200",
    }

    @functools.cache
    def make(environment: str) -> list[Resource]:
        from composition import compose
        from platform_config import read_config
        from targets import make_providers

        values = yaml.safe_load((STACKS / f"Pulumi.{environment}.yaml").read_text())["config"]
        raw = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
        recorder = Recorder()
        mocks.set_mocks(recorder)

        def program() -> pulumi.Output[Any]:
            config = read_config(raw | {"falaj:target": "lab"})
            return pulumi.Output.from_input(compose(config, make_providers(config, variables)).outputs())

        pulumi.runtime.test(program)()
        return recorder.resources

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(STACKS))
        yield make


def engine() -> Engine:
    return Engine(RULES, Config(), Waivers((), datetime.date(2026, 11, 26)))


def judge_all(resources: list[Resource]) -> list[Finding]:
    return engine().judge(Stack("test", tuple(resources), tuple(resources)))


def failing(resources: list[Resource]) -> set[str]:
    return {finding.rule.id for finding in judge_all(resources) if finding.verdict is Verdict.FAIL}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_platform_fails_no_rule_and_leaves_none_undetermined(
    platform: Callable[[str], list[Resource]], environment: str
) -> None:
    findings = judge_all(platform(environment))
    unsound = [each for each in findings if each.verdict in (Verdict.FAIL, Verdict.UNDETERMINED)]
    assert [(each.rule.id, each.urn.rpartition("::")[2], *each.failures, *each.undecided) for each in unsound] == []


def changed(value: Any, path: list[str | int], new: Any) -> Any:
    """Return the value with one place in it replaced."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, list) and isinstance(key, int):
        return [changed(child, rest, new) if index == key else child for index, child in enumerate(value)]
    return {**(value or {}), key: changed((value or {}).get(key), rest, new)}


CONTAINER: list[str | int] = ["spec", "template", "spec", "containers", 0]
ANYONE = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:s3:::x"}]})
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Key", ["enableKeyRotation"], False, {"FJ-KMS-001"}),
    ("Key", ["multiRegion"], True, {"FJ-KMS-002"}),
    ("Key", ["policy"], ANYONE, {"FJ-KMS-003"}),
    ("Key", ["region"], "eu-west-1", {"FJ-RES-001"}),
    ("BucketPublicAccessBlock", ["restrictPublicBuckets"], False, {"FJ-S3-001"}),
    ("BucketPublicAccessBlock", ["bucket"], "another", {"FJ-S3-003"}),
    ("BucketServerSideEncryptionConfiguration", ["rules"], [], {"FJ-S3-004"}),
    ("BucketPolicy", ["policy"], ANYONE, {"FJ-S3-002", "FJ-S3-005"}),
    ("BucketOwnershipControls", ["rule", "objectOwnership"], "ObjectWriter", {"FJ-S3-006"}),
    ("SecurityGroupIngressRule", ["cidrIpv4"], "0.0.0.0/0", {"FJ-NET-001"}),
    ("Subnet", ["mapPublicIpOnLaunch"], True, {"FJ-NET-002"}),
    ("Firewall", ["vpcId"], "vpc-elsewhere", {"FJ-NET-003"}),
    ("FlowLog", ["trafficType"], "REJECT", {"FJ-NET-004"}),
    ("VpcEndpoint", ["policy"], None, {"FJ-NET-005"}),
    ("Cluster", ["vpcConfig", "endpointPublicAccess"], True, {"FJ-EKS-001"}),
    ("Cluster", ["enabledClusterLogTypes"], ["api"], {"FJ-EKS-002"}),
    ("Cluster", ["encryptionConfig"], None, {"FJ-EKS-003"}),
    ("Cluster", ["accessConfig", "authenticationMode"], "CONFIG_MAP", {"FJ-EKS-004"}),
    ("NodeGroup", ["launchTemplate"], None, {"FJ-EKS-005"}),
    ("LaunchTemplate", ["metadataOptions", "httpTokens"], "optional", {"FJ-EC2-001"}),
    ("LaunchTemplate", ["blockDeviceMappings", 0, "ebs", "encrypted"], "false", {"FJ-EC2-002"}),
    ("Role", ["assumeRolePolicy"], ANYONE, {"FJ-IAM-004"}),
    ("RolePolicyAttachment", ["policyArn"], "arn:aws:iam::aws:policy/AdministratorAccess", {"FJ-IAM-002"}),
    ("LogGroup", ["kmsKeyId"], None, {"FJ-LOG-001"}),
    ("Namespace", ["metadata", "labels", "owner"], "", {"FJ-INV-001"}),
    ("Namespace", ["metadata", "labels", "pod-security.kubernetes.io/enforce"], "privileged", {"FJ-NSP-001"}),
    ("pulumi:providers:aws", ["allowedAccountIds"], [], {"FJ-RES-002"}),
    ("pulumi:providers:aws", ["endpoints", 0, "s3"], "https://s3.eu-west-1.amazonaws.com", {"FJ-RES-003"}),
    ("Deployment", [*CONTAINER, "securityContext", "privileged"], True, {"FJ-POD-001"}),
    ("Deployment", ["spec", "template", "spec", "hostNetwork"], True, {"FJ-POD-002"}),
    ("Deployment", [*CONTAINER, "securityContext", "capabilities", "add"], ["SYS_ADMIN"], {"FJ-POD-003"}),
    ("Deployment", [*CONTAINER, "securityContext", "runAsNonRoot"], False, {"FJ-POD-004"}),
    ("Deployment", [*CONTAINER, "image"], "triton:latest", {"FJ-POD-005", "FJ-POD-009", "FJ-RES-050"}),
    ("Deployment", ["spec", "template", "spec", "automountServiceAccountToken"], True, {"FJ-POD-006"}),
    ("Deployment", [*CONTAINER, "env"], [{"name": "API_KEY", "value": "hunter2"}], {"FJ-POD-007"}),
    ("Role", ["rules", 0, "verbs"], ["*"], {"FJ-RBC-001"}),
    ("RoleBinding", ["roleRef", "name"], "cluster-admin", {"FJ-RBC-002"}),
    ("vault:index/policy:Policy", ["policy"], 'path "*" { capabilities = ["read"] }', {"FJ-VLT-001"}),
    ("AuthBackendRole", ["boundServiceAccountNames"], ["*"], {"FJ-VLT-002"}),
    ("SecretBackendKey", ["exportable"], True, {"FJ-VLT-003"}),
]


MUTATIONS += [
    row
    for module in pkgutil.iter_modules([str(Path(__file__).with_name("cases"))])
    for row in getattr(importlib.import_module(f"policies.cases.{module.name}"), "MUTATIONS", [])
]


def candidates(sound: list[Resource], kind: str, path: list[str | int]) -> list[int]:
    """Return the resources to which a change can be made, by name: those of its type that have what is changed.

    A role of IAM and a role of Kubernetes share a name: the property tells them apart.
    """
    alike = [
        index
        for index, resource in enumerate(sound)
        if (resource.type == kind or resource.type.endswith(f":{kind}")) and not resource.type.startswith("falaj:")
    ]
    has_it = [index for index in alike if sound[index][str(path[0])].value is not None]
    return sorted(has_it or alike, key=lambda index: sound[index].urn)


def failing_after(judging: Engine, sound: list[Resource], index: int, change: tuple[list[str | int], Any]) -> set[str]:
    """Return the rules that fail once one resource was changed; rules over one resource pass all others as before."""
    unsafe = dataclasses.replace(sound[index], properties=View(changed(sound[index].properties.value, *change)))
    found = [*judging.judge_resource(unsafe), *judging.judge_graph([*sound[:index], unsafe, *sound[index + 1 :]])]
    return {finding.rule.id for finding in found if finding.verdict is Verdict.FAIL}


def test_one_unsafe_change_fails_exactly_the_rules_that_are_about_it(platform: Callable[[str], list[Resource]]) -> None:
    """Something else may still make a resource sound, as another rule of the same lifecycle: then the next is tried."""
    sound = platform("prod")
    judging = engine()
    assert len(MUTATIONS) >= 150
    wrong: list[str] = []
    for kind, path, new, expected in MUTATIONS:
        failed: set[str] = set()
        for index in candidates(sound, kind, path):
            failed = failing_after(judging, sound, index, (path, new))
            if failed == expected or failed - expected:
                break
        if failed != expected:
            wrong.append(f"{kind} {path} = {new!r}: {sorted(failed)} and not {sorted(expected)}")
    assert wrong == []


EXAMPLES = STACKS.parent / "docs" / "examples"


def registered(example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Resource]:
    """Return what an example registers; its providers are the default ones, led home as `make example` leads them."""
    recorder = Recorder()
    mocks.set_mocks(recorder)
    monkeypatch.chdir(EXAMPLES / example)
    monkeypatch.syspath_prepend(str(EXAMPLES / example))
    monkeypatch.setenv("KUBECONFIG", str(lab_kubeconfig(tmp_path)))
    pulumi.runtime.test(lambda: runpy.run_path(str(EXAMPLES / example / "__main__.py")) and None)()
    home = View({"region": "me-central-1", "allowedAccountIds": ["123456789012"]}, "provider")
    return [
        resource
        if resource.provider.value or not resource.type.startswith("aws:")
        else dataclasses.replace(resource, provider=home)
        for resource in recorder.resources
    ]


@pytest.mark.parametrize(
    "example", sorted(path.parent.name for path in EXAMPLES.glob("*/Pulumi.yaml") if path.parent.name != "refused")
)
def test_every_example_fails_no_rule(example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failures = [each for each in judge_all(registered(example, monkeypatch, tmp_path)) if each.verdict is Verdict.FAIL]
    assert [(each.rule.id, each.urn.rpartition("::")[2], *each.failures) for each in failures] == []


def test_the_example_is_refused_by_the_rules_it_is_about(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert failing(registered("refused", monkeypatch, tmp_path)) == {"FJ-S3-002", "FJ-POD-001"}
