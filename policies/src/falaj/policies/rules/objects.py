"""Objects in buckets: kept in versions, locked, forgotten in the end, and reached by nobody unknown."""

from falaj.policies.demands import companions_by, customer_key, demanded, none_of, not_off
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.rules.s3 import BUCKETS
from falaj.policies.values import Fact, View, any_of

_VERSIONINGS = (
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/bucketVersioningV2:BucketVersioningV2",
)
LIFECYCLES = (
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2",
)
_LOCKS = (
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "aws:s3/bucketObjectLockConfigurationV2:BucketObjectLockConfigurationV2",
)
_WEBSITES = (
    "aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration",
    "aws:s3/bucketWebsiteConfigurationV2:BucketWebsiteConfigurationV2",
)
_ACLS = ("aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketAclV2:BucketAclV2")
_OBJECTS = (
    "aws:s3/bucketObject:BucketObject",
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:s3/objectCopy:ObjectCopy",
)
_CORS = (
    "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration",
    "aws:s3/bucketCorsConfigurationV2:BucketCorsConfigurationV2",
)
_TRAIL = "aws:cloudtrail/trail:Trail"
_ACCESS_POINT = "aws:s3/accessPoint:AccessPoint"
_OPEN_ACLS = ("public-read", "public-read-write", "authenticated-read", "website")
_EVERYBODY = ("/global/AllUsers", "/global/AuthenticatedUsers")
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


@rule(
    "FJ-S3-007",
    "Every bucket keeps the versions of its objects",
    Severity.MEDIUM,
    ("A.8.13", "A.5.33"),
    BUCKETS,
    "Declare a BucketVersioning with status Enabled.",
    reads=_VERSIONINGS,
)
def versions(bucket: Resource, context: Context) -> Checks:
    """What is overwritten or deleted by mistake can then be had back."""
    found = context.graph.companions(bucket, _VERSIONINGS, "bucket")
    own = any_of(part["enabled"].is_true() for name in ("versioning", "versionings") for part in bucket[name].each())
    enabled = any_of(refers & kept["versioningConfiguration"]["status"].equals("Enabled") for kept, refers in found)
    yield must(enabled | own, "the bucket keeps no versions")


@rule(
    "FJ-S3-008",
    "Every bucket forgets in the end",
    Severity.MEDIUM,
    ("A.8.10", "CE-3"),
    BUCKETS,
    "Declare a BucketLifecycleConfiguration with an enabled rule that expires objects or their old versions.",
    reads=LIFECYCLES,
)
def forgets(bucket: Resource, context: Context) -> Checks:
    """With versions kept, what is deleted stays, and is paid for, until a rule ends it."""
    found = context.graph.companions(bucket, LIFECYCLES, "bucket")
    ends = any_of(
        refers & enabled(part) & _ends(part) for lifecycle, refers in found for part in lifecycle["rules"].each()
    )
    own = any_of(part["enabled"].is_true() & _ends(part) for part in bucket["lifecycleRules"].each())
    yield must(ends | own, "nothing in the bucket ever ends")


def enabled(part: View) -> Fact:
    """Return whether a rule of a lifecycle or of a replication is in force."""
    return part["status"].equals("Enabled")


def _ends(part: View) -> Fact:
    """Return whether a rule of a lifecycle deletes objects or old versions, rather than markers alone."""
    names = [f"{name}{plural}" for name in ("expiration", "noncurrentVersionExpiration") for plural in ("", "s")]
    return any_of(
        end[unit].is_set() for name in names for end in part[name].each() for unit in ("days", "date", "noncurrentDays")
    )


@rule(
    "FJ-S3-009",
    "Locks on objects are for a term, in a mode that is allowed",
    Severity.HIGH,
    ("A.5.33", "A.5.28"),
    _LOCKS,
    "Set rule.defaultRetention with a mode of lockModes and days or years.",
    settings={
        "lockModes": Setting(
            {
                "type": "array",
                "items": {"type": "string", "enum": ["COMPLIANCE", "GOVERNANCE"]},
                "description": "Modes of object locks; COMPLIANCE alone where nobody at all may lift one",
            },
            ("COMPLIANCE", "GOVERNANCE"),
        )
    },
)
def locks(lock: Resource, context: Context) -> Checks:
    """In governance mode whoever has one right more may delete: FJ-S3-010 refuses it where trails are kept."""
    kept = lock["rule"]["defaultRetention"]
    yield must(kept["mode"].among(context.settings["lockModes"]), "the mode of the lock is not allowed")
    term = any_of(kept[unit].test(lambda number: float(number) > 0) for unit in ("days", "years"))
    yield must(term, "objects are locked for no term")


@rule(
    "FJ-S3-010",
    "Trails are kept in buckets that are locked",
    Severity.HIGH,
    ("A.5.33", "A.5.28", "A.8.15"),
    BUCKETS,
    "Create the trail's bucket with objectLockEnabled, and a BucketObjectLockConfiguration in mode COMPLIANCE.",
    reads=(_TRAIL, *_LOCKS),
)
def trail_locked(bucket: Resource, context: Context) -> Checks:
    """In governance mode whoever has one right more may delete; a bucket that holds no trail is not judged."""
    trails = companions_by("bucket", bucket, context, (_TRAIL,), "s3BucketName")
    if trails:
        holds = any_of(refers for _, refers in trails)
        locked = any_of(
            refers & lock["rule"]["defaultRetention"]["mode"].equals("COMPLIANCE")
            for lock, refers in context.graph.companions(bucket, _LOCKS, "bucket")
        )
        yield never(holds & ~locked, "whoever may delete objects may delete the trail")


@rule(
    "FJ-S3-011",
    "No bucket is a website",
    Severity.HIGH,
    ("A.8.3", "A.8.12", "ZT-2"),
    (*_WEBSITES, *BUCKETS),
    "Remove the website; serve files through something that knows its callers, over TLS.",
)
def websites(website: Resource, _: Context) -> Checks:
    """S3's websites have no TLS and know no callers."""
    if website.type in _WEBSITES:
        yield never(Fact(True), "the bucket is served as a website, without TLS and to everybody")
        return
    for name in ("website", "websites"):
        yield never(website[name].is_set(), "the bucket is served as a website, without TLS and to everybody")


@rule(
    "FJ-S3-012",
    "No access list lets everybody in",
    Severity.CRITICAL,
    ("A.8.3", "A.8.12", "ZT-6"),
    (*_ACLS, *_OBJECTS, *BUCKETS),
    "Remove the access list, and give access by policies that name principals.",
)
def access_lists(holder: Resource, _: Context) -> Checks:
    """Everybody with any account of AWS is everybody, too."""
    yield never(holder["acl"].among(_OPEN_ACLS), "everybody has access")
    for grant in (*holder["accessControlPolicy"]["grants"].each(), *holder["grants"].each()):
        for uri in (grant["grantee"]["uri"], grant["uri"]):
            yield never(uri.test(lambda text: str(text).endswith(_EVERYBODY)), "everybody has access")


@rule(
    "FJ-S3-013",
    "Access points are reached from one network only",
    Severity.HIGH,
    ("A.8.22", "A.8.3", "ZT-4"),
    (_ACCESS_POINT,),
    "Set vpcConfiguration.vpcId, and leave all of publicAccessBlockConfiguration true.",
)
def access_points(point: Resource, _: Context) -> Checks:
    """One without a network has an address on the internet. Left out, the four blocks are on."""
    yield must(point["vpcConfiguration"]["vpcId"].is_set(), "the access point is on the internet")
    table = {_ACCESS_POINT: {f"publicAccessBlockConfiguration.{name}": not_off for name in _BLOCKS}}
    yield from demanded(point, table, "is not true")


@rule(
    "FJ-S3-014",
    "Copies of buckets are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    ("aws:s3/bucketReplicationConfig:BucketReplicationConfig",),
    "Set destination.encryptionConfiguration.replicaKmsKeyId on every rule that is enabled.",
)
def replicas(replication: Resource, _: Context) -> Checks:
    """Where the copy goes is judged by the residency rules."""
    for part in replication["rules"].each():
        key = part["destination"]["encryptionConfiguration"]["replicaKmsKeyId"]
        yield never(enabled(part) & ~customer_key(key), "the copy is not encrypted with a customer key")


@rule(
    "FJ-S3-015",
    "No website of anybody reads buckets in a user's name",
    Severity.MEDIUM,
    ("A.8.3", "A.8.12"),
    _CORS,
    "Name the origins in allowedOrigins.",
)
def origins(cors: Resource, _: Context) -> Checks:
    """With "*", any page that a user opens may read with what the user's browser holds."""
    for part in cors["corsRules"].each():
        for origin in part["allowedOrigins"].each():
            yield must(none_of("*", "http://*", "https://*")(origin), "pages of anybody may read the bucket")


RULES: tuple[Rule, ...] = (
    versions,
    forgets,
    locks,
    trail_locked,
    websites,
    access_lists,
    access_points,
    replicas,
    origins,
)
