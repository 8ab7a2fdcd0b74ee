"""A tenant's models for Triton's Python backend, a store and a key in the lab's AWS, and clients of the service."""

import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from gateway_cases import HOST, Authority, authority, config_map, gateway, tls_secret
from gateway_traffic import Client, Load, ask
from gpu_cluster import GpuCluster
from training.serving_world import write_model

from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab
from falaj.training.lineage.signatures import FileSigner, new_key

TEAM, NAME, USER = "vision", "detector", "web.vision.svc"
SERVED_AS, SERVED_BY_GRPC_AS = "detector.vision.svc", "detector-grpc.vision.svc"
ARGO, GATEWAY = ("argoproj.io", "v1alpha1"), ("gateway.networking.k8s.io", "v1")
SHORTEST = 10
"""Seconds of traffic that the shortened analysis looks back on, with Prometheus scraping each second."""

_MODEL = """
import os, sys
sys.path[:0] = os.environ["FALAJ_SERVING_PATH"].split(os.pathsep)
import numpy
import triton_python_backend_utils as triton

class TritonPythonModel:
    def execute(self, requests):
        given = [triton.get_input_tensor_by_name(each, "given").as_numpy() for each in requests]
        return [%s for each in given]
"""
_CONFIG = """
name: "detector" backend: "python" max_batch_size: 0
input [{ name: "given" data_type: TYPE_FP32 dims: [-1] }]
output [{ name: "product" data_type: TYPE_FP32 dims: [-1] }]
"""
_ASKED = json.dumps({"inputs": [{"name": "given", "datatype": "FP32", "shape": [2], "data": [1.0, 4.0]}]}).encode()
_PATH = f"/v2/models/{NAME}/infer"


def multiplies(factor: int) -> str:
    """Return a model that answers with multiples of what it is given."""
    return _MODEL % f'triton.InferenceResponse([triton.Tensor("product", numpy.multiply(each, {factor}))])'


def fails() -> str:
    """Return a model that loads, and answers every request with an error."""
    return _MODEL % 'triton.InferenceResponse(error=triton.TritonError("no weights for this"))'


@dataclass(frozen=True)
class Publisher:
    """Somebody who signs models and publishes them to the tenant's store."""

    lab: RunningLab
    folder: Path
    store: str
    key: str

    @classmethod
    def new(cls, lab: RunningLab, folder: Path) -> "Publisher":
        """Make a bucket and a key that seals in the lab's AWS, and a key that signs."""
        bucket = "123456789012-me-central-1-artifacts"
        region = lab.env["AWS_REGION"]
        lab.aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
        key = lab.aws("kms").create_key()["KeyMetadata"]["Arn"]
        made = cls(lab, folder, f"s3://{bucket}/{TEAM}", key)
        for name in ("signing", "other"):
            (folder / f"{name}.pub").write_bytes(new_key(folder / f"{name}.pem"))
        return made

    @property
    def public_key(self) -> str:
        """The key that the service trusts, PEM."""
        return (self.folder / "signing.pub").read_text()

    def publish(self, program: str, name: str, *, signed_by: str = "signing", tried: bool = True) -> dict[str, Any]:
        """Publish a model as a person does, and return what the audit log has about it; ``tried`` by the service."""
        model = write_model(
            self.folder / name / NAME,
            FileSigner(self.folder / f"{signed_by}.pem"),
            content=program.encode(),
            config=_CONFIG,
            artifact="model.py",
        )
        told = ["--to", self.store, "--name", NAME, "--tenant", TEAM, "--key", f"aws-kms:{self.key}"]
        told += ["--public-key", str(self.folder / f"{signed_by}.pub")]
        told += ["--service", f"{TEAM}/{NAME}"] if tried else []
        done = self.serve("publish", str(model), *told)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[0])

    def roll_back(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Ask for an earlier version, as a person does."""
        about = ("--service", f"{TEAM}/{NAME}", "--store", self.store, "--name", NAME, "--why", "a test says so")
        return self.serve("rollback", *about, *options)

    def serve(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `falaj-serve` inside the lab."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("falaj-serve")), *words],
            env=dict(self.lab.env),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@dataclass(frozen=True)
class Front:
    """The platform's Gateway, and who comes to it."""

    lab: RunningLab
    authority: Authority
    folder: Path

    @classmethod
    def new(cls, lab: RunningLab, cluster: GpuCluster, folder: Path) -> "Front":
        """Make the Gateway, its certificate and the authority of its clients."""
        made = cls(lab, authority(), folder)
        cluster.core.create_namespace({"metadata": {"name": "gateways"}})
        server = made.authority.sign(HOST, SERVED_AS, SERVED_BY_GRPC_AS, server=True)
        cluster.core.create_namespaced_secret("gateways", tls_secret(server))
        cluster.core.create_namespaced_config_map("gateways", config_map(made.authority.pem))
        cluster.custom.create_namespaced_custom_object(*GATEWAY, "gateways", "gateways", gateway())
        return made

    def client(self, *names: str) -> Client:
        """Return a client with a certificate of these names, or without one where there are none."""
        ports = json.loads((Lab(self.lab.root).root / "data" / "envoy" / "ports.json").read_text())
        signed = self.authority.sign(*names) if names else None
        return Client(ports["gateways/serving:443"], self.authority.pem, self.folder, signed)


def infer(connection: HTTPConnection, **headers: str) -> tuple[int, str, list[float]]:
    """Ask the model once: the status, which version answered, and with what."""
    status, said = ask(connection, _PATH, _ASKED, Host=SERVED_AS, **headers)
    return status, said.get("model_version", ""), said["outputs"][0]["data"] if said else []


def infer_once(client: Client, **headers: str) -> tuple[int, str, list[float]]:
    """Ask the model on a connection of its own."""
    with client.connected() as connection:
        return infer(connection, **headers)


def is_ready_by_grpc(client: Client, version: int) -> bool:
    """Ask over gRPC whether a version of the model is ready: a message of name and version, answered by one of true.

    Written after ``ModelReadyRequest`` of Triton's ``grpc_service.proto``.
    """
    texts = [(0x0A, NAME.encode()), (0x12, str(version).encode())]
    message = b"".join(bytes([field, len(text)]) + text for field, text in texts)
    with client.channel(SERVED_BY_GRPC_AS) as channel:
        answer = channel.unary_unary("/inference.GRPCInferenceService/ModelReady")(message, timeout=30)
    return answer == b"\x08\x01"


class Inference(Load):
    """A steady small load on the model; an answer is its status and the version that computed."""

    def __init__(self, client: Client, clients: int = 3, **headers: str) -> None:
        super().__init__(client, clients)
        self._headers = headers
        self.products: dict[str, set[tuple[float, ...]]] = {}
        """What each version has answered with."""
        self.seconds: dict[str, list[float]] = {}
        """How long each answer of each version took."""

    def _run(self) -> None:
        try:
            with self._client.connected() as connection:
                while not self._end.is_set():
                    began = time.monotonic()
                    status, version, product = infer(connection, **self._headers)
                    self.products.setdefault(version, set()).add(tuple(product))
                    self.seconds.setdefault(version, []).append(time.monotonic() - began)
                    self.answers.append((status, version))
                    time.sleep(0.02)
        except (OSError, HTTPException) as error:
            self.failures.append(repr(error))


def shorten_analysis(cluster: GpuCluster) -> None:
    """Have each step measured twice in 5 s, over ``SHORTEST`` s: the component's own times would take minutes.

    The limit of the latency goes up with it: on a machine that is busy with other things, it is not the model's.
    """
    steps, metrics = _measured(cluster)
    for step in steps:
        for each in step.get("analysis", {}).get("args", ()):
            if each["name"] == "measurements":
                each["value"] = "2"
            if each["name"] == "delay" and each["value"] != "0s":
                each["value"] = f"{SHORTEST}s"
    for each in metrics:
        each["interval"] = "5s"
        prometheus = each["provider"]["prometheus"]
        prometheus["query"] = prometheus["query"].replace("[60s]", f"[{SHORTEST}s]")
        each["successCondition"] = each["successCondition"].replace("<= 250", "<= 5000")
    _measure(cluster, steps, metrics)


@contextmanager
def shortened_analysis(cluster: GpuCluster) -> Generator[None]:
    """Shorten the analysis for a while: what is then as the program has it is no conflict when that is run again."""
    before = _measured(cluster)
    shorten_analysis(cluster)
    yield
    _measure(cluster, *before)


def _measured(cluster: GpuCluster) -> tuple[Any, Any]:
    """Return the steps of the rollout and the metrics of its analysis."""
    rollout = cluster.custom.get_namespaced_custom_object(*ARGO, TEAM, "rollouts", NAME)
    template = cluster.custom.get_namespaced_custom_object(*ARGO, TEAM, "analysistemplates", NAME)
    return rollout["spec"]["strategy"]["canary"]["steps"], template["spec"]["metrics"]


def _measure(cluster: GpuCluster, steps: Any, metrics: Any) -> None:
    for kind, changed in (
        ("analysistemplates", {"metrics": metrics}),
        ("rollouts", {"strategy": {"canary": {"steps": steps}}}),
    ):
        cluster.custom.patch_namespaced_custom_object(*ARGO, TEAM, kind, NAME, {"spec": changed})
