"""Connections with other networks: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, make, simple

from falaj.policies.values import UNKNOWN

PEERINGS = {
    "aws:ec2/vpcPeeringConnection:VpcPeeringConnection": "peerVpcId",
    "aws:ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter": "vpcPeeringConnectionId",
    "aws:ec2transitgateway/peeringAttachment:PeeringAttachment": "peerTransitGatewayId",
    "aws:ec2transitgateway/peeringAttachmentAccepter:PeeringAttachmentAccepter": "transitGatewayAttachmentId",
}
CLOSED: dict[str, Any] = dict.fromkeys(
    ("autoAcceptSharedAttachments", "defaultRouteTableAssociation", "defaultRouteTablePropagation"), "disable"
)


def tunnel(number: int) -> dict[str, Any]:
    """Return the properties of one sound tunnel."""
    return {
        f"tunnel{number}IkeVersions": ["ikev2"],
        f"tunnel{number}Phase1IntegrityAlgorithms": ["SHA2-384"],
        f"tunnel{number}Phase1DhGroupNumbers": [20.0],
        f"tunnel{number}Phase2IntegrityAlgorithms": ["SHA2-384", "SHA2-512"],
        f"tunnel{number}Phase2DhGroupNumbers": [20.0, 21.0],
        f"tunnel{number}LogOptions": {"cloudwatchLogOptions": {"logEnabled": True, "logGroupArn": "arn"}},
    }


VPN = tunnel(1) | tunnel(2)
CLIENT_VPN = {
    "authenticationOptions": [{"type": "federated-authentication"}],
    "connectionLogOptions": {"enabled": True},
}

CASES = [
    *(
        Case(
            "FJ-NET-013",
            [make(type_, {key: "known"})],
            [make(type_, {key: "stranger"})],
            [make(type_, {key: UNKNOWN})],
            {"allowedPeers": ["known"]},
        )
        for type_, key in PEERINGS.items()
    ),
    simple(
        "FJ-NET-014",
        "aws:ec2transitgateway/transitGateway:TransitGateway",
        CLOSED,
        CLOSED | {"autoAcceptSharedAttachments": "enable"},
        CLOSED | {"defaultRouteTablePropagation": UNKNOWN},
    ),
    simple(
        "FJ-NET-015",
        "aws:ec2/vpnConnection:VpnConnection",
        VPN,
        VPN | {"tunnel2Phase1IntegrityAlgorithms": ["SHA2-384", "SHA1"]},
        VPN | {"tunnel1IkeVersions": UNKNOWN},
    ),
    simple(
        "FJ-NET-016",
        "aws:ec2clientvpn/endpoint:Endpoint",
        CLIENT_VPN,
        CLIENT_VPN | {"authenticationOptions": [{"type": "certificate-authentication"}]},
        CLIENT_VPN | {"connectionLogOptions": UNKNOWN},
    ),
    simple(
        "FJ-NET-016",
        "aws:ec2clientvpn/authorizationRule:AuthorizationRule",
        {"accessGroupId": "group"},
        {"authorizeAllGroups": True},
        {"authorizeAllGroups": UNKNOWN},
    ),
    simple(
        "FJ-NET-017",
        "aws:ec2/vpcEndpointService:VpcEndpointService",
        {"acceptanceRequired": True, "allowedPrincipals": ["arn:aws:iam::123456789012:root"]},
        {"acceptanceRequired": False},
        {"acceptanceRequired": True, "allowedPrincipals": [UNKNOWN]},
    ),
    simple(
        "FJ-NET-017",
        "aws:ec2/vpcEndpointServiceAllowedPrinciple:VpcEndpointServiceAllowedPrinciple",
        {"principalArn": "arn:aws:iam::123456789012:root"},
        {"principalArn": "*"},
        {"principalArn": UNKNOWN},
    ),
]
