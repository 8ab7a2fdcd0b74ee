"""Gaps of EC2: security group rules and launch templates."""

from asking import Aws, name


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


GAPS = [
    a_rule_s_source_ports_and_protocol_change_in_place,
    a_launch_template_s_own_tags_are_no_part_of_its_data,
    a_launch_template_answers_its_present_tags,
]
