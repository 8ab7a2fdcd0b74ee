"""Types that are recorded, not enacted: they exist in Pulumi's state only, with a plausible identifier and ARN."""

import re
import secrets
from functools import cache

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.declared import Declared
from falaj.lab.provider.kind import Autoname, Kind, ProviderError
from falaj.lab.provider.values import Props

ARN_SERVICES = {
    "alb": "elasticloadbalancing",
    "lb": "elasticloadbalancing",
    "vpc": "ec2",
    "ebs": "ec2",
    "ec2transitgateway": "ec2",
    "ec2clientvpn": "ec2",
    "cloudwatch": "logs",
    "cfg": "config",
    "efs": "elasticfilesystem",
    "msk": "kafka",
    "mq": "mq",
    "opensearch": "es",
    "elasticsearch": "es",
    "sfn": "states",
    "amp": "aps",
    "docdb": "rds",
    "neptune": "rds",
    "dms": "dms",
    "cognito": "cognito-idp",
    "emr": "elasticmapreduce",
}
"""The service in an ARN where it is not the module's name in the SDK."""

ARN_PATHS = {
    "aws:sns/topic:Topic": "{name}",
    "aws:sqs/queue:Queue": "{name}",
    "aws:lambda/function:Function": "function:{name}",
    "aws:dynamodb/table:Table": "table/{name}",
    "aws:ecr/repository:Repository": "repository/{name}",
    "aws:efs/fileSystem:FileSystem": "file-system/{name}",
    "aws:secretsmanager/secret:Secret": "secret:{name}",
    "aws:sfn/stateMachine:StateMachine": "stateMachine:{name}",
    "aws:backup/vault:Vault": "backup-vault:{name}",
    "aws:cloudtrail/trail:Trail": "trail/{name}",
    "aws:eks/fargateProfile:FargateProfile": "fargateprofile/{clusterName}/{id}",
    "aws:rds/instance:Instance": "db:{id}",
    "aws:rds/cluster:Cluster": "cluster:{id}",
}
"""The last part of an ARN where it is not type and identifier."""

IDENTIFIERS = {
    "aws:ec2/eip:Eip": "eipalloc-{random}",
    "aws:ec2/natGateway:NatGateway": "nat-{random}",
    "aws:ec2/instance:Instance": "i-{random}",
    "aws:ebs/volume:Volume": "vol-{random}",
}
"""The form of identifiers that others build on."""

GLOBAL = {"iam", "route53", "cloudfront", "organizations", "globalaccelerator"}
"""Services whose ARNs name no region."""


@cache
def recorded_kind(token: str, declared: Declared) -> Kind[Aws]:
    """Return the kind of a type that is recorded."""
    _, module, type_name = token.split(":")
    area = module.partition("/")[0]
    service = ARN_SERVICES.get(area, area)
    kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type_name).lower()
    own = type_name[0].lower() + type_name[1:]

    def create(aws: Aws, inputs: Props) -> str:
        del aws
        form = IDENTIFIERS.get(token)
        if form:
            return form.format_map({**inputs, "random": secrets.token_hex(9)[:17]})
        return str(inputs.get("name") or f"{kebab}-{secrets.token_hex(9)[:17]}")

    def read(aws: Aws, identifier: str, known: Props) -> Props:
        if not known:
            raise ProviderError(f"{token} is recorded, not enacted: there is nothing to import")
        form = ARN_PATHS.get(token, f"{kebab}/{{id}}")
        values = {"name": identifier, **{k: v for k, v in known.items() if v is not None}, "id": identifier}
        arn = aws.arn(service, form.format_map(values), region="" if service in GLOBAL else None)
        plausible = {
            "arn": arn,
            f"{own}Arn": arn,
            f"{own}Id": identifier,
            "associationArn": arn,
            "associationId": identifier,
            "ownerId": aws.account,
            "region": aws.region,
        }
        made = {n: v for n, v in plausible.items() if n in declared.outputs and n not in declared.inputs}
        return {**{n: v for n, v in known.items() if n in declared.outputs and n not in declared.inputs}, **made}

    has_name = "name" in declared.inputs and not declared.inputs["name"].required
    return Kind(
        token=token,
        create=create,
        read=read,
        replace_on=frozenset({name for name, p in declared.inputs.items() if p.forces_new} | {"region"}),
        computed=frozenset({"region"}),
        autoname=Autoname(prefix="namePrefix" if "namePrefix" in declared.inputs else None) if has_name else None,
        enacted=False,
    )
