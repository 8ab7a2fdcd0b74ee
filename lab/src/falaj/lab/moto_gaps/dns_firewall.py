"""Route 53 Resolver: its DNS Firewall, which moto lacks, and the end and the tags of query logging.

Weaker than AWS: no query is answered, filtered or logged; domains are kept as they are given.
"""

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random
from moto.route53resolver import urls
from moto.route53resolver.models import Route53ResolverBackend
from moto.route53resolver.responses import Route53ResolverResponse
from moto.utilities.utils import get_partition

from falaj.lab.moto_gaps.kept import Given, Kept, kept

_ARN = ("firewall-domain-list", "firewall-rule-group", "firewall-rule-group-association")


def serve() -> None:
    """Let moto's server answer Resolver's requests so."""
    matched = Route53ResolverBackend._matched_arn  # pyright: ignore[reportPrivateUsage]

    def matched_arn(self: Route53ResolverBackend, resource_arn: str) -> None:
        logs = self.resolver_query_log_configs.values()
        if not any(resource_arn == each.arn for each in logs) and not _keeps(self, resource_arn):
            matched(self, resource_arn)

    Route53ResolverBackend._matched_arn = matched_arn  # pyright: ignore[reportPrivateUsage]
    urls.url_paths.update(dict.fromkeys(urls.url_paths, DnsFirewall.dispatch))


def _keeps(backend: Route53ResolverBackend, arn: str) -> bool:
    return any(
        one.get("Arn") == arn for kind in ("lists", "groups", "associations") for one in kept(backend, kind).values()
    )


def _refused(code: str, message: str) -> JsonRESTError:
    return JsonRESTError(code, message)


class DnsFirewall(Given, Route53ResolverResponse):
    """The operations that are served."""

    def kept(self, kind: str) -> dict[str, Kept]:
        """Return the things of one kind by id."""
        return kept(self.route53resolver_backend, kind)

    # Domain lists.

    def create_firewall_domain_list(self) -> ActionResult:
        """Make an empty list."""
        made = self._new("lists", "rslvr-fdl", "firewall-domain-list", {"DomainCount": 0})
        self.kept("domains")[made["Id"]] = {"Domains": []}
        return ActionResult({"FirewallDomainList": made})

    def get_firewall_domain_list(self) -> ActionResult:
        """Tell of one list."""
        return ActionResult({"FirewallDomainList": self._list()})

    def list_firewall_domain_lists(self) -> ActionResult:
        """List the lists."""
        return ActionResult({"FirewallDomainLists": list(self.kept("lists").values())})

    def list_firewall_domains(self) -> ActionResult:
        """List the domains of a list."""
        return ActionResult({"Domains": self.kept("domains")[self._list()["Id"]]["Domains"]})

    def update_firewall_domains(self) -> ActionResult:
        """Add domains, remove them or replace them all; names end with a dot from then on, as in DNS."""
        one, operation = self._list(), self.given["Operation"]
        given = [domain if domain.endswith(".") else f"{domain}." for domain in self.given["Domains"]]
        present = self.kept("domains")[one["Id"]]["Domains"]
        after = {
            "ADD": [*present, *(each for each in given if each not in present)],
            "REMOVE": [each for each in present if each not in given],
            "REPLACE": list(dict.fromkeys(given)),
        }[operation]
        self.kept("domains")[one["Id"]] = {"Domains": after}
        one |= {"DomainCount": len(after), "ModificationTime": utcnow().isoformat()}
        return ActionResult({name: one[name] for name in ("Id", "Name", "Status")})

    def delete_firewall_domain_list(self) -> ActionResult:
        """Delete a list that no rule uses."""
        one = self._list()
        if any(rule.get("FirewallDomainListId") == one["Id"] for rule in self._all_rules()):
            raise _refused("ConflictException", f"{one['Id']} is used by a firewall rule")
        del self.kept("lists")[one["Id"]], self.kept("domains")[one["Id"]]
        return ActionResult({"FirewallDomainList": {**one, "Status": "DELETING"}})

    # Rule groups and their rules.

    def create_firewall_rule_group(self) -> ActionResult:
        """Make an empty rule group."""
        owned = {"RuleCount": 0, "OwnerId": self.current_account, "ShareStatus": "NOT_SHARED"}
        made = self._new("groups", "rslvr-frg", "firewall-rule-group", owned)
        self.kept("rules")[made["Id"]] = {"Rules": []}
        return ActionResult({"FirewallRuleGroup": made})

    def get_firewall_rule_group(self) -> ActionResult:
        """Tell of one rule group."""
        return ActionResult({"FirewallRuleGroup": self._group()})

    def list_firewall_rule_groups(self) -> ActionResult:
        """List the rule groups."""
        return ActionResult({"FirewallRuleGroups": list(self.kept("groups").values())})

    def delete_firewall_rule_group(self) -> ActionResult:
        """Delete a rule group that no VPC uses; its rules go with it."""
        group = self._group()
        if any(each["FirewallRuleGroupId"] == group["Id"] for each in self.kept("associations").values()):
            raise _refused("ConflictException", f"{group['Id']} is associated with a VPC")
        del self.kept("groups")[group["Id"]], self.kept("rules")[group["Id"]]
        return ActionResult({"FirewallRuleGroup": {**group, "Status": "DELETING"}})

    def create_firewall_rule(self) -> ActionResult:
        """Make a rule: one per domain list and query type, each at a priority of its own."""
        group, given = self._group(), self.given
        rules = self.kept("rules")[group["Id"]]["Rules"]
        if given["FirewallDomainListId"] not in self.kept("lists"):
            raise self._missing("firewall domain list", given["FirewallDomainListId"])
        if self._rule_of(rules) is not None:
            raise _refused("ValidationException", "a rule of this domain list exists in the group")
        self._check_rule(rules, given)
        rule: Kept = {"FirewallDomainRedirectionAction": "INSPECT_REDIRECTION_DOMAIN", **given}
        rule |= {"CreationTime": utcnow().isoformat(), "ModificationTime": utcnow().isoformat()}
        rules.append(rule)
        group["RuleCount"] = len(rules)
        return ActionResult({"FirewallRule": rule})

    def list_firewall_rules(self) -> ActionResult:
        """List the rules of a group, by priority."""
        rules = self.kept("rules")[self._group()["Id"]]["Rules"]
        asked = {name: self.given[name] for name in ("Priority", "Action") if name in self.given}
        found = [rule for rule in rules if asked.items() <= rule.items()]
        return ActionResult({"FirewallRules": sorted(found, key=lambda rule: rule["Priority"])})

    def update_firewall_rule(self) -> ActionResult:
        """Change a rule."""
        rules = self.kept("rules")[self._group()["Id"]]["Rules"]
        rule = self._rule(rules)
        changed = {**rule, **self.given, "ModificationTime": utcnow().isoformat()}
        if changed["Action"] != "BLOCK":
            changed.pop("BlockResponse", None)
        self._check_rule([each for each in rules if each is not rule], changed)
        rules[rules.index(rule)] = changed
        return ActionResult({"FirewallRule": changed})

    def delete_firewall_rule(self) -> ActionResult:
        """Delete a rule."""
        group = self._group()
        rules = self.kept("rules")[group["Id"]]["Rules"]
        rule = self._rule(rules)
        rules.remove(rule)
        group["RuleCount"] = len(rules)
        return ActionResult({"FirewallRule": rule})

    # Associations with VPCs.

    def associate_firewall_rule_group(self) -> ActionResult:
        """Filter a VPC's queries by a rule group."""
        group, given = self._group(), self.given
        self._check_vpc(given["VpcId"])
        if not 100 < given["Priority"] < 9900:
            raise _refused("ValidationException", "the priority must be greater than 100 and less than 9900")
        for each in self.kept("associations").values():
            if each["VpcId"] == given["VpcId"]:
                if each["FirewallRuleGroupId"] == group["Id"]:
                    raise _refused("ConflictException", f"{group['Id']} is associated with {given['VpcId']} already")
                if each["Priority"] == given["Priority"]:
                    raise _refused("ValidationException", f"priority {given['Priority']} is taken in {given['VpcId']}")
        about = {name: given[name] for name in ("FirewallRuleGroupId", "VpcId", "Priority")}
        about["MutationProtection"] = given.get("MutationProtection", "DISABLED")
        made = self._new("associations", "rslvr-frgassoc", "firewall-rule-group-association", about)
        return ActionResult({"FirewallRuleGroupAssociation": made})

    def get_firewall_rule_group_association(self) -> ActionResult:
        """Tell of one association."""
        return ActionResult({"FirewallRuleGroupAssociation": self._association()})

    def list_firewall_rule_group_associations(self) -> ActionResult:
        """List the associations, all or those of a VPC or a group."""
        asked = {name: self.given[name] for name in ("VpcId", "FirewallRuleGroupId", "Priority") if name in self.given}
        found = [each for each in self.kept("associations").values() if asked.items() <= each.items()]
        return ActionResult({"FirewallRuleGroupAssociations": found})

    def update_firewall_rule_group_association(self) -> ActionResult:
        """Change an association; one that is protected can only lose its protection."""
        association, given = self._association(), self.given
        wanted = {name: given[name] for name in ("Priority", "MutationProtection", "Name") if name in given}
        if association["MutationProtection"] == "ENABLED" and wanted.get("MutationProtection") != "DISABLED":
            raise _refused("ConflictException", f"{association['Id']} is protected against change")
        association |= {**wanted, "ModificationTime": utcnow().isoformat()}
        return ActionResult({"FirewallRuleGroupAssociation": association})

    def disassociate_firewall_rule_group(self) -> ActionResult:
        """Filter a VPC's queries no longer."""
        association = self._association()
        if association["MutationProtection"] == "ENABLED":
            raise _refused("ConflictException", f"{association['Id']} is protected against change")
        del self.kept("associations")[association["Id"]]
        return ActionResult({"FirewallRuleGroupAssociation": {**association, "Status": "DELETING"}})

    # What happens when the firewall does not answer.

    def update_firewall_config(self) -> ActionResult:
        """Let a VPC's queries fail open or closed."""
        config = self._config(self.given["ResourceId"])
        config["FirewallFailOpen"] = self.given["FirewallFailOpen"]
        return ActionResult({"FirewallConfig": config})

    def get_firewall_config(self) -> ActionResult:
        """Tell how a VPC's queries fail: closed, until somebody says otherwise."""
        return ActionResult({"FirewallConfig": self._config(self.given["ResourceId"])})

    def list_firewall_configs(self) -> ActionResult:
        """List how queries fail, of all VPCs."""
        vpcs = [vpc.id for vpc in self.route53resolver_backend.ec2_backend.describe_vpcs()]
        return ActionResult({"FirewallConfigs": [self._config(vpc) for vpc in vpcs]})

    # Query logging.

    def disassociate_resolver_query_log_config(self) -> ActionResult:
        """Log a VPC's queries no longer."""
        backend, given = self.route53resolver_backend, self.given
        for association in list(backend.resolver_query_log_config_associations.values()):
            if (association.resolver_query_log_config_id, association.resource_id) == (
                given["ResolverQueryLogConfigId"],
                given["ResourceId"],
            ):
                del backend.resolver_query_log_config_associations[association.id]
                backend.resolver_query_log_configs[given["ResolverQueryLogConfigId"]].association_count -= 1
                told = {**association.description(), "Status": "DELETING"}
                return ActionResult({"ResolverQueryLogConfigAssociation": told})
        raise self._missing("query logging association of", given["ResourceId"])

    def delete_resolver_query_log_config(self) -> ActionResult:
        """Delete a query logging configuration that no VPC uses."""
        config = self.route53resolver_backend.get_resolver_query_log_config(self.given["ResolverQueryLogConfigId"])
        if config.association_count:
            raise _refused("InvalidRequestException", f"{config.id} is associated with a VPC")
        del self.route53resolver_backend.resolver_query_log_configs[config.id]
        return ActionResult({"ResolverQueryLogConfig": {**config.description(), "Status": "DELETING"}})

    # What the operations share.

    def _new(self, kind: str, prefix: str, path: str, about: Kept) -> Kept:
        identifier = f"{prefix}-{mock_random.get_random_hex(17)}"
        region, account = self.region, self.current_account
        arn = f"arn:{get_partition(region)}:route53resolver:{region}:{account}:{path}/{identifier}"
        now = utcnow().isoformat()
        made: Kept = {"Id": identifier, "Arn": arn, "Name": self.given.get("Name", ""), "Status": "COMPLETE"}
        made |= {
            "CreatorRequestId": self.given.get("CreatorRequestId", ""),
            "CreationTime": now,
            "ModificationTime": now,
        }
        self.kept(kind)[identifier] = {**made, **about}
        self.route53resolver_backend.tagger.tag_resource(arn, self.given.get("Tags", []))
        return self.kept(kind)[identifier]

    def _missing(self, what: str, identifier: str) -> JsonRESTError:
        return _refused("ResourceNotFoundException", f"{what} {identifier} does not exist")

    def _found(self, kind: str, what: str, parameter: str) -> Kept:
        identifier = self.given[parameter]
        if identifier not in self.kept(kind):
            raise self._missing(what, identifier)
        return self.kept(kind)[identifier]

    def _list(self) -> Kept:
        return self._found("lists", "firewall domain list", "FirewallDomainListId")

    def _group(self) -> Kept:
        return self._found("groups", "firewall rule group", "FirewallRuleGroupId")

    def _association(self) -> Kept:
        return self._found("associations", "firewall rule group association", "FirewallRuleGroupAssociationId")

    def _all_rules(self) -> list[Kept]:
        return [rule for rules in self.kept("rules").values() for rule in rules["Rules"]]

    def _rule_of(self, rules: list[Kept]) -> Kept | None:
        identity = {name: self.given.get(name) for name in ("FirewallDomainListId", "Qtype")}
        return next((rule for rule in rules if identity == {name: rule.get(name) for name in identity}), None)

    def _rule(self, rules: list[Kept]) -> Kept:
        rule = self._rule_of(rules)
        if rule is None:
            raise self._missing("firewall rule of", str(self.given.get("FirewallDomainListId")))
        return rule

    def _check_rule(self, others: list[Kept], rule: Kept) -> None:
        if any(other["Priority"] == rule["Priority"] for other in others):
            raise _refused("ValidationException", f"priority {rule['Priority']} is taken")
        if (rule["Action"] == "BLOCK") != ("BlockResponse" in rule):
            raise _refused("ValidationException", "a block response belongs to the action BLOCK, and to no other")

    def _check_vpc(self, vpc: str) -> None:
        if vpc not in [each.id for each in self.route53resolver_backend.ec2_backend.describe_vpcs()]:
            raise self._missing("VPC", vpc)

    def _config(self, vpc: str) -> Kept:
        self._check_vpc(vpc)
        closed = {
            "Id": f"rslvr-fc-{mock_random.get_random_hex(17)}",
            "ResourceId": vpc,
            "OwnerId": self.current_account,
            "FirewallFailOpen": "DISABLED",
        }
        return self.kept("configs").setdefault(vpc, closed)
