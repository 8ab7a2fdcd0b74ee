"""Network paths: what passes, what fails, and what cannot be decided."""

from policies.making import ENDPOINT
from policies.placing import named_by_arn, placed, regional

_ZONED = (
    ("aws:ec2/subnet:Subnet", "availabilityZone"),
    ("aws:ec2/defaultSubnet:DefaultSubnet", "availabilityZone"),
    ("aws:ec2/instance:Instance", "availabilityZone"),
    ("aws:ebs/volume:Volume", "availabilityZone"),
    ("aws:ec2/capacityReservation:CapacityReservation", "availabilityZone"),
    ("aws:efs/fileSystem:FileSystem", "availabilityZoneName"),
    ("aws:rds/instance:Instance", "availabilityZone"),
    ("aws:rds/cluster:Cluster", "availabilityZones"),
    ("aws:autoscaling/group:Group", "availabilityZones"),
)
CASES = [
    regional("FJ-RES-030", "aws:ec2/vpcPeeringConnection:VpcPeeringConnection", "peerRegion"),
    regional("FJ-RES-030", "aws:ec2transitgateway/peeringAttachment:PeeringAttachment", "peerRegion"),
    regional("FJ-RES-030", "aws:networkmanager/coreNetwork:CoreNetwork", "basePolicyRegions", is_list=True),
    named_by_arn("FJ-RES-030", "aws:networkmanager/vpcAttachment:VpcAttachment", "vpcArn", "ec2"),
    named_by_arn(
        "FJ-RES-030",
        "aws:networkmanager/transitGatewayRegistration:TransitGatewayRegistration",
        "transitGatewayArn",
        "ec2",
    ),
    regional("FJ-RES-030", "aws:ec2/vpcIpam:VpcIpam", "operatingRegions.regionName"),
    regional("FJ-RES-031", ENDPOINT, "serviceRegion"),
    placed("FJ-RES-031", ENDPOINT, "serviceName", "com.amazonaws.me-central-1.s3", "com.amazonaws.eu-west-1.s3"),
    regional("FJ-RES-031", "aws:ec2/vpcEndpointService:VpcEndpointService", "supportedRegions", is_list=True),
    regional("FJ-RES-032", "aws:route53/zone:Zone", "vpcs.vpcRegion"),
    regional("FJ-RES-032", "aws:route53/zoneAssociation:ZoneAssociation", "vpcRegion"),
    regional("FJ-RES-032", "aws:route53/vpcAssociationAuthorization:VpcAssociationAuthorization", "vpcRegion"),
    *(placed("FJ-RES-033", type_, path, "me-central-1a", "us-east-1-mia-1a") for type_, path in _ZONED),
    placed("FJ-RES-033", "aws:ec2/subnet:Subnet", "availabilityZoneId", "mec1-az1", "euw1-az1"),
    placed("FJ-RES-034", "aws:ec2/vpnConnection:VpnConnection", "enableAcceleration", False, True),
]
MUTATIONS = [
    (ENDPOINT, ["serviceRegion"], "eu-west-1", {"FJ-RES-031"}),
    (ENDPOINT, ["serviceName"], "com.amazonaws.us-east-1.s3", {"FJ-RES-031"}),
    ("aws:ec2/subnet:Subnet", ["availabilityZone"], "eu-west-1a", {"FJ-RES-033"}),
    ("aws:efs/fileSystem:FileSystem", ["availabilityZoneName"], "me-central-1-dxb-1a", {"FJ-RES-033"}),
]
