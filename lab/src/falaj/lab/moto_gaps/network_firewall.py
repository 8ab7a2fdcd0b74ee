"""Network Firewall: policies, rule groups, changes, protections, endpoints. Moto only makes firewalls and lists them.

Weaker than AWS: nothing is filtered and nothing logged; a firewall is ready at once; rules are kept as they are given,
and nobody counts whether they fit a rule group's capacity or parse as Suricata's.
"""

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.moto_api._internal import mock_random
from moto.networkfirewall import urls
from moto.networkfirewall.models import NetworkFirewallBackend, NetworkFirewallModel
from moto.networkfirewall.responses import _firewall as told  # pyright: ignore[reportPrivateUsage]

from falaj.lab.moto_gaps.kept import kept
from falaj.lab.moto_gaps.network_firewall_rules import Rules, missing, refused, token


def serve() -> None:
    """Let moto's server answer Network Firewall's requests so."""
    NetworkFirewallBackend._get_firewall = _firewall  # pyright: ignore[reportPrivateUsage]
    urls.url_paths.update(dict.fromkeys(urls.url_paths, NetworkFirewall.dispatch))


def _firewall(self: NetworkFirewallBackend, firewall_arn: str | None, firewall_name: str | None) -> Any:
    """Return a firewall by ARN or name; moto's own error has a name that AWS's SDKs do not know."""
    for firewall in self.firewalls.values():
        if firewall_arn == firewall.arn or (not firewall_arn and firewall_name == firewall.firewall_name):
            return firewall
    raise missing(firewall_arn or firewall_name)


class NetworkFirewall(Rules):
    """The operations that are served."""

    def create_firewall(self) -> ActionResult:
        """Make a firewall with an endpoint in each of its subnets."""
        name, policy = self.given["FirewallName"], self.given["FirewallPolicyArn"]
        if self.arn("firewall", name) in self.networkfirewall_backend.firewalls:
            raise refused(f"A resource with the name {name} already exists")
        if policy not in self.kept("policies"):
            raise missing(policy)
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
        firewall.update_token = token()
        self._attach(firewall, self.given.get("SubnetMappings", []))
        return self._firewall_answer(firewall)

    def describe_firewall(self) -> ActionResult:
        """Tell of one firewall, its present tags and its endpoints."""
        return self._firewall_answer(self._named())

    def delete_firewall(self) -> ActionResult:
        """Delete a firewall that is not protected and that nothing logs, with its endpoints."""
        firewall = self._named()
        if firewall.delete_protection:
            raise refused(f"Unable to delete {firewall.arn}: delete protection is enabled")
        if (firewall.logging_configs or {}).get("LogDestinationConfigs"):
            raise refused(f"Unable to delete {firewall.arn}: it has a logging configuration")
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
                raise refused(f"Unable to change the policy of {firewall.arn}: it is protected")
            if self.given["FirewallPolicyArn"] not in self.kept("policies"):
                raise missing(self.given["FirewallPolicyArn"])
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
        return ActionResult({"Tags": self.tags_of(self._tagged())})

    def _tagged(self) -> str:
        arn = self.given["ResourceArn"]
        if not any(arn in found for found in (*map(self.kept, ("policies", "groups")), self.all_firewalls())):
            raise missing(arn)
        return arn

    def _named(self) -> NetworkFirewallModel:
        return self.networkfirewall_backend.describe_firewall(
            self.given.get("FirewallName", ""), self.given.get("FirewallArn", "")
        )

    def _firewall_answer(self, firewall: NetworkFirewallModel, status: str = "READY") -> ActionResult:
        endpoints = kept(firewall, "endpoints")
        states = {
            each["zone"]: {"Attachment": {"SubnetId": subnet, "EndpointId": each["id"], "Status": "READY"}}
            for subnet, each in endpoints.items()
        }
        state = {"Status": status, "ConfigurationSyncStateSummary": "IN_SYNC", "SyncStates": states}
        about = {**told(firewall), "Tags": self.tags_of(firewall.arn)}
        return ActionResult({"UpdateToken": firewall.update_token, "Firewall": about, "FirewallStatus": state})

    def _changed(self, told_as: str, change: Callable[[NetworkFirewallModel], None]) -> ActionResult:
        firewall = self._named()
        self.check_token(firewall.update_token, needed=False)
        change(firewall)
        firewall.update_token = token()
        named = {"FirewallArn": firewall.arn, "FirewallName": firewall.firewall_name}
        return ActionResult({**named, told_as: told(firewall)[told_as], "UpdateToken": firewall.update_token})

    def _set(self, told_as: str, attribute: str, otherwise: Any) -> ActionResult:
        return self._changed(
            told_as, lambda firewall: setattr(firewall, attribute, self.given.get(told_as) or otherwise)
        )

    def _check_subnets_may_change(self, firewall: NetworkFirewallModel) -> None:
        if firewall.subnet_change_protection:
            raise refused(f"Unable to change the subnets of {firewall.arn}: they are protected")

    def _attach(self, firewall: NetworkFirewallModel, mappings: list[dict[str, str]]) -> None:
        """Make an endpoint in each subnet, of EC2's kind that routes may lead to."""
        endpoints = kept(firewall, "endpoints")
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
        endpoints = kept(firewall, "endpoints")
        for subnet in subnets:
            if subnet in endpoints:
                self.ec2.delete_vpc_endpoints([endpoints.pop(subnet)["id"]])
        firewall.subnet_mappings = [each for each in firewall.subnet_mappings if each["SubnetId"] not in subnets]
