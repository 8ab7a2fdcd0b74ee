"""Names in the place of what is drawn at random, so that two deployments of one stack can be compared.

A physical identifier becomes the name of the Pulumi resource that it belongs to, wherever it stands: alone, in an ARN,
in a policy. What belongs to no resource, as the network interfaces of an endpoint, is named by its kind and its parent.
"""

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from recorded import is_recorded

VOLATILE = frozenset(
    {
        "ResponseMetadata",
        "LastUsedDate",
        "LatestDeliveryAttemptTime",
        "RoleLastUsed",
        "ETag",
        "createDate",
        "createTime",
        "createdAt",
        "creationDate",
        "creationTime",
        "CreateTime",
        "CreatedTime",
        "RequestId",
        "associatedAt",
        "modifiedAt",
        "storedBytes",
        "certificateAuthority",
        # moto draws the addresses of network interfaces, not from their subnets, and the elastic ones.
        "MacAddress",
        "PublicDnsName",
        "PrivateDnsName",
        "PrivateIpAddress",
        "PrivateIp",
        "privateIp",
        "PublicIp",
        "publicIp",
        "publicDns",
        "ipv4",
        # An elastic address tells what it is associated with only once it was read again.
        "AssociationId",
        "associationId",
        "networkInterface",
        # moto draws the hosted zones of endpoints, too short to be told from a word.
        "HostedZoneId",
        "hostedZoneId",
    }
)
"""Properties that tell of the moment, the request or the lab and not of the thing."""
BRIDGE = frozenset({"__meta", "__defaults", "__pulumi_raw_state_delta"})
"""What providers keep for themselves in Pulumi's state."""
_SECRET = "4dabf18193072939515e22adb298388d"  # how Pulumi marks a secret in its state
_RANDOM = re.compile(r"[0-9a-f]{7,}|\bA(?:(?:ROA|IDA|KIA|NPA)[0-9A-Z]{12,}|[0-9A-Z]{20})\b|-(?=[a-z]*\d)[0-9a-z]{17}\b")
# moto's one account, and its canonical user: the same in every lab.
_FIXED = re.compile("123456789012|75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a")
_LEFT = (
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b([a-z]+)-(?!123456789012\b)(?=[a-z]*\d)(?:[0-9a-f]{8}|[0-9a-z]{17})\b"), r"<\1>"),
    (re.compile(r"\b(AROA|AIDA|AKIA|ANPA)[0-9A-Z]{12,}\b"), r"<\1>"),
    (re.compile(r"\b127\.0\.0\.1:\d+\b"), "<lab>"),
    # moto's clusters: their endpoint and their issuer.
    (re.compile(r"https://\w+\.\w+(\.[a-z0-9-]+\.eks\.amazonaws\.com)"), r"https://<cluster>\1"),
    (re.compile(r"(oidc\.eks\.[a-z0-9-]+\.amazonaws\.com/id/)\w+"), r"\1<cluster>"),
)


def random(text: str) -> bool:
    """Tell whether a text holds something that may have been drawn at random."""
    return bool(_RANDOM.search(_FIXED.sub("", text)))


class Names:
    """What stands for what, on one side."""

    def __init__(self, resources: Iterable[Mapping[str, Any]] = ()) -> None:
        self._labels: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        owned = [resource for resource in resources if resource["type"].startswith("aws:")]
        # In a state, what others depend on comes first: a bucket before its settings, which have the same identifier.
        for resource in owned:
            self.add(resource["id"], _label(resource, resource["id"]))
        # What several tell alike is named after the same one, whatever order the last run left; after one that is
        # recorded only where no other tells it, for its outputs are made up.
        owned.sort(key=lambda resource: (is_recorded(resource["type"]), resource["urn"]))
        for resource in owned:
            name = plain(resource.get("outputs", {}).get("name"))
            if isinstance(name, str):
                self.add(name, _label(resource, name))
        for resource in owned:
            for path, value in texts(plain(resource.get("outputs", {}))):
                if not value.startswith(("{", "[")) and random(self._named(value)):
                    self.add(value, f"<{_name(resource)}.{path}>")

    def add(self, value: str, label: str) -> None:
        """Let a label stand for a value, unless the value is a plain name or has one already."""
        if value not in self._labels and random(value):
            self._labels[value] = label
            self._pattern = None

    def text(self, value: str) -> str:
        """Return a text with every known identifier named and every other one masked by its kind."""
        value = self._named(value)
        for pattern, mask in _LEFT:
            value = pattern.sub(mask, value)
        return value

    def _named(self, value: str) -> str:
        if self._labels and self._pattern is None:
            longest_first = sorted(self._labels, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return self._pattern.sub(lambda found: self._labels[found[0]], value) if self._pattern else value

    def value(self, value: Any) -> Any:
        """Return a value in comparable form: named, without what is volatile, documents as documents, sets in order."""
        value = plain(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): self.value(inner)
                for key, inner in value.items()
                if key not in VOLATILE and key not in BRIDGE and not isinstance(inner, datetime.datetime)
            }
        if isinstance(value, (list, tuple)):
            return sorted((self.value(inner) for inner in value), key=canonical)
        if isinstance(value, str):
            document = parsed(value)
            return self.text(value) if document is None else self.value(document)
        if isinstance(value, datetime.datetime):
            return "<time>"
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value


def plain(value: Any) -> Any:
    """Return what a secret of a state that was exported with its secrets holds, or the value itself."""
    if isinstance(value, Mapping) and _SECRET in value and "plaintext" in value:
        return json.loads(value["plaintext"])
    return value


def parsed(text: str) -> Any:
    """Return the document in a text, None when it holds none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def canonical(value: Any) -> str:
    """Return a text by which values of any kind can be put in order."""
    return json.dumps(value, sort_keys=True, default=str)


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text inside a value with its path, in the order of the paths' names."""
    value = plain(value)
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            if key not in VOLATILE and key not in BRIDGE:
                yield from texts(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, f"{path}[]")


def _name(resource: Mapping[str, Any]) -> str:
    return resource["urn"].rpartition("::")[2]


def _label(resource: Mapping[str, Any], value: str) -> str:
    """Name a resource; where its value is a generated name, keep the form of that: how it begins, how much follows."""
    name = _name(resource)
    rest = value.removeprefix(f"{name}-")
    return f"<{name}>" if rest == value else f"<{name}>-{len(rest) * '#'}"
