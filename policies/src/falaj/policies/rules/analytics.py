"""Analytics: results, catalogues and jobs of Athena, Glue and EMR encrypted with customer keys."""

from falaj.policies.demands import Table, customer_key, demanded, not_off, on, one_of
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule

_WORKGROUP = "aws:athena/workgroup:Workgroup"
_SECURITY = "aws:glue/securityConfiguration:SecurityConfiguration"
_CATALOGUE = "aws:glue/dataCatalogEncryptionSettings:DataCatalogEncryptionSettings"
_EMR = "aws:emr/cluster:Cluster"
_GLUE: Table = {
    _SECURITY: {
        "encryptionConfiguration.cloudwatchEncryption.cloudwatchEncryptionMode": one_of("SSE-KMS"),
        "encryptionConfiguration.jobBookmarksEncryption.jobBookmarksEncryptionMode": one_of("CSE-KMS"),
        "encryptionConfiguration.s3Encryption.s3EncryptionMode": one_of("SSE-KMS"),
    },
    _CATALOGUE: {
        "dataCatalogEncryptionSettings.encryptionAtRest.catalogEncryptionMode": one_of(
            "SSE-KMS", "SSE-KMS-WITH-SERVICE-ROLE"
        ),
        "dataCatalogEncryptionSettings.encryptionAtRest.sseAwsKmsKeyId": customer_key,
        "dataCatalogEncryptionSettings.connectionPasswordEncryption.returnConnectionPasswordEncrypted": on,
    },
}
_JOBS: Table = {
    "aws:glue/job:Job": {"securityConfiguration": lambda view: view.is_set()},
    "aws:glue/crawler:Crawler": {"securityConfiguration": lambda view: view.is_set()},
    "aws:glue/devEndpoint:DevEndpoint": {"securityConfiguration": lambda view: view.is_set()},
    _EMR: {"securityConfiguration": lambda view: view.is_set()},
}


@rule(
    "FJ-ANL-001",
    "Results of queries are encrypted with a customer key, whoever asks",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    (_WORKGROUP,),
    "Set resultConfiguration.encryptionConfiguration to SSE_KMS with kmsKeyArn; leave enforceWorkgroupConfiguration.",
)
def query_results(workgroup: Resource, _: Context) -> Checks:
    """Where the workgroup is not enforced, each client writes its results as it likes."""
    configuration = workgroup["configuration"]
    results = configuration["resultConfiguration"]["encryptionConfiguration"]
    managed = configuration["managedQueryResultsConfiguration"]
    encrypted = (results["encryptionOption"].among(("SSE_KMS", "CSE_KMS")) & customer_key(results["kmsKeyArn"])) | (
        managed["enabled"].is_true() & customer_key(managed["encryptionConfiguration"]["kmsKey"])
    )
    yield must(encrypted, "results are not encrypted with a customer key")
    yield must(not_off(configuration["enforceWorkgroupConfiguration"]), "clients may write results as they like")


@rule(
    "FJ-ANL-002",
    "Glue encrypts what it writes and knows",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    tuple(_GLUE),
    "Set every mode to SSE-KMS (bookmarks CSE-KMS) with your own key, and encrypt passwords of connections.",
)
def glue(settings: Resource, _: Context) -> Checks:
    """The catalogue tells of every table, and its connections hold passwords."""
    yield from demanded(settings, _GLUE, "is not encrypted with a key of KMS")
    for part in settings["encryptionConfiguration"].each():
        for name in ("cloudwatchEncryption", "jobBookmarksEncryption", "s3Encryption"):
            key = part[name]["kmsKeyArn"]
            yield never(part[name].is_set() & ~customer_key(key), "is not encrypted with a customer key")


@rule(
    "FJ-ANL-003",
    "Jobs over data have a security configuration",
    Severity.HIGH,
    ("A.8.24", "A.8.21"),
    tuple(_JOBS),
    "Set securityConfiguration, which says how data is encrypted at rest and on its way.",
)
def jobs(job: Resource, _: Context) -> Checks:
    """Without one everything but the buckets is in the clear."""
    yield from demanded(job, _JOBS, "nothing says how its data is encrypted")


@rule(
    "FJ-ANL-004",
    "Clusters of EMR are closed to the internet",
    Severity.HIGH,
    ("A.8.20", "A.8.22"),
    ("aws:emr/blockPublicAccessConfiguration:BlockPublicAccessConfiguration",),
    "Set blockPublicSecurityGroupRules to true, and permit no range of ports.",
)
def block_public(block: Resource, _: Context) -> Checks:
    """The switch of the whole account; a range that is permitted is a hole in it."""
    yield must(block["blockPublicSecurityGroupRules"].is_true(), "clusters may be opened to the internet")
    yield never(block["permittedPublicSecurityGroupRuleRanges"].is_set(), "some ports may be opened to the internet")


RULES: tuple[Rule, ...] = (query_results, glue, jobs, block_public)
