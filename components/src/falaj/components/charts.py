"""The pinned Helm charts and their images, as ``charts.toml`` has them, and where they lie in the home region."""

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from falaj.components.errors import ConfigError

_FILE = "charts.toml"
_VERSION = re.compile(r"v?\d+(\.\d+)+([-+][0-9A-Za-z.-]+)?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Image:
    """An image of a chart."""

    name: str
    upstream: str
    """Where it comes from, without a tag."""
    version: str | None


@dataclass(frozen=True)
class Chart:
    """A chart with its images."""

    name: str
    upstream: str
    """The repository that it comes from."""
    version: str | None
    source: str
    images: tuple[Image, ...]

    @property
    def place(self) -> str:
        """Its repository in the home region; versions are named by it, since an image may have the chart's name."""
        return f"charts/{self.name}"

    @property
    def parts(self) -> dict[str, str | None]:
        """The pinned versions of its images and its own, by name and by place."""
        return {**{image.name: image.version for image in self.images}, self.place: self.version}


@dataclass(frozen=True)
class Copy:
    """What to copy for an installation without a way out, and where to."""

    kind: str
    """``chart`` or ``image``."""
    upstream: str
    target: str


@functools.cache
def charts() -> Mapping[str, Chart]:
    """Return the charts by name."""
    values = tomllib.loads(resources.files("falaj.components").joinpath(_FILE).read_text())
    return {name: _chart(name, table) for name, table in values.items() if name != "checked"}


def chart_versions(field: str, names: list[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the version of each of these charts and of their images, as given or else as pinned.

    Raises ``ConfigError`` for one that is neither, and for a name that is none of theirs.
    """
    pinned = {part: version for name in names for part, version in charts()[name].parts.items()}
    for name, version in given.items():
        if name not in pinned:
            remedy = f"must be left out; versions may be named for {_list(pinned)}"
            raise ConfigError(f"{field}.{name}", version, remedy)
        if not _VERSION.fullmatch(version):
            raise ConfigError(f"{field}.{name}", version, "must be one version, such as 0.17.1 or v0.19.3")
    chosen = {name: given.get(name, version) for name, version in pinned.items()}
    for name, version in chosen.items():
        if version is None:
            raise ConfigError(f"{field}.{name}", None, f"must be named: {_FILE} pins no version that a source fits")
    return {name: version for name, version in chosen.items() if version is not None}


def release(version: str) -> tuple[int, ...]:
    """Return a version's numbers, to be compared; what marks a version before a release is left out."""
    return tuple(int(number) for number in re.split(r"[-+]", version.removeprefix("v"))[0].split("."))


def check_digests(field: str, names: list[str], digests: Mapping[str, str]) -> dict[str, str]:
    """Return the digests by the name of the image, refusing what is none and an image that no chart has."""
    images = {image.name for name in names for image in charts()[name].images}
    for name, digest in digests.items():
        if name not in images:
            raise ConfigError(f"{field}.{name}", digest, f"must be left out; there are the images {_list(images)}")
        if not _DIGEST.fullmatch(digest):
            raise ConfigError(f"{field}.{name}", digest, "must be sha256: and 64 hexadecimal digits")
    return dict(digests)


def repository(registry: str, prefixes: Mapping[str, str], upstream: str) -> str:
    """Return where an image lies in the home region: in its registry's mirror, or in a repository of its own name."""
    host, _, path = upstream.partition("/")
    return "/".join([registry, *([prefixes[host]] if host in prefixes else []), path])


def mirror_list(registry: str, prefixes: Mapping[str, str], versions: Mapping[str, str]) -> Iterator[Copy]:
    """Yield every chart and image with a version, and where it lies; what a mirror brings in by itself is left out."""
    seen: set[str] = set()
    for chart in charts().values():
        version = versions.get(chart.place, chart.version)
        if version is None:
            continue
        yield Copy("chart", f"{chart.upstream}/{chart.name}:{version}", f"oci://{registry}/{chart.place}:{version}")
        for image in chart.images:
            tag = versions.get(image.name, image.version)
            reference = f"{image.upstream}:{tag}"
            if tag is None or image.upstream.partition("/")[0] in prefixes or reference in seen:
                continue
            seen.add(reference)
            yield Copy("image", reference, f"{repository(registry, prefixes, image.upstream)}:{tag}")


def _chart(name: str, table: Mapping[str, object]) -> Chart:
    images = table["images"]
    assert isinstance(images, dict)
    return Chart(
        name=name,
        upstream=str(table["upstream"]),
        version=_text(table.get("version")),
        source=str(table["source"]),
        images=tuple(Image(each, values["upstream"], values.get("version")) for each, values in images.items()),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _list(names: Mapping[str, object] | set[str]) -> str:
    return ", ".join(sorted(names))
