"""A whole lab: real processes, started, killed and stopped through the command line."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from falaj.lab.loopback import ask
from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab, person, temporary_lab

pytestmark = pytest.mark.lab

DEADLINE = 90.0
SERVICES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "kueue",
    "moto",
    "openbao",
    "eks-nodes",
)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to pass"
        time.sleep(0.2)


def kubectl(
    lab: RunningLab, *arguments: str, check: bool = True, stdin: object = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [lab.root / "bin" / "kubectl", *arguments],
        env=lab.env,
        input=yaml.safe_dump(stdin) if stdin else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def processes_of(lab: RunningLab) -> list[psutil.Process]:
    """Return every process that names this lab's folder on its command line or in its environment."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            named = str(lab.root) in " ".join(process.cmdline()) or process.environ().get("FALAJ_LAB") == str(lab.root)
            if named and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def supervisor_of(lab: RunningLab) -> psutil.Process:
    return psutil.Process(json.loads((lab.root / "run" / "supervisor.json").read_text())["pid"])


def healthy(lab: RunningLab) -> bool:
    return all(service["state"] == "healthy" for service in lab.status().values())


def test_every_service_is_healthy_and_status_says_so(lab: RunningLab) -> None:
    assert tuple(lab.status()) == SERVICES
    until(lambda: healthy(lab) and lab.run("status", check=False).returncode == 0, "health")


def test_a_lab_that_is_up_is_left_as_it_is(lab: RunningLab) -> None:
    before = {name: service["pid"] for name, service in lab.status().items()}
    assert "was up already" in lab.run("up").stdout
    assert {name: service["pid"] for name, service in lab.status().items()} == before


def test_everything_listens_on_loopback_alone(lab: RunningLab) -> None:
    supervisor = supervisor_of(lab)
    listening = [
        (process.name(), connection.laddr.ip)
        for process in [supervisor, *supervisor.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {name for name, _ in listening} >= {"etcd", "kube-apiserver", "kwok"}
    assert {address for _, address in listening} == {"127.0.0.1"}


def test_nothing_that_the_lab_keeps_is_readable_by_others(lab: RunningLab) -> None:
    for path in (lab.root, *lab.root.rglob("*")):
        if not path.is_symlink():
            with contextlib.suppress(FileNotFoundError):  # what is written beside a file takes its place
                assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_nobody_anonymous_is_answered(lab: RunningLab) -> None:
    for path in ("/healthz", "/version", "/api", "/openid/v1/jwks"):
        status, _ = ask(Lab(lab.root), "kube-apiserver", "GET", path, timeout=30)
        assert status == 401, path
    with pytest.raises(OSError, match="certificate required"):
        ask(Lab(lab.root), "etcd", "GET", "/version", authority="etcd-ca", timeout=30)


def test_secrets_are_encrypted_on_disk_and_absent_from_the_audit_log_which_names_who_made_them(lab: RunningLab) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "needle", "namespace": "default"},
        "stringData": {"key": "a-needle-in-a-haystack"},
    }
    kubectl(lab, "apply", "-f", "-", stdin=secret)
    audit = (lab.root / "logs" / "kube-apiserver-audit.log").read_text()
    events = [json.loads(line) for line in audit.rpartition("\n")[0].splitlines()]  # the last may be half written
    about = [event for event in events if event.get("objectRef", {}).get("name") == "needle"]
    assert {event["user"]["username"] for event in about} == {"falaj:admin"}
    stored = [path for path in (lab.root / "data" / "etcd").rglob("*") if path.is_file()]
    assert stored
    for path in (*stored, lab.root / "logs" / "kube-apiserver-audit.log"):
        content = path.read_bytes()
        assert b"a-needle-in-a-haystack" not in content
        assert b"YS1uZWVkbGUtaW4tYS1oYXlzdGFja" not in content  # the same in base64
    kubectl(lab, "delete", "secret", "needle")


NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "by-hand"},
    "status": {
        kind: {"cpu": "4", "memory": "8Gi", "pods": "20", "nvidia.com/gpu": "2"} for kind in ("capacity", "allocatable")
    },
}


def pod(name: str, gpus: int = 0, **security: object) -> dict[str, object]:
    container = {
        "name": "main",
        "image": "registry.invalid/none",
        "resources": {"limits": {"nvidia.com/gpu": gpus} if gpus else {}},
        "securityContext": security,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container]},
    }


def phase(lab: RunningLab, name: str) -> str:
    return kubectl(lab, "get", "pod", name, "-o", "jsonpath={.status.phase}").stdout


def test_pods_are_scheduled_by_what_nodes_have_and_jobs_end(lab: RunningLab) -> None:
    kubectl(lab, "create", "-f", "-", stdin=NODE)
    until(lambda: " Ready " in kubectl(lab, "get", "nodes").stdout, "the node's readiness")
    kubectl(lab, "create", "-f", "-", stdin=pod("fits", gpus=2))
    until(lambda: phase(lab, "fits") == "Running", "the start of a pod that fits")
    kubectl(lab, "create", "-f", "-", stdin=pod("one-too-many", gpus=1))
    until(
        lambda: "Insufficient nvidia.com/gpu" in kubectl(lab, "describe", "pod", "one-too-many").stdout,
        "the scheduler's refusal",
    )
    assert phase(lab, "one-too-many") == "Pending"
    kubectl(lab, "create", "job", "once", "--image=registry.invalid/none")
    kubectl(lab, "wait", "--for=condition=complete", "job/once", "--timeout=50s")
    kubectl(lab, "delete", "pod/fits", "pod/one-too-many", "job/once", "--wait=true")
    kubectl(lab, "delete", "node/by-hand")  # last: KWOK ends no pod of a node that is gone


DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.falaj.test"},
    "spec": {
        "group": "falaj.test",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
THINGS = """
from pulumi_kubernetes.apiextensions import CustomResource

for number in range(12):
    CustomResource(f"thing-{number}", api_version="falaj.test/v1", kind="Thing", metadata={"namespace": "default"})
"""


def test_pulumi_deletes_at_once_many_objects_whose_generation_is_told_as_text(lab: RunningLab, tmp_path: Path) -> None:
    # As Argo's Rollouts tell it. The Kubernetes provider, as it comes, crashes on them.
    kubectl(lab, "create", "-f", "-", stdin=DEFINITION)
    kubectl(lab, "wait", "--for=condition=Established", "crd/things.falaj.test", "--timeout=50s")
    (tmp_path / "Pulumi.yaml").write_text("name: things\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(THINGS)

    def pulumi(*command: str) -> None:
        lab.run("exec", "--", "pulumi", *command, "--cwd", str(tmp_path), "--stack", "dev", "--non-interactive")

    pulumi("stack", "select", "--create")
    pulumi("up", "--yes", "--skip-preview")
    told = json.dumps({"status": {"observedGeneration": "1"}})
    for name in kubectl(lab, "get", "things", "-o", "name").stdout.split():
        kubectl(lab, "patch", name, "--type=merge", "-p", told)
    pulumi("destroy", "--yes", "--skip-preview")
    assert kubectl(lab, "get", "things", "-o", "name").stdout == ""
    kubectl(lab, "delete", "crd/things.falaj.test")


def test_a_privileged_pod_is_refused_by_admission(lab: RunningLab) -> None:
    refused = kubectl(lab, "create", "-f", "-", stdin=pod("privileged", privileged=True), check=False)
    assert 'violates PodSecurity "baseline:latest": privileged' in refused.stderr


def test_the_labs_own_identities_have_no_more_than_their_part(lab: RunningLab) -> None:
    for identity in ("kwok", "eks-nodes"):
        kubeconfig = str(lab.root / "pki" / f"{identity}.kubeconfig")
        for verb, kind, may in (("get", "secrets", "no"), ("list", "nodes", "yes"), ("create", "deployments", "no")):
            answer = kubectl(lab, "--kubeconfig", kubeconfig, "auth", "can-i", verb, kind, "-A", check=False)
            assert answer.stdout.strip() == may, (identity, verb, kind)


def test_exec_gives_its_place_to_the_command_with_its_exit_code_and_its_signals(lab: RunningLab) -> None:
    assert lab.run("exec", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    missing = lab.run("exec", "--", "no-such-command", check=False)
    assert (missing.returncode, missing.stderr) == (127, "falaj-lab: no-such-command: there is no such command\n")
    command = lab.command("exec", "--", "sh", "-c", "trap 'exit 9' TERM; echo $AWS_REGION; read x")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=person()) as run:
        assert run.stdout
        assert run.stdin
        assert run.stdout.readline() == "me-central-1\n"
        run.terminate()
        run.stdin.close()
        assert run.wait(DEADLINE) == 9


def test_logs_can_be_read_and_followed(lab: RunningLab) -> None:
    assert lab.run("logs", "supervisor", "-n", "1").stdout.count("\n") == 1
    assert "etcd " in lab.run("logs", "-n", "1").stdout
    unknown = lab.run("logs", "nonesuch", check=False)
    assert (unknown.returncode, unknown.stderr[:37]) == (1, "falaj-lab: there is no log of nonesuc")
    log = lab.root / "logs" / "followed.log"
    log.write_text("before\n")
    command = lab.command("logs", "-f", "followed")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=person()) as run:
        assert run.stdout
        assert run.stdout.readline() == "before\n"
        with log.open("a") as file:
            file.write("after\n")
        assert run.stdout.readline() == "after\n"
        run.send_signal(signal.SIGINT)
        assert run.wait(DEADLINE) == 130
    log.unlink()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_killed_comes_back(lab: RunningLab, name: str) -> None:
    before = lab.status()[name]
    os.kill(int(str(before["pid"])), signal.SIGKILL)
    until(lambda: lab.status()[name]["pid"] not in (before["pid"], None), f"the restart of {name}")
    until(lambda: healthy(lab), f"health after {name} was killed")


def test_nodes_that_a_killed_kwok_held_are_the_next_ones_at_once(lab: RunningLab) -> None:
    kubectl(lab, "create", "-f", "-", stdin=NODE)
    kubectl(lab, "create", "-f", "-", stdin=pod("left", gpus=2))
    until(lambda: phase(lab, "left") == "Running", "the start of a pod")
    before = lab.status()["kwok"]["pid"]
    os.kill(int(str(before)), signal.SIGKILL)
    until(lambda: lab.status()["kwok"]["pid"] not in (before, None), "the restart of KWOK")
    kubectl(lab, "delete", "pod/left", "--wait=true", "--timeout=50s")
    kubectl(lab, "delete", "node/by-hand")


def test_a_second_lab_runs_beside_the_first_and_leaves_nothing(lab: RunningLab, tmp_path: Path) -> None:
    second = RunningLab(tmp_path / "second")
    try:
        second.run("up")
        until(lambda: healthy(lab), "health beside a second lab")
        until(lambda: healthy(second), "health of the second lab")
        assert not {s["port"] for s in second.status().values()} & {s["port"] for s in lab.status().values()} - {None}
        secrets = {path.name: path.read_text() for path in (lab.root / "secrets").iterdir()}
        for path in (second.root / "secrets").iterdir():
            assert path.read_text() != secrets[path.name], path.name
        foreign = kubectl(
            lab, "--kubeconfig", str(second.root / "kubeconfig"), "-s", kubernetes(lab), "get", "ns", check=False
        )
        assert "x509" in foreign.stderr
    finally:
        second.run("reset", "--yes")
    assert not second.root.exists()
    assert processes_of(second) == []
    until(lambda: healthy(lab), "health")


def kubernetes(lab: RunningLab) -> str:
    return f"https://127.0.0.1:{lab.status()['kube-apiserver']['port']}"


def test_a_lab_that_is_an_aws_alone_runs_nothing_else_until_all_is_asked_for(tmp_path: Path) -> None:
    with temporary_lab(tmp_path / "aws", only=["moto"]) as aws:
        assert {name: service["state"] for name, service in aws.status().items()} == {"moto": "healthy"}
        assert "kube-apiserver" not in aws.run("up").stdout  # it stays so, unasked
        assert list(aws.status()) == ["moto"]
        aws.run("up", "--only", "openbao", "--only", "moto")
        assert set(aws.status()) == {"moto", "openbao"}


def test_a_second_up_beside_the_first_is_told_so(lab: RunningLab) -> None:
    first = subprocess.Popen(lab.command("up", "--port", "kwok=0"), env=person())
    try:
        lock = lab.root / "run" / "command.lock"
        until(lambda: str(first.pid) in lock.read_text(), "the first command's lock")
        first.send_signal(signal.SIGSTOP)  # so that it is at work still when the second comes
        second = lab.run("up", check=False)
        assert (second.returncode, second.stderr) == (
            1,
            f"falaj-lab: `falaj-lab up` (pid {first.pid}) is at work on {lab.root}; wait until it has ended\n",
        )
    finally:
        first.send_signal(signal.SIGCONT)
        assert first.wait(300) == 0


def test_a_killed_supervisor_takes_its_services_along_and_the_next_up_ends_well(lab: RunningLab) -> None:
    kubectl(lab, "create", "namespace", "kept")
    supervisor = supervisor_of(lab)
    children = supervisor.children(recursive=True)
    assert len(children) == len(SERVICES)
    supervisor.kill()
    until(lambda: not processes_of(lab), "the end of every service")
    assert lab.run("status", check=False).returncode == 3
    refused = lab.run("exec", "--", "true", check=False)
    assert (refused.returncode, refused.stderr) == (
        1,
        "falaj-lab: the lab is not running; start it with `falaj-lab up`\n",
    )
    lab.run("up")
    until(lambda: healthy(lab), "health")
    kubectl(lab, "delete", "namespace", "kept")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "end", "kill"])
def test_an_interrupted_up_is_followed_by_one_that_ends_well(lab: RunningLab, number: signal.Signals) -> None:
    lab.run("down")
    first = subprocess.Popen(lab.command("up"), env=person(), stderr=subprocess.PIPE, text=True)
    with first:
        until((lab.root / "run" / "supervisor.json").exists, "the supervisor's start")
        first.send_signal(number)
        assert first.wait(DEADLINE) == (-number if number == signal.SIGKILL else 130)
        assert first.stderr
        assert "Traceback" not in first.stderr.read()
    if number != signal.SIGKILL:
        assert processes_of(lab) == []
    lab.run("up")
    until(lambda: healthy(lab), "health")


def test_an_up_that_is_ended_before_its_supervisor_is_known_leaves_none(lab: RunningLab) -> None:
    lab.run("down")
    first = subprocess.Popen(lab.command("up"), env=person(), stderr=subprocess.DEVNULL)

    def has_supervisor() -> bool:
        with contextlib.suppress(psutil.Error):
            return any("falaj.lab.supervisor" in each.cmdline() for each in psutil.Process(first.pid).children())
        return False

    until(has_supervisor, "the supervisor's start")
    time.sleep(0.1)  # `up` has to know it
    first.terminate()
    assert first.wait(DEADLINE) == 130
    assert processes_of(lab) == []
    lab.run("up")
    until(lambda: healthy(lab), "health")


@pytest.fixture
def stopped(lab: RunningLab) -> Iterator[RunningLab]:
    lab.run("down")
    yield lab
    lab.run("up")


def test_a_stopped_lab_leaves_no_process(stopped: RunningLab) -> None:
    assert processes_of(stopped) == []
    assert stopped.run("status", check=False).returncode == 3
    assert "was not running" in stopped.run("down").stdout


def test_a_port_that_another_took_meanwhile_is_named_and_another_can_be_drawn(stopped: RunningLab) -> None:
    port = json.loads((stopped.root / "ports.json").read_text())["moto"]
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        refused = stopped.run("up", check=False)
        assert refused.returncode == 1
        assert f"port {port} of moto is taken by" in refused.stderr
        assert refused.stderr.rstrip().endswith("falaj-lab up --port moto=0")
        assert processes_of(stopped) == []
        stopped.run("up", "--port", "moto=0")
    stopped.__dict__.pop("env", None)
    assert stopped.env["AWS_ENDPOINT_URL"] != f"http://127.0.0.1:{port}"
