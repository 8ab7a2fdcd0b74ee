"""Which names a network resolves: an allowlist at the resolver, everything else refused, every query logged.

Without it, a name that is asked for carries data out of the best closed network.
"""

import ipaddress
import re
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from falaj.components.errors import ConfigError
from falaj.components.log_group import encrypted_log_group
from falaj.components.regime import Regime

_DOMAIN = re.compile(r"\.?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])")
MOST = 200
"""Domains that one list may hold; the firewall's rule group is made for them."""


def check_domains(field: str, domains: Sequence[str]) -> list[str]:
    """Return the domains, refusing what is none: exact names, or with a leading dot a name and all below it."""
    for domain in domains:
        if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
            raise ConfigError(
                field,
                domain,
                "must be lower-case domains without wildcards, such as login.ae, or .login.ae for all below it too",
            )
    if len(domains) > MOST:
        raise ConfigError(field, len(domains), f"must be at most {MOST} domains")
    return list(dict.fromkeys(domains))


def home_domains(regime: Regime, cidr: str) -> list[str]:
    """Return the names of AWS's services in the home region, and those inside the network, as DNS writes them."""
    region = regime["home_region"]
    first, second, *_ = str(ipaddress.IPv4Network(cidr).network_address).split(".")
    suffixes = [
        f"{region}.amazonaws.com",
        f"{region}.eks.amazonaws.com",
        f"{region}.vpce.amazonaws.com",
        f"{region}.api.aws",
        # Machines of the network, by name and by address.
        f"{region}.compute.internal",
        f"{second}.{first}.in-addr.arpa",
    ]
    return [f"*.{suffix}." for suffix in suffixes]


def resolved(domains: Sequence[str]) -> list[str]:
    """Return the domains as DNS Firewall keeps them: with the final dot, and what is below a domain as a wildcard."""
    return [
        name
        for domain in domains
        for name in ([f"{domain[1:]}.", f"*{domain}."] if domain.startswith(".") else [f"{domain}."])
    ]


def make_dns_firewall(
    name: str,
    vpc: aws.ec2.Vpc,
    *,
    home: list[str],
    egress: list[str],
    protected: bool,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Let the resolver of the VPC answer for these names only, and for none when the firewall does not work."""
    full_name = f"{tags['environment']}-{name}"
    group = aws.route53.ResolverFirewallRuleGroup(f"{name}-dns", name=full_name, tags=tags, opts=opts)

    def rule(
        purpose: str,
        priority: int,
        domains: list[str],
        action: str,
        *,
        redirection: str | None = None,
        response: str | None = None,
    ) -> None:
        listed = aws.route53.ResolverFirewallDomainList(
            f"{name}-dns-{purpose}", name=f"{full_name}-{purpose}", domains=domains, tags=tags, opts=opts
        )
        aws.route53.ResolverFirewallRule(
            f"{name}-dns-{purpose}-rule",
            name=purpose,
            firewall_rule_group_id=group.id,
            firewall_domain_list_id=listed.id,
            priority=priority,
            action=action,
            firewall_domain_redirection_action=redirection,
            block_response=response,
            opts=opts,
        )

    rule("home", 100, home, "ALLOW")
    if egress:
        # Where an allowed name leads to is its owner's choice; the network firewall still sees the name that is asked.
        rule("egress", 200, egress, "ALLOW", redirection="TRUST_REDIRECTION_DOMAIN")
    rule("others", 900, ["*."], "BLOCK", response="NXDOMAIN")
    aws.route53.ResolverFirewallRuleGroupAssociation(
        f"{name}-dns-association",
        name=full_name,
        firewall_rule_group_id=group.id,
        vpc_id=vpc.id,
        priority=101,
        mutation_protection="ENABLED" if protected else "DISABLED",
        tags=tags,
        opts=opts,
    )
    aws.route53.ResolverFirewallConfig(
        f"{name}-dns-fails-closed", resource_id=vpc.id, firewall_fail_open="DISABLED", opts=opts
    )


def make_query_log(
    name: str,
    vpc: aws.ec2.Vpc,
    *,
    key: pulumi.Output[str],
    days: int,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Record every name that is asked for, in an encrypted log group."""
    path = f"/vpc/{tags['environment']}/{name}/dns-queries"
    group = encrypted_log_group(f"{name}-dns-queries", path, key=key, days=days, tags=tags, opts=opts)
    log = aws.route53.ResolverQueryLogConfig(
        f"{name}-dns-query-log",
        name=f"{tags['environment']}-{name}",
        destination_arn=group.arn,
        tags=tags,
        opts=opts,
    )
    aws.route53.ResolverQueryLogConfigAssociation(
        f"{name}-dns-query-log-association", resolver_query_log_config_id=log.id, resource_id=vpc.id, opts=opts
    )
