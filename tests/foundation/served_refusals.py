"""Versions that must not be served, in the store of the models: forged, tampered with, or of no use."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gpu_cluster import GpuCluster
from served_world import ARGO, NAME, TEAM, Publisher, multiplies
from training.serving_world import below, write_model

from falaj.training.lineage.signatures import FileSigner
from falaj.training.lineage.signed_models import SIGNATURE
from falaj.training.sealing import SealedWriter, new_data_key, open_keys, seal
from falaj.training.serving.manifest import Judged, Manifest, SealedFile, context, file_context
from falaj.training.serving.versions import Versions
from falaj.training.stores import open_store

VERSION, DIGEST = "falaj.dev/model-version", "falaj.dev/model-digest"
CONFIG = """
name: "detector" backend: "python" max_batch_size: 0
input [{ name: "given" data_type: TYPE_FP32 dims: [-1] }]
output [{ name: "product" data_type: TYPE_FP32 dims: [-1] }]
"""
NEVER_READY = """
import time
class TritonPythonModel:
    def initialize(self, args):
        while True:
            time.sleep(1)
    def execute(self, requests):
        return []
"""


def model(publisher: Publisher, name: str, program: str, *, config: str = CONFIG, **more: Any) -> Path:
    """Write a model, signed and judged unless told otherwise; no two are the same."""
    told: dict[str, Any] = {"artifact": "model.py", "content": f"# {name}\n{program}".encode(), **more}
    signer = FileSigner(publisher.folder / "signing.pem")
    return write_model(publisher.folder / name / NAME, signer, config=config, **told)


def publish(publisher: Publisher, folder: Path, *, tried: bool) -> int:
    """Publish a model by the command line, and return its version."""
    told = ["--to", publisher.store, "--name", NAME, "--tenant", TEAM, "--key", f"aws-kms:{publisher.key}"]
    told += ["--public-key", str(publisher.folder / "signing.pub")]
    done = publisher.serve("publish", str(folder), *told, *(["--service", f"{TEAM}/{NAME}"] if tried else []))
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split("as version ")[1].split()[0])


def force(publisher: Publisher, folder: Path, tenant: str = TEAM) -> int:
    """Publish a folder as whoever has the key that seals, and not the one that signs, could: without any check."""
    env = publisher.lab.env
    with patch.dict(os.environ, {name: value for name, value in env.items() if name.startswith("AWS_")}):
        region = env["AWS_REGION"]
        versions = Versions(open_store(publisher.store, Path(), region=region), NAME, tenant)
        number = versions.claim({"user": "mallory"})
        key = new_data_key(open_keys(f"aws-kms:{publisher.key}", region=region), context(tenant, NAME, number))
        files: dict[str, SealedFile] = {}
        for name in below(folder):
            with (
                versions.store.write(versions.file(number, name)) as file,
                SealedWriter(file, key.key, file_context(tenant, NAME, number, name)) as stream,
            ):
                stream.write((folder / name).read_bytes())
            files[name] = SealedFile(
                bytes=stream.tell(), digest=_NONE, sealed_bytes=stream.size, header=stream.header.hex()
            )
        now = datetime.now(UTC).replace(microsecond=0)
        manifest = Manifest(
            tenant=tenant,
            model=NAME,
            version=number,
            classification="restricted",
            model_digest=_NONE,
            signed_by=_NONE,
            verdict=Judged(digest=_NONE, outcome="pass", who="mallory", expires=now + timedelta(days=1)),
            published=now,
            who={"user": "mallory"},
            files=files,
        )
        place = versions.place(number)
        versions.store.create(place, seal(manifest.model_dump_json().encode(), key, place))
    return number


_NONE = f"sha256:{64 * '0'}"


def unsigned(publisher: Publisher) -> int:
    folder = model(publisher, "unsigned", multiplies(5))
    (folder / SIGNATURE).unlink()
    return force(publisher, folder)


def unjudged(publisher: Publisher) -> int:
    return force(publisher, model(publisher, "unjudged", multiplies(5), with_verdict=False))


def failed(publisher: Publisher) -> int:
    return force(publisher, model(publisher, "failed", multiplies(5), outcome="fail"))


def of_another_tenant(publisher: Publisher) -> int:
    return force(publisher, model(publisher, "speech", multiplies(5)), tenant="speech")


def tampered(publisher: Publisher) -> int:
    number = publish(publisher, model(publisher, "tampered", multiplies(5)), tried=False)
    bucket, _, prefix = publisher.store.removeprefix("s3://").partition("/")
    place = {"Bucket": bucket, "Key": f"{prefix}/{NAME}/{number}/files/1/model.py"}
    objects = publisher.lab.aws("s3")
    content = bytearray(objects.get_object(**place)["Body"].read())
    content[-20] ^= 1
    objects.put_object(**place, Body=bytes(content))
    return number


@contextmanager
def taken_away(publisher: Publisher, number: int) -> Generator[None]:
    """Take a version away in the end; its number stays taken. As long as it is there, nobody publishes after it."""
    try:
        yield
    finally:
        bucket, _, prefix = publisher.store.removeprefix("s3://").partition("/")
        publisher.lab.aws("s3").delete_object(Bucket=bucket, Key=f"{prefix}/{NAME}/{number}/manifest.sealed")


def never_published(_: Publisher) -> int:
    return 999


REFUSED: dict[str, Callable[[Publisher], int]] = {
    "unsigned": unsigned,
    "no-verdict": unjudged,
    "failed-verdict": failed,
    "other-tenant": of_another_tenant,
    "tampered": tampered,
    "unknown-version": never_published,
}
"""The word of each refusal, and what makes a version that must be refused with it."""


UNLOADABLE: dict[str, tuple[dict[str, Any], str]] = {
    "syntax": ({"program": "def broken(:\n"}, "SyntaxError"),
    "no-such-type": ({"config": CONFIG.replace("TYPE_FP32", "TYPE_NONE")}, "TYPE_NONE"),
}
"""What is wrong with a model that is signed and judged, and what Triton says of it."""


def have_tried(cluster: GpuCluster, number: int) -> None:
    """Have the service try a version, as somebody who may patch it could without `falaj-serve`."""
    told = {"spec": {"template": {"metadata": {"annotations": {VERSION: str(number), DIGEST: None}}}}}
    cluster.custom.patch_namespaced_custom_object(*ARGO, TEAM, "rollouts", NAME, told)


def pods(cluster: GpuCluster, number: int) -> list[Any]:
    """Return the pods that are to serve a version."""
    listed = cluster.core.list_namespaced_pod(TEAM).items
    return [each for each in listed if (each.metadata.annotations or {}).get(VERSION) == str(number)]


def ends(statuses: list[Any] | None) -> list[Any]:
    """Return how the containers ended that did."""
    states = [state for each in statuses or () for state in (each.state, each.last_state)]
    return [state.terminated for state in states if state and state.terminated]
