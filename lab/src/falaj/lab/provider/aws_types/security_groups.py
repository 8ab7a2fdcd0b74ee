"""Security groups and their rules, inline and by themselves."""

from typing import Any

from falaj.lab.provider.aws_types.ec2 import TAGS, find_created, tag_specifications
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, resource
from falaj.lab.provider.kind import Autoname, Change, GoneError, Kind, ProviderError
from falaj.lab.provider.values import Props, has_unknown, is_empty

SOURCES = {
    "cidrBlocks": ("IpRanges", "CidrIp"),
    "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListIds": ("PrefixListIds", "PrefixListId"),
    "securityGroups": ("UserIdGroupPairs", "GroupId"),
}
"""Where the sources of an inline rule stand in EC2's permissions."""

Flat = tuple[str, int | None, int | None, str, str, str]
"""One rule with one source: protocol, ports, kind of source, source, description."""


def _flat(rules: Any, group: str) -> list[Flat]:
    """Return inline rules one source at a time, in order: how the rules are grouped means nothing."""
    found: set[Flat] = set()
    for rule in rules or []:
        protocol = {"all": "-1"}.get(str(rule.get("protocol")), str(rule.get("protocol")))
        low, high = (None, None) if protocol == "-1" else (rule.get("fromPort"), rule.get("toPort"))
        sources = [(name, source) for name in SOURCES for source in rule.get(name) or []]
        sources += [("securityGroups", group)] if rule.get("self") else []
        found |= {(protocol, low, high, name, source, rule.get("description") or "") for name, source in sources}
    return sorted(found, key=repr)


def _comparable(rules: Any) -> Any:
    return rules if has_unknown(rules) else [list(rule) for rule in _flat(rules, "self")]


def _rules(permissions: list[Any], group: str) -> list[Props]:
    """Return EC2's permissions as inline rules."""
    rules: dict[tuple[Any, ...], Props] = {}
    for permission in permissions:
        base = {"protocol": permission["IpProtocol"]}
        base |= {"fromPort": permission.get("FromPort", 0), "toPort": permission.get("ToPort", 0)}
        for name, (key, field) in SOURCES.items():
            for source in permission.get(key) or []:
                description = source.get("Description") or ""
                rule = rules.setdefault(
                    (*base.values(), description), {**base, "description": description, "self": False}
                )
                if source[field] == group:
                    rule["self"] = True
                else:
                    rule.setdefault(name, []).append(source[field])
    return list(rules.values())


def _permission(rule: Flat) -> Props:
    protocol, low, high, name, source, description = rule
    key, field = SOURCES[name]
    ports = {} if low is None or high is None else {"FromPort": low, "ToPort": high}
    return {
        "IpProtocol": protocol,
        **ports,
        key: [{field: source} | ({"Description": description} if description else {})],
    }


def _put_rules(direction: str) -> Put:
    def put(aws: Aws, identifier: str, change: Change) -> None:
        wanted = _flat(change.wanted.get(direction), identifier)
        observed = _flat(change.observed.get(direction), identifier)
        for operation, rules in (
            ("revoke", [rule for rule in observed if rule not in wanted]),
            ("authorize", [rule for rule in wanted if rule not in observed]),
        ):
            if rules:
                permissions = [_permission(rule) for rule in rules]
                aws.call(f"ec2.{operation}_security_group_{direction}", GroupId=identifier, IpPermissions=permissions)

    return Put(direction, put)


def _create(aws: Aws, props: Props) -> str:
    identifier = _CREATE(aws, props)
    # As the official provider: the rule that lets everything out, which EC2 adds to a new group, goes at once.
    if props.get("vpcId"):
        everything: Props = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        aws.call("ec2.revoke_security_group_egress", GroupId=identifier, IpPermissions=[everything])
    return identifier


_CREATE = Call(
    "ec2.create_security_group",
    {
        "GroupName": "@name",
        "Description": "@description",
        "VpcId": "@vpcId",
        "TagSpecifications": tag_specifications("security-group"),
    },
    "GroupId",
)


def _with_rules(aws: Aws, identifier: str, props: Props) -> Props:
    found = aws.call("ec2.describe_security_groups", GroupIds=[identifier])["SecurityGroups"][0]
    return {
        **props,
        "ingress": _rules(found["IpPermissions"], identifier),
        "egress": _rules(found["IpPermissionsEgress"], identifier),
    }


_LOOK = Look(
    "ec2.describe_security_groups",
    {"GroupIds": ["@id"]},
    "SecurityGroups[0]",
    "name=GroupName description vpcId ownerId tags",
)

GROUP = resource(
    "aws:ec2/securityGroup:SecurityGroup",
    create=_create,
    read=_LOOK,
    update=[_put_rules("ingress"), _put_rules("egress"), TAGS],
    delete=Call("ec2.delete_security_group", {"GroupId": "@id"}),
    finish=_with_rules,
    arn="ec2:security-group/@id",
    find=find_created,
    replace="description vpcId",
    local="revokeRulesOnDelete",
    defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
    computed="ingress egress vpcId",
    normalise={"ingress": _comparable, "egress": _comparable},
    name=Autoname(prefix="namePrefix", longest=255),
)


def _default_of(aws: Aws, props: Props) -> str:
    filters = [{"Name": "group-name", "Values": ["default"]}]
    filters += [{"Name": "vpc-id", "Values": [props["vpcId"]]}] if props.get("vpcId") else []
    found = aws.call("ec2.describe_security_groups", Filters=filters)["SecurityGroups"]
    if not found:
        raise ProviderError(f"the VPC {props.get('vpcId')} has no default security group", certain=True)
    return found[0]["GroupId"]


def _keep(aws: Aws, identifier: str, state: Props) -> None:
    """Leave a default group in place: it lives as long as its VPC."""
    del aws, identifier, state


DEFAULT_GROUP = resource(
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    create=_default_of,
    read=_LOOK,
    update=[_put_rules("ingress"), _put_rules("egress"), TAGS],
    delete=_keep,
    finish=_with_rules,
    arn="ec2:security-group/@id",
    replace="vpcId",
    local="revokeRulesOnDelete",
    defaults={"revokeRulesOnDelete": False},
    computed="vpcId",
    normalise={"ingress": _comparable, "egress": _comparable},
)


def _single_permission(props: Props) -> list[Props]:
    sources = {
        "IpRanges": {"CidrIp": props.get("cidrIpv4")},
        "Ipv6Ranges": {"CidrIpv6": props.get("cidrIpv6")},
        "PrefixListIds": {"PrefixListId": props.get("prefixListId")},
        "UserIdGroupPairs": {"GroupId": props.get("referencedSecurityGroupId")},
    }
    described = {"Description": props["description"]} if props.get("description") else {}
    given = {key: [{**source, **described}] for key, source in sources.items() if next(iter(source.values()))}
    ports = {"FromPort": props.get("fromPort"), "ToPort": props.get("toPort")}
    return [{"IpProtocol": str(props["ipProtocol"]), **{k: v for k, v in ports.items() if v is not None}, **given}]


_SOURCES = "cidrIpv4 cidrIpv6 prefixListId referencedSecurityGroupId"


def _modify_rule(aws: Aws, identifier: str, change: Change) -> None:
    rule = {
        "IpProtocol": str(change.wanted["ipProtocol"]),
        "FromPort": change.wanted.get("fromPort"),
        "ToPort": change.wanted.get("toPort"),
        "CidrIpv4": change.wanted.get("cidrIpv4"),
        "CidrIpv6": change.wanted.get("cidrIpv6"),
        "PrefixListId": change.wanted.get("prefixListId"),
        "ReferencedGroupId": change.wanted.get("referencedSecurityGroupId"),
        "Description": change.wanted.get("description"),
    }
    given = {name: value for name, value in rule.items() if not is_empty(value)}
    aws.call(
        "ec2.modify_security_group_rules",
        GroupId=change.wanted["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": identifier, "SecurityGroupRule": given}],
    )


def _single_rule(direction: str) -> Kind[Aws]:
    """Return the kind of a rule by itself, in one direction."""

    def without_ports(aws: Aws, identifier: str, props: Props) -> Props:
        """EC2 answers -1 for the ports of a rule that has none."""
        del aws, identifier
        return {
            name: None if name in ("fromPort", "toPort") and value == -1 else value for name, value in props.items()
        }

    def delete(aws: Aws, identifier: str, state: Props) -> None:
        try:
            aws.call(
                f"ec2.revoke_security_group_{direction}",
                GroupId=state["securityGroupId"],
                SecurityGroupRuleIds=[identifier],
            )
        except ProviderError as error:
            raise GoneError(str(error)) if "NotFound" in str(error) else error from error

    title = direction.capitalize()
    return resource(
        f"aws:vpc/securityGroup{title}Rule:SecurityGroup{title}Rule",
        create=Call(
            f"ec2.authorize_security_group_{direction}",
            {
                "GroupId": "@securityGroupId",
                "IpPermissions": _single_permission,
                "TagSpecifications": tag_specifications("security-group-rule"),
            },
            "SecurityGroupRules[0].SecurityGroupRuleId",
        ),
        read=Look(
            "ec2.describe_security_group_rules",
            {"SecurityGroupRuleIds": ["@id"]},
            "SecurityGroupRules[0]",
            "securityGroupId=GroupId ipProtocol fromPort toPort cidrIpv4 cidrIpv6 prefixListId description tags "
            "referencedSecurityGroupId=ReferencedGroupInfo.GroupId securityGroupRuleId",
        ),
        replace="securityGroupId",
        update=[Put(f"description ipProtocol fromPort toPort {_SOURCES}", _modify_rule), TAGS],
        delete=delete,
        finish=without_ports,
        arn="ec2:security-group-rule/@id",
        find=find_created,
        delete_first=True,
    )


INGRESS_RULE, EGRESS_RULE = _single_rule("ingress"), _single_rule("egress")


def _inline(props: Props) -> list[Props]:
    """Return a rule of the older kind, which may have many sources, as an inline rule."""
    source = props.get("sourceSecurityGroupId")
    return [{**props, "securityGroups": [source] if source else []}]


def _older_id(props: Props) -> str | None:
    """Return the identifier of a rule of the older kind: the one that the official provider takes for an import."""
    if has_unknown(props):
        return None
    sources = [props.get("sourceSecurityGroupId"), "self" if props.get("self") else None]
    sources += [s for name in ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds") for s in props.get(name) or []]
    parts = [props["securityGroupId"], props["type"], props["protocol"], props["fromPort"], props["toPort"]]
    return "_".join(str(part) for part in [*parts, *filter(None, sources)])


def _older_from_id(identifier: str) -> Props:
    group, direction, protocol, low, high, *sources = identifier.split("_")
    return {
        "securityGroupId": group,
        "type": direction,
        "protocol": protocol,
        "fromPort": int(low),
        "toPort": int(high),
        "self": "self" in sources,
        "sourceSecurityGroupId": next((s for s in sources if s.startswith("sg-")), None),
        "prefixListIds": [s for s in sources if s.startswith("pl-")],
        "cidrBlocks": [s for s in sources if "." in s],
        "ipv6CidrBlocks": [s for s in sources if ":" in s],
    }


def _create_older(aws: Aws, props: Props) -> str:
    permissions = [_permission(rule) for rule in _flat(_inline(props), str(props["securityGroupId"]))]
    aws.call(
        f"ec2.authorize_security_group_{props['type']}", GroupId=props["securityGroupId"], IpPermissions=permissions
    )
    return _older_id(props) or ""


def _read_older(aws: Aws, identifier: str, known: Props) -> Props | None:
    del known
    props = _older_from_id(identifier)
    group = props["securityGroupId"]
    found = _with_rules(aws, group, {})[props["type"]]
    there = {rule[:5]: rule[5] for rule in _flat(found, group)}
    wanted = [rule[:5] for rule in _flat(_inline(props), group)]
    if not all(rule in there for rule in wanted):
        return None
    return {**props, "description": there[wanted[0]]}


def _describe_older(aws: Aws, identifier: str, change: Change) -> None:
    props = {**_older_from_id(identifier), "description": change.wanted.get("description")}
    permissions = [_permission(rule) for rule in _flat(_inline(props), str(props["securityGroupId"]))]
    operation = f"ec2.update_security_group_rule_descriptions_{props['type']}"
    aws.call(operation, GroupId=props["securityGroupId"], IpPermissions=permissions)


def _delete_older(aws: Aws, identifier: str, state: Props) -> None:
    props = {**_older_from_id(identifier), "description": state.get("description")}
    permissions = [_permission(rule) for rule in _flat(_inline(props), str(props["securityGroupId"]))]
    aws.call(f"ec2.revoke_security_group_{props['type']}", GroupId=props["securityGroupId"], IpPermissions=permissions)


OLDER_RULE = resource(
    "aws:ec2/securityGroupRule:SecurityGroupRule",
    create=_create_older,
    read=_read_older,
    update=[Put("description", _describe_older)],
    delete=_delete_older,
    replace="securityGroupId type protocol fromPort toPort cidrBlocks ipv6CidrBlocks prefixListIds self "
    "sourceSecurityGroupId",
    computed="sourceSecurityGroupId",
    sets="cidrBlocks ipv6CidrBlocks prefixListIds",
    defaults={"self": False},
    key=_older_id,
    delete_first=True,
)

KINDS = [GROUP, DEFAULT_GROUP, INGRESS_RULE, EGRESS_RULE, OLDER_RULE]
