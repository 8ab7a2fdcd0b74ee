"""From needs to instance types: ranked, offered, refused with a remedy."""

import pytest

from falaj.components import ConfigError
from falaj.components.gpu_needs import Wanted, check_needs, choose_named, choose_needed, nodes_for
from falaj.components.offers import Offers

HOME = ["me-central-1a", "me-central-1b", "me-central-1c"]
SMALL = ["g5.xlarge", "g5.12xlarge", "g5.48xlarge", "g6.12xlarge", "g6.24xlarge", "g6.48xlarge", "g6e.12xlarge"]
OFFERS = Offers(
    "me-central-1",
    {
        "me-central-1a": frozenset([*SMALL, "g6e.48xlarge"]),
        "me-central-1b": frozenset(SMALL),
        "me-central-1c": frozenset(["p5en.48xlarge"]),
    },
)
ANYWHERE = Wanted(zones=HOME)


def needed(wanted=ANYWHERE, offers=OFFERS, **needs):
    choice = choose_needed("gpu.needs", check_needs("gpu.needs", needs), wanted, offers)
    return [facts.name for facts in choice.types], choice.zones


def named(*names, wanted=ANYWHERE, offers=OFFERS):
    choice = choose_named("gpu.instance_types", names, wanted, offers)
    return [facts.name for facts in choice.types], choice.zones


def test_a_model_and_a_number_lead_to_the_type_and_the_zone_that_has_it():
    assert needed(gpus=16, gpu_model="H200") == (["p5en.48xlarge"], ["me-central-1c"])


def test_fallbacks_have_as_many_gpus_and_lie_in_all_zones_of_the_best():
    names, zones = needed(gpus=4, gpu_model="L4")
    assert names == ["g6.12xlarge", "g6.24xlarge"]
    assert zones == ["me-central-1a", "me-central-1b"]


def test_memory_is_met_by_the_smallest_gpu_that_has_it_first():
    assert needed(gpus=4, gpu_memory_gb=24)[0] == ["g5.12xlarge", "g6.12xlarge", "g6.24xlarge", "g6e.12xlarge"]
    assert needed(gpus=4, gpu_memory_gb=48)[0] == ["g6e.12xlarge"]


def test_no_gpu_of_more_than_twice_the_memory_is_a_fallback():
    assert "p5en.48xlarge" not in needed(gpus=8, gpu_memory_gb=24, wanted=Wanted(zones=None))[0]


def test_gpus_that_nobody_asked_for_count_against_a_type():
    assert needed(gpus=12, gpu_model="L4")[0][0] == "g6.12xlarge"
    assert needed(gpus=12, gpu_model="L4", gpus_per_node=8)[0] == ["g6.48xlarge"]


def test_whoever_trains_over_efa_gets_the_faster_network_and_types_with_as_many_interfaces():
    over_efa = Wanted(zones=["me-central-1a"], efa=True)
    assert needed(gpus=4, gpu_model="L4", wanted=over_efa)[0] == ["g6.24xlarge", "g6.12xlarge"]
    assert needed(gpus=1, gpu_model="A10G", wanted=over_efa)[0] == ["g5.12xlarge"]


def test_a_reservation_is_for_one_type():
    assert needed(gpus=4, gpu_model="L4", wanted=Wanted(zones=HOME, one_type=True))[0] == ["g6.12xlarge"]


def test_what_cannot_be_asked_is_ranked_and_not_refused():
    assert needed(gpus=8, gpu_model="B200", offers=None) == (["p6-b200.48xlarge"], HOME)
    assert named("p5.48xlarge", offers=None, wanted=Wanted(zones=None)) == (["p5.48xlarge"], None)


def test_named_types_stay_in_their_order_and_in_the_zones_that_offer_them_all():
    assert named("g6e.48xlarge", "g6.48xlarge") == (["g6e.48xlarge", "g6.48xlarge"], ["me-central-1a"])
    assert named("p5en.48xlarge") == (["p5en.48xlarge"], ["me-central-1c"])


def test_nodes_are_as_many_as_the_gpus_take():
    assert [nodes_for(gpus, choose_named("t", ["g5.12xlarge"], ANYWHERE, OFFERS).preferred) for gpus in (1, 4, 5)] == [
        1,
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("needs", "wanted", "message"),
    [
        (
            {"gpus": 8, "gpu_model": "B200"},
            ANYWHERE,
            "gpu.needs.gpu_model must be a GPU that me-central-1 offers: A10G, L4, L40S, H200 (got 'B200')",
        ),
        (
            {"gpus": 8, "gpu_memory_gb": 180},
            ANYWHERE,
            "gpu.needs.gpu_memory_gb must be at most 151 GB, which is the largest GPU that me-central-1 offers ",
        ),
        (
            {"gpus": 8, "gpu_model": "L40S", "gpus_per_node": 8},
            Wanted(zones=["me-central-1b"]),
            "gpu.needs must lie in zones that offer what is needed, which me-central-1b does not: "
            "g6e.48xlarge in me-central-1a (got {'gpus': 8, 'gpu_model': 'L40S', 'gpus_per_node': 8})",
        ),
        (
            {"gpus": 8, "gpu_model": "H200"},
            Wanted(zones=HOME[:2]),
            "gpu.needs must lie in zones that offer what is needed, which me-central-1a, me-central-1b does not: "
            "p5en.48xlarge in me-central-1c (got {'gpus': 8, 'gpu_model': 'H200'})",
        ),
        (
            {"gpus": 8, "gpu_model": "L4"},
            Wanted(zones=HOME, capacity_block=True),
            "gpu.needs must be met by an instance type: ",
        ),
        ({"gpus": 8}, ANYWHERE, "gpu.needs must say gpu_model or gpu_memory_gb (got {'gpus': 8})"),
        (
            {"gpus": 0, "gpu_model": "L4"},
            ANYWHERE,
            "gpu.needs.gpus must be a whole number from 1 to 40000 GPUs (got 0)",
        ),
        ({"gpus": 8, "gpu_model": "H900"}, ANYWHERE, "gpu.needs.gpu_model must be one of T4, A10G, L4, "),
    ],
)
def test_needs_that_cannot_be_met_are_refused_with_what_there_is(needs, wanted, message):
    with pytest.raises(ConfigError) as refused:
        needed(wanted=wanted, **needs)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("names", "wanted", "message"),
    [
        (["p5.48xlarge"], ANYWHERE, "gpu.instance_types must be instance types that me-central-1 offers: g5.xlarge, "),
        (
            ["p5en.48xlarge"],
            Wanted(zones=HOME[:2]),
            "gpu.instance_types must lie in zones that offer it, which me-central-1a, me-central-1b does not: "
            "p5en.48xlarge in me-central-1c (got 'p5en.48xlarge')",
        ),
        (
            ["g5.48xlarge", "p5en.48xlarge"],
            ANYWHERE,
            "gpu.instance_types must be offered in one zone together, not g5.48xlarge in me-central-1a, me-central-1b; "
            "p5en.48xlarge in me-central-1c (got ['g5.48xlarge', 'p5en.48xlarge'])",
        ),
        (
            ["g5.12xlarge", "g5.48xlarge"],
            ANYWHERE,
            "gpu.instance_types must have 4 GPUs as g5.12xlarge, since a scheduler counts on each node for the same "
            "(got 'g5.48xlarge')",
        ),
        (["m6i.large"], ANYWHERE, "gpu.instance_types must be among the GPU types that are known: g4dn.xlarge, "),
        (
            ["g5.xlarge"],
            Wanted(zones=HOME, efa=True),
            "gpu.instance_types must be instance types that fit: it has no EFA interface (got 'g5.xlarge')",
        ),
        (
            ["g5.12xlarge"],
            Wanted(zones=HOME, capacity_block=True),
            "gpu.instance_types must be instance types that fit: it is not sold in capacity blocks (got 'g5.12xlarge')",
        ),
        (
            ["g5.12xlarge", "g6.12xlarge"],
            Wanted(zones=HOME, one_type=True),
            "gpu.instance_types must be one instance type: a reservation is for one ",
        ),
        (
            ["g6.48xlarge", "g6e.48xlarge"],
            Wanted(zones=HOME, efa=True),
            "gpu.instance_types must have 1 EFA interfaces as g6.48xlarge, since one launch template makes them ",
        ),
    ],
)
def test_named_types_that_are_not_to_be_had_are_refused_with_where_they_are(names, wanted, message):
    with pytest.raises(ConfigError) as refused:
        named(*names, wanted=wanted)
    assert str(refused.value).startswith(message)


def test_an_empty_offer_is_refused_and_never_taken_for_silence():
    nothing = Offers("me-central-1", {})
    with pytest.raises(ConfigError, match="must be a GPU that me-central-1 offers: none"):
        needed(gpus=1, gpu_model="L4", offers=nothing)
    with pytest.raises(ConfigError, match="must be instance types that me-central-1 offers: no GPU type"):
        named("g5.xlarge", offers=nothing)
