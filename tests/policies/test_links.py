"""Links lead by where a value comes from, else by value; what is not known may lead anywhere."""

from typing import Any

import pytest
from policies.making import NODES, SUBNET, make, urn

from falaj.policies.links import pointing, sharing, targets
from falaj.policies.model import Graph, Resource
from falaj.policies.values import UNKNOWN

ROUTE = "aws:ec2/route:Route"
TABLE_OF = "aws:ec2/routeTableAssociation:RouteTableAssociation"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
SUBNETS = [make(SUBNET, {"id": f"subnet-{name}"}, name=name) for name in ("a", "b")]


def told(found: Any) -> dict[str, bool | None]:
    return {resource.name: fact.truth for resource, fact in found}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["subnet-a"], {"a": True}),
        (["subnet-a", UNKNOWN], {"a": None, "b": None}),
        (UNKNOWN, {"a": None, "b": None}),
        (["subnet-elsewhere"], {}),
        (None, {}),
    ],
)
def test_a_list_leads_to_the_resources_that_it_names(values: Any, expected: dict[str, bool | None]) -> None:
    nodes = make(NODES, {"subnetIds": values})
    assert told(targets(Graph([nodes, *SUBNETS]), nodes, "subnetIds", SUBNET)) == expected


def test_the_engine_s_word_comes_before_the_value() -> None:
    nodes = make(NODES, {"subnetIds": [UNKNOWN]}, subnetIds=urn(SUBNET, "b"))
    assert told(targets(Graph([nodes, *SUBNETS]), nodes, "subnetIds", SUBNET)) == {"b": True}


def association(table: Any, name: str, **links: str) -> Resource:
    return make(TABLE_OF, {"routeTableId": table}, name=name, **links)


def test_resources_share_a_value_by_its_origin_or_by_itself() -> None:
    others = [
        association(UNKNOWN, "by-origin", routeTableId="urn:table"),
        association("rtb-1", "by-value"),
        association(UNKNOWN, "perhaps"),
        association("rtb-2", "other"),
    ]
    linked = make(ROUTE, {"routeTableId": "rtb-1"}, routeTableId="urn:table")
    literal = make(ROUTE, {"routeTableId": "rtb-1"})
    assert told(sharing(Graph(others), linked, "routeTableId", TABLE_OF)) == {
        "by-origin": True,
        "by-value": True,
        "perhaps": None,
    }
    assert told(sharing(Graph(others), literal, "routeTableId", TABLE_OF)) == {
        "by-value": True,
        "by-origin": None,
        "perhaps": None,
    }


def test_a_resource_may_be_meant_by_its_name() -> None:
    rule = make(RULE, {"id": "rule-id", "name": "findings"})
    pointers = [make(TARGET, {"rule": value}, name=str(value)) for value in ("findings", "other", UNKNOWN)]
    found = told(pointing(Graph([rule, *pointers]), rule, TARGET, "rule", "name"))
    assert found == {"findings": True, "UNKNOWN": None}
