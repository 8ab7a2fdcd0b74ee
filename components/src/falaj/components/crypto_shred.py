"""What becomes unreadable with a key, read from what Pulumi keeps of a stack: the pure part of crypto-shredding.

Data is destroyed by destroying the one key that it was encrypted with. That is an act and no state to keep up, so that
it is a command (``stacks/shred.py``) and not a component, which would destroy at the wrong moment, or again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from falaj.components.classification import Classification
from falaj.components.errors import ConfigError

State = Mapping[str, Any]
"""A resource as ``pulumi stack export`` shows it."""
_KMS_KEYS = ("aws:kms/key:Key", "aws:kms/externalKey:ExternalKey")
_ALIAS = "aws:kms/alias:Alias"
_TRANSIT_KEY = "vault:transit/secretBackendKey:SecretBackendKey"
_VAULT = "aws:backup/vault:Vault"
_GRANT = "aws:iam/rolePolicy:RolePolicy"
_OWN = ("{0}", "tenant-{0}", "bucket-{0}", "files-{0}", "sealing-{0}")
"""Purposes of the KMS keys that are a tenant's own, as the platform names them: a store's ``bucket-<purpose>``, that of
a tenant's published models ``sealing-<tenant>``."""


class KeyKind(StrEnum):
    """Who keeps a key."""

    KMS = "kms"
    """AWS KMS, which deletes a key after a waiting period, until which it can be brought back."""
    TRANSIT = "transit"
    """Vault, which deletes a key at once and for ever."""


@dataclass(frozen=True)
class ShreddableKey:
    """A key of a stack."""

    kind: KeyKind
    purpose: str
    """What it is for; of a tenant's key in Vault, the key's name."""
    identifier: str
    """ARN, or in Vault ``<mount>/<name>``."""
    classification: str
    names: frozenset[str] = frozenset()
    """Every way to name it in a property: ARN, id, alias, ARN of the alias."""
    window_days: int = 30
    """Days that the stack asks KMS to wait before it deletes the key."""


@dataclass(frozen=True)
class Data:
    """Data that one key decides upon."""

    what: str
    place: str
    classification: str
    key: str
    """Purpose of the key."""
    note: str = ""
    """What else happens when the key goes."""


@dataclass(frozen=True)
class _Store:
    """How a type of resource is told."""

    what: str
    place: str = "name"
    note: str = ""


_STORES = {
    "aws:s3/bucket:Bucket": _Store("objects of a bucket", "bucket"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _Store(
        "objects of a bucket", "bucket"
    ),
    "aws:cloudwatch/logGroup:LogGroup": _Store("log events", note="its service cannot write there any more"),
    "aws:eks/cluster:Cluster": _Store("Kubernetes secrets", note="the cluster stops working and cannot be repaired"),
    "aws:ec2/launchTemplate:LaunchTemplate": _Store(
        "disks of nodes", note="an attached disk stays readable until its node stops; no new node starts"
    ),
    "aws:ebs/volume:Volume": _Store("a disk", "id", note="attached, it stays readable until it is detached"),
    "aws:efs/fileSystem:FileSystem": _Store("files", "id"),
    "aws:fsx/lustreFileSystem:LustreFileSystem": _Store("files", "id"),
    "aws:ecr/repository:Repository": _Store("images", note="nodes that have pulled an image keep it"),
    _VAULT: _Store("recovery points"),
    "aws:cloudtrail/trail:Trail": _Store("log files of a trail", note="the trail cannot deliver any more"),
    "aws:sns/topic:Topic": _Store("messages of a topic"),
    "aws:sqs/queue:Queue": _Store("messages of a queue"),
    "aws:secretsmanager/secret:Secret": _Store("a secret"),
    "aws:ssm/parameter:Parameter": _Store("a parameter"),
    "aws:networkfirewall/firewall:Firewall": _Store("a firewall's configuration"),
    "aws:networkfirewall/firewallPolicy:FirewallPolicy": _Store("a firewall policy"),
    "aws:networkfirewall/ruleGroup:RuleGroup": _Store("a firewall's rule group"),
}


def kms_keys(resources: Sequence[State]) -> list[ShreddableKey]:
    """Return the KMS keys of a stack, with all their names."""
    aliases = [resource for resource in resources if resource["type"] == _ALIAS]
    keys: list[ShreddableKey] = []
    for resource in resources:
        if resource["type"] not in _KMS_KEYS or resource.get("delete"):
            continue
        tags, outputs = _tags(resource), resource.get("outputs", {})
        identifier = str(resource.get("id", ""))
        own = [alias["outputs"] for alias in aliases if alias.get("outputs", {}).get("targetKeyId") == identifier]
        named = [alias.get(name) for alias in own for name in ("name", "arn")]
        keys.append(
            ShreddableKey(
                KeyKind.KMS,
                tags.get("purpose", _name(resource)),
                str(outputs.get("arn", identifier)),
                tags.get("classification", ""),
                frozenset(str(name) for name in (identifier, outputs.get("arn"), *named) if name),
                int(resource.get("inputs", {}).get("deletionWindowInDays") or 30),
            )
        )
    return keys


def keys_of_purpose(resources: Sequence[State], purpose: str) -> list[ShreddableKey]:
    """Return the one KMS key of this purpose, refusing a purpose that names none or several."""
    keys = kms_keys(resources)
    found = [key for key in keys if key.purpose == purpose]
    if len(found) != 1:
        known = ", ".join(sorted(key.purpose for key in keys)) or "none"
        raise ConfigError("--key", purpose, f"must be the purpose of one key of the stack, which has {known}")
    return found


def keys_of_tenant(resources: Sequence[State], tenant: str) -> list[ShreddableKey]:
    """Return the keys of a tenant: KMS keys named after it that no other tenant uses, and its transit keys in Vault."""
    components = _tenants(resources)
    if tenant not in components.values():
        known = ", ".join(sorted(components.values())) or "none"
        raise ConfigError("--tenant", tenant, f"must be a tenant of the stack, which has {known}")
    named = {each.format(tenant) for each in _OWN}
    own = [
        key for key in kms_keys(resources) if key.purpose in named and not set(tenants_under(resources, key)) - {tenant}
    ]
    for resource in resources:
        if resource["type"] == _TRANSIT_KEY and components.get(resource.get("parent", "")) == tenant:
            inputs = resource["inputs"]
            name = str(inputs["name"])
            # A tenant has a key for each classification, which the key's name ends in.
            level = name.rpartition(".")[2]
            if level not in set(Classification):
                level = _labels(resources, resource["parent"]).get("classification", "")
            own.append(ShreddableKey(KeyKind.TRANSIT, name, f"{inputs['backend']}/{name}", level))
    if not own:
        raise ConfigError("--tenant", tenant, "must have a key of its own; this tenant's data is under shared keys")
    return own


def tenants_under(resources: Sequence[State], key: ShreddableKey) -> list[str]:
    """Return the tenants whose roles may use a KMS key: each has a folder under it that goes with it."""
    components = _tenants(resources)
    return sorted({components[each["parent"]] for each in _grants(resources) if key.identifier in _granted(each)})


def shared_with(resources: Sequence[State], tenant: str, own: Sequence[ShreddableKey]) -> list[ShreddableKey]:
    """Return the KMS keys that a tenant uses and that are not its own: what it keeps under them stays readable."""
    mine = {key.identifier for key in own}
    others = [key for key in kms_keys(resources) if key.identifier not in mine]
    return [key for key in others if tenant in tenants_under(resources, key)]


_LINK = "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation"


def data_under(resources: Sequence[State], key: ShreddableKey) -> list[Data]:
    """Return all data of the stack that nobody can read without the key."""
    if key.kind is KeyKind.TRANSIT:
        what = "all that Vault encrypted with the key, wherever it lies"
        return [Data(what, key.identifier, key.classification, key.purpose)]
    buckets = {
        resource.get("id"): _tags(resource) for resource in resources if resource["type"] == "aws:s3/bucket:Bucket"
    }
    found: dict[tuple[str, str], Data] = {}
    for tenant in _sealed_for(resources, key):
        what, note = "published models", "a pod that has opened one serves on until it ends"
        found[what, tenant] = Data(what, tenant, key.classification, key.purpose, note)
    for resource in resources:
        if resource["type"].startswith(("aws:kms/", "falaj:", "pulumi:")):
            continue
        if not key.names & set(_texts(resource.get("inputs", {}))):
            continue
        store = _STORES.get(resource["type"], _Store(f"what {resource['type']} keeps"))
        held = {**resource.get("inputs", {}), **resource.get("outputs", {}), "id": resource.get("id")}
        place = str(held.get(store.place) or _name(resource))
        tags = _tags(resource) or buckets.get(place, {})
        data = Data(store.what, place, tags.get("classification", key.classification), key.purpose, store.note)
        found.setdefault((store.what, place), data)
    return sorted(found.values(), key=lambda data: (data.what, data.place))


def data_that_stays(resources: Sequence[State], doomed: Sequence[ShreddableKey]) -> list[Data]:
    """Return the data of the stack that is under other keys, and so stays readable."""
    gone = {key.identifier for key in doomed}
    others = [key for key in kms_keys(resources) if key.identifier not in gone]
    return [data for key in others for data in data_under(resources, key)]


def copies_that_stay(resources: Sequence[State], doomed: Sequence[ShreddableKey]) -> list[str]:
    """Return what may hold copies under a key of its own: backup vaults, and file systems with a bucket's files."""
    lost = [data for key in doomed for data in data_under(resources, key)]
    if not any(data.what in ("objects of a bucket", "files", "a disk", "disks of nodes") for data in lost):
        return []
    stays = data_that_stays(resources, doomed)
    vaults = [data.place for data in stays if data.what == _STORES[_VAULT].what]
    buckets = {data.place for data in lost if data.what == "objects of a bucket"}
    linked = [each["inputs"] for each in resources if each["type"] == _LINK]
    copied = {str(link["fileSystemId"]) for link in linked if _bucket_of(link["dataRepositoryPath"]) in buckets}
    return [*vaults, *(data.place for data in stays if data.place in copied)]


def _bucket_of(path: str) -> str:
    """Return the bucket of an address such as ``s3://bucket/prefix``."""
    return path.removeprefix("s3://").partition("/")[0]


def _name(resource: State) -> str:
    return str(resource["urn"]).rpartition("::")[2]


def _tags(resource: State) -> dict[str, str]:
    """Return the tags, those of the provider's default too."""
    found = resource.get("outputs", {}).get("tagsAll") or resource.get("inputs", {}).get("tags") or {}
    return {str(name): str(value) for name, value in found.items()}


def _tenants(resources: Sequence[State]) -> dict[str, str]:
    """Return the names of the tenants by the URNs of their components."""
    return {
        resource["urn"]: str(resource.get("outputs", {}).get("namespace", _name(resource)))
        for resource in resources
        if resource["type"] == "falaj:index:Tenant"
    }


def _sealed_for(resources: Sequence[State], key: ShreddableKey) -> set[str]:
    """Return the tenants whose roles open data keys under a key: what these seal lies in stores under other keys."""
    statements = [each for grant in _grants(resources) for each in _statements(grant)]
    conditions = [each.get("Condition", {}) for each in statements if each.get("Resource") == key.identifier]
    named = (each.get("StringEquals", {}).get("kms:EncryptionContext:tenant") for each in conditions)
    return {str(tenant) for tenant in named if tenant}


def _grants(resources: Sequence[State]) -> list[State]:
    """Return the policies of tenants' roles."""
    components = _tenants(resources)
    return [each for each in resources if each["type"] == _GRANT and each.get("parent") in components]


def _statements(grant: State) -> list[dict[str, Any]]:
    return json.loads(grant["inputs"]["policy"])["Statement"]


def _granted(grant: State) -> set[str]:
    """Return what a role's policy names as resources."""
    named = (each.get("Resource", []) for each in _statements(grant))
    return {str(one) for each in named for one in (each if isinstance(each, list) else [each])}


def _labels(resources: Sequence[State], urn: str) -> dict[str, str]:
    """Return the labels in the reference that a component gives."""
    component = next((each for each in resources if each["urn"] == urn), {})
    return component.get("outputs", {}).get("ref", {}).get("labels", {})


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a property, at any depth; a policy in JSON is one text: naming a key is no use of it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
