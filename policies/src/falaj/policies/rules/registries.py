"""Registries of images: tags that do not move, scanned, encrypted with customer keys, closed, and pruned."""

from falaj.policies.demands import companions_by, customer_key
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact, all_of, any_of

_REPOSITORY = "aws:ecr/repository:Repository"
_TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
_SCANNING = "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration"
_LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"


@rule(
    "FJ-ECR-001",
    "Tags of images do not move",
    Severity.HIGH,
    ("A.8.9", "A.8.32", "A.5.21", "ZT-5"),
    (_REPOSITORY, _TEMPLATE),
    "Set imageTagMutability to IMMUTABLE, or to IMMUTABLE_WITH_EXCLUSION with filters that name the tags that move.",
    fix={"imageTagMutability": "IMMUTABLE"},
)
def immutable_tags(repository: Resource, _: Context) -> Checks:
    """What was reviewed under a tag is what runs under it."""
    kind, filters = repository["imageTagMutability"], repository["imageTagMutabilityExclusionFilters"]
    named = filters.is_set() & all_of(
        each["filter"].test(lambda text: bool(text.strip("*"))) for each in filters.each()
    )
    fixed = kind.equals("IMMUTABLE") | (kind.equals("IMMUTABLE_WITH_EXCLUSION") & named)
    yield must(fixed, "a tag may come to mean another image")


@rule(
    "FJ-ECR-002",
    "Images are scanned when they arrive",
    Severity.HIGH,
    ("A.8.8", "A.8.7", "ZT-5"),
    (_REPOSITORY,),
    "Declare a RegistryScanningConfiguration for all repositories, or set imageScanningConfiguration.scanOnPush.",
    reads=(_SCANNING,),
)
def scanned(repository: Resource, context: Context) -> Checks:
    """The registry's own configuration covers the repositories that its filters match."""
    covered = (
        part["scanFrequency"].among(("SCAN_ON_PUSH", "CONTINUOUS_SCAN")) & chosen["filter"].equals("*")
        for scanning in context.graph.of((_SCANNING,))
        for part in scanning["rules"].each()
        for chosen in part["repositoryFilters"].each()
    )
    own = repository["imageScanningConfiguration"]["scanOnPush"].is_true()
    yield must(any_of((own, *covered)), "images are not scanned")


@rule(
    "FJ-ECR-003",
    "Images are encrypted with a customer key",
    Severity.MEDIUM,
    ("A.8.24",),
    (_REPOSITORY, _TEMPLATE),
    "Set encryptionConfigurations with encryptionType KMS and kmsKey; a repository cannot change it later.",
)
def keys(repository: Resource, _: Context) -> Checks:
    """Models in images are data like any other."""
    encrypted = any_of(
        (
            part["encryptionType"].among(("KMS", "KMS_DSSE")) & customer_key(part["kmsKey"])
            for part in repository["encryptionConfigurations"].each()
        ),
        "encryptionConfigurations",
    )
    yield must(encrypted, "images are not encrypted with a customer key")


@rule(
    "FJ-ECR-004",
    "No image is given to everybody",
    Severity.CRITICAL,
    ("A.8.12", "A.8.3"),
    ("aws:ecrpublic/repository:Repository",),
    "Use a private repository.",
)
def public(_repository: Resource, _: Context) -> Checks:
    """A public repository is of no region and has no readers that it knows."""
    yield never(Fact(True), "everybody may take the images")


@rule(
    "FJ-ECR-005",
    "Repositories forget images that nobody uses",
    Severity.LOW,
    ("CE-3", "A.8.10", "A.8.8"),
    (_REPOSITORY,),
    "Declare a LifecyclePolicy for the repository.",
    reads=(_LIFECYCLE,),
)
def pruned(repository: Resource, context: Context) -> Checks:
    """Old images cost storage and keep their faults."""
    found = companions_by("name", repository, context, (_LIFECYCLE,), "repository")
    yield must(any_of(refers & policy["policy"].is_set() for policy, refers in found), "every image is kept for ever")


RULES: tuple[Rule, ...] = (immutable_tags, scanned, keys, public, pruned)
