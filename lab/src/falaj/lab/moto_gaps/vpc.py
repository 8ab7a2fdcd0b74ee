"""VPC: AWS changes every kind of security group rule in place, moto the source of IPv4 rules only, and with ports."""

from typing import Any

from moto.ec2.exceptions import InvalidSecurityGroupNotFoundError, InvalidSecurityGroupRuleIdNotFoundError
from moto.ec2.models.security_groups import SecurityGroupBackend


def change_any_rule() -> None:
    """Let ModifySecurityGroupRules change protocol, ports and source of every kind of rule."""

    def modify(self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        group = self.get_security_group_by_name_or_id(group_id)
        if group is None:
            raise InvalidSecurityGroupNotFoundError(group_id)
        for rule_id, wanted in rules.items():
            rule = group.get_rule(rule_id)
            if rule is None:
                raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
            rule.ip_protocol = str(wanted["IpProtocol"])
            has_ports = rule.ip_protocol != "-1"
            rule.from_port = int(wanted["FromPort"]) if has_ports else None
            rule.to_port = int(wanted["ToPort"]) if has_ports else None
            ranges = {"CidrIp": wanted.get("CidrIpv4"), "CidrIpv6": wanted.get("CidrIpv6")}
            described = {"Description": wanted.get("Description")}
            rule.ip_range = {name: value for name, value in {**ranges, **described}.items() if value is not None}
            source = wanted.get("ReferencedGroupId")
            rule.source_group = {"GroupId": source, "OwnerId": self.account_id} if source else {}
            rule.prefix_list_id = wanted.get("PrefixListId")

    SecurityGroupBackend.modify_security_group_rules = modify
