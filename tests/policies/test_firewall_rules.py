"""Network firewalls: what their rules look through."""

from typing import Any

import pytest
from policies.making import make, verdict

from falaj.policies.model import Verdict

GROUP = "aws:networkfirewall/ruleGroup:RuleGroup"


def source(**rules: Any) -> dict[str, Any]:
    return {"ruleGroup": {"rulesSource": rules}}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pass ip any any -> any any (sid:1;)", Verdict.FAIL),
        ("pass tcp $HOME_NET any -> $EXTERNAL_NET any (flow:established; sid:1;)", Verdict.FAIL),
        ("pass tcp $HOME_NET any -> $EXTERNAL_NET 443 (sid:1;)", Verdict.PASS),
        ('pass tls $HOME_NET any -> any any (tls.sni; content:"example.ae"; sid:1;)', Verdict.PASS),
        ('pass tcp $HOME_NET any -> any any (content:"example.ae"; sid:1;)', Verdict.PASS),
        ("# pass ip any any -> any any (sid:1;)", Verdict.PASS),
        ("drop ip any any -> any any (sid:1;)", Verdict.PASS),
    ],
)
def test_rules_in_suricata_s_words_pass_named_destinations(line: str, expected: Verdict) -> None:
    assert verdict("FJ-FWL-004", [make(GROUP, {"rules": line})]) is expected
    assert (
        verdict("FJ-FWL-004", [make(GROUP, source(rulesString=f"drop ip any any -> any 25 (sid:9;)\n{line}"))])
        is expected
    )


def header(action: str, destination: str, port: str) -> dict[str, Any]:
    return source(statefulRules=[{"action": action, "header": {"destination": destination, "destinationPort": port}}])


def test_stateful_rules_pass_named_destinations() -> None:
    assert verdict("FJ-FWL-004", [make(GROUP, header("PASS", "ANY", "ANY"))]) is Verdict.FAIL
    assert verdict("FJ-FWL-004", [make(GROUP, header("PASS", "ANY", "443"))]) is Verdict.PASS
    assert verdict("FJ-FWL-004", [make(GROUP, header("DROP", "ANY", "ANY"))]) is Verdict.PASS


def stateless(action: str, **match: Any) -> dict[str, Any]:
    rules = [{"priority": 1.0, "ruleDefinition": {"actions": [action], "matchAttributes": match}}]
    return source(statelessRulesAndCustomActions={"statelessRules": rules})


def test_stateless_rules_pass_named_destinations() -> None:
    anywhere = [{"addressDefinition": "0.0.0.0/0"}]
    assert verdict("FJ-FWL-004", [make(GROUP, stateless("aws:pass"))]) is Verdict.FAIL
    assert verdict("FJ-FWL-004", [make(GROUP, stateless("aws:pass", destinations=anywhere))]) is Verdict.FAIL
    assert verdict("FJ-FWL-004", [make(GROUP, stateless("aws:forward_to_sfe"))]) is Verdict.PASS
    own = [{"addressDefinition": "10.0.0.0/8"}]
    assert verdict("FJ-FWL-004", [make(GROUP, stateless("aws:pass", destinations=own))]) is Verdict.PASS


def test_a_list_that_denies_may_name_whole_domains() -> None:
    denied = {"generatedRulesType": "DENYLIST", "targets": [".zip"]}
    assert verdict("FJ-FWL-004", [make(GROUP, source(rulesSourceList=denied))]) is Verdict.PASS
