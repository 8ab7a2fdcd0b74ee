"""Where things are: the region that an ARN, a host, a zone or the name of an endpoint stands for.

A *place* is a region (``me-central-1``), ``global`` for what AWS keeps in no one region, ``here`` for what does not
leave the machine, the cluster or the private network, or else the name of a host. A reader that cannot tell raises
``ValueError``, which a fact takes for undecided.
"""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from urllib.parse import urlsplit

GLOBAL = "global"
"""Place of a service of AWS that is in no one region, or at the edge of its network."""
HERE = "here"
"""Place of what stays in the machine, the cluster or the private network."""

_COUNTRIES = tomllib.loads(resources.files("falaj.policies.residency").joinpath("regions.toml").read_text())[
    "countries"
]
REGIONS: Mapping[str, str] = {region: country for country, regions in _COUNTRIES.items() for region in regions}
"""The country of each region of AWS."""

_SHAPE = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-\d")
_ZONE = re.compile(r"([a-z]{2,4}(?:-[a-z]+){1,2}-\d)[a-z]?")
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".on.aws", ".api.aws", ".awsapprunner.com")
_PRIVATE_HOSTS = (".svc", ".local", ".internal", ".localhost")
# Services whose ARNs name no region because their resources are in none.
_NO_REGION = frozenset({"cloudfront", "globalaccelerator", "route53", "iam", "organizations", "waf", "shield"})
_DIRECTIONS = {
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "central": "c",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
    "gov": "g",
}


def country(place: str) -> str:
    """Return the country of a place, or nothing where it is not known."""
    return REGIONS.get(place, "")


def region(text: str) -> str:
    """Return the region that a property names outright."""
    if not text.strip():
        raise ValueError("no region")
    return text.strip().lower()


def arn(text: str) -> str:
    """Return where the resource of an ARN is; a bucket's ARN does not say."""
    parts = text.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        raise ValueError("not an ARN")
    if parts[3]:
        return parts[3].lower()
    if parts[2] in _NO_REGION or parts[5].endswith(".mrap"):
        return GLOBAL
    raise ValueError("an ARN without a region")


def zone(text: str) -> str:
    """Return the region of an availability zone; a local zone is a place of its own, in a city of its own."""
    name = text.strip().lower()
    if match := _ZONE.fullmatch(name):
        return match[1]
    prefix, _, rest = name.partition("-")
    if re.fullmatch(r"az\d", rest) and prefix in _ZONE_PREFIXES:
        return _ZONE_PREFIXES[prefix]
    if not name:
        raise ValueError("no zone")
    return name


def endpoint_service(text: str) -> str:
    """Return the region in the name of an endpoint service, such as ``com.amazonaws.me-central-1.s3``."""
    labels = text.strip().lower().split(".")
    if "s3-global" in labels:
        return GLOBAL
    return _labelled(labels) or _unreadable("no region in the name")


def image(text: str) -> str:
    """Return where the registry of an image is; an image without a registry comes from Docker Hub."""
    first, slash, _ = text.strip().partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return host(first if named else "docker.io")


def url(text: str) -> str:
    """Return where the host of a URL is; a bare host with or without a port counts as one."""
    text = text.strip().removeprefix("jdbc:")
    if "$" in text or not text:
        raise ValueError("the host is put in later")
    scheme, _, _ = text.partition("://")
    if scheme in ("s3", "s3a", "s3n"):
        raise ValueError("a bucket")
    parts = urlsplit(text if "://" in text else f"//{text}")
    if text.startswith(("unix:", "file:", "/")):
        return HERE
    return host(parts.hostname or _unreadable("no host"))


def host(text: str) -> str:
    """Return where a host is: its region if it is AWS's, ``here`` if it is private, else its name."""
    name = text.strip().strip("[]").rstrip(".").lower()
    if not name or any(mark in name for mark in "$*{} "):
        raise ValueError("no host")
    address = _address(name) or _address(name.rpartition(":")[0])
    if address is not None:
        return HERE if address.is_private or address.is_loopback or address.is_link_local else str(address)
    name = name.partition(":")[0]
    if name.endswith(_AWS_HOSTS):
        return _labelled(name.split(".")) or GLOBAL
    return HERE if "." not in name or name.endswith(_PRIVATE_HOSTS) else name


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _labelled(labels: list[str]) -> str:
    """Return the region among the labels of a name, from its end; old names of S3 hold it as ``s3-eu-west-1``."""
    for label in reversed(labels):
        found = label.removeprefix("s3-")
        if found in REGIONS or _SHAPE.fullmatch(found):
            return found
    return ""


def _unreadable(why: str) -> str:
    raise ValueError(why)


def _zone_prefix(name: str) -> str:
    """Return the beginning of the ids of a region's zones: ``mec1`` for me-central-1."""
    area, *middle, number = name.split("-")
    return area + "".join(_DIRECTIONS.get(each, each) for each in middle) + number


_ZONE_PREFIXES = {_zone_prefix(each): each for each in REGIONS}
