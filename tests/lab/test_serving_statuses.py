"""What the lab's kubelet says of a pod, from the state of its containers."""

from typing import Any

import pytest

from falaj.lab.serving.statuses import LOST, Container, conditions, found, phase, pod_status

RUNS: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED: dict[str, Any] = {"terminated": {"exitCode": 0}}
BROKE: dict[str, Any] = {"terminated": {"exitCode": 3}}
WAITS: dict[str, Any] = {"waiting": {"reason": "PodInitializing"}}


def pod(policy: str = "Always", inits: int = 0, **status: Any) -> dict[str, Any]:
    spec = {"restartPolicy": policy, "initContainers": [{"name": f"init-{number}"} for number in range(inits)]}
    return {"metadata": {"generation": 2}, "spec": spec, "status": status}


def container(state: dict[str, Any], **more: Any) -> Container:
    return Container("main", "image", state=state, **more)


@pytest.mark.parametrize(
    ("policy", "init", "states", "expected"),
    [
        ("Always", None, [WAITS], "Pending"),
        ("Always", BROKE, [WAITS], "Pending"),
        ("Never", BROKE, [WAITS], "Failed"),
        ("Always", ENDED, [RUNS], "Running"),
        ("Always", None, [BROKE], "Running"),
        ("OnFailure", None, [BROKE], "Running"),
        ("OnFailure", None, [ENDED, ENDED], "Succeeded"),
        ("Never", None, [ENDED, RUNS], "Running"),
        ("Never", None, [ENDED, BROKE], "Failed"),
    ],
)
def test_the_phase_follows_from_the_containers_and_the_restart_policy(
    policy: str, init: dict[str, Any] | None, states: list[dict[str, Any]], expected: str
) -> None:
    inits = {"init-0": Container("init-0", "image", state=init)} if init else {}
    assert phase(pod(policy, len(inits)), inits, [container(state) for state in states]) == expected


def test_a_container_that_waits_to_be_started_again_leaves_its_pod_running() -> None:
    waiting = container(BROKE).waiting("CrashLoopBackOff")
    assert waiting.last == BROKE
    assert phase(pod(), {}, [waiting]) == "Running"


def test_conditions_name_who_is_not_ready_and_keep_the_time_of_what_did_not_change() -> None:
    known = [{"type": "Initialized", "status": "True", "lastTransitionTime": "then"},
             {"type": "Ready", "status": "True", "lastTransitionTime": "then"},
             {"type": "PodScheduled", "status": "True"}]  # fmt: skip
    told = conditions(pod(conditions=known), {}, [container(RUNS)], prepared=True)
    by_kind = {each["type"]: each for each in told}
    assert by_kind["Initialized"]["lastTransitionTime"] == "then"
    assert by_kind["Ready"]["status"] == "False"
    assert by_kind["Ready"]["lastTransitionTime"] != "then"
    assert "main" in by_kind["Ready"]["message"]
    assert "PodScheduled" not in by_kind


def test_a_pod_with_a_gate_is_ready_only_when_that_is_true_as_well() -> None:
    gated = pod()
    gated["spec"]["readinessGates"] = [{"conditionType": "example.com/routed"}]
    ready = [container(RUNS, ready=True)]
    told = {each["type"]: each["status"] for each in conditions(gated, {}, ready, prepared=True)}
    assert (told["ContainersReady"], told["Ready"]) == ("True", "False")
    gated["status"]["conditions"] = [{"type": "example.com/routed", "status": "True"}]
    told = {each["type"]: each["status"] for each in conditions(gated, {}, ready, prepared=True)}
    assert told["Ready"] == "True"


def test_what_ran_under_an_earlier_kubelet_has_ended_with_it() -> None:
    known = [{"name": "main", "restartCount": 2, "state": RUNS, "containerID": "process://7"}]
    state = found({"name": "main", "image": "image"}, known)
    assert (state.exit_code, state.restarts) == (LOST, 2)
    assert state.state["terminated"]["reason"] == "ContainerStatusUnknown"


def test_what_waited_to_be_started_again_under_an_earlier_kubelet_is_still_to_be_counted() -> None:
    known = [{"name": "main", "restartCount": 2, "state": WAITS, "lastState": BROKE}]
    assert found({"name": "main", "image": "image"}, known).exit_code == 3


def test_an_init_container_that_is_done_is_ready_and_a_finished_container_is_not() -> None:
    assert Container("a", "i", state=ENDED, init=True).status()["ready"]
    assert not Container("a", "i", state=ENDED).status()["ready"]


def test_a_status_has_addresses_only_when_the_pod_has_one() -> None:
    assert "podIP" not in pod_status(pod(), "", {}, [container(WAITS)])
    told = pod_status(pod(startTime="then"), "127.1.0.9", {}, [container(RUNS)])
    assert (told["podIPs"], told["startTime"], told["observedGeneration"]) == ([{"ip": "127.1.0.9"}], "then", 2)
