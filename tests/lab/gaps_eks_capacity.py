"""Gaps of EKS: the security group of a cluster, and node groups from capacity blocks."""

from asking import Aws, refused

CODE = "InvalidParameterException"


def a_cluster_has_a_security_group_as_long_as_it_lives(aws: Aws) -> bool:
    cluster = aws.cluster()
    vpc = aws.described(cluster)["resourcesVpcConfig"]
    found = aws.ec2.describe_security_groups(GroupIds=[vpc["clusterSecurityGroupId"]])["SecurityGroups"][0]
    (pair,) = found["IpPermissions"][0]["UserIdGroupPairs"]
    aws.eks.delete_cluster(name=cluster)
    left = aws.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [found["GroupName"]]}])
    return (
        found["VpcId"] == vpc["vpcId"]
        and found["GroupName"].startswith(f"eks-cluster-sg-{cluster}-")
        and pair["GroupId"] == found["GroupId"]
        and left["SecurityGroups"] == []
    )


def a_node_group_of_a_capacity_block_takes_it_from_its_launch_template(aws: Aws) -> bool:
    cluster = aws.cluster()
    asked = {"InstanceType": "p5en.48xlarge", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": "me-central-1c"}
    made = aws.ec2.create_capacity_reservation(InstanceCount=1, **asked)["CapacityReservation"]
    target = {"CapacityReservationTarget": {"CapacityReservationId": made["CapacityReservationId"]}}
    market = {"InstanceMarketOptions": {"MarketType": "capacity-block"}}
    block = {"InstanceType": "p5en.48xlarge", **market, "CapacityReservationSpecification": target}
    named = aws.group(cluster, capacityType="CAPACITY_BLOCK", launchTemplate={"id": aws.template(block)})

    def group(data, **more):
        return lambda: aws.group(cluster, launchTemplate={"id": aws.template(data)}, **more)

    unknown = {"CapacityReservationTarget": {"CapacityReservationId": "cr-00000000000000000"}}
    return (
        aws.described_group(named)["capacityType"] == "CAPACITY_BLOCK"
        and refused(group({"InstanceType": "p5en.48xlarge"}, capacityType="CAPACITY_BLOCK"), CODE, "go together")
        and refused(group(block), CODE, "go together")
        and refused(group(market, capacityType="CAPACITY_BLOCK"), CODE, "has to name")
        and refused(group({"CapacityReservationSpecification": unknown}), CODE, "does not exist")
    )


GAPS = [
    a_cluster_has_a_security_group_as_long_as_it_lives,
    a_node_group_of_a_capacity_block_takes_it_from_its_launch_template,
]
