"""GpuNodePool: what is needed becomes machines, capacity and a reference; what is not to be had is refused."""

import base64

import pulumi
import pulumi_aws as aws
import pytest
from component_samples import CLUSTER, KEY, NETWORK, OWNERSHIP
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.runtime import mocks
from recording import Recorder

from falaj.components import CapacityType, ConfigError, GpuImage, GpuNodePool, NodePool
from falaj.components.instance_facts import instance_types
from falaj.components.launch_template import disks, efa_interfaces
from falaj.components.package import COMPONENTS, NAME, VERSION

NETWORK_IN_C = {**NETWORK, "zones": ["me-central-1b", "me-central-1c"], "placement_zone": "me-central-1c"}
ARGS = {"cluster": CLUSTER, "network": NETWORK, "key": KEY, "ownership": OWNERSHIP}
H200 = {**ARGS, "network": NETWORK_IN_C, "needs": {"gpus": 16, "gpu_model": "H200"}}
NAMED = {**ARGS, "instance_types": ["g5.12xlarge"], "max_nodes": 4}
BLOCK = {"id": "cr-0123456789abcdef0", "zone": "me-central-1c"}


@pytest.fixture
def made(run, engine, providers):
    """Make a pool and return its reference, its node group and its launch template."""

    def make(args, **more):
        ref = run(lambda: GpuNodePool("gpu", {**args, **more}, providers()).ref)
        return ref, engine.one("NodeGroup"), engine.one("LaunchTemplate")

    return make


def told(template):
    return base64.b64decode(template["userData"]).decode()


def test_what_is_needed_becomes_instance_types_nodes_and_the_subnets_that_offer_them(made):
    ref, group, _ = made(H200)
    assert group["instanceTypes"] == ["p5en.48xlarge"]
    assert group["scalingConfig"] == {"minSize": 0, "desiredSize": 0, "maxSize": 2}
    assert group["subnetIds"] == ["subnet-b"]
    assert group["updateConfig"] == {"maxUnavailable": 1, "updateStrategy": "MINIMAL"}
    assert ref == {
        "pool_name": "gpu",
        "node_labels": {"pool": "gpu"},
        "resource": "nvidia.com/gpu",
        "max_gpus": 16,
        "gpu_model": "H200",
    }


def test_named_types_lie_in_the_subnets_whose_zones_offer_them(made):
    _, group, _ = made({**NAMED, "network": NETWORK_IN_C})
    assert group["subnetIds"] == ["subnet-a"]


def test_a_network_that_is_known_later_is_held_against_the_offer_when_it_is(run, engine, providers):
    def pool(zones):
        network = pulumi.Output.from_input({**NETWORK, "zones": zones})
        return GpuNodePool("gpu", {**H200, "network": network}, providers()).ref

    run(lambda: pool(["me-central-1b", "me-central-1c"]))
    assert engine.one("NodeGroup")["subnetIds"] == ["subnet-b"]
    with pytest.raises(ValueError, match="must have a subnet in me-central-1a or me-central-1c"):
        run(lambda: pool(["me-central-1b", "me-central-1d"]))


def test_nodes_that_train_together_have_every_efa_interface_one_zone_and_the_placement_group(made):
    _, group, template = made(H200, efa=True)
    first, *others = template["networkInterfaces"]
    assert (first["interfaceType"], first["networkCardIndex"], first["deviceIndex"]) == ("efa", 0, 0)
    assert [(each["interfaceType"], each["networkCardIndex"], each["deviceIndex"]) for each in others] == [
        ("efa-only", card, 1) for card in range(1, 16)
    ]
    for interface in template["networkInterfaces"]:
        assert interface["securityGroups"] == ["sg-cluster", "sg-efa"]
    assert template["placement"] == {"groupName": "test-network-a"}
    assert group["subnetIds"] == ["subnet-b"]


def test_where_the_first_network_card_takes_no_efa_it_carries_the_nodes_own_traffic():
    first, *others = efa_interfaces(instance_types()["p6-b300.48xlarge"], ["sg"])
    assert (first["interface_type"], first["network_card_index"]) == ("interface", 0)
    assert [each["network_card_index"] for each in others] == list(range(1, 17))
    assert {each["interface_type"] for each in others} == {"efa-only"}


def test_without_efa_the_cluster_s_own_group_and_any_place_will_do(made):
    _, _, template = made(NAMED)
    assert "networkInterfaces" not in template
    assert "placement" not in template
    assert "userData" not in template


def test_a_capacity_block_is_in_the_launch_template_with_its_type_and_in_its_zone(made):
    _, group, template = made(H200, capacity_type=CapacityType.CAPACITY_BLOCK, reservation=BLOCK, efa=True)
    assert group["capacityType"] == "CAPACITY_BLOCK"
    assert "instanceTypes" not in group
    assert template["instanceType"] == "p5en.48xlarge"
    assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}
    target = {"capacityReservationId": BLOCK["id"]}
    assert template["capacityReservationSpecification"] == {"capacityReservationTarget": target}
    assert group["subnetIds"] == ["subnet-b"]
    assert "placement" not in template, "a block places its nodes itself"


def test_a_reservation_is_targeted_and_bought_on_demand(made):
    reservation = {**BLOCK, "zone": "me-central-1a"}
    _, group, template = made(NAMED, capacity_type=CapacityType.CAPACITY_RESERVATION, reservation=reservation)
    assert group["capacityType"] == "ON_DEMAND"
    assert group["subnetIds"] == ["subnet-a"]
    target = {"capacityReservationId": BLOCK["id"]}
    assert template["capacityReservationSpecification"] == {"capacityReservationTarget": target}
    assert "instanceMarketOptions" not in template


def test_an_image_is_eks_s_own_and_a_release_pins_it(made):
    _, group, _ = made(NAMED, image_release="1.35.0-20251120")
    assert group["amiType"] == "AL2023_x86_64_NVIDIA"
    assert group["releaseVersion"] == "1.35.0-20251120"


def test_bottlerocket_has_a_disk_of_its_own_beside_the_one_for_pods(made):
    _, group, template = made(NAMED, image=GpuImage.BOTTLEROCKET, local_nvme=True)
    assert group["amiType"] == "BOTTLEROCKET_x86_64_NVIDIA"
    sizes = {each["deviceName"]: each["ebs"]["volumeSize"] for each in template["blockDeviceMappings"]}
    assert sizes == {"/dev/xvda": 4, "/dev/xvdb": 500}
    assert {each["ebs"]["kmsKeyId"] for each in template["blockDeviceMappings"]} == {KEY["arn"]}
    assert '["apiclient", "ephemeral-storage", "init"]' in told(template)


def test_local_nvme_becomes_one_disk(made):
    _, _, template = made(NAMED, local_nvme=True)
    assert told(template).startswith("MIME-Version: 1.0\n")
    assert "Content-Type: application/node.eks.aws" in told(template)
    assert "strategy: RAID0" in told(template)


@pytest.mark.parametrize(
    ("image", "parameter"),
    [
        (
            GpuImage.AL2023,
            "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia/recommended/release_version",
        ),
        (GpuImage.BOTTLEROCKET, "/aws/service/bottlerocket/aws-k8s-1.35-nvidia/x86_64/latest/image_version"),
    ],
)
def test_a_pool_tells_where_aws_names_the_newest_release(run, providers, image, parameter):
    assert run(lambda: GpuNodePool("gpu", {**NAMED, "image": image}, providers()).release_parameter) == parameter


def test_gpus_that_are_cut_up_are_counted_and_named_by_their_profile(made):
    ref, group, _ = made(H200, mig_profile="1g.18gb")
    assert (ref["resource"], ref["max_gpus"]) == ("nvidia.com/mig-1g.18gb", 2 * 8 * 7)
    assert group["labels"]["nvidia.com/mig.config"] == "all-1g.18gb"


def test_slices_of_time_are_no_gpus(made):
    ref, group, _ = made(NAMED, time_slices=4)
    assert (ref["resource"], ref["max_gpus"]) == ("nvidia.com/gpu.shared", 4 * 4 * 4)
    assert group["labels"]["nvidia.com/device-plugin.config"] == "time-slices-4"


def test_an_autoscaler_s_size_stays_and_it_knows_a_node_that_is_not_there(run, engine, providers, monkeypatch):
    options = {}
    real = aws.eks.NodeGroup.__init__

    def spy(self, name, *args, **more):
        options[name] = more["opts"].ignore_changes
        real(self, name, *args, **more)

    monkeypatch.setattr(aws.eks.NodeGroup, "__init__", spy)
    more = {"autoscaled": True, "efa": True, "local_nvme": True}
    run(lambda: GpuNodePool("gpu", {**H200, **more}, providers()).ref)
    assert options == {"gpu-nodes": ["scalingConfig.desiredSize"]}
    resources = "k8s.io/cluster-autoscaler/node-template/resources"
    tags = engine.one("NodeGroup")["tags"]
    assert tags[f"{resources}/nvidia.com/gpu"] == "8"
    assert tags[f"{resources}/vpc.amazonaws.com/efa"] == "16"
    assert tags[f"{resources}/ephemeral-storage"] == "30400G"
    assert resources not in " ".join(engine.one("LaunchTemplate")["tags"])


def test_without_an_autoscaler_the_size_is_the_program_s(made):
    _, group, _ = made(NAMED, nodes=2)
    assert not any("autoscaler" in key for key in group["tags"])


def test_disks_of_other_images_are_one():
    assert [each["device_name"] for each in disks("AL2023_x86_64_STANDARD", 100, "key")] == ["/dev/xvda"]


class Silent(Recorder):
    """An engine that skips calls, as at a preview with a provider that is not configured yet."""

    def call(self, args):
        return {}


def test_what_cannot_be_asked_at_preview_is_warned_of_and_at_deployment_refused(providers):
    def build():
        return GpuNodePool("gpu", {**ARGS, "needs": {"gpus": 8, "gpu_model": "B200"}}, providers()).instance_types

    types = []
    for preview in (True, False):
        mocks.set_mocks(Silent(), preview=preview)
        test = pulumi.runtime.test(lambda: build().apply(types.append))
        if preview:
            test()
        else:
            with pytest.raises(ConfigError, match="must be a GPU that"):
                test()
    assert types == [["p6-b200.48xlarge"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"needs": {"gpus": 8, "gpu_model": "B200"}}, "gpu.needs.gpu_model must be a GPU that me-central-1 offers: "),
        ({"instance_types": ["g5.xlarge"]}, "gpu.instance_types must be left out where needs is given "),
        ({"max_nodes": 2}, "gpu.max_nodes must be left out: needs.gpus says it (got 2)"),
        ({"zone": "me-central-1f"}, "gpu.zone must be a zone of the network: me-central-1b, me-central-1c "),
        (
            {"efa": True, "zone": "me-central-1b"},
            "gpu.zone must be me-central-1c with efa, or the network's placement_zone be another: its group is there "
            "(got 'me-central-1b')",
        ),
        (
            {"capacity_type": "CAPACITY_BLOCK"},
            "gpu.reservation must name the reservation and its zone, since capacity_type is CAPACITY_BLOCK (got None)",
        ),
        (
            {"reservation": BLOCK},
            "gpu.reservation must be left out, or capacity_type be CAPACITY_RESERVATION or CAPACITY_BLOCK ",
        ),
        (
            {"capacity_type": "CAPACITY_BLOCK", "reservation": {**BLOCK, "id": "block"}},
            "gpu.reservation.id must be the id of a reservation such as cr-0123456789abcdef0 (got 'block')",
        ),
        (
            {"capacity_type": "CAPACITY_BLOCK", "reservation": BLOCK, "zone": "me-central-1a"},
            "gpu.zone must be the reservation's zone me-central-1c, or be left out (got 'me-central-1a')",
        ),
        ({"mig_profile": "1g.5gb"}, "gpu.mig_profile must be a profile of the H200 of p5en.48xlarge: 1g.18gb, "),
        (
            {"mig_profile": "1g.18gb", "time_slices": 2},
            "gpu.time_slices must be left out where mig_profile cuts the GPUs up (got 2)",
        ),
        (
            {"image": "BOTTLEROCKET_x86_64_NVIDIA", "time_slices": 4},
            "gpu.image must be AL2023_x86_64_NVIDIA with mig_profile or time_slices, ",
        ),
        ({"time_slices": 1}, "gpu.time_slices must be a whole number from 2 to 16 (got 1)"),
        ({"image_release": "latest"}, "gpu.image_release must be a release of AL2023 such as 1.35.0-20251120 "),
        ({"nodes": 3}, "gpu.nodes must be a whole number from 0 to 2 nodes (min_nodes to max_nodes) (got 3)"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: GpuNodePool("gpu", {**H200, **change}, providers()))
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (ARGS, "gpu.instance_types must name instance types, or needs say what for (got None)"),
        ({**ARGS, "instance_types": ["g5.xlarge"]}, "gpu.max_nodes must be given with instance_types (got None)"),
        (
            {**NAMED, "mig_profile": "1g.18gb"},
            "gpu.mig_profile must be left out: the A10G of g5.12xlarge ",
        ),
        (
            {**NAMED, "network": pulumi.Output.from_input(NETWORK), "efa": True},
            "gpu.zone must be given with efa, since the network is known at deployment only (got None)",
        ),
    ],
)
def test_a_pool_that_says_too_little_or_what_cannot_be_is_refused(run, providers, args, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: GpuNodePool("gpu", args, providers()))
    assert str(refused.value).startswith(message)


def test_a_plain_pool_has_no_reservation(run, providers):
    args = {**NAMED, "instance_types": ["m6i.large"], "capacity_type": "CAPACITY_BLOCK"}
    with pytest.raises(ConfigError, match="must name the reservation and its zone"):
        run(lambda: NodePool("pool", args, providers()))


def test_a_call_from_another_language_needs_the_same(run, engine, providers):
    provider = ComponentProvider(COMPONENTS, NAME, None, VERSION)

    def camel(value):
        head, *rest = value.split("_")
        return head + "".join(part.title() for part in rest)

    references = {
        name: {camel(key): each for key, each in value.items()}
        for name, value in {"cluster": CLUSTER, "network": NETWORK_IN_C, "key": KEY, "ownership": OWNERSHIP}.items()
    }
    inputs = {**references, "needs": {"gpus": 16.0, "gpuModel": "H200"}, "efa": True, "migProfile": "1g.18gb"}
    state = run(lambda: provider.construct("gpu", "falaj:index:GpuNodePool", inputs, providers()).state["ref"])
    assert state["maxGpus"] == 112
    assert engine.one("NodeGroup")["scalingConfig"]["maxSize"] == 2
    assert len(engine.one("LaunchTemplate")["networkInterfaces"]) == 16
