"""Network paths: peerings, endpoints, names and zones are of the home region."""

from collections.abc import Iterator, Mapping

from falaj.policies.model import Context, Resource, Rule, Severity
from falaj.policies.residency.crossings import ARN, REGION, SERVICE, ZONE, Crossing, Way, follow, residency_rule
from falaj.policies.residency.places import GLOBAL

_PEERINGS: Mapping[str, tuple[Way, ...]] = {
    "aws:ec2/vpcPeeringConnection:VpcPeeringConnection": (Way("peerRegion", REGION),),
    "aws:ec2transitgateway/peeringAttachment:PeeringAttachment": (Way("peerRegion", REGION),),
    "aws:networkmanager/coreNetwork:CoreNetwork": (Way("basePolicyRegions", REGION),),
    "aws:networkmanager/vpcAttachment:VpcAttachment": (Way("vpcArn", ARN, ("aws:ec2/vpc:Vpc",)),),
    "aws:networkmanager/transitGatewayRegistration:TransitGatewayRegistration": (Way("transitGatewayArn", ARN),),
    "aws:ec2/vpcIpam:VpcIpam": (Way("operatingRegions.regionName", REGION),),
}
_ENDPOINTS: Mapping[str, tuple[Way, ...]] = {
    "aws:ec2/vpcEndpoint:VpcEndpoint": (Way("serviceRegion", REGION), Way("serviceName", SERVICE)),
    "aws:ec2/vpcEndpointService:VpcEndpointService": (Way("supportedRegions", REGION),),
}
_NAMES: Mapping[str, tuple[Way, ...]] = {
    "aws:route53/zone:Zone": (Way("vpcs.vpcRegion", REGION),),
    "aws:route53/zoneAssociation:ZoneAssociation": (Way("vpcRegion", REGION),),
    "aws:route53/vpcAssociationAuthorization:VpcAssociationAuthorization": (Way("vpcRegion", REGION),),
}
_ZONES: Mapping[str, tuple[Way, ...]] = {
    "aws:ec2/subnet:Subnet": (Way("availabilityZone", ZONE), Way("availabilityZoneId", ZONE)),
    "aws:ec2/defaultSubnet:DefaultSubnet": (Way("availabilityZone", ZONE),),
    "aws:ec2/instance:Instance": (Way("availabilityZone", ZONE),),
    "aws:ebs/volume:Volume": (Way("availabilityZone", ZONE),),
    "aws:ec2/capacityReservation:CapacityReservation": (Way("availabilityZone", ZONE),),
    "aws:efs/fileSystem:FileSystem": (Way("availabilityZoneName", ZONE),),
    "aws:rds/instance:Instance": (Way("availabilityZone", ZONE),),
    "aws:rds/cluster:Cluster": (Way("availabilityZones", ZONE),),
    "aws:autoscaling/group:Group": (Way("availabilityZones", ZONE),),
}


@residency_rule(
    "FJ-RES-030",
    "Networks are peered within the home region only",
    Severity.CRITICAL,
    ("RES-5", "A.8.22", "A.8.12"),
    tuple(_PEERINGS),
    "Peer with networks of the home region; carry what must go elsewhere through a reviewed, registered path.",
)
def peerings(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A peering is a road: whatever is routed may take it."""
    yield from follow(resource, _PEERINGS[resource.type], context, "is a region that is not home")


@residency_rule(
    "FJ-RES-031",
    "Endpoints lead to services of the home region",
    Severity.CRITICAL,
    ("RES-5", "A.8.22", "A.8.12"),
    tuple(_ENDPOINTS),
    "Name the service of the home region, and offer your own there only.",
)
def endpoints(resource: Resource, context: Context) -> Iterator[Crossing]:
    """An endpoint can be made to a service of another region."""
    yield from follow(resource, _ENDPOINTS[resource.type], context, "is a region that is not home")


@residency_rule(
    "FJ-RES-032",
    "Private names are answered in the home region only",
    Severity.MEDIUM,
    ("RES-5", "A.8.22"),
    tuple(_NAMES),
    "Associate private zones with networks of the home region.",
)
def names(resource: Resource, context: Context) -> Iterator[Crossing]:
    """Who may ask for names learns what there is; a region that is not said is the provider's."""
    yield from follow(resource, _NAMES[resource.type], context, "is a region that is not home")


@residency_rule(
    "FJ-RES-033",
    "Zones are of the home region, and no city apart",
    Severity.HIGH,
    ("RES-1", "RES-5", "A.5.34"),
    tuple(_ZONES),
    "Use availability zones of the home region; a local zone is in a city of its own, maybe of another country.",
)
def zones(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A local zone or a wavelength zone belongs to a region without being in it."""
    yield from follow(resource, _ZONES[resource.type], context, "is not a zone of the home region")


@residency_rule(
    "FJ-RES-034",
    "Private connections enter where the home region is",
    Severity.HIGH,
    ("RES-5", "RES-8", "A.8.22"),
    ("aws:ec2/vpnConnection:VpnConnection",),
    "Leave enableAcceleration false.",
    fix={"enableAcceleration": False},
)
def vpn(connection: Resource, _: Context) -> Iterator[Crossing]:
    """An accelerated connection enters AWS's network at the nearest edge location."""
    yield Crossing(connection["enableAcceleration"].is_true(), "the connection enters at edge locations", GLOBAL)


RULES: tuple[Rule, ...] = (peerings, endpoints, names, zones, vpn)
