"""Gaps of EC2: security group rules, launch templates and capacity reservations."""

from typing import Any

from asking import Aws, name, refused


def a_rule_s_source_ports_and_protocol_change_in_place(aws: Aws) -> bool:
    vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = aws.ec2.create_security_group(GroupName=name(), Description="d", VpcId=vpc)["GroupId"]
    ipv6 = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/64"}]}]
    made = aws.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=ipv6)["SecurityGroupRules"]
    rule = made[0]["SecurityGroupRuleId"]
    wanted = {"IpProtocol": "-1", "CidrIpv6": "2001:db8:1::/64", "Description": "all"}
    changes = [{"SecurityGroupRuleId": rule, "SecurityGroupRule": wanted}]
    aws.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=changes)
    found = aws.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule])["SecurityGroupRules"][0]
    return all(found.get(key) == value for key, value in wanted.items())


def a_launch_template_s_own_tags_are_no_part_of_its_data(aws: Aws) -> bool:
    tags = [{"Key": "k", "Value": "v"}]
    launched = [{"ResourceType": "instance", "Tags": tags}]
    own = [{"ResourceType": "launch-template", "Tags": [{"Key": "own", "Value": "o"}]}]
    identifier = aws.template({"TagSpecifications": launched}, TagSpecifications=own)
    versions = aws.ec2.describe_launch_template_versions(LaunchTemplateId=identifier)["LaunchTemplateVersions"]
    return versions[0]["LaunchTemplateData"].get("TagSpecifications") == launched


def a_launch_template_answers_its_present_tags(aws: Aws) -> bool:
    identifier = aws.template()
    tags = [{"Key": "later", "Value": "1"}]
    aws.ec2.create_tags(Resources=[identifier], Tags=tags)
    return aws.ec2.describe_launch_templates(LaunchTemplateIds=[identifier])["LaunchTemplates"][0].get("Tags") == tags


def capacity_is_reserved_changed_and_given_back(aws: Aws) -> bool:
    tags = [{"ResourceType": "capacity-reservation", "Tags": [{"Key": "k", "Value": "v"}]}]
    asked = {"InstanceType": "p5en.48xlarge", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": "me-central-1c"}
    made = aws.ec2.create_capacity_reservation(InstanceCount=2, TagSpecifications=tags, **asked)["CapacityReservation"]
    identifier = made["CapacityReservationId"]

    def found() -> dict[str, Any]:
        answer = aws.ec2.describe_capacity_reservations(CapacityReservationIds=[identifier])
        return answer["CapacityReservations"][0]

    whole = found()
    aws.ec2.modify_capacity_reservation(CapacityReservationId=identifier, InstanceCount=3)
    changed = found()["TotalInstanceCount"]
    aws.ec2.cancel_capacity_reservation(CapacityReservationId=identifier)
    return (
        all(whole[key] == value for key, value in asked.items())
        and (whole["State"], whole["TotalInstanceCount"], whole["Tags"]) == ("active", 2, tags[0]["Tags"])
        and changed == 3
        and found()["State"] == "cancelled"
    )


def no_capacity_is_reserved_where_none_is_offered(aws: Aws) -> bool:
    asked = {"InstanceType": "p5en.48xlarge", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": "me-central-1b"}
    return refused(
        lambda: aws.ec2.create_capacity_reservation(InstanceCount=1, **asked), "Unsupported", "p5en.48xlarge"
    )


GAPS = [
    capacity_is_reserved_changed_and_given_back,
    no_capacity_is_reserved_where_none_is_offered,
    a_rule_s_source_ports_and_protocol_change_in_place,
    a_launch_template_s_own_tags_are_no_part_of_its_data,
    a_launch_template_answers_its_present_tags,
]
