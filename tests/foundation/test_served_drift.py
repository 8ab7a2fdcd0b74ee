"""Clients that ask other things than before: seen in Prometheus through the gateway's copies, told to a webhook once.

In a cluster the watch asks the service by its name; the lab has no addresses of Services, so it is told a pod's.
"""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_traffic import ask
from served_service import READY, Served, serving
from served_world import NAME, SERVED_AS, TEAM, USER, Publisher, multiplies
from training.serving_world import write_model
from training.watch_world import answering, with_reference

from falaj.lab.state import Lab
from falaj.training.lineage.signatures import FileSigner
from falaj.training.watch.gathering import Gathering, View

pytestmark = pytest.mark.lab

WATCH = f"{NAME}-watch"
CONFIG = f"""
name: "{NAME}" backend: "python" max_batch_size: 0
input [{{ name: "given" data_type: TYPE_FP32 dims: [-1] }}]
output [{{ name: "product" data_type: TYPE_FP32 dims: [-1] }}]
"""


class WithReference(Publisher):
    """A publisher whose models say what they were judged on: numbers around 0, and their doubles."""

    def publish(self, program: str, name: str, *, signed_by: str = "signing", tried: bool = True) -> dict[str, Any]:
        """Publish a model with its reference."""
        gathering = Gathering({"given": View(1)}, {"product": View(1)})
        judged = numbers(1, 2000)
        gathering.add({"given": judged}, {"product": 2 * judged})
        found = gathering.reference(None)
        assert found is not None
        model = write_model(
            self.folder / name / NAME,
            FileSigner(self.folder / f"{signed_by}.pem"),
            content=program.encode(),
            config=CONFIG,
            artifact="model.py",
            before_signing=lambda folder: with_reference(folder, found.encoded()),
        )
        told = ["--to", self.store, "--name", NAME, "--tenant", TEAM, "--key", f"aws-kms:{self.key}"]
        done = self.serve("publish", str(model), *told, "--public-key", str(self.folder / f"{signed_by}.pub"))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[0])


def numbers(seed: int, count: int, shift: float = 0.0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(shift, 1, count).astype(np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("drift")) as running:
        publisher = running.publisher
        made = replace(
            running, publisher=WithReference(publisher.lab, publisher.folder, publisher.store, publisher.key)
        )
        made.up("triton-canary", multiplies(2), drift="100")
        yield made


def told_to_watch(served: Served, *more: str) -> None:
    """Tell the watch where a pod of the service is, and more; wait until it watches so."""
    apps = served.cluster.apps
    container = apps.read_namespaced_deployment(WATCH, TEAM).spec.template.spec.containers[0]
    words = list(container.args)
    words[words.index("--ask") + 1] = f"http://{served.pods()[0].status.pod_ip}:8000"
    changed = {"containers": [{"name": container.name, "args": [*words, *more]}]}
    apps.patch_namespaced_deployment(WATCH, TEAM, {"spec": {"template": {"spec": changed}}})

    def there() -> bool:
        found = served.cluster.core.list_namespaced_pod(
            TEAM, label_selector=f"app.kubernetes.io/instance={WATCH}"
        ).items
        ready = [each for each in found if any(one.ready for one in each.status.container_statuses or ())]
        return [each.spec.containers[0].args for each in found] == [[*words, *more]] and len(ready) == 1

    served.until(there)


def asks(served: Served, seed: int, shift: float = 0.0) -> None:
    """Have a client ask about 200 numbers."""
    given = numbers(seed, 200, shift)
    inputs = [{"name": "given", "datatype": "FP32", "shape": [200], "data": given.tolist()}]
    with served.front.client(USER).connected() as connection:
        path, body = f"/v2/models/{NAME}/infer", json.dumps({"inputs": inputs}).encode()
        status, answer = ask(connection, path, body, Host=SERVED_AS)
    assert status == 200
    assert answer["outputs"][0]["data"] == pytest.approx((2 * given).tolist())


def figure(served: Served, name: str, kind: str) -> float | None:
    """Return a figure of the watch, as Prometheus has it."""
    query = urllib.parse.urlencode({"query": f'{name}{{kind="{kind}", version="1"}}'})
    port = Lab(served.lab.root).ports()["prometheus"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=30) as answer:
        found = json.load(answer)["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def test_clients_that_ask_other_things_raise_the_index_and_call_the_webhook_once(
    served: Served, tmp_path: Path
) -> None:
    with answering(lambda *_: (202, {}, b"")) as (hook, told):
        told_to_watch(served, "--every", "1", "--webhook", f"{hook}/retrain")

        def until_found(value: float, shift: float) -> None:
            asked = iter(range(10, 1000))

            def there() -> bool:
                asks(served, next(asked), shift)
                return [figure(served, "falaj_drift_found", kind) for kind in ("input", "prediction")] == [value] * 2

            served.until(there, READY)

        until_found(0.0, shift=0.0)
        assert told == []
        until_found(1.0, shift=4.0)
        assert (figure(served, "falaj_drift_index", "prediction") or 0) > 0.25
        served.until(lambda: bool(told), READY)
        for seed in range(5):
            asks(served, seed, shift=4.0)
    ((path, _, body),) = told
    event = json.loads(body)
    assert path == "/retrain"
    assert (event["subject"], event["data"]["tenant"]) == (f"{NAME}/1", TEAM)

    def written() -> dict[str, Any]:
        about = ("--store", served.publisher.store, "--name", NAME)
        shown = served.publisher.serve("history", *about, "--json", "--verify")
        assert shown.returncode == 0, shown.stderr
        return {each["what"]: each for each in json.loads(shown.stdout)["events"]}

    # That the webhook was told is written when it has answered.
    served.until(lambda: "drift-told" in written(), READY)
    events = written()
    assert event["id"] == events["drift"]["digest"] == events["drift-told"]["crossing"]
