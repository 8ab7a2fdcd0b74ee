"""Volumes of a pod as folders."""

import asyncio
import base64
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from falaj.lab.serving.expansion import ConfigError, Mount
from falaj.lab.serving.volumes import File, Volumes, write_files


class Objects:
    """An API server with a secret, a config map and tokens that hold for a while."""

    def __init__(self, life: float = 3600):
        self.life, self.tokens = life, 0
        self.secret = {"a": "one", "b": "two"}

    async def get(self, path: str) -> dict[str, Any]:
        if "/secrets/" in path:
            return {"data": {name: base64.b64encode(value.encode()).decode() for name, value in self.secret.items()}}
        return {"data": {"ca.crt": "certificate"}}

    async def call(self, _method: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/vision/serviceaccounts/web/token"
        assert request["spec"]["boundObjectRef"]["uid"] == "u1"
        self.tokens += 1
        ends = datetime.fromtimestamp(time.time() + self.life, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"status": {"token": f"token-{self.tokens}", "expirationTimestamp": ends}}


def pod(*volumes: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "web-1", "namespace": "vision", "uid": "u1"}
    return {"metadata": metadata, "spec": {"serviceAccountName": "web", "volumes": list(volumes), "containers": []}}


def made(api: Objects, folder: Path) -> Volumes:
    return Volumes(api, folder)  # pyright: ignore[reportArgumentType]


def test_a_projected_volume_holds_the_token_the_authority_and_the_namespace(tmp_path: Path) -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    volumes = made(Objects(), tmp_path)
    asyncio.run(volumes.update(pod({"name": "access", "projected": {"sources": sources}}), "127.1.0.9"))
    found = {path.name: path.read_text() for path in (tmp_path / "access").iterdir()}
    assert found == {"token": "token-1", "ca.crt": "certificate", "namespace": "vision"}


@pytest.mark.parametrize(("life", "drawn"), [(3600, 1), (0, 2)])
def test_a_token_is_drawn_anew_only_when_most_of_its_life_is_over(tmp_path: Path, life: float, drawn: int) -> None:
    api = Objects(life)
    wanted = pod({"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}})

    async def twice() -> None:
        volumes = made(api, tmp_path)
        await volumes.update(wanted, "")
        await volumes.update(wanted, "")

    asyncio.run(twice())
    assert (tmp_path / "t" / "token").read_text() == f"token-{drawn}"


def test_a_changed_secret_changes_its_files_and_removes_those_of_keys_that_went(tmp_path: Path) -> None:
    api = Objects()
    volumes, wanted = made(api, tmp_path), pod({"name": "s", "secret": {"secretName": "keys", "defaultMode": 0o444}})
    asyncio.run(volumes.update(wanted, ""))
    api.secret = {"a": "three"}
    asyncio.run(volumes.update(wanted, ""))
    assert {path.name: path.read_text() for path in (tmp_path / "s").iterdir()} == {"a": "three"}
    assert stat.S_IMODE((tmp_path / "s" / "a").stat().st_mode) == 0o400


def test_what_a_process_cannot_have_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="disk is a hostPath"):
        asyncio.run(made(Objects(), tmp_path).update(pod({"name": "disk", "hostPath": {"path": "/"}}), ""))
    missing = {"name": "s", "secret": {"secretName": "keys", "items": [{"key": "zz", "path": "z"}]}}
    with pytest.raises(ConfigError, match="zz"):
        asyncio.run(made(Objects(), tmp_path).update(pod(missing), ""))


def test_a_mount_stands_for_the_folder_of_its_volume_or_a_part_of_it(tmp_path: Path) -> None:
    volumes = made(Objects(), tmp_path)
    asyncio.run(volumes.update(pod({"name": "models", "emptyDir": {"medium": "Memory"}}), ""))
    container = {"volumeMounts": [{"name": "models", "mountPath": "/models"},
                                  {"name": "models", "mountPath": "/scratch", "subPath": "scratch"}]}  # fmt: skip
    assert volumes.mounts(container) == [
        Mount("/models", tmp_path / "models"),
        Mount("/scratch", tmp_path / "models" / "scratch"),
    ]
    assert (tmp_path / "models" / "scratch").is_dir()


def test_a_file_that_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    write_files(tmp_path, {"folder/a": File(b"1", 0o600)})
    before = (tmp_path / "folder" / "a").stat().st_ino
    write_files(tmp_path, {"folder/a": File(b"1", 0o600)})
    assert (tmp_path / "folder" / "a").stat().st_ino == before
    write_files(tmp_path, {})
    assert not (tmp_path / "folder" / "a").exists()
