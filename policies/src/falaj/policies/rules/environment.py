"""What programs are told to talk to: addresses and regions in their environment and arguments are at home."""

import re
from collections.abc import Iterator

from falaj.policies.documents import parse
from falaj.policies.model import Context, Resource, Rule, Severity
from falaj.policies.pods import POD_TYPES, containers, pod_specs
from falaj.policies.residency.crossings import REGION, URL, Crossing, Way, crossing, residency_rule
from falaj.policies.values import UNKNOWN, View

# Names under which exporters, clients and agents take an address.
_ADDRESS = re.compile(
    r"endpoint|(^|_)ur[il]$|(^|_)dsn$|(^|_)site$|_host$|_addr(ess)?$|webhook|_server$|tracking", re.IGNORECASE
)
_REGION_NAMES = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_S3_REGION", "S3_REGION")
_URL = re.compile(
    r"\b(?:https?|grpcs?|wss?|tcp|udp|otlp|amqps?|kafka|postgres(?:ql)?|mysql|redis|mongodb(?:\+srv)?)://[^\s\"',]+"
)
_FUNCTIONS = (
    "aws:lambda/function:Function",
    "aws:ecs/taskDefinition:TaskDefinition",
    "aws:codebuild/project:Project",
    "aws:apprunner/service:Service",
)


@residency_rule(
    "FJ-RES-065",
    "Pods talk to addresses of the home region",
    Severity.HIGH,
    ("RES-7", "RES-5", "A.8.12", "ZT-7"),
    POD_TYPES,
    "Export telemetry to a collector in the cluster or the home region; name hosts that are at home in homeDomains.",
    kind="telemetry",
)
def pod_addresses(resource: Resource, context: Context) -> Iterator[Crossing]:
    """What a program is told to talk to stands in its environment and its arguments."""
    for container in (container for pod in pod_specs(resource) for container in containers(pod)):
        for variable in container["env"].each():
            name = variable["name"].value
            yield from _named(resource, name if isinstance(name, str) else "", variable["value"], context)
        for argument in (*container["args"].each(), *container["command"].each()):
            yield from _mentioned(resource, argument, context)


@residency_rule(
    "FJ-RES-066",
    "Functions and tasks talk to addresses of the home region",
    Severity.HIGH,
    ("RES-7", "RES-5", "A.8.12", "ZT-7"),
    _FUNCTIONS,
    "Name addresses of the home region; name hosts that are at home in homeDomains.",
    kind="telemetry",
)
def function_addresses(resource: Resource, context: Context) -> Iterator[Crossing]:
    """The same of what AWS runs."""
    kind = resource.type.rpartition(":")[2]
    if kind == "Function":
        for name, value in resource["environment"]["variables"].entries():
            yield from _named(resource, name or "URL", View(value.value, "environment.variables"), context)
    elif kind == "TaskDefinition":
        for container in parse(resource["containerDefinitions"]).each():
            yield from _pairs(resource, container["environment"], context)
    elif kind == "Project":
        yield from _pairs(resource, resource["environment"]["environmentVariables"], context)
    else:
        image = resource["sourceConfiguration"]["imageRepository"]["imageConfiguration"]
        for name, value in image["runtimeEnvironmentVariables"].entries():
            yield from _named(resource, name or "URL", View(value.value, "sourceConfiguration"), context)


def _pairs(resource: Resource, pairs: View, context: Context) -> Iterator[Crossing]:
    for pair in pairs.each():
        name = pair["name"].value
        yield from _named(resource, name if isinstance(name, str) else "URL", pair["value"], context)


def _named(resource: Resource, name: str, value: View, context: Context) -> Iterator[Crossing]:
    """Yield where a variable leads: by its name, or because its value is a URL whatever its name is."""
    if name in _REGION_NAMES and value.value is not None:
        yield crossing(resource, value, Way("", REGION), context, "is a region that is not home")
    elif value.value is UNKNOWN:
        if _ADDRESS.search(name):
            yield crossing(resource, value, Way("", URL), context, "is an address outside the home region")
    elif _ADDRESS.search(name) and "://" not in str(value.value) and _is_host(str(value.value)):
        yield crossing(resource, value, Way("", URL), context, "is an address outside the home region")
    else:
        yield from _mentioned(resource, value, context)


def _mentioned(resource: Resource, value: View, context: Context) -> Iterator[Crossing]:
    """Yield where each URL within a text leads; other text leads nowhere."""
    for found in _URL.findall(value.value) if isinstance(value.value, str) else ():
        yield crossing(resource, value.replaced(found), Way("", URL), context, "is an address outside the home region")


def _is_host(text: str) -> bool:
    """Return whether a text without a scheme is a host, with or without a port, and no path of a file."""
    return bool(re.fullmatch(r"[A-Za-z0-9.-]*\.[A-Za-z0-9-]+(:\d+)?", text))


RULES: tuple[Rule, ...] = (pod_addresses, function_addresses)
