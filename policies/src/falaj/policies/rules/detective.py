"""Services that look for what went wrong: on, complete, quick, and not told to be silent."""

from falaj.policies.links import pointing
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, all_of, any_of

_DETECTOR = "aws:guardduty/detector:Detector"
_FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
_ORGANIZATION = "aws:guardduty/organizationConfiguration:OrganizationConfiguration"
_ORGANIZATION_FEATURE = "aws:guardduty/organizationConfigurationFeature:OrganizationConfigurationFeature"
_MACIE = "aws:macie2/account:Account"
_HUB = "aws:securityhub/account:Account"
_STANDARD = "aws:securityhub/standardsSubscription:StandardsSubscription"
_CONTROL = "aws:securityhub/standardsControl:StandardsControl"
_CONTROL_IN_STANDARD = "aws:securityhub/standardsControlAssociation:StandardsControlAssociation"
_EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
_EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
_RUNTIME = ("RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING")
_SOURCES = ("aws.securityhub", "aws.guardduty", "aws.inspector2", "aws.macie", "aws.access-analyzer", "aws.health")
_FEATURES = Setting(
    {"type": "array", "items": {"type": "string"}, "description": "Features of GuardDuty that there must be"},
    ("S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "EBS_MALWARE_PROTECTION", "RUNTIME_MONITORING"),
)


@rule(
    "FJ-DET-001",
    "Detectors are on",
    Severity.HIGH,
    ("A.8.16", "A.8.7", "A.5.7", "ZT-5", "ZT-7"),
    (_DETECTOR, _MACIE, _ORGANIZATION),
    "Leave enable true (status ENABLED); for an organization set autoEnableOrganizationMembers to ALL.",
)
def switched_on(detector: Resource, _: Context) -> Checks:
    """GuardDuty and Macie that are suspended look at nothing, and cost a little all the same."""
    yield never(detector["enable"].equals(False), "the detector looks at nothing")
    yield never(detector["status"].equals("PAUSED"), "the detector looks at nothing")
    if detector.type == _ORGANIZATION:
        yield must(detector["autoEnableOrganizationMembers"].equals("ALL"), "some accounts have no detector")


@rule(
    "FJ-DET-002",
    "Findings are told within a quarter of an hour",
    Severity.MEDIUM,
    ("A.8.16", "A.5.24", "A.5.25", "ZT-7"),
    (_DETECTOR, _MACIE),
    "Set findingPublishingFrequency to FIFTEEN_MINUTES.",
    fix={"findingPublishingFrequency": "FIFTEEN_MINUTES"},
)
def quick(detector: Resource, _: Context) -> Checks:
    """GuardDuty's default is six hours; Macie's is a quarter of one."""
    given = detector["findingPublishingFrequency"]
    default = Fact(detector.type == _MACIE) & ~given.is_set()
    yield must(default | given.equals("FIFTEEN_MINUTES"), "findings are told too late")


@rule(
    "FJ-DET-003",
    "GuardDuty looks at stores, clusters, disks and running machines",
    Severity.HIGH,
    ("A.8.16", "A.8.7", "ZT-5", "ZT-7"),
    (_DETECTOR,),
    "Declare a DetectorFeature for each feature that the setting names.",
    reads=(_FEATURE,),
    settings={"features": _FEATURES},
)
def features(detector: Resource, context: Context) -> Checks:
    """What a new detector looks at has changed with the years: it is said, not left to AWS."""
    found = context.graph.companions(detector, (_FEATURE,), "detectorId")
    for wanted in context.settings["features"]:
        names = _RUNTIME if wanted in _RUNTIME else (wanted,)
        there = any_of(belongs & each["name"].among(names) for each, belongs in found)
        yield must(there, f"nobody says whether {wanted} is on")


@rule(
    "FJ-DET-004",
    "No feature of GuardDuty that is wanted is off",
    Severity.HIGH,
    ("A.8.16", "A.8.7", "ZT-5"),
    (_FEATURE, _ORGANIZATION_FEATURE),
    "Set status to ENABLED (autoEnable to ALL).",
    settings={"features": _FEATURES},
)
def features_on(feature: Resource, context: Context) -> Checks:
    """Features that the setting does not name may be off: a database's logins where there is no database."""
    wanted = feature["name"].among((*context.settings["features"], *_RUNTIME))
    if wanted.truth is False:
        return
    if feature.type == _FEATURE:
        yield never(wanted & ~feature["status"].equals("ENABLED"), "the feature is off")
    else:
        yield never(wanted & ~feature["autoEnable"].equals("ALL"), "some accounts do without the feature")


@rule(
    "FJ-DET-005",
    "Findings are put away by named filters only",
    Severity.HIGH,
    ("A.5.25", "A.8.16", "A.5.36", "ZT-5"),
    (
        "aws:guardduty/filter:Filter",
        "aws:inspector2/filter:Filter",
        "aws:accessanalyzer/archiveRule:ArchiveRule",
        "aws:securityhub/automationRule:AutomationRule",
    ),
    "Name the filter in suppressions, once somebody answers for what it hides.",
    settings={
        "suppressions": Setting(
            {"type": "array", "items": {"type": "string"}, "description": "Names of filters that may hide findings"}, ()
        )
    },
)
def suppressions(filter_: Resource, context: Context) -> Checks:
    """An intruder who may add a filter needs to hide nothing else. One that hides nothing, such as NOOP, may be."""
    allowed = context.settings["suppressions"]
    named = filter_["name"].among(allowed) | filter_["ruleName"].among(allowed)
    harmless = filter_["action"].among(("NOOP", "NONE"))
    if filter_["actions"].value is not None:
        states = (act["findingFieldsUpdate"]["workflow"]["status"] for act in filter_["actions"].each())
        harmless = all_of(~state.among(("SUPPRESSED", "RESOLVED")) for state in states)
    yield must(named | harmless, "findings are hidden by a filter that nobody named")


@rule(
    "FJ-DET-006",
    "Security Hub measures by standards",
    Severity.MEDIUM,
    ("A.5.36", "A.8.16", "ZT-5"),
    (_HUB,),
    "Declare StandardsSubscriptions, or leave enableDefaultStandards on; leave autoEnableControls on.",
    reads=(_STANDARD,),
)
def standards(hub: Resource, context: Context) -> Checks:
    """A hub without standards collects what others find, and finds nothing itself."""
    subscribed = Fact(any(True for _ in context.graph.of((_STANDARD,))))
    yield must(subscribed | ~hub["enableDefaultStandards"].equals(False), "no standard is measured by")
    yield never(hub["autoEnableControls"].equals(False), "new controls of a standard stay off")


@rule(
    "FJ-DET-007",
    "Controls that are off say why",
    Severity.MEDIUM,
    ("A.5.36", "A.5.25"),
    (_CONTROL, _CONTROL_IN_STANDARD),
    "Set disabledReason (updatedReason), or leave the control on.",
)
def reasons(control: Resource, _: Context) -> Checks:
    """An auditor asks for it, years later."""
    off = control["controlStatus"].equals("DISABLED") | control["associationStatus"].equals("DISABLED")
    said = control["disabledReason"].is_set() | control["updatedReason"].is_set()
    yield never(off & ~said, "nobody says why the control is off")


@rule(
    "FJ-DET-008",
    "Machines and images are scanned for vulnerabilities",
    Severity.HIGH,
    ("A.8.8", "A.8.7", "ZT-5"),
    ("aws:inspector2/enabler:Enabler",),
    "Give resourceTypes EC2 and ECR.",
    settings={
        "resourceTypes": Setting(
            {
                "type": "array",
                "items": {"enum": ["EC2", "ECR", "LAMBDA", "LAMBDA_CODE", "CODE_REPOSITORY"]},
                "description": "What Inspector must scan",
            },
            ("EC2", "ECR"),
        )
    },
)
def scanned(enabler: Resource, context: Context) -> Checks:
    """What ran when it was scanned at the push has other vulnerabilities a month later."""
    for type_ in context.settings["resourceTypes"]:
        yield must(enabler["resourceTypes"].contains(type_), f"{type_} is not scanned")


@rule(
    "FJ-DET-009",
    "Access that nobody uses is found within a quarter",
    Severity.MEDIUM,
    ("A.5.18", "A.8.2", "ZT-5"),
    ("aws:accessanalyzer/analyzer:Analyzer",),
    "Leave unusedAccessAge at 90 days or less, and exclude nothing.",
    settings={
        "unusedAccessAge": Setting(
            {"type": "integer", "minimum": 1, "maximum": 365, "description": "Days without use that make a finding"}, 90
        )
    },
)
def unused_access(analyzer: Resource, context: Context) -> Checks:
    """AWS's default is 90 days."""
    most, unused = context.settings["unusedAccessAge"], analyzer["configuration"]["unusedAccess"]
    yield never(unused["unusedAccessAge"].test(lambda days: days > most), "unused access is found too late")
    for excluded in unused["analysisRule"]["exclusions"].each():
        yield never(excluded.is_set(), "some accounts or roles are not looked at")


@rule(
    "FJ-DET-010",
    "What waits for findings is on, and passes them on",
    Severity.MEDIUM,
    ("A.5.24", "A.8.16", "ZT-7"),
    (_EVENT_RULE,),
    "Set state to ENABLED, and declare an EventTarget for the rule.",
    reads=(_EVENT_TARGET,),
)
def passed_on(event_rule: Resource, context: Context) -> Checks:
    """Rules about other events are not judged."""
    about = event_rule["eventPattern"].test(lambda text: any(source in str(text) for source in _SOURCES))
    if about.truth is False:
        return
    yield never(about & event_rule["state"].equals("DISABLED"), "findings are not waited for")
    told = any_of(named for _, named in pointing(context.graph, event_rule, _EVENT_TARGET, "rule", "name", "id"))
    yield must(~about | told, "findings go nowhere")


RULES: tuple[Rule, ...] = (
    switched_on,
    quick,
    features,
    features_on,
    suppressions,
    standards,
    reasons,
    scanned,
    unused_access,
    passed_on,
)
