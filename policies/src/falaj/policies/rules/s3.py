"""Buckets: closed to the public, over TLS only, encrypted with a customer key, owned by the account."""

from collections.abc import Iterator

from falaj.policies.documents import statements
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, all_of, any_of

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_PUBLIC_ACCESS_BLOCKS = ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",)
_ENCRYPTIONS = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
)
_POLICIES = ("aws:s3/bucketPolicy:BucketPolicy",)
_OWNERSHIPS = ("aws:s3/bucketOwnershipControls:BucketOwnershipControls",)
_LISTS = ("aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketAclV2:BucketAclV2")
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


@rule(
    "FJ-S3-001",
    "Public access blocks block everything",
    Severity.CRITICAL,
    ("A.8.3", "A.5.15"),
    (*_PUBLIC_ACCESS_BLOCKS, "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"),
    "Set all four of blockPublicAcls, blockPublicPolicy, ignorePublicAcls and restrictPublicBuckets to true.",
)
def public_access_block(block: Resource, _: Context) -> Checks:
    """Each of the four closes another way in."""
    for name in _BLOCKS:
        yield must(block[name].is_true(), "is not true")


@rule(
    "FJ-S3-002",
    "Bucket policies name who has access",
    Severity.CRITICAL,
    ("A.8.3", "A.5.15", "ZT-6"),
    (*BUCKETS, *_POLICIES),
    'Name principals, or bound "*" by a condition on aws:PrincipalAccount, aws:PrincipalOrgID or aws:SourceVpce.',
)
def bucket_policy(policy: Resource, _: Context) -> Checks:
    """A bucket may carry its policy itself."""
    for statement in statements(policy["policy"]):
        yield never(statement.open_to_anyone(), "anyone has access to the bucket")


@rule(
    "FJ-S3-003",
    "Every bucket has a public access block",
    Severity.HIGH,
    ("A.8.3",),
    BUCKETS,
    "Declare a BucketPublicAccessBlock for the bucket.",
    reads=_PUBLIC_ACCESS_BLOCKS,
)
def has_public_access_block(bucket: Resource, context: Context) -> Checks:
    """What the block says is judged on its own."""
    found = (refers for _, refers in context.graph.companions(bucket, _PUBLIC_ACCESS_BLOCKS, "bucket"))
    yield must(any_of(found), "the bucket has no public access block")


@rule(
    "FJ-S3-004",
    "Every bucket is encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    BUCKETS,
    "Declare a BucketServerSideEncryptionConfiguration with sseAlgorithm aws:kms and kmsMasterKeyId.",
    reads=_ENCRYPTIONS,
)
def has_customer_key(bucket: Resource, context: Context) -> Checks:
    """AWS's own key is nobody's to revoke."""

    def with_key(configuration: Resource) -> Iterator[Fact]:
        for part in configuration["rules"].each():
            default = part["applyServerSideEncryptionByDefault"]
            yield default["sseAlgorithm"].among(("aws:kms", "aws:kms:dsse")) & default["kmsMasterKeyId"].is_set()

    found = context.graph.companions(bucket, _ENCRYPTIONS, "bucket")
    encrypted = any_of(
        refers & configuration["rules"].is_set() & all_of(with_key(configuration)) for configuration, refers in found
    )
    yield must(encrypted, "the bucket has no encryption with a customer key")


@rule(
    "FJ-S3-005",
    "Every bucket is reached over TLS only",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    BUCKETS,
    "Deny s3:* on the bucket and its objects to everyone where aws:SecureTransport is false.",
    reads=_POLICIES,
)
def has_tls_only(bucket: Resource, context: Context) -> Checks:
    """A bucket may carry its policy itself."""
    found = [(bucket, Fact(True)), *context.graph.companions(bucket, _POLICIES, "bucket")]
    denied = any_of(
        refers & statement.denies_plaintext() for holder, refers in found for statement in statements(holder["policy"])
    )
    yield must(denied, "no bucket policy denies access without TLS")


@rule(
    "FJ-S3-006",
    "Every bucket's objects belong to the account",
    Severity.MEDIUM,
    ("A.8.3", "A.5.15"),
    BUCKETS,
    "Declare BucketOwnershipControls with objectOwnership BucketOwnerEnforced, which switches access lists off.",
    reads=(*_OWNERSHIPS, *_LISTS),
    settings={
        "declareOwnership": Setting(
            {
                "type": "boolean",
                "description": "Whether every bucket must declare it, as where some are older than 2023-04",
            },
            False,
        )
    },
)
def has_ownership(bucket: Resource, context: Context) -> Checks:
    """Access lists are a second way to share that no policy bounds.

    Undeclared, AWS enforces it on each bucket that was made since April 2023, and refuses lists there: a bucket that
    has one is older, or was told otherwise.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
    """
    found = context.graph.companions(bucket, _OWNERSHIPS, "bucket")
    enforced = any_of(
        refers & controls["rule"]["objectOwnership"].equals("BucketOwnerEnforced") for controls, refers in found
    )
    declared = any_of(refers for _, refers in found) | Fact(bool(context.settings["declareOwnership"]))
    lists = context.graph.companions(bucket, _LISTS, "bucket")
    shared = bucket["acl"].is_set() & ~bucket["acl"].equals("private")
    listed = any_of((shared, *(refers for _, refers in lists)), "acl")
    yield must(enforced | (~declared & ~listed), "the bucket does not enforce its owner's ownership")


RULES: tuple[Rule, ...] = (
    public_access_block,
    bucket_policy,
    has_public_access_block,
    has_customer_key,
    has_tls_only,
    has_ownership,
)
