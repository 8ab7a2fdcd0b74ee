"""Network Firewall's policies and rule groups, which moto lacks, and what all of its operations share."""

from collections.abc import Iterable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend, ec2_backends
from moto.moto_api._internal import mock_random
from moto.networkfirewall.models import NetworkFirewallModel
from moto.networkfirewall.responses import NetworkFirewallResponse

from falaj.lab.moto_gaps.kept import Given, Kept, kept

_IN_USE = "Unable to delete the object because it is still in use"


class Base(Given, NetworkFirewallResponse):
    """A request to Network Firewall."""

    @property
    def ec2(self) -> EC2Backend:
        """EC2 of the account and region."""
        return ec2_backends[self.current_account][self.region]

    def kept(self, kind: str) -> dict[str, Kept]:
        """Return the policies or rule groups by ARN."""
        return kept(self.networkfirewall_backend, kind)

    def all_firewalls(self) -> dict[str, NetworkFirewallModel]:
        """Return the firewalls by ARN."""
        return self.networkfirewall_backend.firewalls

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of something of the account and region."""
        return f"arn:{self.partition}:network-firewall:{self.region}:{self.current_account}:{kind}/{name}"

    def tags_of(self, arn: str) -> list[dict[str, str]]:
        """Return the present tags."""
        return self.networkfirewall_backend.tagger.list_tags_for_resource(arn)["Tags"]

    def check_token(self, current: str, needed: bool = True) -> None:
        """Refuse a change by who has not seen the last one."""
        given = self.given.get("UpdateToken")
        if given != current and (given or needed):
            raise JsonRESTError("InvalidTokenException", "Update token is invalid")


class Rules(Base):
    """The operations on policies and rule groups."""

    def create_firewall_policy(self) -> ActionResult:
        """Make a policy of rule groups that exist."""
        arn = self.arn("firewall-policy", self.given["FirewallPolicyName"])
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

    def list_firewall_policies(self) -> ActionResult:
        """Name every policy."""
        return ActionResult({"FirewallPolicies": self._names("policies", "FirewallPolicyName", "FirewallPolicyArn")})

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
        arn = self.arn(f"{kind}-rulegroup", self.given["RuleGroupName"])
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

    def list_rule_groups(self) -> ActionResult:
        """Name every rule group."""
        return ActionResult({"RuleGroups": self._names("groups", "RuleGroupName", "RuleGroupArn")})

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

    def _names(self, kind: str, name: str, arn: str) -> list[Kept]:
        return [{"Name": one["told"][name], "Arn": one["told"][arn]} for one in self.kept(kind).values()]

    def _check_new(self, kind: str, arn: str) -> None:
        if arn in self.kept(kind):
            raise JsonRESTError("InvalidRequestException", f"A resource with the name {arn} already exists")

    def _new(self, identifier: str, told: Kept, body: Kept) -> Kept:
        arn = told.get("RuleGroupArn") or told["FirewallPolicyArn"]
        self.networkfirewall_backend.tagger.tag_resource(arn, self.given.get("Tags", []))
        extra = {identifier: str(mock_random.uuid4()), "LastModifiedTime": utcnow()}
        return {"told": {**told, **extra, **self._settings()}, "body": body, "token": token()}

    def _settings(self) -> Kept:
        key = self.given.get("EncryptionConfiguration") or {"Type": "AWS_OWNED_KMS_KEY"}
        return {"Description": self.given.get("Description"), "EncryptionConfiguration": key}

    def _change(self, one: Kept, body: Kept) -> None:
        self.check_token(one["token"])
        one["body"], one["token"] = body, token()
        one["told"] |= {**self._settings(), "LastModifiedTime": utcnow()}

    def _delete(self, kind: str, arn: str, users: Iterable[str]) -> None:
        if list(users):
            raise refused(f"{_IN_USE}: {arn}")
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
        raise missing(asked[0][1] if asked else None)

    def _policies_of(self, group: Kept) -> list[str]:
        arn = group["told"]["RuleGroupArn"]
        return [name for name, policy in self.kept("policies").items() if arn in _groups_of(policy["body"])]

    def _firewalls_of(self, policy: Kept) -> list[str]:
        arn = policy["told"]["FirewallPolicyArn"]
        return [each.arn for each in self.all_firewalls().values() if each.firewall_policy_arn == arn]

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
        users, tags = len(self._firewalls_of(policy)), self.tags_of(told["FirewallPolicyArn"])
        response = {**told, "NumberOfAssociations": users, "Tags": tags}
        return ActionResult({"UpdateToken": policy["token"], "FirewallPolicyResponse": response, **more})

    def _group_answer(self, group: Kept, **more: Any) -> ActionResult:
        told = group["told"]
        users, tags = len(self._policies_of(group)), self.tags_of(told["RuleGroupArn"])
        response = {**told, "NumberOfAssociations": users, "Tags": tags}
        return ActionResult({"UpdateToken": group["token"], "RuleGroupResponse": response, **more})


def missing(what: object) -> JsonRESTError:
    """Return the answer that something is not there."""
    return JsonRESTError("ResourceNotFoundException", f"The resource {what} could not be found")


def refused(message: str) -> JsonRESTError:
    """Return the answer that something cannot be done as things are."""
    return JsonRESTError("InvalidOperationException", message)


def token() -> str:
    """Return the token of a new state: who changes it later has to have seen it."""
    return str(mock_random.uuid4())


def _groups_of(policy: Kept) -> list[str]:
    """Return the ARNs of the rule groups of a policy."""
    kinds = ("StatefulRuleGroupReferences", "StatelessRuleGroupReferences")
    return [reference["ResourceArn"] for kind in kinds for reference in policy.get(kind, [])]
