"""Networks: no public addresses, every flow recorded, AWS reached by endpoints of one's own."""

from falaj.policies.documents import statements
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.residency.crossings import below
from falaj.policies.values import Fact, any_of

_FLOW_LOG = "aws:ec2/flowLog:FlowLog"
_EXCLUSION = "aws:ec2/vpcBlockPublicAccessExclusion:VpcBlockPublicAccessExclusion"
# What starts tasks of ECS, and where it says which network they get.
_TASKS = {
    "aws:ecs/service:Service": "networkConfiguration",
    "aws:ecs/taskSet:TaskSet": "networkConfiguration",
    "aws:cloudwatch/eventTarget:EventTarget": "ecsTarget.networkConfiguration",
    "aws:scheduler/schedule:Schedule": "target.ecsParameters.networkConfiguration",
}
# In a network that has gateway endpoints for these, programs reach them by those.
_BY_GATEWAY = (".s3", ".dynamodb")


@rule(
    "FJ-NET-002",
    "Nothing gets a public address by itself",
    Severity.HIGH,
    ("A.8.20", "A.8.22"),
    (
        "aws:ec2/subnet:Subnet",
        "aws:ec2/defaultSubnet:DefaultSubnet",
        "aws:ec2/instance:Instance",
        "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/launchConfiguration:LaunchConfiguration",
        *_TASKS,
    ),
    "Leave mapPublicIpOnLaunch, associatePublicIpAddress and assignPublicIp false.",
)
def public_addresses(resource: Resource, _: Context) -> Checks:
    """AWS's default subnets give public addresses unless told not to."""
    if resource.type in _TASKS:
        for assigned in below(resource.properties, f"{_TASKS[resource.type]}.assignPublicIp"):
            yield never(assigned.is_true(), "tasks get a public address")
        return
    if resource.type == "aws:ec2/defaultSubnet:DefaultSubnet":
        given = resource["mapPublicIpOnLaunch"]
        yield must(given.is_set() & ~given.is_true(), "public addresses are given at launch")
        return
    yield never(resource["mapPublicIpOnLaunch"].is_true(), "public addresses are given at launch")
    yield never(resource["associatePublicIpAddress"].is_true(), "a public address is given")
    for interface in resource["networkInterfaces"].each():
        yield never(interface["associatePublicIpAddress"].is_true(), "a public address is given")


@rule(
    "FJ-NET-004",
    "Every network records its flows",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    ("aws:ec2/vpc:Vpc", "aws:ec2/defaultVpc:DefaultVpc"),
    "Declare a FlowLog for the VPC with trafficType ALL.",
    reads=(_FLOW_LOG,),
)
def flow_logs(vpc: Resource, context: Context) -> Checks:
    """Refused traffic alone does not show what went out."""
    found = context.graph.companions(vpc, (_FLOW_LOG,), "vpcId")
    yield must(any_of(refers & log["trafficType"].equals("ALL") for log, refers in found), "no flow log of all traffic")


@rule(
    "FJ-NET-005",
    "Endpoints to AWS let named callers through",
    Severity.HIGH,
    ("A.8.12", "A.5.15", "ZT-4", "ZT-6"),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/vpcEndpointPolicy:VpcEndpointPolicy"),
    "Give the endpoint a policy; bound its principal by aws:PrincipalAccount or aws:PrincipalOrgID.",
)
def endpoint_policies(endpoint: Resource, _: Context) -> Checks:
    """An endpoint without a policy lets anyone's credentials through, and so carries data to another account."""
    yield must(endpoint["policy"].is_set(), "the endpoint has no policy, which lets everyone through")
    for statement in statements(endpoint["policy"]):
        yield never(statement.open_to_anyone(), "anyone gets through the endpoint")


@rule(
    "FJ-NET-007",
    "There are no default networks",
    Severity.MEDIUM,
    ("A.8.22", "A.8.20", "A.8.9"),
    ("aws:ec2/defaultVpc:DefaultVpc", "aws:ec2/defaultSubnet:DefaultSubnet"),
    "Declare a VPC with subnets of your own, and delete AWS's default one.",
)
def default_networks(_network: Resource, _: Context) -> Checks:
    """AWS's default network gives every machine a public address and a way to the internet."""
    yield never(Fact(True), "AWS's default network is open to the internet by design")


@rule(
    "FJ-NET-011",
    "Endpoints answer under AWS's own names, behind a security group",
    Severity.MEDIUM,
    ("A.8.20", "A.8.22", "A.8.12", "ZT-2"),
    ("aws:ec2/vpcEndpoint:VpcEndpoint",),
    "Set privateDnsEnabled to true and securityGroupIds to a group that lets in TLS from the callers.",
)
def interface_endpoints(endpoint: Resource, _: Context) -> Checks:
    """Without private names programs go past the endpoint; without a group of its own it gets the default one."""
    private = endpoint["vpcEndpointType"].equals("Interface") & endpoint["serviceName"].test(_is_of_aws)
    yield never(private & ~endpoint["privateDnsEnabled"].is_true(), "programs resolve AWS's name past the endpoint")
    yield never(private & ~endpoint["securityGroupIds"].is_set(), "the endpoint has no security group of its own")


@rule(
    "FJ-NET-012",
    "Flow logs go to a named place, minute by minute",
    Severity.LOW,
    ("A.8.15", "A.8.16", "ZT-7"),
    (_FLOW_LOG,),
    "Set logDestination, logDestinationType to cloud-watch-logs or s3, and maxAggregationInterval to 60.",
)
def flow_log_place(log: Resource, _: Context) -> Checks:
    """AWS's default interval of ten minutes hides when something began."""
    kind = log["logDestinationType"]
    yield must(log["logDestination"].is_set(), "nobody says where the flow log goes")
    kept = ~kind.is_set() | kind.among(("cloud-watch-logs", "s3"))
    yield must(kept, "the flow log goes through a stream, not to where it is kept")
    transit = log["transitGatewayId"].is_set() | log["transitGatewayAttachmentId"].is_set()
    yield must(transit | log["maxAggregationInterval"].equals(60), "flows are summed up over more than a minute")


@rule(
    "FJ-NET-018",
    "The block of public access to networks is on",
    Severity.HIGH,
    ("A.8.20", "A.8.22", "A.8.12"),
    ("aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions", _EXCLUSION),
    "Set internetGatewayBlockMode to block-bidirectional or block-ingress; exclude networks for egress only.",
)
def block_public_access(block: Resource, _: Context) -> Checks:
    """Where it is on, no gateway and no route opens a network by mistake."""
    if block.type == _EXCLUSION:
        yield must(block["internetGatewayExclusionMode"].equals("allow-egress"), "the internet gets in all the same")
    else:
        mode = block["internetGatewayBlockMode"]
        yield must(mode.among(("block-bidirectional", "block-ingress")), "public access is not blocked")


@rule(
    "FJ-NET-020",
    "Public addresses belong to gateways, not to machines",
    Severity.HIGH,
    ("A.8.20", "A.8.22"),
    ("aws:ec2/eip:Eip", "aws:ec2/eipAssociation:EipAssociation"),
    "Give the address to a NAT gateway or a load balancer (by allocationId), and reach the machine through that.",
)
def elastic_addresses(address: Resource, _: Context) -> Checks:
    """A machine with a public address is as safe as its security group only."""
    for key in ("instance", "instanceId", "networkInterface", "networkInterfaceId"):
        yield never(address[key].is_set(), "a machine has a public address")


def _is_of_aws(service: str) -> bool:
    return service.startswith(("com.amazonaws.", "aws.")) and not service.endswith(_BY_GATEWAY)


RULES: tuple[Rule, ...] = (
    public_addresses,
    flow_logs,
    endpoint_policies,
    default_networks,
    interface_endpoints,
    flow_log_place,
    block_public_access,
    elastic_addresses,
)
