"""A tenant's openings: what each lets through, and what is too wide to be one."""

import pytest
from component_samples import OWNERSHIP

from falaj.components import ConfigError, Direction, Tenant
from falaj.components.tenant_network import check_openings, opening_policy

ARGS = {"ownership": OWNERSHIP, "gpus": 4}
GATEWAY = {"name": "gateway", "direction": Direction.IN, "ports": [8000], "namespace": "gateway"}
FEATURES = {
    "name": "features",
    "direction": Direction.OUT,
    "ports": [6565, 6566],
    "pods": {"app": "trainer"},
    "namespace": "features",
    "peer_pods": {"app": "store"},
}
STORES = {"name": "stores", "direction": Direction.OUT, "ports": [443], "cidrs": ["10.20.8.0/24"]}


def test_a_gateway_s_namespace_comes_in_at_the_named_port_alone():
    assert opening_policy(GATEWAY) == {
        "pod_selector": {},
        "policy_types": ["Ingress"],
        "ingress": [
            {
                "from_": [{"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": "gateway"}}}],
                "ports": [{"protocol": "TCP", "port": 8000}],
            }
        ],
    }


def test_named_pods_call_named_pods_of_another_namespace():
    policy = opening_policy(FEATURES)
    assert policy["pod_selector"] == {"match_labels": {"app": "trainer"}}
    (rule,) = policy["egress"]
    (peer,) = rule["to"]
    # One peer with both selectors: as two, it would be all pods of the namespace or such pods of any.
    assert peer == {
        "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": "features"}},
        "pod_selector": {"match_labels": {"app": "store"}},
    }
    assert [port["port"] for port in rule["ports"]] == [6565, 6566]


def test_endpoints_are_called_by_their_addresses():
    policy = opening_policy(STORES)
    assert policy["policy_types"] == ["Egress"]
    assert policy["egress"] == [
        {"to": [{"ip_block": {"cidr": "10.20.8.0/24"}}], "ports": [{"protocol": "TCP", "port": 443}]}
    ]


def test_pods_that_train_together_talk_over_a_range_of_ports():
    own = {"namespace": "vision", "peer_pods": {"app": "trainer"}, "ports": [20000], "last_port": 29999}
    (rule,) = opening_policy({"name": "ring", "direction": Direction.OUT, **own})["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 20000, "end_port": 29999}]


def test_each_opening_is_a_policy_beside_those_that_close(run, engine, providers):
    run(lambda: Tenant("vision", {**ARGS, "openings": [GATEWAY, FEATURES, STORES]}, providers()).namespace)
    names = {policy["metadata"]["name"] for policy in engine.all("NetworkPolicy")}
    assert names == {"default-deny", "allow-dns", "allow-gateway", "allow-features", "allow-stores"}
    assert {policy["metadata"]["namespace"] for policy in engine.all("NetworkPolicy")} == {"vision"}


def refused(*openings):
    with pytest.raises(ConfigError) as error:
        check_openings("vision.openings", openings)
    return str(error.value)


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0", "10.0.0.0/8", "10.20.0.1/16", "anywhere", "169.254.169.254/32"])
def test_addresses_of_everybody_or_of_the_node_are_no_opening(cidr):
    assert refused({**STORES, "cidrs": [cidr]}).startswith("vision.openings[0].cidrs must")
    assert repr(cidr) in refused({**STORES, "cidrs": [cidr]})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ports": []}, "ports must name at least one port"),
        ({"ports": [0]}, "ports must be a whole number from 1 to 65535"),
        ({"ports": [1, 2], "last_port": 9}, "ports must be the first port of the range alone"),
        ({"ports": [9], "last_port": 8}, "last_port must be a whole number from 9 to 65535"),
        ({"direction": "both"}, "direction must be among in, out"),
        ({"cidrs": ["10.20.8.0/24"]}, "namespace must be there where cidrs are not"),
        ({"pods": {}}, "pods must name at least one label"),
        ({"peer_pods": {}}, "peer_pods must name at least one label"),
        ({"name": "dns"}, "name must differ"),
        ({"name": "Features"}, "name must be lower-case letters"),
    ],
)
def test_an_opening_that_would_open_more_than_it_names_is_refused(change, field):
    assert refused({**FEATURES, **change}).startswith(f"vision.openings[0].{field}")


def test_whoever_is_called_in_a_namespace_is_named():
    called = {key: value for key, value in FEATURES.items() if key != "peer_pods"}
    assert refused(called).startswith("vision.openings[0].peer_pods must name the pods that are called")


def test_nobody_comes_in_by_an_address():
    assert refused({**STORES, "direction": Direction.IN}).startswith("vision.openings[0].cidrs must be left out here")


def test_the_other_end_is_somebody():
    nobody = {key: value for key, value in STORES.items() if key != "cidrs"}
    assert refused(nobody).startswith("vision.openings[0].namespace must be there where cidrs are not")


def test_openings_differ_in_name():
    assert refused(STORES, STORES).startswith("vision.openings[0].name must differ from the others'")
