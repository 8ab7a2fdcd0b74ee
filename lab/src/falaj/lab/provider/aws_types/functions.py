"""The provider's functions (invokes): who and where one is, zones, instance types, policy documents."""

import base64
import json
import threading
from typing import Any

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.engine import Function
from falaj.lab.provider.kind import ProviderError
from falaj.lab.provider.values import Props, Secret


def _caller_identity(aws: Aws, args: Props) -> Props:
    del args
    found = aws.call("sts.get_caller_identity")
    return {"accountId": found["Account"], "arn": found["Arn"], "userId": found["UserId"], "id": found["Account"]}


def _region(aws: Aws, args: Props) -> Props:
    name = args.get("name") or args.get("region") or aws.region
    found = aws.call("ec2.describe_regions", RegionNames=[name])["Regions"][0]
    return {
        "name": name,
        "region": name,
        "id": name,
        "endpoint": found["Endpoint"],
        "description": name,
    }


def _partition(aws: Aws, args: Props) -> Props:
    del args
    suffix = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}.get(aws.partition, "amazonaws.com")
    reverse = ".".join(reversed(suffix.split(".")))
    return {"partition": aws.partition, "dnsSuffix": suffix, "reverseDnsPrefix": reverse, "id": aws.partition}


def _filters(args: Props) -> list[Props]:
    return [{"Name": f["name"], "Values": [str(v) for v in f["values"]]} for f in args.get("filters") or []]


def _zones(aws: Aws, args: Props) -> Props:
    found = aws.call("ec2.describe_availability_zones", Filters=_filters(args))["AvailabilityZones"]
    excluded = {*(args.get("excludeNames") or []), *(args.get("excludeZoneIds") or [])}
    zones = sorted(
        (zone["ZoneName"], zone["ZoneId"])
        for zone in found
        if not excluded & {zone["ZoneName"], zone["ZoneId"]} and zone["State"] == (args.get("state") or zone["State"])
    )
    groups = sorted({zone.get("GroupName") or aws.region for zone in found})
    names = {"names": [name for name, _ in zones], "zoneIds": [zone for _, zone in zones], "groupNames": groups}
    return {**args, **names, "id": aws.region, "region": aws.region}


def _instance_types(aws: Aws, args: Props) -> Props:
    pages = aws.client("ec2").get_paginator("describe_instance_types").paginate(Filters=_filters(args))
    names = sorted(found["InstanceType"] for page in pages for found in page["InstanceTypes"])
    return {**args, "instanceTypes": names, "id": aws.region, "region": aws.region}


def _instance_type(aws: Aws, args: Props) -> Props:
    found = aws.call("ec2.describe_instance_types", InstanceTypes=[args["instanceType"]])["InstanceTypes"][0]
    processor, network = found.get("ProcessorInfo", {}), found.get("NetworkInfo", {})
    gpus = found.get("GpuInfo", {})
    return {
        "id": args["instanceType"],
        "instanceType": args["instanceType"],
        "region": aws.region,
        "currentGeneration": found.get("CurrentGeneration"),
        "bareMetal": found.get("BareMetal"),
        "hypervisor": found.get("Hypervisor"),
        "defaultVcpus": found["VCpuInfo"]["DefaultVCpus"],
        "defaultCores": found["VCpuInfo"].get("DefaultCores"),
        "memorySize": found["MemoryInfo"]["SizeInMiB"],
        "supportedArchitectures": processor.get("SupportedArchitectures"),
        "sustainedClockSpeed": processor.get("SustainedClockSpeedInGhz"),
        "efaSupported": network.get("EfaSupported"),
        "maximumNetworkInterfaces": network.get("MaximumNetworkInterfaces"),
        "networkPerformance": network.get("NetworkPerformance"),
        "totalGpuMemory": gpus.get("TotalGpuMemoryInMiB"),
        "gpuses": [
            {
                "count": gpu.get("Count"),
                "manufacturer": gpu.get("Manufacturer"),
                "name": gpu.get("Name"),
                "memorySize": gpu.get("MemoryInfo", {}).get("SizeInMiB"),
            }
            for gpu in gpus.get("Gpus", [])
        ],
    }


def _offerings(aws: Aws, args: Props) -> Props:
    kind = args.get("locationType") or "region"
    pages = aws.client("ec2").get_paginator("describe_instance_type_offerings")
    found = [
        o for page in pages.paginate(LocationType=kind, Filters=_filters(args)) for o in page["InstanceTypeOfferings"]
    ]
    return {
        **args,
        "instanceTypes": [offering["InstanceType"] for offering in found],
        "locations": [offering["Location"] for offering in found],
        "locationTypes": [offering["LocationType"] for offering in found],
        "id": aws.region,
        "region": aws.region,
    }


def _statement(statement: Props, number: int) -> Props:
    """Return one statement of a policy document in IAM's own form."""
    result: Props = {"Sid": statement.get("sid") or None, "Effect": statement.get("effect") or "Allow"}
    plain = {"actions": "Action", "notActions": "NotAction", "resources": "Resource", "notResources": "NotResource"}
    for name, key in plain.items():
        result[key] = _one_or_many(statement.get(name))
    for name, key in {"principals": "Principal", "notPrincipals": "NotPrincipal"}.items():
        principals: dict[str, list[str]] = {}
        for principal in statement.get(name) or []:
            principals.setdefault(principal["type"], []).extend(principal["identifiers"])
        if principals:
            everyone = principals == {"*": ["*"]}
            result[key] = "*" if everyone else {kind: _one_or_many(ids) for kind, ids in principals.items()}
    conditions: dict[str, Props] = {}
    for condition in statement.get("conditions") or []:
        of_test = conditions.setdefault(condition["test"], {})
        if condition["variable"] in of_test:
            raise ProviderError(
                f"statements[{number}]: the condition {condition['test']} {condition['variable']} occurs twice: "
                "give its values in one"
            )
        of_test[condition["variable"]] = _one_or_many(condition["values"], keep_order=True)
    result["Condition"] = conditions or None
    return {name: value for name, value in result.items() if value is not None}


def _one_or_many(values: Any, keep_order: bool = False) -> Any:
    if not values:
        return None
    ordered = list(values) if keep_order else sorted(values, reverse=True)
    return ordered[0] if len(ordered) == 1 else ordered


def _policy_document(aws: Aws, args: Props) -> Props:
    """Merge documents as the official provider does: sources first, then statements, then overrides, by their Sid."""
    del aws
    document: Props = {"Version": args.get("version") or "2012-10-17"}
    if args.get("policyId"):
        document["Id"] = args["policyId"]
    statements: list[Props] = []

    def named(sid: str | None) -> int | None:
        return next((i for i, s in enumerate(statements) if sid and s.get("Sid") == sid), None)

    def merge(new: list[Props], replaces: bool) -> None:
        for statement in new:
            at = named(statement.get("Sid"))
            if at is None:
                statements.append(statement)
            elif replaces:
                statements[at] = statement
            else:
                raise ProviderError(f"duplicate Sid ({statement['Sid']}) in a source policy document")

    def parsed(text: str, what: str) -> list[Props]:
        try:
            found = json.loads(text).get("Statement", [])
        except (ValueError, AttributeError) as error:
            raise ProviderError(f"{what} is not a policy document: {error}") from error
        return found if isinstance(found, list) else [found]

    sources = [args.get("sourceJson"), *(args.get("sourcePolicyDocuments") or [])]
    for source in filter(None, sources):
        merge(parsed(str(source), "sourcePolicyDocuments"), replaces=False)
    merge([_statement(s, i) for i, s in enumerate(args.get("statements") or [])], replaces=True)
    for override in filter(None, [args.get("overrideJson"), *(args.get("overridePolicyDocuments") or [])]):
        merge(parsed(str(override), "overridePolicyDocuments"), replaces=True)
    document["Statement"] = statements
    text = json.dumps(document, indent=2)
    minified = json.dumps(document, separators=(",", ":"))
    return {**args, "json": text, "minifiedJson": minified, "id": str(len(minified))}


def _parameter(aws: Aws, args: Props) -> Props:
    decrypt = args.get("withDecryption", True)
    found = aws.call("ssm.get_parameter", Name=args["name"], WithDecryption=decrypt)["Parameter"]
    secret = found["Type"] == "SecureString"
    return {
        "name": found["Name"],
        "id": found["Name"],
        "arn": found.get("ARN"),
        "type": found["Type"],
        "value": Secret(found["Value"]),
        "insecureValue": "" if secret else found["Value"],
        "version": found.get("Version"),
        "withDecryption": decrypt,
        "region": aws.region,
    }


def _network_filters(args: Props, names: dict[str, str]) -> list[Props]:
    found = _filters(args)
    found += [{"Name": f"tag:{k}", "Values": [v]} for k, v in (args.get("tags") or {}).items()]
    for name, key in names.items():
        value = args.get(name)
        if value not in (None, ""):
            found.append({"Name": key, "Values": [str(value).lower() if isinstance(value, bool) else value]})
    return found


def _vpc(aws: Aws, args: Props) -> Props:
    filters = _network_filters(args, {"id": "vpc-id", "cidrBlock": "cidr", "default": "isDefault", "state": "state"})
    found = aws.call("ec2.describe_vpcs", Filters=filters)["Vpcs"]
    if len(found) != 1:
        raise ProviderError(f"getVpc: {len(found)} VPCs match; the filters must leave exactly one")
    vpc = found[0]
    tables = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}, {"Name": "association.main", "Values": ["true"]}]
    main = aws.call("ec2.describe_route_tables", Filters=tables)["RouteTables"]
    attributes = {
        name: aws.call("ec2.describe_vpc_attribute", VpcId=vpc["VpcId"], Attribute=name)[name[0].upper() + name[1:]][
            "Value"
        ]
        for name in ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics")
    }
    return {
        **attributes,
        "id": vpc["VpcId"],
        "arn": aws.arn("ec2", f"vpc/{vpc['VpcId']}"),
        "cidrBlock": vpc["CidrBlock"],
        "cidrBlockAssociations": [
            {"associationId": a["AssociationId"], "cidrBlock": a["CidrBlock"], "state": a["CidrBlockState"]["State"]}
            for a in vpc.get("CidrBlockAssociationSet", [])
        ],
        "default": vpc["IsDefault"],
        "dhcpOptionsId": vpc["DhcpOptionsId"],
        "instanceTenancy": vpc["InstanceTenancy"],
        "mainRouteTableId": main[0]["RouteTableId"] if main else None,
        "ownerId": vpc["OwnerId"],
        "state": vpc["State"],
        "tags": aws.tags(vpc.get("Tags")),
        "region": aws.region,
        "ipv6AssociationId": "",
        "ipv6CidrBlock": "",
    }


def _subnets(aws: Aws, args: Props) -> Props:
    found = aws.call("ec2.describe_subnets", Filters=_network_filters(args, {}))["Subnets"]
    return {
        **args,
        "ids": sorted(s["SubnetId"] for s in found),
        "id": aws.region,
        "region": aws.region,
        "tags": args.get("tags") or {},
    }


def _cluster(aws: Aws, args: Props) -> Props:
    from falaj.lab.provider.aws_types.eks import CLUSTER  # noqa: PLC0415

    found = CLUSTER.read(aws, args["name"], {})
    if found is None:
        raise ProviderError(f"getCluster: there is no EKS cluster {args['name']}")
    return {**found, "id": args["name"], "name": args["name"]}


_signing = threading.Lock()


def _cluster_auth(aws: Aws, args: Props) -> Props:
    """Return EKS's bearer token: a presigned request to STS that names the cluster, as `aws eks get-token` makes it."""
    client, name = aws.client("sts"), args["name"]

    def add_header(request: Any, **_: Any) -> None:
        request.headers["x-k8s-aws-id"] = name

    event = "before-sign.sts.GetCallerIdentity"
    with _signing:  # the client and its handlers are shared
        client.meta.events.register(event, add_header)
        try:
            url = client.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
        finally:
            client.meta.events.unregister(event, add_header)
    token = "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    return {"name": name, "id": name, "token": Secret(token), "region": aws.region}


def _default_tags(aws: Aws, args: Props) -> Props:
    del args
    return {"tags": aws.config.default_tags, "id": "aws"}


FUNCTIONS: dict[str, Function[Aws]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getDefaultTags:getDefaultTags": _default_tags,
    "aws:ec2/getInstanceTypes:getInstanceTypes": _instance_types,
    "aws:ec2/getInstanceType:getInstanceType": _instance_type,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
    "aws:ec2/getVpc:getVpc": _vpc,
    "aws:ec2/getSubnets:getSubnets": _subnets,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
    "aws:ssm/getParameter:getParameter": _parameter,
    "aws:eks/getCluster:getCluster": _cluster,
    "aws:eks/getClusterAuth:getClusterAuth": _cluster_auth,
}
"""The functions by their tokens."""
