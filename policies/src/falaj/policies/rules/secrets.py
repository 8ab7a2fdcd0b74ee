"""Secrets and parameters: under customer keys, rotated, and not lost by one call."""

from falaj.policies.clear_text import names_secret
from falaj.policies.demands import customer_key
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import any_of

_SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type, not a secret
_ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
_PARAMETER = "aws:ssm/parameter:Parameter"


@rule(
    "FJ-SEC-001",
    "Secrets are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.17"),
    (_SECRET,),
    "Set kmsKeyId to your own key.",
)
def keys(secret: Resource, _: Context) -> Checks:
    """AWS's own key serves whoever may read the secret, and has no policy of its own."""
    yield must(customer_key(secret["kmsKeyId"]), "the secret is not encrypted with a customer key")


@rule(
    "FJ-SEC-002",
    "Secrets are rotated",
    Severity.MEDIUM,
    ("A.5.17", "ZT-3"),
    (_SECRET,),
    "Declare a SecretRotation with rotationRules.automaticallyAfterDays of 90 or less, or a scheduleExpression.",
    reads=(_ROTATION,),
    settings={
        "mostDays": Setting({"type": "integer", "minimum": 1, "description": "Days between rotations at most"}, 90)
    },
)
def rotated(secret: Resource, context: Context) -> Checks:
    """What leaked and was not noticed then ends by itself; nobody can rotate what another's registry gave to ECR."""
    anothers = any_of(
        (
            secret[key].test(lambda name: str(name).startswith("ecr-pullthroughcache/"))
            for key in ("name", "namePrefix")
        ),
        "name",
    )
    most = context.settings["mostDays"]
    found = context.graph.companions(secret, (_ROTATION,), "secretId")
    turns = any_of(
        refers
        & (
            rotation["rotationRules"]["automaticallyAfterDays"].test(lambda days: 0 < float(days) <= most)
            | rotation["rotationRules"]["scheduleExpression"].is_set()
        )
        for rotation, refers in found
    )
    yield must(anothers | turns, "the secret stays as it is, or for too long")


@rule(
    "FJ-SEC-003",
    "Secrets can be had back for a while",
    Severity.MEDIUM,
    ("A.8.13", "A.8.32"),
    (_SECRET,),
    "Leave recoveryWindowInDays out (30 days), or set 7 to 30.",
)
def recovery(secret: Resource, _: Context) -> Checks:
    """Zero deletes at once."""
    yield never(secret["recoveryWindowInDays"].test(lambda days: float(days) == 0), "the secret is deleted at once")


@rule(
    "FJ-SEC-004",
    "Secret parameters are encrypted with a customer key",
    Severity.HIGH,
    ("A.5.17", "A.8.24"),
    (_PARAMETER,),
    "Set type to SecureString and keyId to your own key; better keep it in Secrets Manager or Vault.",
)
def parameters(parameter: Resource, _: Context) -> Checks:
    """A parameter is taken for a secret by its name."""
    secure = parameter["type"].equals("SecureString")
    named = parameter["name"].test(lambda name: names_secret(str(name).replace("/", "_")))
    yield never(named & ~secure, "the name says secret, and the value is in the clear")
    key = parameter["keyId"]
    yield never(secure & ~customer_key(key), "the secret is not encrypted with a customer key")


@rule(
    "FJ-SEC-005",
    "Secret policies refuse to let everybody in",
    Severity.HIGH,
    ("A.5.15", "A.5.17", "ZT-6"),
    ("aws:secretsmanager/secretPolicy:SecretPolicy",),
    "Set blockPublicPolicy to true: AWS then proves the policy before it takes it.",
    fix={"blockPublicPolicy": True},
)
def guarded_policies(policy: Resource, _: Context) -> Checks:
    """A proof by AWS's own solver, beside the reading of the policy here."""
    yield must(policy["blockPublicPolicy"].is_true(), "a policy that lets everybody in would be taken")


RULES: tuple[Rule, ...] = (keys, rotated, recovery, parameters, guarded_policies)
