"""What a container's words mean here: variables put in, and paths of its mounts turned into folders of this machine."""

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from falaj.lab.errors import LabError
from falaj.lab.serving.node_api import NOT_FOUND, Manifest, NodeApi, RefusedError

HOST = "127.0.0.1"
"""Address of the node."""
_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_REFERENCE = re.compile(r"\$(?:(\$)|\(([^()]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(LabError):
    """A pod asks for something that is not there, or that a process cannot have."""


@dataclass(frozen=True)
class Mount:
    """A path that a container knows, and what of this machine it stands for."""

    path: str
    target: Path


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Put variables in for ``$(NAME)`` as Kubernetes does: unknown ones stay, ``$$`` is a dollar sign."""

    def put(match: re.Match[str]) -> str:
        return "$" if match[1] else variables.get(match[2], match[0])

    return _REFERENCE.sub(put, text)


def mapped(text: str, mounts: Iterable[Mount]) -> str:
    """Turn the paths below mounts in a text into paths of this machine; ``/models`` is not found in ``/my/models``."""
    targets = {mount.path.rstrip("/"): str(mount.target) for mount in mounts}
    if not targets:
        return text
    paths = "|".join(re.escape(path) for path in sorted(targets, key=len, reverse=True))
    found = re.compile(rf"(?:(?<=file://)|(?<![\w./~-]))({paths})(?![\w.-])")
    return found.sub(lambda match: targets[match[1]], text)


def field(pod: Manifest, path: str, address: str) -> str:
    """Return what the downward API says of a pod."""
    metadata, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.fullmatch(path):
        return metadata.get(match[1], {}).get(match[2], "")
    known: dict[str, Callable[[], str]] = {
        "metadata.name": lambda: metadata["name"],
        "metadata.namespace": lambda: metadata["namespace"],
        "metadata.uid": lambda: metadata["uid"],
        "metadata.labels": lambda: _lines(metadata.get("labels", {})),
        "metadata.annotations": lambda: _lines(metadata.get("annotations", {})),
        "spec.nodeName": lambda: spec["nodeName"],
        "spec.serviceAccountName": lambda: spec.get("serviceAccountName", "default"),
        "status.podIP": lambda: address,
        "status.podIPs": lambda: address,
        "status.hostIP": lambda: HOST,
        "status.hostIPs": lambda: HOST,
    }
    if path not in known:
        raise ConfigError(f"the field {path} is not known here")
    return known[path]()


def resource_field(pod: Manifest, reference: Manifest, container: str) -> str:
    """Return a request or limit of a container, in units of the divisor, rounded up."""
    kind, _, name = reference["resource"].partition(".")
    wanted = reference.get("containerName", container)
    every = pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
    spec = next(each for each in every if each["name"] == wanted)
    amount = spec.get("resources", {}).get(kind, {}).get(name)
    if amount is None:
        raise ConfigError(f"{wanted} has no {reference['resource']}, and its node says nothing true of its own")
    divisor = quantity(reference.get("divisor", "1"))
    return str(math.ceil(quantity(amount) / (divisor or Decimal(1))))


def quantity(text: str) -> Decimal:
    """Return what a Kubernetes quantity says; its own client's function loads all of that client."""
    number = text.rstrip("".join(_UNITS))
    return Decimal(number) * _UNITS[text.removeprefix(number)]


async def variables(api: NodeApi, pod: Manifest, container: Manifest, address: str) -> dict[str, str]:
    """Return the environment that a container's spec gives it, paths not yet turned into this machine's."""
    namespace = pod["metadata"]["namespace"]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        for kind in ("configMapRef", "secretRef"):
            if kind in source:
                data = await texts(api, namespace, kind.removesuffix("Ref"), source[kind])
                found |= {source.get("prefix", "") + name: value for name, value in data.items()}
    for each in container.get("env", []):
        if "valueFrom" not in each:
            found[each["name"]] = expand(each.get("value", ""), found)
            continue
        value = await _value(api, pod, container, each["valueFrom"], address)
        if value is not None:
            found[each["name"]] = value
    return found


async def _value(api: NodeApi, pod: Manifest, container: Manifest, source: Manifest, address: str) -> str | None:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"], address)
    if "resourceFieldRef" in source:
        return resource_field(pod, source["resourceFieldRef"], container["name"])
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            reference = source[kind]
            data = await texts(api, pod["metadata"]["namespace"], kind.removesuffix("KeyRef"), reference)
            if reference["key"] not in data and not reference.get("optional"):
                raise ConfigError(f"{reference['name']} has no key {reference['key']}")
            return data.get(reference["key"])
    raise ConfigError(f"a variable from {', '.join(source)} is not known here")


async def texts(api: NodeApi, namespace: str, kind: str, reference: Mapping[str, Any]) -> dict[str, str]:
    """Return the entries of a secret or config map as text."""
    found = await entries(api, namespace, kind, reference)
    return {name: value.decode(errors="replace") for name, value in found.items()}


async def entries(api: NodeApi, namespace: str, kind: str, reference: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the entries of a ``secret`` or ``configMap``; none when it is optional and not there."""
    name = reference.get("name") or reference["secretName"]
    try:
        item = await api.get(f"/api/v1/namespaces/{namespace}/{kind.lower()}s/{name}")
    except RefusedError as error:
        if error.status == NOT_FOUND and reference.get("optional"):
            return {}
        raise ConfigError(f"cannot read the {kind} {name}: {error}") from error
    encoded = item.get("data", {}) if kind == "secret" else item.get("binaryData", {})
    found = {name: base64.b64decode(value) for name, value in encoded.items()}
    if kind == "configMap":
        found |= {name: value.encode() for name, value in item.get("data", {}).items()}
    return found


def _lines(entries: Mapping[str, str]) -> str:
    """Return labels or annotations as the downward API writes them into a file."""

    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    return "".join(f"{name}={quoted(entries[name])}\n" for name in sorted(entries)).removesuffix("\n")
