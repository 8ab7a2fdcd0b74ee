"""A stack as checkov reads it: AWS resources as a Terraform plan, Kubernetes resources as manifests."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from falaj.policies.checkov.naming import Path_, terraform_name, translate
from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

_SUPPRESSIONS = ("checkov.io/", "bridgecrew.io/", "cortex.io/")
"""Annotations with which a manifest silences checkov; a second opinion is not to be silenced by what it judges."""
_MADE_HERE = ("", "helm.sh", "yaml", "kustomize")
"""Groups of types that are Pulumi's own: what they consist of is in the stack beside them."""
_PER_PROVIDER = ("aws:", "kubernetes:")


@dataclass(frozen=True, slots=True)
class Handed:
    """One resource as it was handed over."""

    resource: Resource
    type: str
    """Its Terraform type, or the manifest's kind."""
    unknown: tuple[Path_, ...]
    """Where its values are not known, by the names that checkov sees."""
    linked: frozenset[str] = frozenset()
    """Properties of which it is known from which resources they come."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What checkov is asked to judge, and what its answers are about."""

    request: Mapping[str, Any]
    """As worker.py takes it; it may hold secrets, and goes from memory to memory only."""
    plan: Mapping[str, Handed]
    """The resources of the plan, by address."""
    manifests: Mapping[str, Handed]
    """The manifests, by the name of their file."""
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    """AWS and Kubernetes types of which no translation is known, with how many resources there are of each."""


def hand_over(resources: Iterable[Resource]) -> Handover:
    """Translate a stack; resources of other providers, components and Pulumi's own are nothing for checkov."""
    plan: dict[str, Handed] = {}
    manifests: dict[str, Handed] = {}
    values: dict[str, dict[str, Any]] = {}
    bodies: dict[str, dict[str, Any]] = {}
    left_out: Counter[str] = Counter()
    for number, resource in enumerate(resources):
        if resource.type.startswith("kubernetes:") and (body := manifest(resource)):
            name = f"r{number}.json"
            unknown: list[Path_] = []
            bodies[name] = _known(body, (), unknown)
            manifests[name] = Handed(resource, str(body["kind"]), tuple(unknown))
        elif translated := translate(resource.type, resource.properties.value or {}):
            address = f"{translated.type}.r{number}"
            values[address] = translated.values
            linked = frozenset(terraform_name(resource.type, name) for name, urns in resource.links.items() if urns)
            plan[address] = Handed(resource, translated.type, tuple(translated.unknown), linked)
        elif resource.type.startswith(_PER_PROVIDER):
            left_out[resource.type] += 1
    request = {**({"plan": _plan(plan, values)} if plan else {}), **({"manifests": bodies} if bodies else {})}
    return Handover(request, plan, manifests, dict(sorted(left_out.items())))


def _plan(plan: Mapping[str, Handed], values: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a plan in Terraform's format; without its version checkov takes it for no plan at all."""
    addresses = {handed.resource.urn: address for address, handed in plan.items()}
    planned: list[dict[str, Any]] = []
    configured: list[dict[str, Any]] = []
    for address, handed in plan.items():
        common = {"address": address, "mode": "managed", "type": handed.type, "name": address.rpartition(".")[2]}
        planned.append({**common, "values": values[address]})
        expressions = _references(handed.resource, addresses)
        configured.append({**common, "expressions": expressions})
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": planned}},
        "configuration": {"root_module": {"resources": configured}},
    }


def _references(resource: Resource, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Return, for each property that comes from other resources, which: checkov joins resources by these."""
    found: dict[str, Any] = {}
    for name, urns in resource.links.items():
        references = [f"{addresses[urn]}.{part}" for urn in sorted(urns) if urn in addresses for part in ("id", "arn")]
        if references:
            found[terraform_name(resource.type, name)] = {"references": references}
    return found


def manifest(resource: Resource) -> dict[str, Any] | None:
    """Return a Kubernetes resource as a manifest; None for what is none, such as a chart."""
    _, _, rest = resource.type.partition(":")
    version, _, kind = rest.partition(":")
    group, _, number = version.rpartition("/")
    body = resource.properties.value
    if not isinstance(body, Mapping) or not number.startswith("v") or group in _MADE_HERE:
        return None
    group = "" if group == "core" else group
    known = {key: value for key, value in body.items() if key not in ("status", "id") and value is not None}
    metadata = known.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, Mapping) else {}
    metadata.setdefault("name", resource.name)
    if isinstance(annotations := metadata.get("annotations"), Mapping):
        metadata["annotations"] = {
            key: value for key, value in annotations.items() if not key.startswith(_SUPPRESSIONS)
        }
    head = {"apiVersion": f"{group}/{number}" if group else number, "kind": kind}
    return {**known, **head, "metadata": metadata}


def _known(value: Any, at: Path_, unknown: list[Path_]) -> Any:
    """Return a value without what is not known, and note where that was."""
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, each in value.items():
            if each is UNKNOWN:
                unknown.append((*at, key))
            elif each is not None:
                found[key] = _known(each, (*at, key), unknown)
        return found
    if isinstance(value, list):
        if any(each is UNKNOWN for each in value):
            unknown.append(at)
        return [_known(each, at, unknown) for each in value if each is not UNKNOWN]
    return value


__all__ = ["Handed", "Handover", "hand_over", "manifest"]
