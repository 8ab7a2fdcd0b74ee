"""The facts of GPU instance types: held against what EC2 said, as moto has it recorded."""

import re
from typing import Any

import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from falaj.components.instance_facts import InstanceFacts, instance_types, mig_partitions


def nvidia(record: dict[str, Any]) -> list[dict[str, Any]]:
    gpus = (record.get("GpuInfo") or {}).get("Gpus", [])
    return [gpu for gpu in gpus if gpu["Manufacturer"] == "NVIDIA" and gpu["Count"]]


def recorded(record: dict[str, Any]) -> InstanceFacts:
    """Return the facts of a type as EC2's DescribeInstanceTypes gives them."""
    (gpu,), network = nvidia(record), record["NetworkInfo"]
    times, gigabits = re.search(r"(?:(\d+)x )?(\d+) Gigabit", network["NetworkPerformance"]).groups()
    efa = [card["NetworkCardIndex"] for card in network["NetworkCards"] if "efa" in card["InterfaceTypes"]]
    only = [card["NetworkCardIndex"] for card in network["NetworkCards"] if "efa-only" in card["InterfaceTypes"]]
    # One EFA interface on each card, the cards in a row, each of both kinds: what the launch template relies on.
    assert efa == only == list(range(efa[0], efa[0] + network["EfaInfo"]["MaximumEfaInterfaces"])) if efa else not only
    return InstanceFacts(
        name=record["InstanceType"],
        gpu=gpu["Name"],
        gpus=gpu["Count"],
        gpu_mib=gpu["MemoryInfo"]["SizeInMiB"],
        vcpus=record["VCpuInfo"]["DefaultVCpus"],
        memory_mib=record["MemoryInfo"]["SizeInMiB"],
        network_gbps=int(times or 1) * int(gigabits),
        efa=len(efa),
        first_efa_card=efa[0] if efa else 0,
        nvme_gb=(record.get("InstanceStorageInfo") or {}).get("TotalSizeInGB", 0),
        capacity_block="capacity-block" in record["SupportedUsageClasses"],
    )


def test_there_is_every_type_with_whole_nvidia_gpus_and_each_is_as_ec2_says():
    records = [
        record
        for record in INSTANCE_TYPES.values()
        if nvidia(record)
        and record["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
        and not record["BareMetal"]
    ]
    assert instance_types() == {record["InstanceType"]: recorded(record) for record in records}


@pytest.mark.parametrize(
    "facts", [facts for facts in instance_types().values() if mig_partitions(facts.gpu, facts.gpu_mib)], ids=str
)
def test_partitions_follow_from_seven_slices_of_compute_and_eight_of_memory(facts):
    for profile, count in mig_partitions(facts.gpu, facts.gpu_mib).items():
        compute, gigabytes = map(int, re.fullmatch(r"(\d)g\.(\d+)gb", profile).groups())
        slice_of_memory = facts.gpu_mib / 1024 / 8
        memory = round(gigabytes / slice_of_memory)
        assert count == min(7 // compute, 8 // memory), profile


def test_a_gpu_that_cannot_be_cut_has_no_partitions():
    assert mig_partitions("L40S", 45776) == {}
    assert mig_partitions("H200", 144384)["1g.18gb"] == 7
