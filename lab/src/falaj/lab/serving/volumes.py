"""Volumes of a pod as folders of this machine: empty ones, and files that Kubernetes' own objects fill."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from falaj.lab.serving.expansion import ConfigError, Mount, entries, field, resource_field
from falaj.lab.serving.node_api import Manifest, NodeApi
from falaj.lab.state import write_private

KINDS = ("emptyDir", "secret", "configMap", "downwardAPI", "projected")
"""Kinds of volumes that a process can have; sizes, and memory as the medium, are not enforced."""
_RENEW = 0.8
"""The part of its life after which a token is replaced, as a kubelet does."""
_TOKEN_LIFE = 3600


@dataclass(frozen=True)
class File:
    """One file of a volume."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class Token:
    """A service account's token, and when it is to be replaced (seconds since the epoch)."""

    text: str
    renew: float


class Volumes:
    """The volumes of one pod, below its folder."""

    def __init__(self, api: NodeApi, folder: Path):
        self._api = api
        self._folder = folder
        self._tokens: dict[tuple[str, str], Token] = {}

    async def update(self, pod: Manifest, address: str) -> None:
        """Make the volumes, or bring their files up to date; raises ``ConfigError`` for one that cannot be."""
        for volume in pod["spec"].get("volumes", []):
            (kind,) = (name for name in volume if name != "name")
            if kind not in KINDS:
                raise ConfigError(f"the volume {volume['name']} is a {kind}; a process can have {', '.join(KINDS)}")
            folder = self._folder / volume["name"]
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if kind != "emptyDir":
                write_files(folder, await self._files(pod, volume["name"], kind, volume[kind], address))

    def mounts(self, container: Manifest) -> list[Mount]:
        """Return where a container sees which folder."""
        found: list[Mount] = []
        for mount in container.get("volumeMounts", []):
            if mount.get("subPathExpr"):
                raise ConfigError(f"the mount {mount['mountPath']} has a subPathExpr, which is not known here")
            target = self._folder / mount["name"] / mount.get("subPath", "")
            if not target.exists():
                target.mkdir(mode=0o700, parents=True)
            found.append(Mount(mount["mountPath"], target))
        return found

    async def _files(
        self, pod: Manifest, name: str, kind: str, source: Mapping[str, Any], address: str
    ) -> dict[str, File]:
        mode = source.get("defaultMode", 0o644)
        if kind == "projected":
            files: dict[str, File] = {}
            for each in source.get("sources", []):
                ((inner, what),) = each.items()
                if inner not in {"serviceAccountToken", *KINDS[1:4]}:
                    raise ConfigError(f"the volume {name} projects a {inner}, which is not known here")
                files |= await self._files(pod, name, inner, {"defaultMode": mode, **what}, address)
            return files
        if kind == "serviceAccountToken":
            return {source["path"]: File((await self._token(pod, name, source)).encode(), mode)}
        items = source.get("items")
        if kind == "downwardAPI":
            return {
                each["path"]: File(_told(pod, each, address).encode(), each.get("mode", mode)) for each in items or []
            }
        data = await entries(self._api, pod["metadata"]["namespace"], kind, source)
        if items is None:
            return {key: File(content, mode) for key, content in data.items()}
        if missing := [each["key"] for each in items if each["key"] not in data and not source.get("optional")]:
            raise ConfigError(f"the volume {name} wants the keys {', '.join(missing)}, which its {kind} does not have")
        return {each["path"]: File(data[each["key"]], each.get("mode", mode)) for each in items if each["key"] in data}

    async def _token(self, pod: Manifest, volume: str, source: Mapping[str, Any]) -> str:
        known = self._tokens.get((volume, source["path"]))
        if known and time.time() < known.renew:
            return known.text
        metadata, life = pod["metadata"], source.get("expirationSeconds", _TOKEN_LIFE)
        account = pod["spec"].get("serviceAccountName", "default")
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [source["audience"]] if source.get("audience") else [],
                "expirationSeconds": life,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        status = (await self._api.call("POST", path, request))["status"]
        ends = datetime.fromisoformat(status["expirationTimestamp"]).timestamp()
        token = Token(status["token"], time.time() + (ends - time.time()) * _RENEW)
        self._tokens[volume, source["path"]] = token
        return token.text


def write_files(folder: Path, files: Mapping[str, File]) -> None:
    """Make a folder hold these files and no others; each is replaced as a whole, and only when it changed."""
    for path in _all_files(folder):
        if str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, file in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != file.content:
            write_private(path, file.content)
        path.chmod(file.mode & 0o700)  # the lab's own user is the only one who may read what the lab keeps


def _all_files(folder: Path) -> Iterable[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _told(pod: Manifest, item: Manifest, address: str) -> str:
    if "fieldRef" in item:
        return field(pod, item["fieldRef"]["fieldPath"], address)
    return resource_field(pod, item["resourceFieldRef"], item["resourceFieldRef"]["containerName"])
