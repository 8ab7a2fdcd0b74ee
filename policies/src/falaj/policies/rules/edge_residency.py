"""The edge: services that answer from locations all over the world are not used, or are registered."""

from collections.abc import Iterator

from falaj.policies.documents import statements
from falaj.policies.model import Context, Resource, Rule, Severity
from falaj.policies.residency.crossings import Crossing, residency_rule
from falaj.policies.residency.places import GLOBAL
from falaj.policies.values import Fact, any_of

_EDGE = (
    "aws:cloudfront/distribution:Distribution",
    "aws:cloudfront/multitenantDistribution:MultitenantDistribution",
    "aws:cloudfront/function:Function",
    "aws:cloudfront/keyValueStore:KeyValueStore",
    "aws:globalaccelerator/accelerator:Accelerator",
    "aws:globalaccelerator/customRoutingAccelerator:CustomRoutingAccelerator",
    "aws:shield/protection:Protection",
    "aws:shield/protectionGroup:ProtectionGroup",
    "aws:waf/webAcl:WebAcl",
    "aws:amplify/app:App",
    "aws:cognito/userPoolDomain:UserPoolDomain",
    "aws:appsync/domainName:DomainName",
)
_SCOPED = tuple(f"aws:wafv2/{name[0].lower()}{name[1:]}:{name}" for name in ("WebAcl", "RuleGroup", "IpSet"))
_APIS = ("aws:apigateway/restApi:RestApi", "aws:apigateway/domainName:DomainName")


@residency_rule(
    "FJ-RES-040",
    "Nothing is served from edge locations",
    Severity.HIGH,
    ("RES-8", "A.5.23", "A.5.34"),
    _EDGE,
    "Serve from load balancers of the home region; or enter the service in the transfer register.",
    kind="edge",
)
def edge_services(resource: Resource, _: Context) -> Iterator[Crossing]:
    """These decrypt, cache or log in whichever country is nearest; a Cognito domain only with a name of its own."""
    if resource.type.endswith(":UserPoolDomain"):
        yield Crossing(resource["certificateArn"].is_set(), "a domain of its own is served from the edge", GLOBAL)
    else:
        yield Crossing(Fact(True), "a service at edge locations outside the home region", GLOBAL)


@residency_rule(
    "FJ-RES-041",
    "Web firewalls are regional",
    Severity.HIGH,
    ("RES-8", "A.5.23"),
    _SCOPED,
    "Set scope to REGIONAL.",
    kind="edge",
)
def firewalls(resource: Resource, _: Context) -> Iterator[Crossing]:
    """The scope CLOUDFRONT inspects requests at the edge."""
    yield Crossing(~resource["scope"].equals("REGIONAL"), "inspects requests at edge locations", GLOBAL)


@residency_rule(
    "FJ-RES-042",
    "APIs are regional or private",
    Severity.HIGH,
    ("RES-8", "A.5.23"),
    _APIS,
    "Set endpointConfiguration.types to REGIONAL or PRIVATE: what is not set is EDGE.",
    kind="edge",
)
def apis(resource: Resource, _: Context) -> Iterator[Crossing]:
    """API Gateway's default for REST APIs is to answer at the edge."""
    types = resource["endpointConfiguration"]["types"]
    yield Crossing(~types.is_set(), "answers at edge locations unless told otherwise", GLOBAL)
    for type_ in types.each():
        yield Crossing(type_.equals("EDGE"), "answers at edge locations", GLOBAL)


@residency_rule(
    "FJ-RES-043",
    "Functions do not run at the edge",
    Severity.HIGH,
    ("RES-8", "A.5.23"),
    ("aws:iam/role:Role",),
    "Let no role be taken by edgelambda.amazonaws.com.",
    kind="edge",
)
def edge_functions(role: Resource, _: Context) -> Iterator[Crossing]:
    """A function at the edge needs a role that the edge may take."""
    for statement in statements(role["assumeRolePolicy"]):
        services = statement.view["Principal"]["Service"]
        # A principal that is plain text is not a service.
        if isinstance(statement.view["Principal"].value, str):
            continue
        named = any_of((name.equals("edgelambda.amazonaws.com") for name in services.each()), services.path)
        yield Crossing(named & statement.allows(), "functions at edge locations may take the role", GLOBAL)


@residency_rule(
    "FJ-RES-044",
    "Buckets are not reached by way of the edge",
    Severity.MEDIUM,
    ("RES-8", "RES-5", "A.8.22"),
    ("aws:s3/bucketAccelerateConfiguration:BucketAccelerateConfiguration", "aws:s3/bucket:Bucket"),
    "Suspend transfer acceleration.",
    kind="edge",
)
def accelerated(resource: Resource, _: Context) -> Iterator[Crossing]:
    """Transfer acceleration takes objects in at the nearest edge location."""
    name = "accelerationStatus" if resource.type.endswith(":Bucket") else "status"
    yield Crossing(resource[name].equals("Enabled"), "objects are taken in at edge locations", GLOBAL)


RULES: tuple[Rule, ...] = (edge_services, firewalls, apis, edge_functions, accelerated)
