"""Network Firewall: policies, rule groups, changes, protections, endpoints. Moto only makes firewalls and lists them.

Weaker than AWS: nothing is filtered and nothing logged; a firewall is ready at once; rules are kept as they are given,
and nobody counts whether they fit a rule group's capacity or parse as Suricata's.
"""

from collections.abc import Callable, Iterable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend, ec2_backends
from moto.moto_api._internal import mock_random
from moto.networkfirewall import urls
from moto.networkfirewall.models import NetworkFirewallBackend, NetworkFirewallModel
from moto.networkfirewall.responses import NetworkFirewallResponse
from moto.networkfirewall.responses import _firewall as told  # pyright: ignore[reportPrivateUsage]

Kept = dict[str, Any]
"""What Network Firewall answers of one thing, by its own names."""
_IN_USE = "Unable to delete the object because it is still in use"


def serve() -> None:
    """Let moto's server answer Network Firewall's requests so."""
    NetworkFirewallBackend._get_firewall = _firewall  # pyright: ignore[reportPrivateUsage]
    urls.url_paths.update(dict.fromkeys(urls.url_paths, NetworkFirewall.dispatch))


def _firewall(self: NetworkFirewallBackend, firewall_arn: str | None, firewall_name: str | None) -> Any:
    """Return a firewall by ARN or name; moto's own error has a name that AWS's SDKs do not know."""
    for firewall in self.firewalls.values():
        if firewall_arn == firewall.arn or (not firewall_arn and firewall_name == firewall.firewall_name):
            return firewall
    raise _missing(firewall_arn or firewall_name)


def _missing(what: object) -> JsonRESTError:
    return JsonRESTError("ResourceNotFoundException", f"The resource {what} could not be found")


def _refused(message: str) -> JsonRESTError:
    return JsonRESTError("InvalidOperationException", message)


class NetworkFirewall(NetworkFirewallResponse):
    """The operations that are served."""

    @property
    def given(self) -> Kept:
        """The parameters of the request by their names in the API."""
        parameters: Any = self.params
        return parameters

    @property
    def ec2(self) -> EC2Backend:
        """EC2 of the account and region."""
        return ec2_backends[self.current_account][self.region]

    def kept(self, kind: str) -> dict[str, Kept]:
        """Return the policies or rule groups by ARN, as an attribute of moto's object: it is written down with it."""
        return vars(self.networkfirewall_backend).setdefault(f"kept_{kind}", {})

    # Policies and rule groups.

    def create_firewall_policy(self) -> ActionResult:
        """Make a policy of rule groups that exist."""
        arn = self._arn("firewall-policy", self.given["FirewallPolicyName"])
        self._check_new("policies", arn)
        self._check_policy(self.given["FirewallPolicy"])
        told = {"FirewallPolicyName": self.given["FirewallPolicyName"], "FirewallPolicyArn": arn}
        self.kept("policies")[arn] = self._new(
            "FirewallPolicyId", {**told, "FirewallPolicyStatus": "ACTIVE"}, self.given["FirewallPolicy"]
        )
        return self._policy_answer(self.kept("policies")[arn])

    def describe_firewall_policy(self) -> ActionResult:
        """Tell of one policy."""
        policy = self._policy()
        return self._policy_answer(policy, FirewallPolicy=policy["body"])

    def update_firewall_policy(self) -> ActionResult:
        """Change a policy."""
        policy = self._policy()
        self._check_policy(self.given["FirewallPolicy"])
        self._change(policy, self.given["FirewallPolicy"])
        return self._policy_answer(policy)

    def delete_firewall_policy(self) -> ActionResult:
        """Delete a policy that no firewall uses."""
        policy = self._policy()
        self._delete("policies", policy["told"]["FirewallPolicyArn"], self._firewalls_of(policy))
        return ActionResult({"FirewallPolicyResponse": {**policy["told"], "FirewallPolicyStatus": "DELETING"}})

    def create_rule_group(self) -> ActionResult:
        """Make a rule group."""
        kind = self.given["Type"].lower()
        arn = self._arn(f"{kind}-rulegroup", self.given["RuleGroupName"])
        self._check_new("groups", arn)
        told = {name: self.given[name] for name in ("RuleGroupName", "Type", "Capacity")}
        self.kept("groups")[arn] = self._new(
            "RuleGroupId", {**told, "RuleGroupArn": arn, "RuleGroupStatus": "ACTIVE"}, self._rules()
        )
        return self._group_answer(self.kept("groups")[arn])

    def describe_rule_group(self) -> ActionResult:
        """Tell of one rule group."""
        group = self._group()
        return self._group_answer(group, RuleGroup=group["body"])

    def update_rule_group(self) -> ActionResult:
        """Change a rule group; its capacity stays."""
        group = self._group()
        self._change(group, self._rules())
        return self._group_answer(group)

    def delete_rule_group(self) -> ActionResult:
        """Delete a rule group that no policy uses."""
        group = self._group()
        self._delete("groups", group["told"]["RuleGroupArn"], self._policies_of(group))
        return ActionResult({"RuleGroupResponse": {**group["told"], "RuleGroupStatus": "DELETING"}})

    # Firewalls.

    def create_firewall(self) -> ActionResult:
        """Make a firewall with an endpoint in each of its subnets."""
        name, policy = self.given["FirewallName"], self.given["FirewallPolicyArn"]
        if self._arn("firewall", name) in self.networkfirewall_backend.firewalls:
            raise _refused(f"A resource with the name {name} already exists")
        if policy not in self.kept("policies"):
            raise _missing(policy)
        self.networkfirewall_backend.create_firewall(
            firewall_name=name,
            firewall_policy_arn=policy,
            vpc_id=self.given["VpcId"],
            subnet_mappings=[],
            # Left out, each is off; moto turns them on.
            delete_protection=self.given.get("DeleteProtection", False),
            subnet_change_protection=self.given.get("SubnetChangeProtection", False),
            firewall_policy_change_protection=self.given.get("FirewallPolicyChangeProtection", False),
            description=self.given.get("Description", ""),
            tags=self.given.get("Tags", []),
            encryption_configuration=self.given.get("EncryptionConfiguration") or {"Type": "AWS_OWNED_KMS_KEY"},
            enabled_analysis_types=self.given.get("EnabledAnalysisTypes", []),
        )
        firewall = self.networkfirewall_backend.describe_firewall(name, "")
        firewall.update_token = _token()
        self._attach(firewall, self.given.get("SubnetMappings", []))
        return self._firewall_answer(firewall)

    def describe_firewall(self) -> ActionResult:
        """Tell of one firewall, its present tags and its endpoints."""
        return self._firewall_answer(self._named())

    def delete_firewall(self) -> ActionResult:
        """Delete a firewall that is not protected and that nothing logs, with its endpoints."""
        firewall = self._named()
        if firewall.delete_protection:
            raise _refused(f"Unable to delete {firewall.arn}: delete protection is enabled")
        if (firewall.logging_configs or {}).get("LogDestinationConfigs"):
            raise _refused(f"Unable to delete {firewall.arn}: it has a logging configuration")
        self._detach(firewall, [each["SubnetId"] for each in firewall.subnet_mappings])
        del self.networkfirewall_backend.firewalls[firewall.arn]
        return self._firewall_answer(firewall, "DELETING")

    def associate_subnets(self) -> ActionResult:
        """Add endpoints."""

        def add(firewall: NetworkFirewallModel) -> None:
            self._check_subnets_may_change(firewall)
            self._attach(firewall, self.given["SubnetMappings"])

        return self._changed("SubnetMappings", add)

    def disassociate_subnets(self) -> ActionResult:
        """Take endpoints away."""

        def remove(firewall: NetworkFirewallModel) -> None:
            self._check_subnets_may_change(firewall)
            self._detach(firewall, self.given["SubnetIds"])

        return self._changed("SubnetMappings", remove)

    def associate_firewall_policy(self) -> ActionResult:
        """Give a firewall another policy."""

        def associate(firewall: NetworkFirewallModel) -> None:
            if firewall.firewall_policy_change_protection:
                raise _refused(f"Unable to change the policy of {firewall.arn}: it is protected")
            if self.given["FirewallPolicyArn"] not in self.kept("policies"):
                raise _missing(self.given["FirewallPolicyArn"])
            firewall.firewall_policy_arn = self.given["FirewallPolicyArn"]

        return self._changed("FirewallPolicyArn", associate)

    def update_firewall_delete_protection(self) -> ActionResult:
        """Protect a firewall from being deleted, or no longer."""
        return self._set("DeleteProtection", "delete_protection", False)

    def update_subnet_change_protection(self) -> ActionResult:
        """Protect the subnets of a firewall, or no longer."""
        return self._set("SubnetChangeProtection", "subnet_change_protection", False)

    def update_firewall_policy_change_protection(self) -> ActionResult:
        """Protect a firewall's choice of policy, or no longer."""
        return self._set("FirewallPolicyChangeProtection", "firewall_policy_change_protection", False)

    def update_firewall_description(self) -> ActionResult:
        """Describe a firewall."""
        return self._set("Description", "description", "")

    def update_firewall_encryption_configuration(self) -> ActionResult:
        """Change the key of a firewall."""
        return self._set("EncryptionConfiguration", "encryption_configuration", {"Type": "AWS_OWNED_KMS_KEY"})

    def update_firewall_analysis_settings(self) -> ActionResult:
        """Change what a firewall's traffic is analysed for."""
        return self._set("EnabledAnalysisTypes", "enabled_analysis_types", [])

    def update_logging_configuration(self) -> ActionResult:
        """Change where logs go: one destination more or less at a time, as AWS takes it."""
        firewall, wanted = self._named(), self.given.get("LoggingConfiguration")
        if wanted is not None:
            before = (firewall.logging_configs or {}).get("LogDestinationConfigs", [])
            if abs(len(wanted["LogDestinationConfigs"]) - len(before)) > 1:
                raise JsonRESTError("InvalidRequestException", "only one destination may be added or removed at a time")
            firewall.logging_configs = wanted
        if "EnableMonitoringDashboard" in self.given:
            vars(firewall)["kept_dashboard"] = self.given["EnableMonitoringDashboard"]
        return self.describe_logging_configuration()

    def describe_logging_configuration(self) -> ActionResult:
        """Tell where logs go."""
        firewall = self._named()
        return ActionResult(
            {
                "FirewallArn": firewall.arn,
                "FirewallName": firewall.firewall_name,
                "LoggingConfiguration": firewall.logging_configs,
                "EnableMonitoringDashboard": vars(firewall).get("kept_dashboard", False),
            }
        )

    # Tags.

    def tag_resource(self) -> ActionResult:
        """Set tags."""
        self.networkfirewall_backend.tagger.tag_resource(self._tagged(), self.given["Tags"])
        return ActionResult({})

    def untag_resource(self) -> ActionResult:
        """Remove tags."""
        self.networkfirewall_backend.tagger.untag_resource_using_names(self._tagged(), self.given["TagKeys"])
        return ActionResult({})

    def list_tags_for_resource(self) -> ActionResult:
        """List tags."""
        return ActionResult({"Tags": self._tags(self._tagged())})

    # What the operations share.

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:{self.partition}:network-firewall:{self.region}:{self.current_account}:{kind}/{name}"

    def _tags(self, arn: str) -> list[dict[str, str]]:
        return self.networkfirewall_backend.tagger.list_tags_for_resource(arn)["Tags"]

    def _tagged(self) -> str:
        arn = self.given["ResourceArn"]
        if not any(arn in found for found in (*map(self.kept, ("policies", "groups")), self._all_firewalls())):
            raise _missing(arn)
        return arn

    def _all_firewalls(self) -> dict[str, NetworkFirewallModel]:
        return self.networkfirewall_backend.firewalls

    def _named(self) -> NetworkFirewallModel:
        return self.networkfirewall_backend.describe_firewall(
            self.given.get("FirewallName", ""), self.given.get("FirewallArn", "")
        )

    def _check_new(self, kind: str, arn: str) -> None:
        if arn in self.kept(kind):
            raise JsonRESTError("InvalidRequestException", f"A resource with the name {arn} already exists")

    def _new(self, identifier: str, told: Kept, body: Kept) -> Kept:
        arn = told.get("RuleGroupArn") or told["FirewallPolicyArn"]
        self.networkfirewall_backend.tagger.tag_resource(arn, self.given.get("Tags", []))
        extra = {identifier: str(mock_random.uuid4()), "LastModifiedTime": utcnow()}
        return {"told": {**told, **extra, **self._settings()}, "body": body, "token": _token()}

    def _settings(self) -> Kept:
        key = self.given.get("EncryptionConfiguration") or {"Type": "AWS_OWNED_KMS_KEY"}
        return {"Description": self.given.get("Description"), "EncryptionConfiguration": key}

    def _change(self, one: Kept, body: Kept) -> None:
        self._check_token(one["token"])
        one["body"], one["token"] = body, _token()
        one["told"] |= {**self._settings(), "LastModifiedTime": utcnow()}

    def _check_token(self, current: str, needed: bool = True) -> None:
        """Refuse a change by who has not seen the last one."""
        given = self.given.get("UpdateToken")
        if given != current and (given or needed):
            raise JsonRESTError("InvalidTokenException", "Update token is invalid")

    def _delete(self, kind: str, arn: str, users: Iterable[str]) -> None:
        if list(users):
            raise _refused(f"{_IN_USE}: {arn}")
        del self.kept(kind)[arn]
        self.networkfirewall_backend.tagger.delete_all_tags_for_resource(arn)

    def _rules(self) -> Kept:
        """Return the rules in the form in which they are told."""
        if ("RuleGroup" in self.given) == ("Rules" in self.given):
            raise JsonRESTError("InvalidRequestException", "Exactly one of Rules or RuleGroup must be set")
        return self.given.get("RuleGroup") or {"RulesSource": {"RulesString": self.given["Rules"]}}

    def _policy(self) -> Kept:
        return self._found("policies", "FirewallPolicyArn", "FirewallPolicyName")

    def _group(self) -> Kept:
        return self._found("groups", "RuleGroupArn", "RuleGroupName")

    def _found(self, kind: str, *names: str) -> Kept:
        asked = [(name, self.given[name]) for name in names if self.given.get(name)]
        for one in self.kept(kind).values():
            if asked and all(one["told"][name] == value for name, value in asked):
                return one
        raise _missing(asked[0][1] if asked else None)

    def _policies_of(self, group: Kept) -> list[str]:
        arn = group["told"]["RuleGroupArn"]
        return [name for name, policy in self.kept("policies").items() if arn in _groups_of(policy["body"])]

    def _firewalls_of(self, policy: Kept) -> list[str]:
        arn = policy["told"]["FirewallPolicyArn"]
        return [each.arn for each in self._all_firewalls().values() if each.firewall_policy_arn == arn]

    def _check_policy(self, policy: Kept) -> None:
        """Refuse rule groups that do not exist, or that are ordered otherwise than the policy."""
        strict = policy.get("StatefulEngineOptions", {}).get("RuleOrder") == "STRICT_ORDER"
        if policy.get("StatefulDefaultActions") and not strict:
            raise JsonRESTError("InvalidRequestException", "stateful default actions need strict order")
        for arn in _groups_of(policy):
            if arn not in self.kept("groups"):
                raise JsonRESTError("InvalidRequestException", f"rule group {arn} does not exist")
            options = self.kept("groups")[arn]["body"].get("StatefulRuleOptions", {})
            if "stateful-" in arn and (options.get("RuleOrder") == "STRICT_ORDER") != strict:
                raise JsonRESTError("InvalidRequestException", f"rule group {arn} has another rule order")

    def _policy_answer(self, policy: Kept, **more: Any) -> ActionResult:
        told = policy["told"]
        users, tags = len(self._firewalls_of(policy)), self._tags(told["FirewallPolicyArn"])
        response = {**told, "NumberOfAssociations": users, "Tags": tags}
        return ActionResult({"UpdateToken": policy["token"], "FirewallPolicyResponse": response, **more})

    def _group_answer(self, group: Kept, **more: Any) -> ActionResult:
        told = group["told"]
        users, tags = len(self._policies_of(group)), self._tags(told["RuleGroupArn"])
        response = {**told, "NumberOfAssociations": users, "Tags": tags}
        return ActionResult({"UpdateToken": group["token"], "RuleGroupResponse": response, **more})

    def _firewall_answer(self, firewall: NetworkFirewallModel, status: str = "READY") -> ActionResult:
        endpoints = vars(firewall).setdefault("kept_endpoints", {})
        states = {
            each["zone"]: {"Attachment": {"SubnetId": subnet, "EndpointId": each["id"], "Status": "READY"}}
            for subnet, each in endpoints.items()
        }
        state = {"Status": status, "ConfigurationSyncStateSummary": "IN_SYNC", "SyncStates": states}
        about = {**told(firewall), "Tags": self._tags(firewall.arn)}
        return ActionResult({"UpdateToken": firewall.update_token, "Firewall": about, "FirewallStatus": state})

    def _changed(self, told_as: str, change: Callable[[NetworkFirewallModel], None]) -> ActionResult:
        firewall = self._named()
        self._check_token(firewall.update_token, needed=False)
        change(firewall)
        firewall.update_token = _token()
        named = {"FirewallArn": firewall.arn, "FirewallName": firewall.firewall_name}
        return ActionResult({**named, told_as: told(firewall)[told_as], "UpdateToken": firewall.update_token})

    def _set(self, told_as: str, attribute: str, otherwise: Any) -> ActionResult:
        return self._changed(
            told_as, lambda firewall: setattr(firewall, attribute, self.given.get(told_as) or otherwise)
        )

    def _check_subnets_may_change(self, firewall: NetworkFirewallModel) -> None:
        if firewall.subnet_change_protection:
            raise _refused(f"Unable to change the subnets of {firewall.arn}: they are protected")

    def _attach(self, firewall: NetworkFirewallModel, mappings: list[dict[str, str]]) -> None:
        """Make an endpoint in each subnet, of EC2's kind that routes may lead to."""
        endpoints = vars(firewall).setdefault("kept_endpoints", {})
        for mapping in mappings:
            subnet = self.ec2.get_subnet(mapping["SubnetId"])
            if subnet.vpc_id != firewall.vpc_id or any(
                e["zone"] == subnet.availability_zone for e in endpoints.values()
            ):
                raise JsonRESTError("InvalidRequestException", f"{subnet.id} is of another VPC or a second in its zone")
            endpoint = self.ec2.create_vpc_endpoint(
                firewall.vpc_id,
                f"com.amazonaws.vpce.{self.region}.vpce-svc-{mock_random.get_random_hex(17)}",
                "GatewayLoadBalancer",
                None,
                [],
                subnet_ids=[subnet.id],
                tags={"Firewall": firewall.arn, "AWSNetworkFirewallManaged": "true"},
            )
            endpoints[subnet.id] = {"id": endpoint.id, "zone": subnet.availability_zone}
            firewall.subnet_mappings = [*firewall.subnet_mappings, {"IPAddressType": "IPV4", **mapping}]

    def _detach(self, firewall: NetworkFirewallModel, subnets: list[str]) -> None:
        endpoints = vars(firewall).setdefault("kept_endpoints", {})
        for subnet in subnets:
            if subnet in endpoints:
                self.ec2.delete_vpc_endpoints([endpoints.pop(subnet)["id"]])
        firewall.subnet_mappings = [each for each in firewall.subnet_mappings if each["SubnetId"] not in subnets]


def _groups_of(policy: Kept) -> list[str]:
    """Return the ARNs of the rule groups of a policy."""
    kinds = ("StatefulRuleGroupReferences", "StatelessRuleGroupReferences")
    return [reference["ResourceArn"] for kind in kinds for reference in policy.get(kind, [])]


def _token() -> str:
    return str(mock_random.uuid4())
