"""Gaps of Route 53 Resolver: DNS Firewall, and the end of query logging."""

from typing import Any

from asking import Aws, name, refused

from falaj.lab.state import REGION


def resolver(aws: Aws) -> Any:
    return aws.client("route53resolver")


def vpc(aws: Aws) -> str:
    return aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def domain_list(aws: Aws, *domains: str) -> str:
    api = resolver(aws)
    made = api.create_firewall_domain_list(CreatorRequestId=name(), Name=name())["FirewallDomainList"]["Id"]
    if domains:
        api.update_firewall_domains(FirewallDomainListId=made, Operation="ADD", Domains=list(domains))
    return made


def rule_group(aws: Aws) -> str:
    return resolver(aws).create_firewall_rule_group(CreatorRequestId=name(), Name=name())["FirewallRuleGroup"]["Id"]


def rule(aws: Aws, group: str, domains: str, priority: int, action: str, **more: Any) -> dict[str, Any]:
    made = {"FirewallRuleGroupId": group, "FirewallDomainListId": domains, "Priority": priority, "Action": action}
    return resolver(aws).create_firewall_rule(**made, Name=name(), CreatorRequestId=name(), **more)["FirewallRule"]


def associated(aws: Aws, group: str, network: str, **more: Any) -> str:
    made = {"FirewallRuleGroupId": group, "VpcId": network, "Priority": 101, "Name": name(), **more}
    answer = resolver(aws).associate_firewall_rule_group(CreatorRequestId=name(), **made)
    return answer["FirewallRuleGroupAssociation"]["Id"]


def a_list_keeps_domains_as_dns_writes_them(aws: Aws) -> bool:
    api, listed = resolver(aws), domain_list(aws, "login.ae", "*.login.ae.", "*")

    def domains() -> list[str]:
        return api.list_firewall_domains(FirewallDomainListId=listed)["Domains"]

    added = domains()
    api.update_firewall_domains(FirewallDomainListId=listed, Operation="REMOVE", Domains=["*."])
    removed = domains()
    api.update_firewall_domains(FirewallDomainListId=listed, Operation="REPLACE", Domains=["github.com"])
    about = api.get_firewall_domain_list(FirewallDomainListId=listed)["FirewallDomainList"]
    return (
        added == ["login.ae.", "*.login.ae.", "*."]
        and removed == ["login.ae.", "*.login.ae."]
        and domains() == ["github.com."]
        and (about["DomainCount"], about["Status"]) == (1, "COMPLETE")
    )


def rules_have_their_order_and_their_action(aws: Aws) -> bool:
    api, group = resolver(aws), rule_group(aws)
    allowed, others = domain_list(aws, "login.ae"), domain_list(aws, "*")
    rule(aws, group, others, 900, "BLOCK", BlockResponse="NXDOMAIN")
    made = rule(aws, group, allowed, 100, "ALLOW")
    invalid = "ValidationException"
    third = domain_list(aws)
    return (
        [each["Priority"] for each in api.list_firewall_rules(FirewallRuleGroupId=group)["FirewallRules"]] == [100, 900]
        and made["FirewallDomainRedirectionAction"] == "INSPECT_REDIRECTION_DOMAIN"
        and api.get_firewall_rule_group(FirewallRuleGroupId=group)["FirewallRuleGroup"]["RuleCount"] == 2
        and refused(lambda: rule(aws, group, third, 100, "ALLOW"), invalid, "priority")
        and refused(lambda: rule(aws, group, third, 200, "BLOCK"), invalid, "block response")
        and refused(lambda: rule(aws, group, allowed, 300, "ALLOW"), invalid, "exists")
    )


def a_rule_changes_and_goes(aws: Aws) -> bool:
    api, group, listed = resolver(aws), rule_group(aws), domain_list(aws, "login.ae")
    rule(aws, group, listed, 100, "BLOCK", BlockResponse="NODATA")
    named = {"FirewallRuleGroupId": group, "FirewallDomainListId": listed}
    changed = api.update_firewall_rule(**named, Action="ALERT")["FirewallRule"]
    kept = refused(lambda: api.delete_firewall_domain_list(FirewallDomainListId=listed), "ConflictException", "used by")
    api.delete_firewall_rule(**named)
    api.delete_firewall_domain_list(FirewallDomainListId=listed)
    return (
        (changed["Action"], changed["Priority"], changed.get("BlockResponse")) == ("ALERT", 100, None)
        and kept
        and api.list_firewall_rules(FirewallRuleGroupId=group)["FirewallRules"] == []
        and refused(
            lambda: api.get_firewall_domain_list(FirewallDomainListId=listed), "ResourceNotFoundException", "not exist"
        )
    )


def a_vpc_is_filtered_by_a_group_once(aws: Aws) -> bool:
    api, group, network = resolver(aws), rule_group(aws), vpc(aws)
    made = associated(aws, group, network)
    conflict = "ConflictException"
    twice = refused(lambda: associated(aws, group, network, Priority=102), conflict, "already")
    low = refused(lambda: associated(aws, rule_group(aws), network, Priority=100), "ValidationException", "priority")
    used = refused(lambda: api.delete_firewall_rule_group(FirewallRuleGroupId=group), conflict, "associated")
    listed = api.list_firewall_rule_group_associations(VpcId=network)["FirewallRuleGroupAssociations"]
    api.disassociate_firewall_rule_group(FirewallRuleGroupAssociationId=made)
    api.delete_firewall_rule_group(FirewallRuleGroupId=group)
    return (
        twice
        and low
        and used
        and [(each["Id"], each["MutationProtection"], each["Status"]) for each in listed]
        == [(made, "DISABLED", "COMPLETE")]
    )


def a_protected_association_is_first_unprotected(aws: Aws) -> bool:
    api = resolver(aws)
    made = associated(aws, rule_group(aws), vpc(aws), MutationProtection="ENABLED")
    named = {"FirewallRuleGroupAssociationId": made}
    no = "ConflictException", "protected"
    kept = refused(lambda: api.disassociate_firewall_rule_group(**named), *no) and refused(
        lambda: api.update_firewall_rule_group_association(**named, Priority=300), *no
    )
    api.update_firewall_rule_group_association(**named, MutationProtection="DISABLED")
    api.disassociate_firewall_rule_group(**named)
    return kept


def a_vpc_s_queries_fail_closed_until_somebody_opens_them(aws: Aws) -> bool:
    api, network = resolver(aws), vpc(aws)
    closed = api.get_firewall_config(ResourceId=network)["FirewallConfig"]
    api.update_firewall_config(ResourceId=network, FirewallFailOpen="ENABLED")
    listed = {each["ResourceId"]: each for each in api.list_firewall_configs()["FirewallConfigs"]}
    return closed["FirewallFailOpen"] == "DISABLED" and listed[network] == {**closed, "FirewallFailOpen": "ENABLED"}


def queries_are_logged_no_longer(aws: Aws) -> bool:
    api, network = resolver(aws), vpc(aws)
    group = f"arn:aws:logs:{REGION}:123456789012:log-group:/dns"
    made = api.create_resolver_query_log_config(Name=name(), DestinationArn=group, CreatorRequestId=name())
    config = made["ResolverQueryLogConfig"]["Id"]
    named = {"ResolverQueryLogConfigId": config, "ResourceId": network}
    api.associate_resolver_query_log_config(**named)
    used = refused(
        lambda: api.delete_resolver_query_log_config(ResolverQueryLogConfigId=config),
        "InvalidRequestException",
        "associated",
    )
    api.disassociate_resolver_query_log_config(**named)
    api.delete_resolver_query_log_config(ResolverQueryLogConfigId=config)
    return used and refused(
        lambda: api.get_resolver_query_log_config(ResolverQueryLogConfigId=config),
        "ResourceNotFoundException",
        "does not exist",
    )


def what_filters_and_logs_has_tags(aws: Aws) -> bool:
    api = resolver(aws)
    tags = [{"Key": "a", "Value": "1"}]
    listed = api.create_firewall_domain_list(CreatorRequestId=name(), Name=name(), Tags=tags)["FirewallDomainList"]
    group = f"arn:aws:logs:{REGION}:123456789012:log-group:/dns"
    log = api.create_resolver_query_log_config(Name=name(), DestinationArn=group, CreatorRequestId=name(), Tags=tags)[
        "ResolverQueryLogConfig"
    ]
    arns = [listed["Arn"], log["Arn"]]
    for arn in arns:
        api.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
        api.untag_resource(ResourceArn=arn, TagKeys=["a"])
    return all(api.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}] for arn in arns)


GAPS = [
    a_list_keeps_domains_as_dns_writes_them,
    rules_have_their_order_and_their_action,
    a_rule_changes_and_goes,
    a_vpc_is_filtered_by_a_group_once,
    a_protected_association_is_first_unprotected,
    a_vpc_s_queries_fail_closed_until_somebody_opens_them,
    queries_are_logged_no_longer,
    what_filters_and_logs_has_tags,
]
