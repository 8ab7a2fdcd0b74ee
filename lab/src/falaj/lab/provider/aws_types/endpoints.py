"""VPC endpoints and flow logs."""

from collections.abc import Iterator
from operator import itemgetter

from falaj.lab.provider.aws_types.ec2 import TAGS, find_created, tag_specifications
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, resource
from falaj.lab.provider.kind import Change, GoneError, ProviderError
from falaj.lab.provider.values import Props, is_empty

_LISTS = {"routeTableIds": "RouteTableIds", "subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds"}


def _modify(aws: Aws, identifier: str, change: Change) -> None:
    """Change an endpoint: EC2 takes what to add to each list and what to remove from it."""
    parameters: Props = {}
    for name, key in _LISTS.items():
        if change.of(name):
            wanted, observed = (set(props.get(name) or []) for props in (change.wanted, change.observed))
            parameters[f"Add{key}"] = sorted(wanted - observed)
            parameters[f"Remove{key}"] = sorted(observed - wanted)
    if change.of("policy"):
        parameters["PolicyDocument"] = change.wanted.get("policy")
    given = {name: value for name, value in parameters.items() if value}
    if given:
        aws.call("ec2.modify_vpc_endpoint", VpcEndpointId=identifier, **given)


def _endpoint(aws: Aws, identifier: str, props: Props) -> Props:
    del identifier
    if props["state"] in ("deleted", "deleting"):
        raise GoneError
    entries = [{"dnsName": e.get("dnsName"), "hostedZoneId": e.get("hostedZoneId")} for e in props["dnsEntries"] or []]
    gateway = props["vpcEndpointType"] == "Gateway"
    faces = props["networkInterfaceIds"] or []
    found = aws.call("ec2.describe_network_interfaces", NetworkInterfaceIds=faces)["NetworkInterfaces"] if faces else []
    found.sort(key=itemgetter("SubnetId"))
    addresses = [{"subnetId": face["SubnetId"], "ipv4": face["PrivateIpAddress"], "ipv6": ""} for face in found]
    return {
        **props,
        "dnsEntries": entries,
        "subnetConfigurations": addresses,
        "privateDnsEnabled": False if gateway else props["privateDnsEnabled"],
        "requesterManaged": bool(props["requesterManaged"]),
    }


ENDPOINT = resource(
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    create=Call(
        "ec2.create_vpc_endpoint",
        {
            "VpcId": "@vpcId",
            "ServiceName": "@serviceName",
            "VpcEndpointType": "@vpcEndpointType",
            "PolicyDocument": "@policy",
            "RouteTableIds": "@routeTableIds",
            "SubnetIds": "@subnetIds",
            "SecurityGroupIds": "@securityGroupIds",
            # moto enables it when nothing is said; the official provider's default is off.
            "PrivateDnsEnabled": lambda p: bool(p.get("privateDnsEnabled")),
            "TagSpecifications": tag_specifications("vpc-endpoint"),
        },
        "VpcEndpoint.VpcEndpointId",
    ),
    read=[
        Look(
            "ec2.describe_vpc_endpoints",
            {"VpcEndpointIds": ["@id"]},
            "VpcEndpoints[0]",
            "vpcId serviceName vpcEndpointType policy=PolicyDocument routeTableIds subnetIds privateDnsEnabled state "
            "securityGroupIds=Groups[].GroupId networkInterfaceIds dnsEntries ownerId requesterManaged tags",
        ),
        Look(
            "ec2.describe_prefix_lists",
            {"Filters": [{"Name": "prefix-list-name", "Values": ["@serviceName"]}]},
            "PrefixLists[0]",
            "prefixListId cidrBlocks=Cidrs",
        ),
    ],
    replace="privateDnsEnabled resourceConfigurationArn serviceNetworkArn serviceRegion",
    update=[Put("routeTableIds subnetIds securityGroupIds policy", _modify), TAGS],
    delete=Call("ec2.delete_vpc_endpoints", {"VpcEndpointIds": ["@id"]}),
    finish=_endpoint,
    arn="ec2:vpc-endpoint/@id",
    find=find_created,
    defaults={"vpcEndpointType": "Gateway"},
    computed="policy routeTableIds subnetIds securityGroupIds privateDnsEnabled ipAddressType subnetConfigurations",
    documents="policy",
    sets="routeTableIds subnetIds securityGroupIds",
)

_RESOURCES = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface", "transitGatewayId": "TransitGateway"}


def _create_flow_log(aws: Aws, props: Props) -> str:
    subject = next(name for name in _RESOURCES if props.get(name))
    answer = Call(
        "ec2.create_flow_logs",
        {
            "ResourceIds": [props[subject]],
            "ResourceType": _RESOURCES[subject],
            "TrafficType": "@trafficType",
            "LogDestination": "@logDestination",
            "LogDestinationType": "@logDestinationType",
            "LogFormat": "@logFormat",
            "DeliverLogsPermissionArn": "@iamRoleArn",
            "MaxAggregationInterval": "@maxAggregationInterval",
            "TagSpecifications": tag_specifications("vpc-flow-log"),
        },
    )(aws, props)
    if answer.get("Unsuccessful"):
        raise ProviderError(f"ec2 CreateFlowLogs: {answer['Unsuccessful'][0]['Error'].get('Message')}", certain=True)
    return answer["FlowLogIds"][0]


def _check_subject(inputs: Props) -> Iterator[tuple[str, str]]:
    found = [name for name in _RESOURCES if not is_empty(inputs.get(name))]
    if len(found) != 1:
        yield next(iter(found), "vpcId"), f"a flow log has one subject, not {len(found)}: {', '.join(_RESOURCES)}"


def _subject(aws: Aws, identifier: str, props: Props) -> Props:
    del aws, identifier
    resource_id = str(props.pop("resourceId"))
    prefixes = {"vpc-": "vpcId", "subnet-": "subnetId", "eni-": "eniId", "tgw-": "transitGatewayId"}
    return {**props, **{name: resource_id for prefix, name in prefixes.items() if resource_id.startswith(prefix)}}


FLOW_LOG = resource(
    "aws:ec2/flowLog:FlowLog",
    create=_create_flow_log,
    read=Look(
        "ec2.describe_flow_logs",
        {"FlowLogIds": ["@id"]},
        "FlowLogs[0]",
        "resourceId trafficType logDestination logDestinationType logFormat iamRoleArn=DeliverLogsPermissionArn "
        "maxAggregationInterval tags",
    ),
    update=[TAGS],
    delete=Call("ec2.delete_flow_logs", {"FlowLogIds": ["@id"]}),
    finish=_subject,
    check=_check_subject,
    arn="ec2:vpc-flow-log/@id",
    find=find_created,
    replace="vpcId subnetId eniId transitGatewayId trafficType logDestination logDestinationType logFormat iamRoleArn "
    "maxAggregationInterval deliverCrossAccountRole destinationOptions regionalNatGatewayId transitGatewayAttachmentId",
    defaults={"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600},
    computed="logFormat logDestination",
    # EC2 allows one flow log per destination on a resource.
    delete_first=True,
)

KINDS = [ENDPOINT, FLOW_LOG]
