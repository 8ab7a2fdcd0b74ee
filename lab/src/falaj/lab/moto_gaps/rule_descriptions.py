"""VPC: AWS tells the description of every security group rule, moto only of those with an address range."""

from moto.ec2.models.security_groups import SecurityGroupRule


def tell_all() -> None:
    """Tell the description of rules that name another group, too."""

    def description(self: SecurityGroupRule) -> str | None:
        return self.ip_range.get("Description") or self.source_group.get("Description")

    SecurityGroupRule.description = property(description)  # pyright: ignore[reportAttributeAccessIssue]
