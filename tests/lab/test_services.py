import http.server
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import yaml

from falaj.lab import loopback, services
from falaj.lab.errors import LabError
from falaj.lab.loopback import ask
from falaj.lab.services import DATA, SERVICES, Service, prepare, remember_command, remember_only, services_of
from falaj.lab.state import Lab


class Everything(dict[str, Path]):
    def __missing__(self, name: str) -> Path:
        return Path("/tools") / name


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path / "lab")
    prepare(lab)
    return lab


def command(lab: Lab, name: str) -> list[str]:
    return next(service for service in SERVICES if service.name == name).command(lab, Everything())


def test_the_services_can_be_started_one_after_the_other() -> None:
    order = list(TopologicalSorter({service.name: service.needs for service in SERVICES}).static_order())
    assert sorted(order) == sorted(service.name for service in SERVICES)
    assert order.index("etcd") < order.index("kube-apiserver") < order.index("kube-scheduler")


def test_a_lab_may_run_some_services_only_with_what_they_need(made: Lab) -> None:
    assert services_of(made) == SERVICES
    remember_only(made, ["openbao", "kube-scheduler"])
    names = [service.name for service in services_of(made)]
    assert names == ["etcd", "kube-apiserver", "kube-scheduler", "openbao"]
    remember_only(made, ["all"])
    assert services_of(made) == SERVICES


def test_a_service_that_does_not_exist_cannot_be_asked_for(made: Lab) -> None:
    with pytest.raises(LabError, match=r"^no service is named lambda; the names are etcd, kube-apiserver,"):
        remember_only(made, ["moto", "lambda"])
    assert services_of(made) == SERVICES


def test_a_command_takes_the_place_of_a_pod_until_it_is_told_otherwise(made: Lab) -> None:
    remember_command(made, "watcher=python3 -c 'print(1)'")
    (*own, watcher) = services_of(made)
    assert tuple(own) == SERVICES
    program, *arguments = watcher.command(made, Everything())
    assert (Path(program).is_absolute(), arguments) == (True, ["-c", "print(1)"])
    assert watcher.environment(made)["KUBECONFIG"] == str(made.root / "kubeconfig")
    remember_command(made, "watcher=none")
    assert services_of(made) == SERVICES


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("watcher", "must be NAME=COMMAND"),
        ("etcd=sleep 1", "must be NAME=COMMAND"),
        ("watcher=no-such-command", "there is no command no-such-command; install it, or name its path"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused(made: Lab, told: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        remember_command(made, told)


def test_no_two_services_share_a_port(made: Lab) -> None:
    names = [port for service in SERVICES for port in service.ports]
    assert len({made.ports()[name] for name in names}) == len(names)


def test_ports_stay_the_same_until_another_is_asked_for(made: Lab) -> None:
    before = made.ports()
    prepare(made, {"moto": 0})
    after = made.ports()
    assert after["moto"] != before["moto"]
    assert {n: p for n, p in after.items() if n != "moto"} == {n: p for n, p in before.items() if n != "moto"}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_listens_on_loopback_and_skips_no_check(made: Lab, service: Service) -> None:
    words = service.command(made, Everything())
    assert not [word for word in words if "insecure" in word or "skip-lookup" in word]
    for word in words:
        for address in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", word.replace(str(made.root), "")):
            assert address.startswith(("127.", "172.20.", "100.64.")), word


def test_what_the_api_server_promises_is_on_its_command_line(made: Lab) -> None:
    words = command(made, "kube-apiserver")
    assert "--anonymous-auth=false" in words
    assert "--authorization-mode=Node,RBAC" in words
    admission = next(word for word in words if word.startswith("--enable-admission-plugins=")).partition("=")[2]
    assert {"NodeRestriction", "PodSecurity", "ResourceQuota", "ValidatingAdmissionPolicy"} <= set(admission.split(","))


def test_every_file_that_a_command_line_names_is_there(made: Lab) -> None:
    for service in SERVICES:
        for word in service.command(made, Everything()):
            option, _, value = word.partition("=")
            if value.startswith("/") and not option.endswith(("audit-log-path", "data-dir", "data")):
                assert Path(value).exists(), word


def test_secrets_are_encrypted_in_etcd_with_a_key_of_this_lab(made: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other")
    prepare(other)

    def key(lab: Lab) -> str:
        rule = json.loads((lab.root / "pki" / "encryption.json").read_text())["resources"][0]
        assert rule["resources"] == ["secrets"]
        assert [list(provider) for provider in rule["providers"]] == [["secretbox"]]
        return rule["providers"][0]["secretbox"]["keys"][0]["secret"]

    assert key(made) != key(other)


def test_the_emulated_nodes_identity_gets_no_secret_of_the_others(made: Lab) -> None:
    variables = services.eks_nodes_environment(made)
    assert "VAULT_TOKEN" not in variables
    assert variables["KUBECONFIG"] == str(made.root / "pki" / "eks-nodes.kubeconfig")


def test_no_own_identity_may_do_everything_but_the_admins() -> None:
    for line in yaml.safe_load_all((DATA / "kubernetes" / "rbac.yaml").read_text()):
        for rule in line.get("rules", ()):
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            assert "secrets" not in rule["resources"]
        if line["kind"] == "ClusterRoleBinding" and line["roleRef"]["name"] == "cluster-admin":
            assert [subject["name"] for subject in line["subjects"]] == ["falaj:admins"]


def test_the_audit_log_never_holds_what_a_secret_says() -> None:
    policy = yaml.safe_load((DATA / "kubernetes" / "audit-policy.yaml").read_text())

    def names_secrets(rule: dict[str, Any]) -> bool:
        return any("secrets" in kind.get("resources", []) for kind in rule.get("resources", []))

    first = next(filter(names_secrets, policy["rules"]))
    assert first["level"] == "Metadata"
    earlier = policy["rules"][: policy["rules"].index(first)]
    assert all(rule["level"] == "None" for rule in earlier)


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Lab]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/well" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    lab = Lab(tmp_path / "lab")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        lab.allocate_ports(["here"], {"here": server.server_port})
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield lab
        server.shutdown()
        thread.join()


def test_health_is_asked_for_directly_whatever_proxy_is_set(echo: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert services.answers_at("here", "/well", authority=None)(echo)


def test_an_answer_that_is_no_success_is_not_health(echo: Lab) -> None:
    assert not services.answers_at("here", "/ill", authority=None)(echo)


def test_a_server_without_the_labs_certificate_is_not_asked(echo: Lab, made: Lab) -> None:
    made.allocate_ports(["here"], {"here": echo.ports()["here"]})
    with pytest.raises(OSError, match="SSL"):
        ask(made, "here", "GET", "/well")


def test_rights_that_the_api_server_refuses_are_an_error(monkeypatch: pytest.MonkeyPatch, made: Lab) -> None:
    monkeypatch.setattr(loopback, "ask", lambda *_, **__: (403, b"no"))
    with pytest.raises(LabError, match=r"falaj:admins.*403"):
        services.grant_rights(made)


def test_nodes_that_were_made_together_beat_apart() -> None:
    delay = yaml.safe_load((DATA / "kwok" / "node-heartbeat-with-lease.yaml").read_text())["spec"]["delay"]
    drawn = random.Random(1)  # noqa: S311 (no secret)
    # As KWOK draws it: pkg/utils/lifecycle, Stage.Delay.
    beats = Counter(
        drawn.randrange(delay["durationMilliseconds"], delay["jitterDurationMilliseconds"]) // 10_000
        for _ in range(1000)
    )
    assert max(beats.values()) < 30, "of a thousand nodes in any ten seconds"
