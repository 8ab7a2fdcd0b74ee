"""The edge: load balancers, CloudFront, web firewalls and certificates, all over TLS 1.2 and logged."""

import re

from falaj.policies.demands import companions_by
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.residency.crossings import SETTINGS as TRANSFERS
from falaj.policies.residency.crossings import register_of
from falaj.policies.residency.places import GLOBAL
from falaj.policies.values import Fact, View, all_of, any_of

_LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
_BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
_CLASSIC = "aws:elb/loadBalancer:LoadBalancer"
_DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
_WEB_FIREWALL = "aws:wafv2/webAcl:WebAcl"
_WEB_FIREWALL_LOGS = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
_ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
_CERTIFICATE = "aws:acm/certificate:Certificate"
_MODERN = re.compile(r"ELBSecurityPolicy-(TLS13-1-[23]|TLS-1-2|FS-1-2)-.*")
_EDGE_ALLOWED = Setting(
    {
        "type": "boolean",
        "description": "Whether distributions stay without an entry in the transfer register: FJ-RES-040 is waived, or "
        "stops nothing",
    },
    False,
)
_OLD_TLS = ("SSLv3", "TLSv1", "TLSv1.1")


@rule(
    "FJ-ELB-001",
    "Load balancers listen over TLS only",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    (*_LISTENERS, _CLASSIC),
    "Listen on HTTPS or TLS; on HTTP do nothing but redirect to HTTPS.",
)
def listeners(listener: Resource, _: Context) -> Checks:
    """TCP passes TLS through to whoever ends it, and is not judged. Left out, an application's protocol is HTTP."""
    if listener.type == _CLASSIC:
        for part in listener["listeners"].each():
            plain = part["lbProtocol"].test(lambda name: str(name).lower() == "http")
            yield never(plain, "clients talk in the clear")
        return
    protocol = listener["protocol"]
    plain = protocol.equals("HTTP") | (~protocol.is_set() & listener["port"].is_set())
    actions = list(listener["defaultActions"].each())
    redirects = all_of(
        (action["type"].equals("redirect") & action["redirect"]["protocol"].equals("HTTPS") for action in actions),
        "defaultActions",
    )
    yield never(plain & ~(redirects & Fact(bool(actions))), "clients talk in the clear")


@rule(
    "FJ-ELB-002",
    "Load balancers agree on TLS 1.2 or newer",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    _LISTENERS,
    "Set sslPolicy to ELBSecurityPolicy-TLS13-1-2-2021-06 or newer; AWS's default takes TLS 1.0.",
)
def policies(listener: Resource, _: Context) -> Checks:
    """Only HTTPS and TLS listeners have a policy."""
    encrypted = listener["protocol"].among(("HTTPS", "TLS"))
    modern = listener["sslPolicy"].test(lambda name: bool(_MODERN.fullmatch(str(name))))
    yield never(encrypted & ~modern, "an old TLS is good enough")


@rule(
    "FJ-ELB-003",
    "Load balancers log who came",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    (*_BALANCERS, _CLASSIC),
    "Set accessLogs with a bucket and enabled.",
)
def access_logs(balancer: Resource, _: Context) -> Checks:
    """A classic balancer's log is on where it has a bucket; a gateway's balancer has none."""
    logs = balancer["accessLogs"]
    if balancer.type == _CLASSIC:
        yield must(logs["bucket"].is_set() & ~logs["enabled"].equals(False), "clients are not logged")
    else:
        gateway = balancer["loadBalancerType"].equals("gateway")
        yield must(gateway | (logs["bucket"].is_set() & logs["enabled"].is_true()), "clients are not logged")


@rule(
    "FJ-ELB-004",
    "Load balancers drop what no client sends in good faith",
    Severity.MEDIUM,
    ("A.8.21", "A.8.26"),
    (*_BALANCERS, _CLASSIC),
    "Set dropInvalidHeaderFields to true, and desyncMitigationMode to defensive (the default) or strictest.",
)
def invalid_requests(balancer: Resource, _: Context) -> Checks:
    """Requests that two parsers read differently smuggle others."""
    yield never(balancer["desyncMitigationMode"].equals("monitor"), "ambiguous requests are only counted")
    if balancer.type != _CLASSIC:
        drops = balancer["dropInvalidHeaderFields"].is_true()
        yield must(~_is_application(balancer) | drops, "invalid headers are passed on")


@rule(
    "FJ-ELB-005",
    "Load balancers are not lost by one call",
    Severity.MEDIUM,
    ("A.8.32", "A.8.14"),
    _BALANCERS,
    "Set enableDeletionProtection to true.",
    fix={"enableDeletionProtection": True},
)
def protection(balancer: Resource, _: Context) -> Checks:
    """Whoever does mean it says so twice."""
    yield must(balancer["enableDeletionProtection"].is_true(), "one call deletes it")


@rule(
    "FJ-WAF-001",
    "What faces the internet stands behind a web firewall",
    Severity.HIGH,
    ("A.8.23", "A.8.20", "A.8.26"),
    (*_BALANCERS, _DISTRIBUTION),
    "Make the balancer internal, or declare a WebAclAssociation; set webAclId on a distribution.",
    reads=(_ASSOCIATION,),
    settings={**TRANSFERS, "edgeAllowed": _EDGE_ALLOWED},
)
def behind_firewall(facing: Resource, context: Context) -> Checks:
    """Left out, a balancer faces the internet. Those of the network and of gateways take no web firewall.

    A distribution that FJ-RES-040 refuses shall not be, with or without a firewall (which FJ-RES-041 would refuse): it
    is asked for one where the transfer register, or a setting, lets it be.
    """
    if facing.type == _DISTRIBUTION:
        settings = context.settings
        if settings["edgeAllowed"] or register_of(settings).find("FJ-RES-040", facing.urn, GLOBAL):
            yield must(facing["webAclId"].is_set(), "anything reaches what is behind it")
        return
    found = any_of(refers for _, refers in companions_by("arn", facing, context, (_ASSOCIATION,), "resourceArn"))
    public = _is_application(facing) & ~facing["internal"].is_true()
    yield never(public & ~found, "anything reaches what is behind it")


@rule(
    "FJ-WAF-002",
    "Web firewalls log what they see",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    (_WEB_FIREWALL,),
    "Declare a WebAclLoggingConfiguration for it.",
    reads=(_WEB_FIREWALL_LOGS,),
)
def firewall_logs(firewall: Resource, context: Context) -> Checks:
    """What was refused shows who tries."""
    found = companions_by("arn", firewall, context, (_WEB_FIREWALL_LOGS,), "resourceArn")
    yield must(any_of(refers for _, refers in found), "what it refuses is not logged")


@rule(
    "FJ-CDN-001",
    "Distributions are reached over TLS 1.2 or newer",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    (_DISTRIBUTION,),
    "Set viewerProtocolPolicy to https-only or redirect-to-https, and minimumProtocolVersion to TLSv1.2_2021 or newer.",
)
def viewers(distribution: Resource, _: Context) -> Checks:
    """With CloudFront's own certificate no version can be chosen."""
    for name in ("defaultCacheBehavior", "orderedCacheBehaviors"):
        for behavior in distribution[name].each():
            encrypted = behavior["viewerProtocolPolicy"].among(("https-only", "redirect-to-https"))
            yield must(encrypted, "clients may talk in the clear")
    least = distribution["viewerCertificate"]["minimumProtocolVersion"]
    yield must(least.test(lambda name: str(name).startswith(("TLSv1.2", "TLSv1.3"))), "an old TLS is good enough")


@rule(
    "FJ-CDN-002",
    "Distributions reach their origins over TLS, and as themselves",
    Severity.HIGH,
    ("A.8.24", "A.8.3", "ZT-2", "ZT-6"),
    (_DISTRIBUTION,),
    "Set originProtocolPolicy to https-only with TLS 1.2; give buckets an origin access control.",
)
def origins(distribution: Resource, _: Context) -> Checks:
    """A bucket that does not know the distribution has to be public."""
    for origin in distribution["origins"].each():
        custom = origin["customOriginConfig"]
        plain = custom.is_set() & ~custom["originProtocolPolicy"].equals("https-only")
        yield never(plain, "the origin may be reached in the clear")
        for version in custom["originSslProtocols"].each():
            yield never(version.among(_OLD_TLS), "an old TLS is good enough for the origin")
        known = origin["originAccessControlId"].is_set() | origin["s3OriginConfig"]["originAccessIdentity"].is_set()
        yield must(~_is_bucket(origin) | known, "the bucket does not know who asks")


def _is_bucket(origin: View) -> Fact:
    """Return whether an origin is a bucket rather than a server or a bucket's website."""
    named = origin["domainName"].test(lambda name: bool(re.search(r"\.s3[.-][^/]*amazonaws\.com$", str(name))))
    return (named & ~origin["customOriginConfig"].is_set()) | origin["s3OriginConfig"].is_set()


@rule(
    "FJ-ACM-001",
    "Certificates are strong, public to the log, and made by AWS",
    Severity.MEDIUM,
    ("A.8.24", "A.5.17"),
    (_CERTIFICATE,),
    "Request the certificate with a validationMethod; leave transparency logging on; use RSA 2048 or better.",
)
def certificates(certificate: Resource, _: Context) -> Checks:
    """What is imported is renewed by hand, and its key was known to a program."""
    for name in ("privateKey", "privateKeyWo"):
        yield never(certificate[name].is_set(), "the program knows the private key")
    yield never(certificate["keyAlgorithm"].equals("RSA_1024"), "the key is weak")
    logging = certificate["options"]["certificateTransparencyLoggingPreference"]
    yield never(logging.equals("DISABLED"), "nobody notices a false certificate")


def _is_application(balancer: Resource) -> Fact:
    """Return whether it is a balancer of applications, which is what AWS makes when nothing is said."""
    kind = balancer["loadBalancerType"]
    return ~kind.is_set() | kind.equals("application")


RULES: tuple[Rule, ...] = (
    listeners,
    policies,
    access_logs,
    invalid_requests,
    protection,
    behind_firewall,
    firewall_logs,
    viewers,
    origins,
    certificates,
)
