"""Which registries ECR can mirror, and where an upstream's image is in the mirror."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi

from falaj.components.errors import ConfigError
from falaj.components.regime import Regime


class Upstream(StrEnum):
    """A registry that ECR can mirror; the last five ask for credentials."""

    ECR_PUBLIC = "ecr-public"
    """Amazon ECR Public."""
    KUBERNETES = "k8s"
    """The registry of the Kubernetes project."""
    QUAY = "quay"
    """Quay."""
    DOCKER_HUB = "docker-hub"
    """Docker Hub."""
    GITHUB = "github"
    """GitHub Container Registry."""
    GITLAB = "gitlab"
    """GitLab Container Registry."""
    AZURE = "azure"
    """One Azure Container Registry."""
    CHAINGUARD = "chainguard"
    """Chainguard's registry."""


class ImageMirror(TypedDict):
    """A registry to mirror."""

    upstream: Upstream
    """Which registry."""
    prefix: NotRequired[str]
    """First part of its images' names in the mirror. Default: the upstream's own word, such as ``quay``."""
    credential_arn: NotRequired[pulumi.Input[str]]
    """ARN of the Secrets Manager secret ``ecr-pullthroughcache/...`` to log in with. Default: none."""
    host: NotRequired[str]
    """Host of an Azure registry, for example ``team.azurecr.io``. Default: the upstream's own host."""


@dataclass(frozen=True)
class Mirrored:
    """A mirror as it is made."""

    host: str
    """Host in the name of an image."""
    url: str
    """Host as ECR wants it."""
    prefix: str
    credential: pulumi.Output[str] | None


# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html
_HOSTS = {
    Upstream.ECR_PUBLIC: "public.ecr.aws",
    Upstream.KUBERNETES: "registry.k8s.io",
    Upstream.QUAY: "quay.io",
    Upstream.DOCKER_HUB: "docker.io",
    Upstream.GITHUB: "ghcr.io",
    Upstream.GITLAB: "registry.gitlab.com",
    Upstream.CHAINGUARD: "cgr.dev",
}
_URLS = {"docker.io": "registry-1.docker.io"}
_OPEN = (Upstream.ECR_PUBLIC, Upstream.KUBERNETES, Upstream.QUAY)
_AZURE = re.compile(r"[a-z0-9]{5,50}\.azurecr\.io")
_PREFIX = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
_SECRET = "arn:aws:secretsmanager:{home_region}:{account_id}:secret:ecr-pullthroughcache/"  # noqa: S105  # a name


def check_mirrors(
    field: str, mirrors: Sequence[ImageMirror], repositories: Sequence[str], regime: Regime
) -> list[Mirrored]:
    """Return the mirrors, refusing one that ECR would refuse and a prefix that something else has."""
    checked: list[Mirrored] = []
    for number, mirror in enumerate(mirrors):
        one = _check_mirror(f"{field}[{number}]", mirror, regime)
        taken = [other.prefix for other in checked] + [name.split("/")[0] for name in repositories]
        if one.prefix in taken:
            remedy = "must be a prefix that no other mirror and no repository has"
            raise ConfigError(f"{field}[{number}].prefix", one.prefix, remedy)
        if one.host in [other.host for other in checked]:
            raise ConfigError(f"{field}[{number}].upstream", mirror["upstream"], "must be mirrored once")
        checked.append(one)
    return checked


def mirrors_of(mirrors: Sequence[Mirrored]) -> dict[str, str]:
    """Return the prefix of each mirror by the host in the name of an image."""
    return {mirror.host: mirror.prefix for mirror in mirrors}


def mirrored(registry: str, prefixes: Mapping[str, str], image: str) -> str:
    """Return where an upstream's image is in the mirror, by the prefixes of a ``RegistryRef``.

    >>> mirrored("registry.example", {"quay.io": "quay"}, "quay.io/prometheus/node-exporter:v1.9.1")
    'registry.example/quay/prometheus/node-exporter:v1.9.1'
    >>> mirrored("registry.example", {"docker.io": "docker-hub"}, "busybox")
    'registry.example/docker-hub/library/busybox'
    """
    host, _, rest = image.partition("/")
    # As Docker reads a name: what has no dot, no colon and is not localhost is no host, and so belongs to Docker Hub.
    if not rest or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", image
    if host == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    if host not in prefixes:
        known = ", ".join(prefixes) or "none yet"
        raise ConfigError("image", image, f"must be of a mirrored registry ({known}), or copied to an own repository")
    return f"{registry}/{prefixes[host]}/{rest}"


def _check_mirror(field: str, mirror: ImageMirror, regime: Regime) -> Mirrored:
    if mirror["upstream"] not in set(Upstream):
        raise ConfigError(f"{field}.upstream", mirror["upstream"], f"must be one of {', '.join(Upstream)}")
    upstream = Upstream(mirror["upstream"])
    host = _host(f"{field}.host", mirror, upstream)
    prefix = mirror.get("prefix", upstream.value)
    if not _PREFIX.fullmatch(prefix) or not 2 <= len(prefix) <= 30:
        remedy = "must be 2 to 30 lower-case letters, digits and single separators"
        raise ConfigError(f"{field}.prefix", prefix, remedy)
    credential = _credential(f"{field}.credential_arn", mirror, upstream, regime)
    return Mirrored(host, _URLS.get(host, host), prefix, credential)


def _host(field: str, mirror: ImageMirror, upstream: Upstream) -> str:
    host = mirror.get("host")
    if upstream is Upstream.AZURE:
        if host is None or not _AZURE.fullmatch(host):
            raise ConfigError(field, host, "must be the host of an Azure registry, such as team.azurecr.io")
        return host
    if host is not None:
        raise ConfigError(field, host, f"must be left out for {upstream.value}, whose host is {_HOSTS[upstream]}")
    return _HOSTS[upstream]


def _credential(field: str, mirror: ImageMirror, upstream: Upstream, regime: Regime) -> pulumi.Output[str] | None:
    """Return the secret's ARN, refusing one that is elsewhere or has a name that ECR may not read."""
    given: Any = mirror.get("credential_arn")
    if upstream in _OPEN:
        if given is not None:
            raise ConfigError(field, given, f"must be left out for {upstream.value}, which takes no credentials")
        return None
    if given is None:
        raise ConfigError(field, given, f"must be the ARN of a secret, since {upstream.value} asks for credentials")
    start = _SECRET.format(**{"home_region": regime["home_region"], "account_id": regime["account_id"]})

    def checked(arn: str) -> str:
        if not arn.startswith(start):
            raise ConfigError(field, arn, f"must be the ARN of a secret of the account and home region: {start}...")
        return arn

    return pulumi.Output.from_input(checked(given) if isinstance(given, str) else given).apply(checked)
