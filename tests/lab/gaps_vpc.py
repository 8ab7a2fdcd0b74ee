"""Gaps of EC2's network: placement groups, and what rules tell of themselves."""

from asking import Aws, name, refused
from botocore.parsers import ResponseParserError


def there_are_placement_groups(aws: Aws) -> bool:
    group = name()
    tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "a", "Value": "1"}]}]
    try:
        aws.ec2.create_placement_group(GroupName=group, Strategy="cluster", TagSpecifications=tags)
    except ResponseParserError:  # the page with which moto says that it does not know the operation
        return False
    again = refused(
        lambda: aws.ec2.create_placement_group(GroupName=group), "InvalidPlacementGroup.Duplicate", "already exists"
    )
    found = aws.ec2.describe_placement_groups(GroupNames=[group])["PlacementGroups"][0]
    aws.ec2.create_tags(Resources=[found["GroupId"]], Tags=[{"Key": "b", "Value": "2"}])
    tagged = aws.ec2.describe_placement_groups(GroupNames=[group])["PlacementGroups"][0]["Tags"]
    aws.ec2.delete_placement_group(GroupName=group)
    return (
        again
        and (found["Strategy"], found["State"], found["Tags"]) == ("cluster", "available", tags[0]["Tags"])
        and [tag["Key"] for tag in tagged] == ["a", "b"]
        and refused(
            lambda: aws.ec2.describe_placement_groups(GroupNames=[group]), "InvalidPlacementGroup.Unknown", "unknown"
        )
    )


def a_rule_of_a_group_s_members_tells_its_description(aws: Aws) -> bool:
    vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = aws.ec2.create_security_group(GroupName=name(), Description="d", VpcId=vpc)["GroupId"]
    members = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group, "Description": "members"}]}]
    made = aws.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=members)["SecurityGroupRules"][0]
    rules = aws.ec2.describe_security_group_rules(SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])
    return rules["SecurityGroupRules"][0].get("Description") == "members"


def a_deleted_nat_gateway_lets_its_address_go(aws: Aws) -> bool:
    address = aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
    for _ in range(2):
        made = aws.ec2.create_nat_gateway(SubnetId=aws.subnet(), AllocationId=address)["NatGateway"]["NatGatewayId"]
        held = "AssociationId" in aws.ec2.describe_addresses(AllocationIds=[address])["Addresses"][0]
        aws.ec2.delete_nat_gateway(NatGatewayId=made)
    return held and "AssociationId" not in aws.ec2.describe_addresses(AllocationIds=[address])["Addresses"][0]


def a_nat_gateway_tells_that_it_is_zonal(aws: Aws) -> bool:
    address = aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = aws.ec2.create_nat_gateway(SubnetId=aws.subnet(), AllocationId=address)["NatGateway"]["NatGatewayId"]
    told = aws.ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"][0]
    return told.get("AvailabilityMode") == "zonal"


def a_deleted_nat_gateway_takes_its_interface_along(aws: Aws) -> bool:
    subnet, address = aws.subnet(), aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
    within = [{"Name": "subnet-id", "Values": [subnet]}]

    def interfaces() -> int:
        return len(aws.ec2.describe_network_interfaces(Filters=within)["NetworkInterfaces"])

    made = aws.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    there = interfaces()
    aws.ec2.delete_nat_gateway(NatGatewayId=made)
    return there == 1 and interfaces() == 0


GAPS = [
    there_are_placement_groups,
    a_rule_of_a_group_s_members_tells_its_description,
    a_deleted_nat_gateway_lets_its_address_go,
    a_nat_gateway_tells_that_it_is_zonal,
    a_deleted_nat_gateway_takes_its_interface_along,
]
