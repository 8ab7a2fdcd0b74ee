"""The edge: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.storage import companion, nested, varied
from policies.making import Case, make, simple

from falaj.policies.values import UNKNOWN

LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
CLASSIC = "aws:elb/loadBalancer:LoadBalancer"
DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
WEB_FIREWALL = "aws:wafv2/webAcl:WebAcl"
LOGS = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
CERTIFICATE = "aws:acm/certificate:Certificate"
_TLS = "ELBSecurityPolicy-TLS13-1-2-2021-06"
_SEEN = {
    "defaultCacheBehavior.viewerProtocolPolicy": "redirect-to-https",
    "viewerCertificate.minimumProtocolVersion": "TLSv1.2_2021",
}
_SERVER = {"domainName": "api.example.ae", "customOriginConfig": {"originProtocolPolicy": "https-only"}}
_FILES = {"domainName": "data.s3.me-central-1.amazonaws.com"}


def plain(action: Any) -> dict[str, Any]:
    return {"port": 80.0, "protocol": "HTTP", "defaultActions": [action]}


def redirect(protocol: Any) -> dict[str, Any]:
    return {"type": "redirect", "redirect": {"protocol": protocol, "statusCode": "HTTP_301"}}


def origins(*found: dict[str, Any]) -> dict[str, Any]:
    return {"origins": list(found)}


CASES = [
    *(
        case
        for type_ in LISTENERS
        for case in (
            simple(
                "FJ-ELB-001",
                type_,
                plain(redirect("HTTPS")),
                plain({"type": "forward", "targetGroupArn": "arn"}),
                plain(redirect(UNKNOWN)),
            ),
            varied("FJ-ELB-001", type_, {"port": 443.0, "protocol": "HTTPS"}, "protocol", None),
            varied("FJ-ELB-002", type_, {"protocol": "HTTPS", "sslPolicy": _TLS}, "sslPolicy", None),
        )
    ),
    simple(
        "FJ-ELB-001",
        CLASSIC,
        {"listeners": [{"lbProtocol": "https"}, {"lbProtocol": "tcp"}]},
        {"listeners": [{"lbProtocol": "https"}, {"lbProtocol": "HTTP"}]},
        {"listeners": [{"lbProtocol": UNKNOWN}]},
    ),
    *(
        case
        for type_ in BALANCERS
        for case in (
            varied(
                "FJ-ELB-003",
                type_,
                {"accessLogs.bucket": "logs", "accessLogs.enabled": True},
                "accessLogs.enabled",
                None,
            ),
            varied("FJ-ELB-004", type_, {"dropInvalidHeaderFields": True}, "dropInvalidHeaderFields", None),
            varied("FJ-ELB-005", type_, {"enableDeletionProtection": True}, "enableDeletionProtection", None),
            varied("FJ-WAF-001", type_, {"internal": True}, "internal", None),
            varied("FJ-WAF-001", type_, {"loadBalancerType": "network"}, "loadBalancerType", "application"),
            Case(
                "FJ-WAF-001",
                [make(type_, {}), companion(ASSOCIATION, "resourceArn", {}, type_)],
                [make(type_, {}), companion(ASSOCIATION, "resourceArn", {}, type_, "another")],
                [make(type_, {}), make(ASSOCIATION, {"resourceArn": UNKNOWN}, name="wall")],
            ),
        )
    ),
    varied("FJ-ELB-003", CLASSIC, {"accessLogs.bucket": "logs"}, "accessLogs.bucket", None),
    varied("FJ-ELB-004", CLASSIC, {"desyncMitigationMode": "strictest"}, "desyncMitigationMode", "monitor"),
    Case(
        "FJ-WAF-001",
        *([make(DISTRIBUTION, {"webAclId": value})] for value in ("arn", None, UNKNOWN)),
        {"edgeAllowed": True},
    ),
    Case(
        "FJ-WAF-002",
        [make(WEB_FIREWALL, {}), companion(LOGS, "resourceArn", {}, WEB_FIREWALL)],
        [make(WEB_FIREWALL, {}), companion(LOGS, "resourceArn", {}, WEB_FIREWALL, "another")],
        [make(WEB_FIREWALL, {}), make(LOGS, {"resourceArn": UNKNOWN}, name="logs")],
    ),
    varied("FJ-CDN-001", DISTRIBUTION, _SEEN, "defaultCacheBehavior.viewerProtocolPolicy", "allow-all"),
    varied("FJ-CDN-001", DISTRIBUTION, _SEEN, "viewerCertificate.minimumProtocolVersion", None),
    simple(
        "FJ-CDN-001",
        DISTRIBUTION,
        nested(_SEEN) | {"orderedCacheBehaviors": [{"viewerProtocolPolicy": "https-only"}]},
        nested(_SEEN) | {"orderedCacheBehaviors": [{"viewerProtocolPolicy": "allow-all"}]},
        nested(_SEEN) | {"orderedCacheBehaviors": UNKNOWN},
    ),
    simple(
        "FJ-CDN-002",
        DISTRIBUTION,
        origins(_FILES | {"originAccessControlId": "oac"}, _SERVER),
        origins(_FILES),
        origins(_FILES | {"originAccessControlId": UNKNOWN}),
    ),
    simple(
        "FJ-CDN-002",
        DISTRIBUTION,
        origins(_SERVER),
        origins(_SERVER | {"customOriginConfig": {"originProtocolPolicy": "match-viewer"}}),
        origins({"domainName": "api.example.ae", "customOriginConfig": UNKNOWN}),
    ),
    varied(
        "FJ-ACM-001",
        CERTIFICATE,
        {"validationMethod": "DNS", "keyAlgorithm": "EC_prime256v1"},
        "keyAlgorithm",
        "RSA_1024",
    ),
    varied("FJ-ACM-001", CERTIFICATE, {"privateKey": None}, "privateKey", "-----BEGIN PRIVATE KEY-----"),
]
