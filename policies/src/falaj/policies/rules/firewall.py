"""Network firewalls: what no rule allows is dropped, rules name where they lead, and everything is written down."""

import re
from collections.abc import Iterator
from typing import Any

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, View, any_of

_POLICY = "aws:networkfirewall/firewallPolicy:FirewallPolicy"
_GROUP = "aws:networkfirewall/ruleGroup:RuleGroup"
_LOGGING = "aws:networkfirewall/loggingConfiguration:LoggingConfiguration"
_DROPS = ("aws:drop_strict", "aws:drop_established", "aws:drop_established_app_layer")
_ANYWHERE = ("ANY", "any", "0.0.0.0/0", "::/0")
# A Suricata rule that passes a whole protocol to anywhere on any port, and looks at nothing within it.
_PASSES_ALL = re.compile(
    r"^\s*pass\s+(ip|tcp|udp|icmp)\s+\S+\s+\S+\s+->\s+(any|\$EXTERNAL_NET|0\.0\.0\.0/0)\s+any\s*"
    r"\((?!.*\b(content|flowbits|tls\.|http\.|dns\.|geoip|ssl_))",
    re.IGNORECASE | re.MULTILINE,
)


@rule(
    "FJ-FWL-001",
    "Firewalls drop what no rule allows",
    Severity.CRITICAL,
    ("A.8.20", "A.8.22", "A.8.12", "A.8.23"),
    (_POLICY,),
    "Forward to the stateful engine (aws:forward_to_sfe), evaluate in STRICT_ORDER, and drop by default "
    "(aws:drop_established).",
)
def default_drop(policy: Resource, _: Context) -> Checks:
    """AWS's default order passes what no rule names."""
    body = policy["firewallPolicy"]
    for key in ("statelessDefaultActions", "statelessFragmentDefaultActions"):
        yield never(body[key].contains("aws:pass"), "packets pass uninspected")
        inspected = body[key].contains("aws:forward_to_sfe") | body[key].contains("aws:drop")
        yield must(inspected, "packets are neither inspected nor dropped")
    engine = body["statefulEngineOptions"]
    yield must(engine["ruleOrder"].equals("STRICT_ORDER"), "there is no default for what no rule names: it passes")
    actions = body["statefulDefaultActions"]
    yield must(any_of((a.among(_DROPS) for a in actions.each()), actions.path), "what no rule allows is not dropped")
    yield never(engine["streamExceptionPolicy"].equals("CONTINUE"), "what was seen in part only passes")


@rule(
    "FJ-FWL-002",
    "Firewalls and their rules are encrypted with a customer key",
    Severity.LOW,
    ("A.8.24",),
    ("aws:networkfirewall/firewall:Firewall", _POLICY, _GROUP),
    "Set encryptionConfiguration with type CUSTOMER_KMS and keyId.",
)
def encryption(resource: Resource, _: Context) -> Checks:
    """The rules tell what an attacker wants to know: what passes."""
    given = resource["encryptionConfiguration"]
    yield must(given["type"].equals("CUSTOMER_KMS") & given["keyId"].is_set(), "no customer key is named")


@rule(
    "FJ-FWL-003",
    "Firewalls write down what they let through and what they refuse",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "A.8.23", "ZT-7"),
    (_LOGGING,),
    "Give logDestinationConfigs one entry for ALERT and one for FLOW.",
    settings={
        "logTypes": Setting(
            {
                "type": "array",
                "items": {"enum": ["ALERT", "FLOW", "TLS"]},
                "description": "Kinds of logs that there must be",
            },
            ("ALERT", "FLOW"),
        )
    },
)
def logs(logging: Resource, context: Context) -> Checks:
    """Alerts without flows do not show what passed."""
    configs = logging["loggingConfiguration"]["logDestinationConfigs"]
    for wanted in context.settings["logTypes"]:
        found = any_of((config["logType"].equals(wanted) for config in configs.each()), configs.path)
        yield must(found, f"there is no log {wanted}")


@rule(
    "FJ-FWL-004",
    "Firewall rules let named destinations through",
    Severity.HIGH,
    ("A.8.23", "A.8.12", "A.8.20"),
    (_GROUP,),
    "Name the domains or the addresses that may be reached, and the port.",
)
def destinations(group: Resource, _: Context) -> Checks:
    """A rule that passes everything to anywhere takes the firewall away."""
    source = group["ruleGroup"]["rulesSource"]
    for text in (group["rules"], source["rulesString"]):
        yield never(text.test(lambda lines: bool(_PASSES_ALL.search(lines))), "a rule passes everything to anywhere")
    listed = source["rulesSourceList"]
    allows = listed["generatedRulesType"].equals("ALLOWLIST")
    for target in listed["targets"].each():
        yield never(allows & target.test(_is_broad), "a whole top-level domain is allowed")
    for stateful in source["statefulRules"].each():
        header = stateful["header"]
        anywhere = header["destination"].among(_ANYWHERE) & header["destinationPort"].among(("ANY", "any"))
        yield never(stateful["action"].equals("PASS") & anywhere, "a rule passes everything to anywhere")
    for passes, match in _stateless(source):
        nowhere = ~match["destinations"].is_set() | any_of(
            each["addressDefinition"].among(_ANYWHERE) for each in match["destinations"].each()
        )
        yield never(passes & nowhere & ~match["destinationPorts"].is_set(), "a rule passes everything to anywhere")


def _stateless(source: View) -> Iterator[tuple[Fact, View]]:
    """Yield the stateless rules: whether each passes packets, and which."""
    for stateless in source["statelessRulesAndCustomActions"]["statelessRules"].each():
        definition = stateless["ruleDefinition"]
        yield definition["actions"].contains("aws:pass"), definition["matchAttributes"]


def _is_broad(domain: Any) -> bool:
    return "." not in str(domain).strip(".*")


RULES: tuple[Rule, ...] = (default_drop, encryption, logs, destinations)
