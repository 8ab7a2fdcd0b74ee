"""Network ACLs, a VPC's own one included."""

from collections.abc import Iterator
from typing import Any

from falaj.lab.provider.aws_types.ec2 import TAGS, find_created, tag_specifications
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, resource
from falaj.lab.provider.kind import Change, GoneError, ProviderError
from falaj.lab.provider.values import Props, has_unknown

_LAST = (32767, 32768)
"""The numbers of the rules that refuse the rest, which EC2 has of its own; a person's own ones come before."""
_PROTOCOLS = {"all": "-1", "icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58"}
_ICMP = ("1", "58")


def _rule(rule: Props) -> Props:
    """Return a rule in the one form in which two spellings of the same are equal; EC2 speaks of protocols by number."""
    protocol = str(rule["protocol"]).lower()
    texts = {name: rule[name] for name in ("cidrBlock", "ipv6CidrBlock") if rule.get(name)}
    numbers = {name: int(rule.get(name) or 0) for name in ("fromPort", "toPort", "icmpType", "icmpCode")}
    return {
        "ruleNo": int(rule["ruleNo"]),
        "action": str(rule["action"]).lower(),
        "protocol": _PROTOCOLS.get(protocol, protocol),
        **texts,
        **numbers,
    }


def _rules(rules: Any) -> list[Props]:
    return sorted(map(_rule, rules or []), key=lambda rule: rule["ruleNo"])


def _comparable(rules: Any) -> Any:
    return rules if has_unknown(rules) else _rules(rules)


def _observed(entry: Props) -> Props:
    """Return one of EC2's entries as a rule."""
    ports, icmp = entry.get("PortRange") or {}, entry.get("IcmpTypeCode") or {}
    return _rule(
        {
            "ruleNo": entry["RuleNumber"],
            "action": entry["RuleAction"],
            "protocol": entry["Protocol"],
            "cidrBlock": entry.get("CidrBlock"),
            "ipv6CidrBlock": entry.get("Ipv6CidrBlock"),
            "fromPort": ports.get("From"),
            "toPort": ports.get("To"),
            "icmpType": icmp.get("Type"),
            "icmpCode": icmp.get("Code"),
        }
    )


def _describe(aws: Aws, identifier: str) -> Any:
    return aws.call("ec2.describe_network_acls", NetworkAclIds=[identifier])["NetworkAcls"][0]


def _read(aws: Aws, identifier: str, props: Props) -> Props:
    """Add rules and subnets, without the rules that nobody can take away."""
    acl = _describe(aws, identifier)
    entries = [entry for entry in acl["Entries"] if entry["RuleNumber"] not in _LAST]
    return {
        **props,
        "ingress": _rules(_observed(entry) for entry in entries if not entry["Egress"]),
        "egress": _rules(_observed(entry) for entry in entries if entry["Egress"]),
        "subnetIds": [each["SubnetId"] for each in acl.get("Associations", [])],
    }


def _put_rules(direction: str) -> Put:
    def put(aws: Aws, identifier: str, change: Change) -> None:
        wanted, observed = _rules(change.wanted.get(direction)), _rules(change.observed.get(direction))
        place: Props = {"NetworkAclId": identifier, "Egress": direction == "egress"}
        for rule in observed:
            if rule not in wanted:
                aws.call("ec2.delete_network_acl_entry", **place, RuleNumber=rule["ruleNo"])
        for rule in wanted:
            if rule not in observed:
                aws.call("ec2.create_network_acl_entry", **place, **_entry(rule))

    return Put(direction, put)


def _entry(rule: Props) -> Props:
    addresses = {"cidrBlock": "CidrBlock", "ipv6CidrBlock": "Ipv6CidrBlock"}
    icmp = {"IcmpTypeCode": {"Type": rule["icmpType"], "Code": rule["icmpCode"]}}
    return {
        "RuleNumber": rule["ruleNo"],
        "RuleAction": rule["action"],
        "Protocol": rule["protocol"],
        "PortRange": {"From": rule["fromPort"], "To": rule["toPort"]},
        **{key: rule[name] for name, key in addresses.items() if name in rule},
        **(icmp if rule["protocol"] in _ICMP else {}),
    }


def _move(aws: Aws, subnet: str, to: str) -> None:
    """Let another ACL hold a subnet: one always does."""
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    for acl in aws.call("ec2.describe_network_acls", Filters=filters)["NetworkAcls"]:
        for association in acl["Associations"]:
            if association["SubnetId"] == subnet and acl["NetworkAclId"] != to:
                identity = association["NetworkAclAssociationId"]
                aws.call("ec2.replace_network_acl_association", AssociationId=identity, NetworkAclId=to)


def _default_of(aws: Aws, vpc: str) -> str:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "default", "Values": ["true"]}]
    found = aws.call("ec2.describe_network_acls", Filters=filters)["NetworkAcls"]
    if not found:
        raise GoneError
    return found[0]["NetworkAclId"]


def _put_subnets(aws: Aws, identifier: str, change: Change) -> None:
    wanted, observed = (set(props.get("subnetIds") or []) for props in (change.wanted, change.observed))
    for subnet in sorted(wanted - observed):
        _move(aws, subnet, identifier)
    if observed - wanted:
        default = _default_of(aws, str(change.observed["vpcId"]))
        for subnet in sorted(observed - wanted):
            _move(aws, subnet, default)


def _delete(aws: Aws, identifier: str, state: Props) -> None:
    """Delete an ACL; the VPC's own takes back its subnets first."""
    del state
    acl = _describe(aws, identifier)
    for association in acl.get("Associations", []):
        _move(aws, association["SubnetId"], _default_of(aws, acl["VpcId"]))
    aws.call("ec2.delete_network_acl", NetworkAclId=identifier)


def _check(inputs: Props) -> Iterator[tuple[str, str]]:
    for direction in ("ingress", "egress"):
        rules = inputs.get(direction)
        for index, rule in enumerate(rules if isinstance(rules, list) else []):
            where = f"{direction}[{index}]"
            number, protocol = rule.get("ruleNo"), str(rule.get("protocol")).lower()
            if isinstance(number, int) and not 1 <= number < _LAST[0]:
                yield f"{where}.ruleNo", f"must be 1 to {_LAST[0] - 1}, not {number}"
            known = has_unknown(rule) or protocol in _PROTOCOLS or protocol.removeprefix("-").isdigit()
            if not known:
                yield f"{where}.protocol", f"is no protocol of a network ACL: {protocol}; a number works for every one"
            ports = {rule.get("fromPort"), rule.get("toPort")}
            if _PROTOCOLS.get(protocol, protocol) == "-1" and not has_unknown(rule) and ports != {0}:
                yield f"{where}.fromPort", "must be 0, as toPort, for all protocols"


_LOOK = Look("ec2.describe_network_acls", {"NetworkAclIds": ["@id"]}, "NetworkAcls[0]", "vpcId ownerId tags")
_RULES = (_put_rules("ingress"), _put_rules("egress"))
_SAME_FORM = {"ingress": _comparable, "egress": _comparable}

ACL = resource(
    "aws:ec2/networkAcl:NetworkAcl",
    create=Call(
        "ec2.create_network_acl",
        {"VpcId": "@vpcId", "TagSpecifications": tag_specifications("network-acl")},
        "NetworkAcl.NetworkAclId",
    ),
    read=_LOOK,
    update=[*_RULES, Put("subnetIds", _put_subnets), TAGS],
    delete=_delete,
    finish=_read,
    check=_check,
    arn="ec2:network-acl/@id",
    find=find_created,
    computed="ingress egress subnetIds",
    sets="subnetIds",
    normalise=_SAME_FORM,
)


def _adopt(aws: Aws, props: Props) -> str:
    identifier = str(props["defaultNetworkAclId"])
    if not _describe(aws, identifier)["IsDefault"]:
        raise ProviderError(f"{identifier} is no VPC's own ACL: use aws.ec2.NetworkAcl for it", certain=True)
    return identifier


def _take_subnets(aws: Aws, identifier: str, change: Change) -> None:
    """Take subnets in; one that is left out leaves only when another ACL takes it."""
    for subnet in change.wanted.get("subnetIds") or []:
        _move(aws, subnet, identifier)


def _read_default(aws: Aws, identifier: str, props: Props) -> Props:
    return {**_read(aws, identifier, props), "defaultNetworkAclId": identifier}


DEFAULT_ACL = resource(
    "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
    create=_adopt,
    read=_LOOK,
    update=[*_RULES, Put("subnetIds", _take_subnets), TAGS],
    delete=lambda aws, identifier, state: None,
    finish=_read_default,
    check=_check,
    arn="ec2:network-acl/@id",
    replace="defaultNetworkAclId",
    sets="subnetIds",
    normalise=_SAME_FORM,
    key="defaultNetworkAclId",
)

KINDS = [ACL, DEFAULT_ACL]
