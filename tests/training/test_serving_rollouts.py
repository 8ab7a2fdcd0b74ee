"""A service's Rollout: what is changed of it, what is not, and that nothing is done unrecorded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from training.serving_cluster import ROLLOUT, FakeCluster, serving
from training.serving_world import WHO, World, copy_of, new_world
from typer.testing import CliRunner

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.serving import changes, service_commands
from falaj.training.serving.audit import AuditLog
from falaj.training.serving.changes import promotion
from falaj.training.serving.cli import app
from falaj.training.serving.publishing import publish
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.releases import publish_event


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Four versions are published, by one whom the log knows."""
    world = new_world(tmp_path_factory.mktemp("world"))
    for number in range(4):
        folder = world.changed(content=f"model {number}".encode()) if number else world.folder
        found = publish(folder, world.versions, world.keys, world.trust, who=WHO)
        AuditLog(world.store, "income").append(publish_event(found.manifest, found.digest))
    return world


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    return copy_of(made, tmp_path / "world")


@pytest.fixture
def cluster(world: World, tmp_path: Path) -> Iterator[FakeCluster]:
    """A service of version 1."""
    digests = {number: world.versions.open(number, world.keys).digest for number in world.versions.numbers()}
    fake = FakeCluster(digests | {5: "sha256:" + "5" * 64})
    with serving(fake, tmp_path / "kubeconfig"):
        yield fake


@pytest.fixture
def run(world: World, tmp_path: Path, cluster: FakeCluster) -> Any:
    """Run a command on the service, and return what it says: events, or words."""
    service = ("--service", "vision/income", "--kubeconfig", str(tmp_path / "kubeconfig"))
    store = ("--store", str(world.store.root), "--name", "income")

    def call(name: str, *words: str) -> Any:
        more = store if name in ("promote", "rollback", "record", "history") else ()
        more = ("--to", str(world.store.root), *world.options()) if name == "publish" else more
        found = CliRunner().invoke(app, [name, *service, *more, *words])
        if found.exception is not None:
            raise found.exception
        if name in ("status", "history"):
            return found.stdout
        return [json.loads(line) for line in found.stdout.splitlines()]

    return call


def template(cluster: FakeCluster, number: int) -> tuple[str, Any]:
    """The patch that has a version served: two annotations, and nothing else."""
    return "/", {"spec": {"template": {"metadata": {"annotations": cluster.annotations(number)}}}}


def events(world: World) -> list[dict[str, Any]]:
    return [dict(each.event or {}) for each in AuditLog(world.store, "income").events()]


def test_publishing_for_a_service_changes_two_annotations_of_its_pods_and_nothing_else(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    before = json.loads(json.dumps(cluster.rollout["spec"]))
    published, deployed = run("publish", str(world.changed(content=b"fifth")))
    assert (published["what"], deployed["what"]) == ("publish", "deploy")
    cluster.digests[5] = published["manifest_digest"]
    assert cluster.patches == [template(cluster, 5)]
    before["template"]["metadata"]["annotations"] |= cluster.annotations(5)
    assert cluster.rollout["spec"] == before
    assert (deployed["version"], deployed["stable"], deployed["service"]) == (5, 1, "vision/income")
    assert deployed["who"]["kubernetes"] == "salma@example.com"
    assert deployed["verdict"]["outcome"] == "pass" and deployed["previous"] == published["digest"]


def test_publishing_again_what_a_service_has_changes_nothing(world: World, cluster: FakeCluster, run: Any) -> None:
    assert run("publish", str(world.folder)) == []
    assert cluster.patches == []


def test_publishing_an_old_model_again_does_not_take_a_service_back(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    cluster.settle(stable=3)
    with pytest.raises(RefusedError, match="use `falaj-serve rollback --to 1 --why"):
        run("publish", str(world.folder))
    assert cluster.patches == []


def test_nothing_is_published_for_a_service_of_another_model_or_of_none(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    folder = world.changed(content=b"fifth")
    pod = cluster.rollout["spec"]["template"]["spec"]
    pod["initContainers"][0]["args"] = ["fetch", "--model=speech"]
    with pytest.raises(RefusedError, match="must serve income, and its pods fetch speech"):
        run("publish", str(folder))
    pod["initContainers"] = []
    del cluster.rollout["spec"]["template"]["metadata"]["annotations"]
    with pytest.raises(RefusedError, match="must be the Rollout of a served model"):
        run("publish", str(folder))
    cluster.refuse = {f"GET {ROLLOUT}": 404}
    with pytest.raises(RefusedError, match="must be a Rollout that is there"):
        run("publish", str(folder))
    assert world.versions.numbers() == [1, 2, 3, 4] and cluster.patches == []


def test_status_tells_both_versions_the_step_the_weight_and_the_numbers(cluster: FakeCluster, run: Any) -> None:
    cluster.settle(stable=1, canary=2, weight=20, step=1, message="CanaryPauseStep", phase="Paused")
    cluster.analysed("hash2", ["[0.01]", "[0.4]"], failed=1, phase="Running")
    told = json.loads(run("status", "--json"))
    assert (told["phase"], told["message"], told["weight"]) == ("Paused", "CanaryPauseStep", 20)
    assert (told["step"], told["steps"], told["updating"], told["aborted"]) == (1, 4, True, False)
    assert (told["stable"]["version"], told["stable"]["ready"]) == (1, 2)
    assert told["canary"] == {
        "version": 2, "digest": cluster.digests[2], "pod_hash": "hash2", "ready": 1, "wanted": 2,
    }  # fmt: skip
    (metric,) = told["analyses"][0]["metrics"]
    assert (metric["name"], metric["values"], metric["failed"]) == ("error-rate", ["[0.01]", "[0.4]"], 1)
    words = run("status").splitlines()
    assert words[0] == "vision/income: Paused (CanaryPauseStep), step 1 of 4"
    assert words[1] == "  stable  version 1: 2 of 2 ready, 80 % of traffic"
    assert words[2] == "  new     version 2: 1 of 2 ready, 20 % of traffic"
    assert words[4].startswith("    error-rate     Running: 1 passed, 1 failed, 0 unknown; last [0.01], [0.4]")


def test_status_of_a_change_that_the_controller_has_not_seen_is_not_healthy(cluster: FakeCluster, run: Any) -> None:
    assert json.loads(run("status", "--json"))["phase"] == "Healthy"
    cluster.rollout["metadata"]["generation"] += 1
    told = json.loads(run("status", "--json"))
    assert (told["phase"], told["message"]) == ("Progressing", "the controller has not seen the latest change yet")


def test_status_of_a_refused_update_says_so_with_argos_reason(cluster: FakeCluster, run: Any) -> None:
    cluster.settle(stable=1, canary=2, abort=True, phase="Degraded", message="RolloutAborted: error-rate failed")
    words = run("status").splitlines()
    assert words[0] == "vision/income: Degraded (RolloutAborted: error-rate failed), step 4 of 4"
    assert words[2].startswith("  new     version 2, refused: ")


def test_blue_green_has_no_weight_and_no_steps(cluster: FakeCluster, run: Any) -> None:
    cluster.settle(stable=1, canary=2)
    cluster.rollout["spec"]["strategy"] = {"blueGreen": {"activeService": "income"}}
    told = json.loads(run("status", "--json"))
    assert (told["strategy"], told["weight"], told["step"], told["steps"]) == ("blue-green", None, None, 0)


def test_promoting_goes_one_step_on_and_keeps_the_numbers(cluster: FakeCluster, run: Any) -> None:
    cluster.settle(stable=1, canary=2, step=1, pauseConditions=[{"reason": "CanaryPauseStep"}])
    cluster.analysed("hash2", [str(number) for number in range(9)], failed=0, phase="Running")
    (event,) = run("promote", "--why", "looks good")
    assert cluster.patches == [("/status", {"status": {"pauseConditions": None}})]
    assert (event["what"], event["version"], event["why"], event["full"]) == ("promote", 2, "looks good", False)
    assert event["analyses"][0]["metrics"][0]["values"] == ["4", "5", "6", "7", "8"]


def test_a_full_promotion_says_why(cluster: FakeCluster, run: Any) -> None:
    cluster.settle(stable=1, canary=2, step=0)
    with pytest.raises(RefusedError, match="--why must say why steps and analyses are to be skipped"):
        run("promote", "--full")
    (event,) = run("promote", "--full", "--why", "urgent")
    assert cluster.patches == [("/status", {"status": {"promoteFull": True}})] and event["full"]


@pytest.mark.parametrize(
    ("status", "spec", "expected"),
    [
        ({"pauseConditions": [{}]}, {}, (None, {"pauseConditions": None})),
        ({"pauseConditions": [{}]}, {"paused": True}, ({"paused": False}, {"pauseConditions": None})),
        ({"currentStepIndex": 2}, {}, (None, {"pauseConditions": None, "currentStepIndex": 3})),
        ({"currentStepIndex": 4}, {}, (None, {"pauseConditions": None, "currentStepIndex": 4})),
        (
            {
                "pauseConditions": [{}],
                "controllerPause": True,
                "currentStepIndex": 1,
                "canary": {"currentStepAnalysisRunStatus": {"status": "Inconclusive"}},
            },
            {},
            (None, {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2}),
        ),
    ],
)
def test_a_promotion_is_argos_own(cluster: FakeCluster, status: Any, spec: Any, expected: Any) -> None:
    """As getPatches of `kubectl argo rollouts promote` in v1.10.2 has it."""
    cluster.settle(stable=1, canary=2)
    cluster.rollout["status"] |= status
    cluster.rollout["spec"] |= spec
    found = promotion(cluster.rollout, full=False)
    assert found == (
        None if expected[0] is None else {"spec": expected[0]},
        {"status": expected[1]},
    )


def test_what_runs_not_or_was_refused_is_not_promoted(cluster: FakeCluster, run: Any) -> None:
    with pytest.raises(RefusedError, match="must have an update that runs"):
        run("promote")
    cluster.settle(stable=1, canary=2, abort=True, message="RolloutAborted: error-rate failed")
    for words in ([], ["--full", "--why", "I know better"]):
        with pytest.raises(RefusedError, match="must not be promoted after it was refused"):
            run("promote", *words)
    assert cluster.patches == []


def test_rolling_back_an_update_that_runs_aborts_it_and_asks_for_the_stable_version_again(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    cluster.settle(stable=1, canary=2, weight=20, step=1)
    cluster.analysed("hash2", ["0.4"], failed=1, phase="Running")
    (event,) = run("rollback", "--why", "wrong answers")
    assert cluster.patches == [("/status", {"status": {"abort": True}}), template(cluster, 1)]
    assert (event["what"], event["from"], event["version"], event["why"]) == ("rollback", 2, 1, "wrong answers")
    assert event["analyses"][0]["metrics"][0]["values"] == ["0.4"]
    assert events(world)[-1]["who"]["kubernetes"] == "salma@example.com"


def test_rolling_back_what_argo_aborted_already_only_asks_for_the_stable_version(
    cluster: FakeCluster, run: Any
) -> None:
    cluster.settle(stable=1, canary=2, abort=True)
    run("rollback", "--why", "tidy up")
    assert cluster.patches == [template(cluster, 1)]


def test_rolling_back_goes_to_what_was_served_before_and_not_to_what_never_was(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    """Version 3 was tried and refused: it is not what to go back to from version 4."""
    log = AuditLog(world.store, "income")
    for number, stable in ((2, 1), (3, 2), (4, 2)):
        log.append({"what": "deploy", "service": "vision/income", "version": number, "stable": stable})
    cluster.settle(stable=4)
    run("rollback", "--why", "biased")
    assert cluster.patches == [template(cluster, 2)]
    cluster.settle(stable=2)
    run("rollback", "--why", "biased as well")
    assert cluster.patches[-1] == template(cluster, 1)
    cluster.settle(stable=1)
    with pytest.raises(RefusedError, match="--to must name a version: no event says what was served before"):
        run("rollback", "--why", "further")


def test_rolling_back_to_any_version_is_one_command_and_twice_the_same_as_once(cluster: FakeCluster, run: Any) -> None:
    cluster.settle(stable=4)
    run("rollback", "--to", "2", "--why", "3 and 4 are biased")
    cluster.settle(stable=2)
    assert run("rollback", "--to", "2", "--why", "again") == []
    assert cluster.patches == [template(cluster, 2)]


def test_a_version_that_was_given_up_is_not_gone_back_to_unless_it_is_spelled_out(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    """Argo's rollback window would let its pods in again unseen."""
    log = AuditLog(world.store, "income")
    log.append({"what": "refused", "service": "vision/income", "version": 2, "stable": 1, "why": "error-rate failed"})
    cluster.settle(stable=4)
    with pytest.raises(
        RefusedError, match=r"--to must not be a version that the service gave up \(error-rate failed\)"
    ):
        run("rollback", "--to", "2", "--why", "x")
    run("rollback", "--to", "3", "--why", "4 is biased")
    cluster.settle(stable=3)
    with pytest.raises(RefusedError, match=r"gave up \(4 is biased\), unless --although-refused says so"):
        run("rollback", "--to", "4", "--why", "x")
    run("rollback", "--to", "4", "--why", "it was not", "--although-refused")
    assert cluster.patches == [template(cluster, 3), template(cluster, 4)]
    cluster.settle(stable=4, canary=3)
    run("rollback", "--why", "back to what is stable")
    cluster.settle(stable=4)
    log.append({"what": "served", "service": "vision/income", "version": 2, "stable": 2})
    run("rollback", "--to", "2", "--why", "it was served since then")


def test_a_version_that_a_service_refused_is_not_tried_again_as_it_is(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    cluster.settle(stable=2, canary=1, abort=True, message="RolloutAborted")
    with pytest.raises(RefusedError, match="must not be given version 1 again, which it refused"):
        run("publish", str(world.folder))
    assert cluster.patches == []


def test_publishing_a_better_version_first_writes_down_that_argo_refused_the_one_before(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    AuditLog(world.store, "income").append({"what": "deploy", "service": "vision/income", "version": 2, "stable": 1})
    cluster.settle(stable=1, canary=2, abort=True, phase="Degraded", message="RolloutAborted: error-rate failed")
    published, refused, deployed = run("publish", str(world.changed(content=b"fifth")))
    assert [each["what"] for each in (published, refused, deployed)] == ["publish", "refused", "deploy"]
    assert (refused["version"], refused["why"]) == (2, "RolloutAborted: error-rate failed")
    cluster.digests[5] = published["manifest_digest"]
    cluster.settle(stable=5)
    with pytest.raises(RefusedError, match=r"gave up \(RolloutAborted: error-rate failed\)"):
        run("rollback", "--to", "2", "--why", "x")


def test_a_rollback_without_analyses_waits_for_the_controller_before_it_promotes(
    cluster: FakeCluster, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of the controller before it has seen the new template, it forgets."""
    cluster.settle(stable=4)
    waited: list[float] = []

    def controller(seconds: float) -> None:
        waited.append(seconds)
        cluster.settle(stable=4, canary=2)

    monkeypatch.setattr(changes.time, "sleep", controller)
    (event,) = run("rollback", "--to", "2", "--why", "now", "--skip-analysis")
    assert cluster.patches == [template(cluster, 2), ("/status", {"status": {"promoteFull": True}})]
    assert waited and event["skip_analysis"]


def test_a_version_that_is_not_there_or_not_what_was_published_is_not_gone_back_to(
    world: World, cluster: FakeCluster, run: Any
) -> None:
    cluster.settle(stable=4)
    with pytest.raises(NotServedError, match="unknown-version"):
        run("rollback", "--to", "9", "--why", "x")
    place = world.store.root / world.versions.place(2)
    place.write_bytes(place.read_bytes() + b"x")
    with pytest.raises(NotServedError, match="tampered"):
        run("rollback", "--to", "2", "--why", "x")
    for words in (["--to", "two", "--why", "x"], ["--to", "3", "--why", " "]):
        with pytest.raises(RefusedError, match=r"--to must be a whole number|--why must be a reason"):
            run("rollback", *words)
    assert cluster.patches == []


def test_nothing_is_done_that_could_not_be_recorded(
    world: World, cluster: FakeCluster, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(log: AuditLog, event: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AuditLog, "append", full)
    cluster.settle(stable=1, canary=2)
    for words in (["promote"], ["rollback", "--why", "x"]):
        with pytest.raises(OSError, match="No space left"):
            run(*words)
    cluster.settle(stable=1)
    with pytest.raises(OSError, match="No space left"):
        run("publish", str(world.changed(content=b"fifth")))
    assert cluster.patches == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (403, "--service must be one that you may patch rollouts of in vision"),
        (500, "the cluster answered 500 to patch rollouts vision/income"),
    ],
)
def test_an_action_that_the_cluster_refuses_is_recorded_as_failed(
    world: World, cluster: FakeCluster, run: Any, code: int, said: str
) -> None:
    cluster.settle(stable=4)
    cluster.refuse = {f"PATCH {ROLLOUT}": code}
    with pytest.raises(TrainingError, match=said) as told:
        run("rollback", "--to", "3", "--why", "x")
    assert isinstance(told.value, RefusedError) == (code == 403)
    last = events(world)[-2:]
    assert [each["what"] for each in last] == ["rollback", "rollback-failed"]
    assert said in last[1]["error"]


def test_what_argo_decides_is_recorded_once_with_the_numbers(world: World, cluster: FakeCluster, run: Any) -> None:
    AuditLog(world.store, "income").append({"what": "deploy", "service": "vision/income", "version": 2, "stable": 1})
    cluster.settle(stable=1, canary=2, weight=20, step=1)
    assert run("record") == [], "nothing is decided yet"
    cluster.settle(stable=1, canary=2, abort=True, phase="Degraded", message="RolloutAborted: error-rate failed")
    cluster.analysed("hash2", ["0.01", "0.4"], failed=2, phase="Failed")
    (refused,) = run("record")
    assert (refused["what"], refused["version"], refused["stable"]) == ("refused", 2, 1)
    assert (refused["decided_by"], refused["why"]) == ("argo-rollouts", "RolloutAborted: error-rate failed")
    assert refused["analyses"][0]["metrics"][0]["values"] == ["0.01", "0.4"]
    assert refused["verdict"]["outcome"] == "pass"
    assert run("record") == [], "it is recorded already"

    run("rollback", "--why", "tidy up")
    cluster.settle(stable=1)
    assert [each["what"] for each in run("record")] == ["served"]
    AuditLog(world.store, "income").append({"what": "deploy", "service": "vision/income", "version": 3, "stable": 1})
    cluster.settle(stable=3)
    cluster.analysed("hash3", ["0.001"], failed=0, phase="Successful")
    (served,) = run("record")
    assert (served["what"], served["version"], served["analyses"][0]["phase"]) == ("served", 3, "Successful")
    assert run("record") == []


def test_what_is_decided_is_looked_at_again_and_again_also_while_the_cluster_is_away(
    cluster: FakeCluster, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0

    def wait(seconds: float) -> None:
        nonlocal looked
        looked += 1
        cluster.refuse = {f"GET {ROLLOUT}": 503} if looked == 1 else {}
        if looked == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(service_commands.time, "sleep", wait)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run("record", "--every", "5")
    assert looked == 3


def test_whom_the_cluster_does_not_know_is_recorded_as_unknown(world: World, cluster: FakeCluster, run: Any) -> None:
    cluster.settle(stable=4)
    cluster.refuse = {"POST /apis/authentication.k8s.io": 403}
    (event,) = run("rollback", "--to", "3", "--why", "x")
    assert event["who"]["kubernetes"] == "unknown: the cluster answered 403"


def test_history_says_which_versions_are_served(cluster: FakeCluster, run: Any) -> None:
    cluster.settle(stable=2, canary=4)
    told = json.loads(run("history", "--json"))["versions"]
    assert {each["version"]: each["served"] for each in told} == {4: "new", 3: None, 2: "stable", 1: None}
    assert [line.rpartition("<- ")[2] for line in run("history").splitlines() if "<-" in line] == ["new", "stable"]


def test_a_cluster_that_cannot_be_found_or_does_not_answer_is_told(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ["status", "--service", "vision/income", "--kubeconfig"]
    with pytest.raises(RefusedError, match="--kubeconfig must lead to a cluster"):
        raise CliRunner().invoke(app, [*ask, str(tmp_path / "none")]).exception or AssertionError
    with serving(FakeCluster({1: "sha256:" + "1" * 64}), tmp_path / "gone"):
        pass
    monkeypatch.setenv("HTTP_PROXY", "")
    store = ["--store", str(world.store.root), "--name", "income"]
    for words in (ask, ["record", *store, *ask[1:]], ["rollback", "--why", "x", *store, *ask[1:]]):
        with pytest.raises(TrainingError, match="the cluster did not answer"):
            raise CliRunner().invoke(app, [*words, str(tmp_path / "gone")]).exception or AssertionError
