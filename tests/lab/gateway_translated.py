"""Configurations of Envoy that the tests of the lab's gateway make and take apart."""

from collections import defaultdict
from pathlib import Path

from gateway_cases import HOST, Made, platform

from falaj.lab.serving.gateway_objects import Objects
from falaj.lab.serving.gateway_translation import Configuration, configuration, wanted_ports

LISTENER = "gateways/serving/https"
STABLE, CANARY = "vision/iris:8000", "vision/iris-canary:8000"


def objects(*made: Made) -> Objects:
    by_kind: dict[str, list[Made]] = defaultdict(list)
    for each in made:
        by_kind[each["kind"]].append(each)
    return Objects(by_kind)


def translate(*made: Made, folder: Path = Path("/envoy")) -> Configuration:
    known = objects(*made)
    return configuration(known, {name: 20000 + port for name, port in wanted_ports(known).items()}, folder)


def entries(made: Configuration, host: str = HOST) -> list[Made]:
    """Return a host's routes, without the last, which answers 404."""
    (found,) = (each for each in made.routes[LISTENER]["virtual_hosts"] if each["domains"] == [host])
    *routes, last = found["routes"]
    assert last["direct_response"] == {"status": 404}
    return routes


def addresses(made: Configuration, cluster: str = STABLE) -> list[tuple[str, int]]:
    (group,) = made.endpoints[cluster]["endpoints"]
    places = [each["endpoint"]["address"]["socket_address"] for each in group["lb_endpoints"]]
    return [(place["address"], place["port_value"]) for place in places]


def conditions(made: Configuration, kind: str, listener: str | None = None) -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition of the one object of a kind, or of a Gateway's listener."""
    (state,) = (each for each in made.states if each.manifest["kind"] == kind)
    wanted: Made = dict(state.wanted)
    if "parents" in wanted:
        (wanted,) = wanted["parents"]
    if listener:
        (wanted,) = (each for each in wanted["listeners"] if each["name"] == listener)
    return {each["type"]: (each["status"], each["reason"]) for each in wanted["conditions"]}


def shares(entry: Made) -> dict[str, int]:
    return {each["name"]: each["weight"] for each in entry["route"]["weighted_clusters"]["clusters"]}


def http_filters(made: Configuration) -> dict[str, Made]:
    ((name, listener),) = made.listeners.items()
    assert name == "gateways/serving:443"
    (chain,) = listener["filter_chains"]
    return {each["name"]: each["typed_config"] for each in chain["filters"][-1]["typed_config"]["http_filters"]}


def only(route: Made, *more: Made) -> Made:
    """Return the one entry that a route becomes."""
    (entry,) = entries(translate(*platform(), *more, route))
    return entry
