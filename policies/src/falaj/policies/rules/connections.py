"""Connections of a network with others: peerings, transit gateways, VPNs and services for other accounts."""

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import all_of, any_of

_PEERINGS = (
    "aws:ec2/vpcPeeringConnection:VpcPeeringConnection",
    "aws:ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter",
    "aws:ec2transitgateway/peeringAttachment:PeeringAttachment",
    "aws:ec2transitgateway/peeringAttachmentAccepter:PeeringAttachmentAccepter",
)
# What names the other side, by type: its network, its gateway, its account, or the connection that it offers.
_PEER_KEYS = (
    "peerVpcId",
    "peerTransitGatewayId",
    "peerOwnerId",
    "peerAccountId",
    "vpcPeeringConnectionId",
    "transitGatewayAttachmentId",
)
_CLIENT_VPN = "aws:ec2clientvpn/endpoint:Endpoint"
_AUTHORIZATION = "aws:ec2clientvpn/authorizationRule:AuthorizationRule"
_ALLOWED_CALLER = "aws:ec2/vpcEndpointServiceAllowedPrinciple:VpcEndpointServiceAllowedPrinciple"
# RFC 8247 and RFC 8221: SHA-1 and the groups of 1024 and 1536 bits are not used any more, nor 22 to 24.
_WEAK_HASHES = ("SHA1",)
_WEAK_GROUPS = (2, 5, 22, 23, 24)


@rule(
    "FJ-NET-013",
    "Networks are joined with named others only",
    Severity.HIGH,
    ("A.8.22", "A.8.20", "A.5.14", "ZT-4"),
    _PEERINGS,
    "Reach one service by an endpoint instead; or name the other side in allowedPeers.",
    settings={
        "allowedPeers": Setting(
            {
                "type": "array",
                "items": {"type": "string"},
                "description": "Networks, transit gateways, accounts and connections that may be joined",
            },
            (),
        )
    },
)
def peerings(peering: Resource, context: Context) -> Checks:
    """A peering opens everything to everything, as far as routes and groups let it."""
    allowed = context.settings["allowedPeers"]
    yield must(any_of(peering[key].among(allowed) for key in _PEER_KEYS), "nobody named the network it is joined with")


@rule(
    "FJ-NET-014",
    "Transit gateways connect nothing by themselves",
    Severity.HIGH,
    ("A.8.22", "A.8.20", "ZT-4"),
    ("aws:ec2transitgateway/transitGateway:TransitGateway",),
    "Set autoAcceptSharedAttachments, defaultRouteTableAssociation and defaultRouteTablePropagation to disable.",
    fix=dict.fromkeys(
        ("autoAcceptSharedAttachments", "defaultRouteTableAssociation", "defaultRouteTablePropagation"), "disable"
    ),
)
def transit_gateways(gateway: Resource, _: Context) -> Checks:
    """With AWS's default route table every network that is attached reaches every other."""
    yield never(gateway["autoAcceptSharedAttachments"].equals("enable"), "another account's network is let in unasked")
    for key in ("defaultRouteTableAssociation", "defaultRouteTablePropagation"):
        yield must(gateway[key].equals("disable"), "whatever is attached reaches all that is attached")


@rule(
    "FJ-NET-015",
    "VPN tunnels agree on strong cryptography, and log",
    Severity.HIGH,
    ("A.8.24", "A.8.20", "A.5.14", "ZT-2"),
    ("aws:ec2/vpnConnection:VpnConnection",),
    "For both tunnels: ikeVersions ikev2 only; integrity by SHA2 only; DH groups 14 to 21; logs to CloudWatch.",
)
def vpn_tunnels(vpn: Resource, _: Context) -> Checks:
    """What is not named is AWS's default, which takes SHA1 and groups of 1024 bits too."""
    for tunnel in ("tunnel1", "tunnel2"):
        versions = vpn[f"{tunnel}IkeVersions"]
        newest = versions.is_set() & all_of((each.equals("ikev2") for each in versions.each()), versions.path)
        yield must(newest, "a tunnel takes IKEv1")
        for phase in ("Phase1", "Phase2"):
            for kind, weak in (("IntegrityAlgorithms", _WEAK_HASHES), ("DhGroupNumbers", _WEAK_GROUPS)):
                named = vpn[f"{tunnel}{phase}{kind}"]
                strong = all_of((~each.among(weak) for each in named.each()), named.path)
                yield must(named.is_set() & strong, "a tunnel takes weak cryptography")
        logs = vpn[f"{tunnel}LogOptions"]["cloudwatchLogOptions"]["logEnabled"]
        yield must(logs.is_true(), "a tunnel logs nothing")


@rule(
    "FJ-NET-016",
    "Client VPNs know each user, and log who came",
    Severity.HIGH,
    ("A.6.7", "A.8.5", "A.8.15", "ZT-6", "ZT-7"),
    (_CLIENT_VPN, _AUTHORIZATION),
    "Authenticate by federation or directory, enable connectionLogOptions, and authorize groups by accessGroupId.",
)
def client_vpns(resource: Resource, _: Context) -> Checks:
    """A certificate alone is a thing that is passed on, not a person."""
    if resource.type == _AUTHORIZATION:
        yield never(resource["authorizeAllGroups"].is_true(), "everyone who gets in reaches the network")
        return
    ways = [option["type"] for option in resource["authenticationOptions"].each()]
    personal = ("federated-authentication", "directory-service-authentication")
    yield must(any_of((way.among(personal) for way in ways), "authenticationOptions"), "users are certificates only")
    yield must(resource["connectionLogOptions"]["enabled"].is_true(), "nobody sees who came")


@rule(
    "FJ-NET-017",
    "Services for other accounts are given to named callers, one by one",
    Severity.HIGH,
    ("A.5.15", "A.8.22", "ZT-6"),
    ("aws:ec2/vpcEndpointService:VpcEndpointService", _ALLOWED_CALLER),
    "Set acceptanceRequired to true, and name the principals instead of *.",
)
def endpoint_services(service: Resource, _: Context) -> Checks:
    """An endpoint service shows a load balancer to whoever may connect."""
    if service.type == _ALLOWED_CALLER:
        yield never(service["principalArn"].equals("*"), "anyone may connect")
        return
    yield must(service["acceptanceRequired"].is_true(), "connections are accepted unasked")
    for principal in service["allowedPrincipals"].each():
        yield never(principal.equals("*"), "anyone may connect")


RULES: tuple[Rule, ...] = (peerings, transit_gateways, vpn_tunnels, client_vpns, endpoint_services)
