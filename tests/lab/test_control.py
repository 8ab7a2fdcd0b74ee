import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from falaj.lab import control, processes
from falaj.lab.errors import LabError
from falaj.lab.state import PORTS, Lab, free_port


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path / "lab")
    made.create()
    return made


def test_a_port_that_is_taken_is_refused_with_its_holder_and_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LabError) as caught:
            control.check_port("moto", port)
    message = str(caught.value)
    assert f"port {port} of moto is taken by" in message
    assert f"(pid {os.getpid()})" in message
    assert "falaj-lab up --port moto=0" in message
    control.check_port("moto", port)


def test_a_wanted_port_is_checked_before_anything_changes(lab: Lab) -> None:
    lab.allocate_ports(["moto", "etcd"])
    before = lab.ports()
    with pytest.raises(LabError, match="no port is named mota; the names are etcd, etcd-peer"):
        control.check_wanted(lab, {"mota": 0})
    with pytest.raises(LabError, match="is another service's"):
        control.check_wanted(lab, {"moto": before["etcd"]})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LabError, match="is taken by"):
            control.check_wanted(lab, {"moto": taken.getsockname()[1]})
    assert lab.ports() == before


def test_ports_are_drawn_where_no_outgoing_connection_takes_them() -> None:
    assert free_port() in PORTS


def test_a_stopped_lab_keeps_its_ports_until_it_is_deleted(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FALAJ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("falaj.lab.state.PORTS", range(15000, 15002))  # drawn by no lab
    port, other = lab.allocate_ports(["moto"])["moto"], Lab(tmp_path / "other")
    other.create()
    with pytest.raises(LabError, match=f"port {port} is kept by the lab at {lab.root}, which may be stopped"):
        control.check_wanted(other, {"moto": port})
    control.check_wanted(lab, {"moto": port})
    assert {port, other.allocate_ports(["moto"])["moto"]} == {15000, 15001}
    with pytest.raises(LabError, match="no loopback port from 15000 to 15001 is free"):
        free_port()
    lab.forget()
    control.check_wanted(other, {"moto": port})
    assert free_port() == port


def test_a_second_command_beside_the_first_is_told_who_is_at_work(lab: Lab) -> None:
    text = textwrap.dedent(
        f"""
        import sys
        from falaj.lab import control
        from falaj.lab.state import Lab
        with control.alone(Lab.at({str(lab.root)!r}), "up"):
            print("held", flush=True)
            sys.stdin.read()
        """
    )
    with subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        first.stdout.readline()
        with (
            pytest.raises(LabError, match=rf"`falaj-lab up` \(pid {first.pid}\) is at work"),
            control.alone(lab, "down"),
        ):
            pytest.fail("two commands held the lab")
        first.kill()
    with control.alone(lab, "down"):
        pass


def test_too_little_space_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    control.check_space(lab)
    monkeypatch.setattr(control, "SPACE", 1 << 60)
    with pytest.raises(LabError, match="MiB are free"):
        control.check_space(lab)


def test_what_a_crash_left_behind_is_stopped_and_a_stranger_with_its_number_is_not(lab: Lab) -> None:
    with subprocess.Popen(["sleep", "60"]) as ours, subprocess.Popen(["sleep", "60"]) as stranger:
        left = {"phase": "healthy", **processes.record(ours.pid)}
        reused = {"phase": "healthy", "pid": stranger.pid, "created": processes.record(stranger.pid)["created"] - 3600}
        (lab.folder("run") / "services.json").write_text(json.dumps({"etcd": left, "moto": reused}))
        states = {view.name: view.state for view in control.views(lab)}
        assert (states["etcd"], states["moto"]) == ("left behind", "stopped")
        assert control.stop(lab)
        assert not control.stop(lab)
        assert processes.find(left) is None
        assert stranger.poll() is None
        stranger.kill()


def test_a_service_whose_process_has_just_ended_is_not_shown_as_healthy(lab: Lab) -> None:
    supervisor = processes.record(os.getpid())
    (lab.folder("run") / "supervisor.json").write_text(json.dumps(supervisor))
    gone = {"phase": "healthy", "pid": 2**22 + 1, "created": 1.0}
    (lab.folder("run") / "services.json").write_text(json.dumps({"etcd": gone}))
    assert next(view for view in control.views(lab) if view.name == "etcd").state == "unhealthy"


def test_a_plan_changes_with_the_tools_the_ports_and_the_certificates(lab: Lab) -> None:
    lab.allocate_ports(["moto"])
    digests = [control.plan_digest(lab, {"etcd": Path("/a")})]
    assert control.plan_digest(lab, {"etcd": Path("/a")}) == digests[0]
    digests.append(control.plan_digest(lab, {"etcd": Path("/b")}))
    (lab.folder("pki") / "ca.crt").write_text("new")
    digests.append(control.plan_digest(lab, {"etcd": Path("/b")}))
    lab.allocate_ports(["moto"], {"moto": 0})
    digests.append(control.plan_digest(lab, {"etcd": Path("/b")}))
    assert len(set(digests)) == 4


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    record = processes.record(os.getpid())
    assert processes.find(record) == psutil.Process()
    assert processes.find({**record, "created": record["created"] + 60}) is None
    assert processes.find({}) is None


def test_a_process_that_only_waits_to_be_reaped_has_ended() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.find(processes.record(child.pid)) is None
    child.wait()
