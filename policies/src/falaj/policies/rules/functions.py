"""Functions: called by those who may, of known code, in the network, and up to date."""

from falaj.policies.demands import customer_key
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule

_FUNCTION = "aws:lambda/function:Function"
# Of 2026: AWS no longer patches them. https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
_OLD_RUNTIMES = (
    *("nodejs", "nodejs4.3", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x", "nodejs16.x"),
    *("nodejs18.x", "nodejs20.x", "python2.7", "python3.6", "python3.7", "python3.8", "python3.9"),
    *("java8", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "dotnet5.0", "dotnet6", "dotnet7"),
    *("ruby2.5", "ruby2.7", "ruby3.2", "go1.x", "provided"),
)


@rule(
    "FJ-FN-001",
    "Addresses of functions know their callers",
    Severity.CRITICAL,
    ("A.8.5", "A.8.3", "ZT-6"),
    ("aws:lambda/functionUrl:FunctionUrl",),
    "Set authorizationType to AWS_IAM.",
    fix={"authorizationType": "AWS_IAM"},
)
def addresses(address: Resource, _: Context) -> Checks:
    """The address is on the internet."""
    yield must(address["authorizationType"].equals("AWS_IAM"), "anyone on the internet may call the function")


@rule(
    "FJ-FN-002",
    "Functions encrypt their environment with a customer key",
    Severity.MEDIUM,
    ("A.8.24",),
    (_FUNCTION,),
    "Set kmsKeyArn on functions that have environment variables.",
)
def environment_keys(function: Resource, _: Context) -> Checks:
    """Variables name endpoints, buckets and tables even where they hold no secret."""
    variables = function["environment"]["variables"].is_set()
    yield never(variables & ~customer_key(function["kmsKeyArn"]), "the environment has no customer key")


@rule(
    "FJ-FN-003",
    "Functions run in the network",
    Severity.MEDIUM,
    ("A.8.22", "A.8.12", "A.8.20"),
    (_FUNCTION,),
    "Set vpcConfig.subnetIds and securityGroupIds.",
)
def in_network(function: Resource, _: Context) -> Checks:
    """Outside it a function reaches the whole internet, past every firewall."""
    for name in ("subnetIds", "securityGroupIds"):
        yield must(function["vpcConfig"][name].is_set(), "the function runs outside the network")


@rule(
    "FJ-FN-004",
    "Functions run on what AWS still patches",
    Severity.HIGH,
    ("A.8.8", "A.8.19", "ZT-5"),
    (_FUNCTION, "aws:lambda/layerVersion:LayerVersion"),
    "Move to a newer runtime.",
    settings={
        "oldRuntimes": Setting(
            {"type": "array", "items": {"type": "string"}, "description": "Runtimes that are not used any more"},
            _OLD_RUNTIMES,
        )
    },
)
def runtimes(code: Resource, context: Context) -> Checks:
    """An image brings its own runtime and names none. A layer needs one runtime that is not old."""
    old = context.settings["oldRuntimes"]
    if code.type == _FUNCTION:
        yield never(code["runtime"].among(old), "the runtime is patched no more")
    else:
        for runtime in code["compatibleRuntimes"].each():
            yield never(runtime.among(old), "the layer is offered to a runtime that is patched no more")


@rule(
    "FJ-FN-005",
    "Functions run the code that was signed or named",
    Severity.MEDIUM,
    ("A.8.19", "A.8.32", "A.5.21", "ZT-5"),
    (_FUNCTION,),
    "Set codeSigningConfigArn, or name the image by its digest.",
)
def known_code(function: Resource, _: Context) -> Checks:
    """Whoever may write to the bucket of the code could otherwise run as the function."""
    image = function["imageUri"]
    by_digest = image.test(lambda uri: "@sha256:" in str(uri))
    signed = function["codeSigningConfigArn"].is_set()
    yield never(image.is_set() & ~by_digest, "the image is named by a tag, which may move")
    yield must(by_digest | signed | image.is_set(), "the code is not signed")


@rule(
    "FJ-FN-006",
    "Signing of code is enforced",
    Severity.HIGH,
    ("A.8.19", "A.5.21", "ZT-5"),
    ("aws:lambda/codeSigningConfig:CodeSigningConfig",),
    "Set policies.untrustedArtifactOnDeployment to Enforce; AWS's default only warns.",
    fix={"policies.untrustedArtifactOnDeployment": "Enforce"},
)
def enforced_signing(signing: Resource, _: Context) -> Checks:
    """A warning stops nobody."""
    policy = signing["policies"]["untrustedArtifactOnDeployment"]
    yield must(policy.equals("Enforce"), "code that is not signed runs all the same")


RULES: tuple[Rule, ...] = (addresses, environment_keys, in_network, runtimes, known_code, enforced_signing)
