"""What the gateway costs, and how long a version takes to serve and a bad one to go: in a lab, as tests have it."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from gateway_cases import HOST
from gateway_traffic import Client
from served_models import doubles
from served_service import READY, TAKEN_OVER, Served, serving
from served_world import ARGO, NAME, SERVED_AS, TEAM, USER, Inference, Publisher, fails, infer
from serving_load import Measured, Target, measure, spread

CLIENTS = (1, 4, 16)
INTERVAL = 5
"""Seconds from one measurement of the analysis to the next: what docs/examples/triton-strategies has in a lab."""
LOOKS = 0.1
"""Seconds between two looks at what happens."""
AFTERWARDS = 3.0
"""Seconds of traffic after a version has gone, to see that it has."""
_ASKED = json.dumps({"inputs": [{"name": "given", "datatype": "FP32", "shape": [2], "data": [1.0, 4.0]}]}).encode()


class Told(Publisher):
    """A publisher whose commands are timed."""

    def serve(self, *words: str) -> Any:
        """Run `falaj-serve`, and remember when it began and ended."""
        began = time.monotonic()
        done = super().serve(*words)
        SPANS.append((began, time.monotonic()))
        return done


SPANS: list[tuple[float, float]] = []


class Seen(Inference):
    """A steady small load whose answers are kept with their times."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.times: list[tuple[float, int, str]] = []
        """When each answer came, its status and which version computed it."""

    def _run(self) -> None:
        try:
            with self._client.connected() as connection:
                while not self._end.is_set():
                    status, version = infer(connection)[:2]
                    self.times.append((time.monotonic(), status, version))
                    time.sleep(0.02)
        except (OSError, HTTPException) as error:
            self.failures.append(repr(error))


def canary(folder: Path, parts: set[str], seconds: float, runs: int, versions: int) -> None:
    """Serve a model in a lab of its own, and measure what is asked for."""
    with serving(folder) as lab:
        served = Served(lab.lab, lab.cluster, _timed(lab.publisher), lab.front)
        served.up("triton-strategies", doubles("first"), strategy="canary")
        # One pod: what is asked directly is then what is asked through the gateway.
        patch = {"spec": {"replicas": 1}}
        served.cluster.custom.patch_namespaced_custom_object(*ARGO, TEAM, "rollouts", NAME, patch)
        served.until(lambda: len(served.pods()) == 1)
        served.reaches("Healthy", READY)
        if "gateway" in parts:
            gateway(served, folder, seconds, runs)
        if "publishing" in parts:
            publishing(served, versions)
        if "rollback" in parts:
            rollback(served, versions)


def gateway(served: Served, folder: Path, seconds: float, runs: int) -> None:
    """Ask a pod directly in clear, and through the gateway with certificates of both sides, by turns."""
    direct, through = _targets(served, folder)
    print("| clients | way | requests a second | p50, ms | p99, ms |\n| --- | --- | --- | --- | --- |")
    failed = 0
    for clients in CLIENTS:
        found: tuple[list[Measured], list[Measured]] = ([], [])
        for run in range(runs):
            for which in (0, 1) if run % 2 else (1, 0):
                found[which].append(measure((direct, through)[which], clients, seconds))
        for way, several in zip(("directly, in clear", "through Envoy, with mTLS"), found, strict=True):
            cells = [spread([one.rate for one in several], ".0f")]
            cells += [spread([getattr(one, name) for one in several], ".2f") for name in ("p50", "p99")]
            print(f"| {clients} | {way} | {' | '.join(cells)} |", flush=True)
            failed += sum(one.failed for one in several)
    print(f"\nFailed requests: {failed}", flush=True)


def publishing(served: Served, versions: int) -> None:
    """Publish good versions, and time until the first answer of each; then have each take over at once."""
    rows: dict[str, list[float]] = {}
    failed = 0
    for number in range(versions):
        with Seen(served.front.client(USER)) as load:
            new = str(served.publisher.publish(doubles(f"good {number}"), f"good-{number}")["version"])
            began, ended = SPANS[-1]
            _until(lambda new=new, load=load: any(version == new for _, _, version in load.times))
            first = next(at for at, _, version in load.times if version == new)
            service = ("--service", f"{TEAM}/{NAME}", "--store", served.publisher.store, "--name", NAME)
            done = served.publisher.serve("promote", *service, "--full", "--why", "it is timed")
            assert done.returncode == 0, done.stderr
            served.reaches("Healthy", TAKEN_OVER)
            time.sleep(AFTERWARDS)
        assert load.failures == []
        last_old = max(at for at, _, version in load.times if version != new)
        _note(rows, "`falaj-serve publish`: verified, sealed, uploaded, the service told", ended - began)
        _note(rows, "from the start of `publish` to the new version's first answer at the gateway", first - began)
        _note(rows, "from `promote --full` to the old version's last answer", last_old - SPANS[-1][0])
        failed += sum(status != 200 for _, status, _ in load.times)
    _print("a good version", rows)
    print(f"\nFailed requests: {failed}")


def rollback(served: Served, versions: int) -> None:
    """Publish versions that answer errors, and time what Argo makes of them."""
    rows: dict[str, list[float]] = {}
    shares: list[float] = []
    for number in range(versions):
        known = {each["metadata"]["name"] for each in served.runs()}
        with Seen(served.front.client(USER)) as load:
            served.publisher.publish(f"# {number}\n{fails()}", f"bad-{number}")
            bad = _until(lambda known=known: _bad_measurement(served, known))
            decided = _until(lambda known=known: _is_refused(served, known))
            gone = _until(lambda: served.share() == 0)
            time.sleep(AFTERWARDS)
        assert load.failures == []
        wrong = [at for at, status, _ in load.times if status != 200]
        meanwhile = [at for at, _, _ in load.times if wrong[0] <= at <= wrong[-1]]
        _note(rows, "from the first bad answer to the first bad measurement", bad - wrong[0])
        _note(rows, "from the first bad measurement to Argo's decision", decided - bad)
        _note(rows, "from the decision to a share of 0 in the route", gone - decided)
        _note(rows, "from the first bad measurement to the last bad answer: the full rollback", wrong[-1] - bad)
        shares.append(100 * len(wrong) / len(meanwhile))
        served.reaches("Degraded", READY)
    _print(f"a version that answers errors, measured every {INTERVAL} s", rows)
    print(f"\nBad answers while there were any, the version's share being 10 %: {spread(shares, '.1f')} %")


def _bad_measurement(served: Served, known: set[str]) -> bool:
    return any(
        measured["phase"] in ("Failed", "Error")
        for run in served.runs()
        if run["metadata"]["name"] not in known
        for metric in run.get("status", {}).get("metricResults", ())
        for measured in metric.get("measurements", ())
    )


def _is_refused(served: Served, known: set[str]) -> bool:
    return any(
        run.get("status", {}).get("phase") in ("Failed", "Error")
        for run in served.runs()
        if run["metadata"]["name"] not in known
    )


def _targets(served: Served, folder: Path) -> tuple[Target, Target]:
    """Return the pod itself, and the gateway before it."""
    (pod,) = served.pods()
    signed = served.front.authority.sign(USER)
    (folder / "client.pem").write_bytes(signed.certificate + signed.key)
    (folder / "authority.pem").write_text(served.front.authority.pem)
    ports = json.loads((served.lab.root / "data" / "envoy" / "ports.json").read_text())
    path, headers = f"/v2/models/{NAME}/infer", {"Content-Type": "application/json"}
    direct = Target(pod.status.pod_ip, 8000, path, _ASKED.hex(), headers)
    through = Target(
        "127.0.0.1",
        ports["gateways/serving:443"],
        path,
        _ASKED.hex(),
        {**headers, "Host": SERVED_AS},
        authority=str(folder / "authority.pem"),
        certificate=str(folder / "client.pem"),
        server=HOST,
    )
    return direct, through


def _timed(publisher: Publisher) -> Told:
    return Told(publisher.lab, publisher.folder, publisher.store, publisher.key)


def _until(true: Callable[[], bool]) -> float:
    """Wait until something is true, and return when that was."""
    deadline = time.monotonic() + TAKEN_OVER
    while not true():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(LOOKS)
    return time.monotonic()


def _note(rows: dict[str, list[float]], what: str, value: float) -> None:
    rows.setdefault(what, []).append(value)


def _print(title: str, rows: dict[str, Sequence[float]]) -> None:
    print(f"\n| {title} | seconds: median (min to max) | intervals |\n| --- | --- | --- |")
    for what, values in rows.items():
        print(f"| {what} | {spread(values, '.1f')} | {statistics.median(values) / INTERVAL:.1f} |", flush=True)
