"""What may be said of the pods of Triton, checked before anything is made."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from falaj.components.checks import bounded, dns_label, quantity
from falaj.components.errors import ConfigError
from falaj.components.node_pool import Taint
from falaj.components.refs import PoolRef, StoreRef, pick
from falaj.components.retention import StoreKind

MODELS = "/models"
"""Where a pod has its models."""
SHARED_MEMORY, TEMPORARY = "2Gi", "1Gi"
"""Memory through which backends pass tensors, and which files in /tmp may take where nothing may reach a disk."""

_DIGEST = re.compile(r"[\w.-]+(:\d+)?(/[\w.-]+)+@sha256:[0-9a-f]{64}")
_MODEL = re.compile(r"[A-Za-z0-9][\w.-]{0,62}")
_MANIFEST = re.compile(r"sha256:[0-9a-f]{64}")
_RESOURCE = re.compile(r"[A-Za-z_][\w-]{0,62}")
_PREFIX = re.compile(r"[\w.-]+(/[\w.-]+)*")
_PUBLIC_KEY = re.compile(r"\s*-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----\s*")
_KMS_KEY = re.compile(r"arn:aws(?:-[a-z]+)*:kms:([a-z0-9-]+):\d{12}:key/[\w-]+")
_VAULT_KEY = re.compile(r"vault:[\w.-]+(/[\w.-]+)+")
_OF_MODEL = ("version", "digest", "store", "store_prefix", "signing_key", "sealing_key", "fetcher_image")
_RESERVED = ("FALAJ_", "HOME", "TMPDIR")
_GIB = {"Mi": 1 / 1024, "Gi": 1, "Ti": 1024}


@dataclass(frozen=True)
class ServedModel:
    """A published model, which a pod fetches, opens and verifies before Triton starts."""

    name: str
    version: int
    digest: str | None
    signing_key: pulumi.Output[str]
    sealing_key: pulumi.Output[str]
    """As ``falaj-serve`` takes it."""
    region: pulumi.Output[str] | None
    """Region of a key of KMS."""
    fetcher_image: str
    size: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class TritonPod:
    """What is said of the pods, checked."""

    service_name: str
    image: str
    store: pulumi.Output[str]
    """Where the models are: of published ones the store, else the repository that Triton itself reads."""
    model: ServedModel | None
    gpus: int
    cpus: int
    memory: str
    service_account: str
    pool: str | None
    gpu_pool: pulumi.Input[PoolRef] | None
    node_labels: Mapping[str, str]
    taints: Sequence[Taint]
    auto_complete: bool
    response_cache: int | None
    rate_limits: Mapping[str, int]
    largest_request: int | None


def check_pod(name: str, args: Mapping[str, Any]) -> TritonPod:
    """Return what is said of the pods, refusing what could not run, or could not be trusted."""
    memory = quantity(f"{name}.memory", args.get("memory", "16Gi"))
    model = check_model(name, args)
    in_memory = gib(SHARED_MEMORY) + (gib(TEMPORARY) + gib(model.size) if model else 0)
    cache = args.get("response_cache")
    if cache is not None:
        in_memory += gib(quantity(f"{name}.response_cache", cache))
    if in_memory >= gib(memory):
        remedy = f"must be more than what models, cache, /tmp and shared memory take of it, {in_memory:g}Gi"
        raise ConfigError(f"{name}.memory", memory, remedy)
    if "pool" in args and "gpu_pool" in args:
        raise ConfigError(f"{name}.pool", args["pool"], "must be left out where gpu_pool tells which one it is")
    largest = args.get("largest_request")
    limits: Mapping[str, float] = args.get("rate_limits", {})
    for key in limits:
        if not _RESOURCE.fullmatch(key):
            remedy = "must name resources by letters, digits, _ and -, as models do"
            raise ConfigError(f"{name}.rate_limits", key, remedy)
    # A strategy's second Service and its ReplicaSets have longer names.
    longest = 50 if "strategy" in args else 63
    return TritonPod(
        service_name=dns_label(f"{name}.service_name", args.get("service_name", name), longest),
        image=check_image(f"{name}.image", args["image"]),
        store=check_store(name, args, published=model is not None),
        model=model,
        gpus=bounded(f"{name}.gpus", args.get("gpus", 1), 0, 16),
        cpus=bounded(f"{name}.cpus", args.get("cpus", 4), 1, 512),
        memory=memory,
        service_account=dns_label(f"{name}.service_account", args.get("service_account", "workload")),
        pool=args.get("pool"),
        gpu_pool=args.get("gpu_pool"),
        node_labels=args.get("node_labels", {}),
        taints=args.get("taints", []),
        auto_complete=bool(args.get("auto_complete_config", False)),
        response_cache=in_bytes(cache) if cache is not None else None,
        rate_limits={key: bounded(f"{name}.rate_limits.{key}", each, 1, 10_000) for key, each in limits.items()},
        largest_request=in_bytes(quantity(f"{name}.largest_request", largest)) if largest is not None else None,
    )


def check_model(name: str, args: Mapping[str, Any]) -> ServedModel | None:
    """Return the published model, if one is named; then whatever proves it has to be said too."""
    if "model" not in args:
        for each in (*_OF_MODEL, "environment", "model_size"):
            if each in args:
                raise ConfigError(f"{name}.{each}", args[each], "must be left out unless model names what is fetched")
        return None
    for each in ("version", "signing_key", "sealing_key", "fetcher_image"):
        if each not in args:
            raise ConfigError(f"{name}.{each}", None, "must be given for a published model: it is verified before load")
    if not _MODEL.fullmatch(args["model"]):
        remedy = "must be letters, digits, dots, hyphens and underscores, at most 63"
        raise ConfigError(f"{name}.model", args["model"], remedy)
    digest = args.get("digest")
    if digest is not None and not _MANIFEST.fullmatch(digest):
        raise ConfigError(f"{name}.digest", digest, "must be sha256: and 64 hexadecimal digits")
    environment: Mapping[str, str] = args.get("environment", {})
    for variable in environment:
        if variable.startswith(_RESERVED):
            raise ConfigError(f"{name}.environment", variable, "must leave out what the component sets itself")
    sealing_key, region = _sealing(name, args["sealing_key"], environment)
    if isinstance(args["signing_key"], str):
        check_public_key(f"{name}.signing_key", args["signing_key"])
    return ServedModel(
        name=args["model"],
        version=bounded(f"{name}.version", args["version"], 1, 1_000_000_000),
        digest=digest,
        signing_key=pulumi.Output.from_input(args["signing_key"]).apply(
            lambda known: check_public_key(f"{name}.signing_key", known)
        ),
        sealing_key=sealing_key,
        region=region,
        fetcher_image=check_image(f"{name}.fetcher_image", args["fetcher_image"]),
        size=quantity(f"{name}.model_size", args.get("model_size", "8Gi")),
        environment=dict(environment),
    )


def check_store(name: str, args: Mapping[str, Any], *, published: bool) -> pulumi.Output[str]:
    """Return where the models are, which is said in one way: by a store of models, or by a URL."""
    if ("store" in args) is ("model_repository" in args):
        remedy = "must be there where store is not, and only there: models come from one place"
        raise ConfigError(f"{name}.model_repository", args.get("model_repository"), remedy)
    if "store" not in args:
        if "store_prefix" in args:
            raise ConfigError(f"{name}.store_prefix", args["store_prefix"], "must be left out unless store is given")
        return pulumi.Output.from_input(args["model_repository"])
    assert published
    store: pulumi.Input[StoreRef] = args["store"]
    if isinstance(store, Mapping) and isinstance(store["kind"], str):
        check_kind(f"{name}.store", store["kind"])
    prefix = args.get("store_prefix")
    if prefix is not None and not _PREFIX.fullmatch(prefix):
        raise ConfigError(
            f"{name}.store_prefix", prefix, "must be folders such as vision/models, without slashes around"
        )
    bucket = pulumi.Output.all(pick(store, "bucket"), pick(store, "kind")).apply(
        lambda known: check_kind(f"{name}.store", known[1]) and str(known[0])
    )
    return pulumi.Output.concat("s3://", bucket, "/", prefix or pick(args["tenant"], "namespace"))


def check_kind(field: str, kind: str) -> str:
    """Return a store's kind if versions in it are locked: what was verified once cannot change."""
    if kind != StoreKind.MODEL_ARTIFACTS:
        raise ConfigError(
            field, kind, f"must be of the kind {StoreKind.MODEL_ARTIFACTS.value}, whose versions are locked"
        )
    return kind


def check_public_key(field: str, text: str) -> str:
    """Return a public key in PEM, by which publishers' signatures are verified."""
    if not _PUBLIC_KEY.fullmatch(text):
        shown = "a private key" if "PRIVATE" in text else text[:40]
        raise ConfigError(field, shown, "must be a public key in PEM, -----BEGIN PUBLIC KEY-----")
    return text.strip() + "\n"


def check_sealing_key(field: str, key: str) -> str:
    """Return the key as ``falaj-serve`` takes it."""
    if _KMS_KEY.fullmatch(key):
        return f"aws-kms:{key}"
    if not _VAULT_KEY.fullmatch(key):
        raise ConfigError(field, key, "must be the ARN of a KMS key, or vault:MOUNT/KEY")
    return key


def _sealing(
    name: str, key: pulumi.Input[str], environment: Mapping[str, str]
) -> tuple[pulumi.Output[str], pulumi.Output[str] | None]:
    """Return the key as ``falaj-serve`` takes it, and the region of a key of KMS; one of Vault is known beforehand."""
    field = f"{name}.sealing_key"

    def region(known: str) -> str:
        found = _KMS_KEY.fullmatch(known)
        if found is None:
            raise ConfigError(field, known, "must be the ARN of a KMS key, unless it is written out as vault:MOUNT/KEY")
        return found[1]

    of_vault = isinstance(key, str) and check_sealing_key(field, key).startswith("vault:")
    if of_vault and not environment.get("VAULT_ADDR", "").startswith("https://"):
        remedy = "must have VAULT_ADDR, an https address, for a key of Vault"
        raise ConfigError(f"{name}.environment", dict(environment), remedy)
    known = pulumi.Output.from_input(key)
    return known.apply(lambda each: check_sealing_key(field, each)), None if of_vault else known.apply(region)


def check_image(field: str, image: str) -> str:
    """Return the image if it is named by digest and registry, so that it is the same everywhere and for ever."""
    if not _DIGEST.fullmatch(image):
        raise ConfigError(field, image, "must be an image by digest, registry/repository@sha256:<64 hex digits>")
    return image


def check_ranges(field: str, cidrs: Sequence[str]) -> list[str]:
    """Return address ranges that pods may call, refusing what would open more than endpoints."""
    for cidr in cidrs:
        try:
            found = ipaddress.ip_network(cidr)
        except ValueError as error:
            raise ConfigError(field, cidr, "must be address ranges such as 10.20.8.0/24") from error
        if found.prefixlen < (16 if found.version == 4 else 48) or found.is_link_local or found.is_multicast:
            raise ConfigError(field, cidr, "must be endpoints' addresses, at most a /16 each")
    return list(cidrs)


def gib(amount: str) -> float:
    """Return an amount of memory in GiB."""
    return int(amount[:-2]) * _GIB[amount[-2:]]


def in_bytes(amount: str) -> int:
    """Return an amount of memory in bytes."""
    return int(gib(amount) * 1024**3)
