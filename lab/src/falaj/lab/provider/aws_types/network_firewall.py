"""Network Firewall: rule groups, policies, firewalls with their endpoints, and where they log."""

from collections.abc import Mapping
from typing import Any

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import (
    Call,
    Look,
    Put,
    as_pairs,
    camelize,
    pascalize,
    resource,
    tag_change,
)
from falaj.lab.provider.kind import Autoname, Change, Kind, ProviderError
from falaj.lab.provider.values import Props, has_unknown, is_empty

_RENAMED: dict[str, str] = {
    "tlsInspectionConfigurationArn": "TLSInspectionConfigurationArn",
    "ipAddressType": "IPAddressType",
}
_SETS = {
    "ipSets": ("IPSets", "ipSet"),
    "portSets": ("PortSets", "portSet"),
    "ruleVariables": ("RuleVariables", "ipSet"),
}
"""Named sets: in AWS a map from name to definition, in Pulumi a list; by Pulumi's name, with the name of its object."""


def to_aws(value: Any) -> Any:
    """Return a policy or rule group as Network Firewall's API takes it."""
    if isinstance(value, Mapping):
        result: Props = {}
        items: Props = {str(name): item for name, item in value.items()}
        for name, item in items.items():
            if is_empty(item):
                continue
            if name in _SETS and isinstance(item, list):
                key, inner = _SETS[name]
                result[key] = {each["key"]: {"Definition": each[inner]["definitions"]} for each in item}
            elif name == "ruleOptions":
                result["RuleOptions"] = [pascalize(each) for each in item]
            else:
                result[_RENAMED.get(name, name[0].upper() + name[1:])] = to_aws(item)
        return result
    return [to_aws(item) for item in value] if isinstance(value, list) else value


def from_aws(value: Any) -> Any:
    """Return a policy or rule group that Network Firewall's API answered as Pulumi has it."""
    if isinstance(value, Mapping):
        result: Props = {}
        items: Props = {str(name): item for name, item in value.items()}
        for name, item in items.items():
            ours, inner = next(((o, i) for o, (key, i) in _SETS.items() if key == name), ("", ""))
            if ours and all(isinstance(each, Mapping) and "Definition" in each for each in item.values()):
                result[ours] = [{"key": k, inner: {"definitions": each["Definition"]}} for k, each in item.items()]
            else:
                spelled = {theirs: own for own, theirs in _RENAMED.items()}.get(name, name[0].lower() + name[1:])
                result[spelled] = from_aws(item)
        return result
    return [from_aws(item) for item in value] if isinstance(value, list) else value


def _tags(aws: Aws, identifier: str, change: Change) -> None:
    added, removed = tag_change(change)
    if added:
        aws.call("network-firewall.tag_resource", ResourceArn=identifier, Tags=as_pairs(added))
    if removed:
        aws.call("network-firewall.untag_resource", ResourceArn=identifier, TagKeys=removed)


def _new_tags(props: Props) -> Any:
    return as_pairs({**(props.get("tags") or {}), **props.get("creationTags", {})}) or None


_ENCRYPTION = {"KeyId": "@encryptionConfiguration.keyId", "Type": "@encryptionConfiguration.type"}


def _own_key(props: Props) -> Props:
    """AWS's own key is what a left-out configuration means."""
    found = props.get("encryptionConfiguration") or {}
    return {**props, "encryptionConfiguration": None if found.get("type") == "AWS_OWNED_KMS_KEY" else found or None}


def _token(aws: Aws, operation: str, key: str, identifier: str) -> str:
    return aws.call(f"network-firewall.describe_{operation}", **{key: identifier})["UpdateToken"]


def _group_body(props: Props) -> Any:
    return to_aws(props["ruleGroup"]) if props.get("ruleGroup") else None


def _update_group(aws: Aws, identifier: str, change: Change) -> None:
    wanted = change.wanted
    body = {"RuleGroup": to_aws(wanted["ruleGroup"])} if wanted.get("ruleGroup") else {"Rules": wanted.get("rules")}
    aws.call(
        "network-firewall.update_rule_group",
        RuleGroupArn=identifier,
        UpdateToken=_token(aws, "rule_group", "RuleGroupArn", identifier),
        Description=wanted.get("description") or "",
        **body,
        **_encrypted(wanted),
    )


def _encrypted(props: Props) -> Props:
    given = pascalize(props.get("encryptionConfiguration") or {"type": "AWS_OWNED_KMS_KEY"})
    return {"EncryptionConfiguration": given}


def _group(aws: Aws, identifier: str, props: Props) -> Props:
    answer = aws.call("network-firewall.describe_rule_group", RuleGroupArn=identifier)
    return {**_own_key(props), "ruleGroup": from_aws(answer.get("RuleGroup"))}


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _ordered(item) for key, item in value.items() if not is_empty(item)}
    if isinstance(value, list):
        return sorted((_ordered(item) for item in value), key=repr)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unordered(value: Any) -> Any:
    """Bring the sets inside a policy or rule group into an order."""
    return value if has_unknown(value) else _ordered(value)


RULE_GROUP = resource(
    "aws:networkfirewall/ruleGroup:RuleGroup",
    create=Call(
        "network-firewall.create_rule_group",
        {
            "RuleGroupName": "@name",
            "Type": "@type",
            "Capacity": "@capacity",
            "Description": "@description",
            "RuleGroup": _group_body,
            "Rules": "@rules",
            "EncryptionConfiguration": _ENCRYPTION,
            "Tags": _new_tags,
        },
        "RuleGroupResponse.RuleGroupArn",
    ),
    read=Look(
        "network-firewall.describe_rule_group",
        {"RuleGroupArn": "@id"},
        "@",
        "updateToken arn=RuleGroupResponse.RuleGroupArn name=RuleGroupResponse.RuleGroupName "
        "type=RuleGroupResponse.Type capacity=RuleGroupResponse.Capacity description=RuleGroupResponse.Description "
        "encryptionConfiguration=RuleGroupResponse.EncryptionConfiguration tags=RuleGroupResponse.Tags",
    ),
    update=[Put("description ruleGroup rules encryptionConfiguration", _update_group), Put("tags", _tags)],
    delete=Call("network-firewall.delete_rule_group", {"RuleGroupArn": "@id"}),
    finish=_group,
    name=Autoname(),
    replace="name capacity",
    local="type",  # which AWS cannot change, though the official provider does not make the group anew for it
    computed="ruleGroup",
    volatile="updateToken",
    normalise={"ruleGroup": _unordered},
)


def _update_policy(aws: Aws, identifier: str, change: Change) -> None:
    aws.call(
        "network-firewall.update_firewall_policy",
        FirewallPolicyArn=identifier,
        UpdateToken=_token(aws, "firewall_policy", "FirewallPolicyArn", identifier),
        FirewallPolicy=to_aws(change.wanted["firewallPolicy"]),
        Description=change.wanted.get("description") or "",
        **_encrypted(change.wanted),
    )


def _policy(aws: Aws, identifier: str, props: Props) -> Props:
    answer = aws.call("network-firewall.describe_firewall_policy", FirewallPolicyArn=identifier)
    return {**_own_key(props), "firewallPolicy": from_aws(answer["FirewallPolicy"])}


POLICY = resource(
    "aws:networkfirewall/firewallPolicy:FirewallPolicy",
    create=Call(
        "network-firewall.create_firewall_policy",
        {
            "FirewallPolicyName": "@name",
            "FirewallPolicy": lambda p: to_aws(p["firewallPolicy"]),
            "Description": "@description",
            "EncryptionConfiguration": _ENCRYPTION,
            "Tags": _new_tags,
        },
        "FirewallPolicyResponse.FirewallPolicyArn",
    ),
    read=Look(
        "network-firewall.describe_firewall_policy",
        {"FirewallPolicyArn": "@id"},
        "@",
        "updateToken arn=FirewallPolicyResponse.FirewallPolicyArn name=FirewallPolicyResponse.FirewallPolicyName "
        "description=FirewallPolicyResponse.Description tags=FirewallPolicyResponse.Tags "
        "encryptionConfiguration=FirewallPolicyResponse.EncryptionConfiguration",
    ),
    update=[Put("description firewallPolicy encryptionConfiguration", _update_policy), Put("tags", _tags)],
    delete=Call("network-firewall.delete_firewall_policy", {"FirewallPolicyArn": "@id"}),
    finish=_policy,
    name=Autoname(),
    replace="name",
    volatile="updateToken",
    normalise={"firewallPolicy": _unordered},
)

_PROTECTED = {
    "deleteProtection": ("firewall_delete_protection", "DeleteProtection"),
    "subnetChangeProtection": ("subnet_change_protection", "SubnetChangeProtection"),
    "firewallPolicyChangeProtection": ("firewall_policy_change_protection", "FirewallPolicyChangeProtection"),
}


def _protect(on: bool) -> list[Put]:
    """Return what puts protections on, or takes them off: what is protected cannot change."""

    def put(name: str) -> Put:
        operation, key = _PROTECTED[name]

        def protect(aws: Aws, identifier: str, change: Change) -> None:
            if bool(change.wanted.get(name)) is on:
                aws.call(f"network-firewall.update_{operation}", FirewallArn=identifier, **{key: on})

        return Put(name, protect)

    return [put(name) for name in _PROTECTED]


def _encrypt_firewall(aws: Aws, identifier: str, change: Change) -> None:
    aws.call(
        "network-firewall.update_firewall_encryption_configuration", FirewallArn=identifier, **_encrypted(change.wanted)
    )


def _move(aws: Aws, identifier: str, change: Change) -> None:
    """Add endpoints before others go."""
    wanted, observed = (
        {each["subnetId"]: each for each in props.get("subnetMappings") or []}
        for props in (change.wanted, change.observed)
    )
    added = [to_aws(each) for subnet, each in wanted.items() if subnet not in observed]
    removed = sorted(observed.keys() - wanted.keys())
    if added:
        aws.call("network-firewall.associate_subnets", FirewallArn=identifier, SubnetMappings=added)
    if removed:
        aws.call("network-firewall.disassociate_subnets", FirewallArn=identifier, SubnetIds=removed)


def _firewall(aws: Aws, identifier: str, props: Props) -> Props:
    """Add the endpoints, by zone."""
    del aws, identifier
    states = [
        {
            "availabilityZone": zone,
            "attachments": [
                {name: state["attachment"].get(name) for name in ("endpointId", "subnetId")}
                for state in [state]
                if state.get("attachment")
            ],
        }
        for zone, state in sorted((props.pop("syncStates") or {}).items())
    ]
    mappings = [
        {"subnetId": each["subnetId"], "ipAddressType": each.get("iPAddressType") or "IPV4"}
        for each in props["subnetMappings"] or []
    ]
    return {
        **_own_key(props),
        "subnetMappings": mappings,
        "firewallStatuses": [{"syncStates": states, "transitGatewayAttachmentSyncStates": []}],
    }


def _subnets(mappings: Any) -> Any:
    if has_unknown(mappings):
        return mappings
    return sorted((each["subnetId"], each.get("ipAddressType") or "IPV4") for each in mappings or [])


def _delete_firewall(aws: Aws, identifier: str, state: Props) -> None:
    if state.get("deleteProtection"):
        raise ProviderError(f"the firewall {state.get('name')} is protected: set deleteProtection to false first")
    aws.call("network-firewall.delete_firewall", FirewallArn=identifier)


FIREWALL = resource(
    "aws:networkfirewall/firewall:Firewall",
    create=Call(
        "network-firewall.create_firewall",
        {
            "FirewallName": "@name",
            "FirewallPolicyArn": "@firewallPolicyArn",
            "VpcId": "@vpcId",
            "SubnetMappings": lambda p: to_aws(p.get("subnetMappings")) or None,
            "Description": "@description",
            "DeleteProtection": "@deleteProtection",
            "SubnetChangeProtection": "@subnetChangeProtection",
            "FirewallPolicyChangeProtection": "@firewallPolicyChangeProtection",
            "EnabledAnalysisTypes": "@enabledAnalysisTypes",
            "EncryptionConfiguration": _ENCRYPTION,
            "Tags": _new_tags,
        },
        "Firewall.FirewallArn",
    ),
    read=Look(
        "network-firewall.describe_firewall",
        {"FirewallArn": "@id"},
        "@",
        "updateToken arn=Firewall.FirewallArn name=Firewall.FirewallName vpcId=Firewall.VpcId tags=Firewall.Tags "
        "firewallPolicyArn=Firewall.FirewallPolicyArn description=Firewall.Description "
        "deleteProtection=Firewall.DeleteProtection subnetChangeProtection=Firewall.SubnetChangeProtection "
        "firewallPolicyChangeProtection=Firewall.FirewallPolicyChangeProtection "
        "enabledAnalysisTypes=Firewall.EnabledAnalysisTypes subnetMappings=Firewall.SubnetMappings "
        "encryptionConfiguration=Firewall.EncryptionConfiguration syncStates=FirewallStatus.SyncStates",
    ),
    update=[
        *_protect(on=False),
        Put(
            "description",
            Call("network-firewall.update_firewall_description", {"FirewallArn": "@id", "Description": "@description"}),
        ),
        Put("encryptionConfiguration", _encrypt_firewall),
        Put(
            "enabledAnalysisTypes",
            Call(
                "network-firewall.update_firewall_analysis_settings",
                {"FirewallArn": "@id", "EnabledAnalysisTypes": lambda p: p.get("enabledAnalysisTypes") or []},
            ),
        ),
        Put(
            "firewallPolicyArn",
            Call(
                "network-firewall.associate_firewall_policy",
                {"FirewallArn": "@id", "FirewallPolicyArn": "@firewallPolicyArn"},
            ),
        ),
        Put("subnetMappings", _move),
        *_protect(on=True),
        Put("tags", _tags),
    ],
    delete=_delete_firewall,
    finish=_firewall,
    name=Autoname(),
    replace="name vpcId transitGatewayId",
    sets="enabledAnalysisTypes",
    computed="availabilityZoneMappings",
    volatile="updateToken firewallStatuses",
    normalise={"subnetMappings": _subnets},
)


def _put_logging(aws: Aws, firewall: str, wanted: list[Props], observed: list[Props]) -> None:
    """Bring the destinations about: AWS takes one more or one less at a time."""
    now = list(observed)
    for each in observed:
        if each not in wanted:
            now.remove(each)
            _log_to(aws, firewall, now)
    for each in wanted:
        if each not in observed:
            now.append(each)
            _log_to(aws, firewall, now)


def _log_to(aws: Aws, firewall: str, destinations: list[Props]) -> None:
    # The names inside a destination are AWS's own: logGroup, bucketName.
    configs = [{name[0].upper() + name[1:]: item for name, item in each.items()} for each in destinations]
    aws.call(
        "network-firewall.update_logging_configuration",
        FirewallArn=firewall,
        LoggingConfiguration={"LogDestinationConfigs": configs},
    )


def _destinations(props: Props) -> list[Props]:
    return list((props.get("loggingConfiguration") or {}).get("logDestinationConfigs") or [])


def _create_logging(aws: Aws, props: Props) -> str:
    _put_logging(aws, str(props["firewallArn"]), _destinations(props), [])
    return str(props["firewallArn"])


def _read_logging(aws: Aws, identifier: str, known: Props) -> Props | None:
    del known
    answer = aws.call("network-firewall.describe_logging_configuration", FirewallArn=identifier)
    found = (answer.get("LoggingConfiguration") or {}).get("LogDestinationConfigs") or []
    configs = [{**camelize(each), "logDestination": each["LogDestination"]} for each in found]
    return {"firewallArn": identifier, "loggingConfiguration": {"logDestinationConfigs": configs}} if found else None


def _update_logging(aws: Aws, identifier: str, change: Change) -> None:
    _put_logging(aws, identifier, _destinations(change.wanted), _destinations(change.observed))


def _stop_logging(aws: Aws, identifier: str, state: Props) -> None:
    found = _read_logging(aws, identifier, state)
    _put_logging(aws, identifier, [], _destinations(found or {}))


LOGGING: Kind[Aws] = resource(
    "aws:networkfirewall/loggingConfiguration:LoggingConfiguration",
    create=_create_logging,
    read=_read_logging,
    update=[Put("loggingConfiguration", _update_logging)],
    delete=_stop_logging,
    replace="firewallArn",
    key="firewallArn",
    normalise={"loggingConfiguration": _unordered},
)

KINDS = [RULE_GROUP, POLICY, FIREWALL, LOGGING]
