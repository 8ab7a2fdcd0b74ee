"""Network firewalls: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import FIREWALL, simple

from falaj.policies.values import UNKNOWN

POLICY = "aws:networkfirewall/firewallPolicy:FirewallPolicy"
GROUP = "aws:networkfirewall/ruleGroup:RuleGroup"
LOGGING = "aws:networkfirewall/loggingConfiguration:LoggingConfiguration"
DROPPING = {
    "statelessDefaultActions": ["aws:forward_to_sfe"],
    "statelessFragmentDefaultActions": ["aws:drop"],
    "statefulEngineOptions": {"ruleOrder": "STRICT_ORDER"},
    "statefulDefaultActions": ["aws:drop_established", "aws:alert_established"],
}
CUSTOMER = {"type": "CUSTOMER_KMS", "keyId": "arn"}


def source(**rules: Any) -> dict[str, Any]:
    return {"ruleGroup": {"rulesSource": rules}}


def domains(*targets: Any) -> dict[str, Any]:
    return source(rulesSourceList={"generatedRulesType": "ALLOWLIST", "targets": list(targets)})


def logs(*types: Any) -> dict[str, Any]:
    return {"loggingConfiguration": {"logDestinationConfigs": [{"logType": type_} for type_ in types]}}


CASES = [
    simple(
        "FJ-FWL-001",
        POLICY,
        {"firewallPolicy": DROPPING},
        {"firewallPolicy": DROPPING | {"statefulDefaultActions": ["aws:alert_established"]}},
        {"firewallPolicy": DROPPING | {"statefulDefaultActions": UNKNOWN}},
    ),
    *(
        simple(
            "FJ-FWL-002",
            type_,
            {"encryptionConfiguration": CUSTOMER},
            {"encryptionConfiguration": {"type": "AWS_OWNED_KMS_KEY"}},
            {"encryptionConfiguration": CUSTOMER | {"keyId": UNKNOWN}},
        )
        for type_ in (FIREWALL, POLICY, GROUP)
    ),
    simple("FJ-FWL-003", LOGGING, logs("ALERT", "FLOW"), logs("ALERT"), logs("ALERT", UNKNOWN)),
    simple("FJ-FWL-004", GROUP, domains("login.example.ae"), domains("login.example.ae", ".ae"), domains(UNKNOWN)),
    simple(
        "FJ-FWL-004",
        GROUP,
        {"rules": "drop ip any any -> any any (sid:1;)"},
        {"rules": "drop tcp any any -> any 25 (sid:1;)\npass ip $HOME_NET any -> any any (sid:2;)"},
        {"rules": UNKNOWN},
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("FirewallPolicy", ["firewallPolicy", "statelessDefaultActions"], ["aws:pass"], {"FJ-FWL-001"}),
    ("FirewallPolicy", ["firewallPolicy", "statelessFragmentDefaultActions"], ["aws:pass"], {"FJ-FWL-001"}),
    (
        "FirewallPolicy",
        ["firewallPolicy", "statefulEngineOptions", "ruleOrder"],
        "DEFAULT_ACTION_ORDER",
        {"FJ-FWL-001"},
    ),
    ("FirewallPolicy", ["firewallPolicy", "statefulDefaultActions"], ["aws:alert_strict"], {"FJ-FWL-001"}),
    (
        "FirewallPolicy",
        ["firewallPolicy", "statefulEngineOptions", "streamExceptionPolicy"],
        "CONTINUE",
        {"FJ-FWL-001"},
    ),
    ("FirewallPolicy", ["encryptionConfiguration"], None, {"FJ-FWL-002"}),
    ("Firewall", ["encryptionConfiguration", "type"], "AWS_OWNED_KMS_KEY", {"FJ-FWL-002"}),
    ("RuleGroup", ["encryptionConfiguration", "keyId"], None, {"FJ-FWL-002"}),
    ("RuleGroup", ["ruleGroup", "rulesSource", "rulesSourceList", "targets"], [".com"], {"FJ-FWL-004"}),
    ("RuleGroup", ["ruleGroup", "rulesSource", "rulesString"], "pass tcp any any -> any any (sid:1;)", {"FJ-FWL-004"}),
    ("LoggingConfiguration", ["loggingConfiguration", "logDestinationConfigs", 0, "logType"], "TLS", {"FJ-FWL-003"}),
]
