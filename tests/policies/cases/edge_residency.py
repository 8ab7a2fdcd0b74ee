"""The edge: what passes, what fails, and what cannot be decided."""

from policies.making import BUCKET, ROLE, Case, allow, document, make
from policies.placing import placed

from falaj.policies.rules.edge_residency import edge_services

_COGNITO = "aws:cognito/userPoolDomain:UserPoolDomain"
_TAKES = {"Action": "sts:AssumeRole"}
CASES = [
    *(
        Case("FJ-RES-040", [make(BUCKET, {})], [make(type_, {})], [])
        for type_ in edge_services.types
        if type_ != _COGNITO
    ),
    placed("FJ-RES-040", _COGNITO, "certificateArn", None, "arn:aws:acm:us-east-1:123456789012:certificate/1"),
    *(
        placed("FJ-RES-041", f"aws:wafv2/{module}:{name}", "scope", "REGIONAL", "CLOUDFRONT")
        for module, name in (("webAcl", "WebAcl"), ("ruleGroup", "RuleGroup"), ("ipSet", "IpSet"))
    ),
    *(
        placed("FJ-RES-042", type_, "endpointConfiguration.types", "REGIONAL", "EDGE")
        for type_ in ("aws:apigateway/restApi:RestApi", "aws:apigateway/domainName:DomainName")
    ),
    placed("FJ-RES-042", "aws:apigateway/restApi:RestApi", "endpointConfiguration", {"types": ["PRIVATE"]}, None),
    placed(
        "FJ-RES-043",
        ROLE,
        "assumeRolePolicy",
        document(allow({"Service": "lambda.amazonaws.com"}, **_TAKES)),
        document(allow({"Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]}, **_TAKES)),
    ),
    placed(
        "FJ-RES-044",
        "aws:s3/bucketAccelerateConfiguration:BucketAccelerateConfiguration",
        "status",
        "Suspended",
        "Enabled",
    ),
    placed("FJ-RES-044", BUCKET, "accelerationStatus", "Suspended", "Enabled"),
]
MUTATIONS = [(BUCKET, ["accelerationStatus"], "Enabled", {"FJ-RES-044"})]
