"""The trail of who did what, and the record of how everything was configured."""

from collections.abc import Iterator

from falaj.policies.links import pointing
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, View, all_of, any_of

_TRAIL = "aws:cloudtrail/trail:Trail"
_STORE = "aws:cloudtrail/eventDataStore:EventDataStore"
_RECORDER = "aws:cfg/recorder:Recorder"
_STATUS = "aws:cfg/recorderStatus:RecorderStatus"
_CHANNEL = "aws:cfg/deliveryChannel:DeliveryChannel"
_RETENTION = "aws:cfg/retentionConfiguration:RetentionConfiguration"
_DAYS = {"type": "integer", "minimum": 1, "description": "Days for which records are kept"}


@rule(
    "FJ-TRL-001",
    "Trails prove that nobody changed them",
    Severity.HIGH,
    ("A.5.28", "A.5.33", "A.8.15", "ZT-7"),
    (_TRAIL,),
    "Set enableLogFileValidation to true.",
    fix={"enableLogFileValidation": True},
)
def validated(trail: Resource, _: Context) -> Checks:
    """Without the signed digests a file that is missing, or another one, is not noticed."""
    yield must(trail["enableLogFileValidation"].is_true(), "changed files are not noticed")


@rule(
    "FJ-TRL-002",
    "Trails are encrypted with a customer key",
    Severity.MEDIUM,
    ("A.8.24", "A.8.15", "A.5.33"),
    (_TRAIL, _STORE),
    "Set kmsKeyId.",
)
def encrypted(trail: Resource, _: Context) -> Checks:
    """Who reads the bucket then still needs the key to read the trail."""
    yield must(trail["kmsKeyId"].is_set(), "the trail is not encrypted with a customer key")


@rule(
    "FJ-TRL-003",
    "Trails record everything that is done, everywhere",
    Severity.HIGH,
    ("A.8.15", "A.8.16", "ZT-7"),
    (_TRAIL,),
    "Leave enableLogging and includeGlobalServiceEvents on, set isMultiRegionTrail, and select every management event.",
    settings={
        "multiRegion": Setting(
            {"type": "boolean", "description": "Whether trails must record all regions; false where they may not"}, True
        )
    },
)
def complete(trail: Resource, context: Context) -> Checks:
    """An intruder makes what it needs where nobody looks: in a region that the account does not use."""
    yield never(trail["enableLogging"].equals(False), "nothing is recorded")
    yield never(trail["includeGlobalServiceEvents"].equals(False), "IAM and STS are not recorded")
    if context.settings["multiRegion"]:
        yield must(trail["isMultiRegionTrail"].is_true(), "what happens in other regions is not recorded")
    for basic in trail["eventSelectors"].each():
        kinds = basic["readWriteType"]
        yield must(~kinds.is_set() | kinds.equals("All"), "some events are not recorded")
        yield never(basic["includeManagementEvents"].equals(False), "management events are not recorded")
    advanced = trail["advancedEventSelectors"]
    whole = any_of((_selects_management(selector) for selector in advanced.each()), advanced.path)
    yield must(~advanced.is_set() | whole, "management events are not recorded, or some only")


@rule(
    "FJ-TRL-004",
    "Trails record who read and wrote the data",
    Severity.MEDIUM,
    ("A.8.15", "A.5.28", "A.5.34", "ZT-7"),
    (_TRAIL,),
    "Select the data events of AWS::S3::Object, reading and writing.",
    settings={
        "dataTypes": Setting(
            {"type": "array", "items": {"type": "string"}, "description": "Types whose data events are recorded"},
            ("AWS::S3::Object",),
        )
    },
)
def data_events(trail: Resource, context: Context) -> Checks:
    """Management events tell who made a bucket, not who took what is in it."""
    for type_ in context.settings["dataTypes"]:
        yield must(any_of((fact for fact in _data(trail, type_)), "advancedEventSelectors"), f"nothing of {type_}")


@rule(
    "FJ-TRL-005",
    "Trails are read as they are written",
    Severity.MEDIUM,
    ("A.8.16", "A.8.15", "ZT-7"),
    (_TRAIL,),
    "Set cloudWatchLogsGroupArn and cloudWatchLogsRoleArn.",
)
def live(trail: Resource, _: Context) -> Checks:
    """Alarms look at a log group; files in a bucket are for those who come later."""
    yield must(trail["cloudWatchLogsGroupArn"].is_set(), "no alarm can see the trail")


@rule(
    "FJ-TRL-006",
    "Event data stores cannot be removed, and are kept for a term",
    Severity.HIGH,
    ("A.5.33", "A.5.28", "A.8.15"),
    (_STORE,),
    "Leave terminationProtectionEnabled on, suspend off, and retentionPeriod at a year or more.",
    settings={"retentionDays": Setting(_DAYS, 365)},
)
def stores(store: Resource, context: Context) -> Checks:
    """AWS protects them by default and keeps them for seven years."""
    yield never(store["terminationProtectionEnabled"].equals(False), "one call removes the records")
    yield never(store["suspend"].is_true(), "nothing is recorded")
    least = context.settings["retentionDays"]
    yield never(store["retentionPeriod"].test(lambda days: days < least), "records are not kept for the term")


@rule(
    "FJ-CFG-001",
    "The configuration of everything is recorded",
    Severity.HIGH,
    ("A.5.9", "A.8.9", "A.8.32", "ZT-1", "ZT-5"),
    (_RECORDER,),
    "Set recordingGroup.allSupported and includeGlobalResourceTypes to true, and exclude no types.",
)
def every_type(recorder: Resource, _: Context) -> Checks:
    """What is not recorded is not in the inventory, and no rule of Config judges it."""
    group = recorder["recordingGroup"]
    yield never(group["allSupported"].equals(False), "some types only are recorded")
    yield must(group["includeGlobalResourceTypes"].is_true(), "roles and policies are not recorded")
    for excluded in group["exclusionByResourceTypes"].each():
        yield never(excluded["resourceTypes"].is_set(), "some types are not recorded")


@rule(
    "FJ-CFG-002",
    "Recorders are started, and deliver",
    Severity.HIGH,
    ("A.8.9", "A.8.15", "ZT-5"),
    (_RECORDER,),
    "Declare a RecorderStatus of the recorder's name with isEnabled true, and a DeliveryChannel.",
    reads=(_STATUS, _CHANNEL),
)
def started(recorder: Resource, context: Context) -> Checks:
    """To declare a recorder does not start it."""
    found = pointing(context.graph, recorder, _STATUS, "name", "name", "id")
    on = any_of(named & status["isEnabled"].is_true() for status, named in found)
    yield must(on, "nothing starts the recorder")
    yield must(Fact(any(True for _ in context.graph.of((_CHANNEL,)))), "the recorder delivers nowhere")


@rule(
    "FJ-CFG-003",
    "Records of configuration are encrypted and kept for a term",
    Severity.MEDIUM,
    ("A.5.33", "A.8.24", "A.8.9"),
    (_CHANNEL, _RETENTION),
    "Set s3KmsKeyArn, and retentionPeriodInDays to a year or more.",
    settings={"retentionDays": Setting(_DAYS, 365)},
)
def kept(resource: Resource, context: Context) -> Checks:
    """The history shows who changed what long before it was noticed."""
    if resource.type == _CHANNEL:
        yield must(resource["s3KmsKeyArn"].is_set(), "the records are not encrypted with a customer key")
        return
    least = context.settings["retentionDays"]
    yield must(resource["retentionPeriodInDays"].test(lambda days: days >= least), "records are not kept for the term")


def _selects_management(selector: View) -> Fact:
    """Return whether a selector takes every management event: a second field would narrow it."""
    fields = list(selector["fieldSelectors"].each())
    management = any_of(_field_is(field, "eventCategory", "Management") for field in fields)
    narrows = any_of(~field["field"].equals("eventCategory") & ~_leaves_out_sources(field) for field in fields)
    return management & ~narrows


def _leaves_out_sources(field: View) -> Fact:
    """Return whether a field only leaves out some sources, as AWS advises for the number of calls of KMS."""
    positive = any_of(field[key].is_set() for key in ("equals", "startsWiths", "endsWiths"))
    return field["field"].equals("eventSource") & ~positive


def _data(trail: Resource, type_: str) -> Iterator[Fact]:
    """Yield whether each selector takes reading and writing of a type's data."""
    for basic in trail["eventSelectors"].each():
        kinds = basic["readWriteType"]
        typed = any_of(data["type"].equals(type_) for data in basic["dataResources"].each())
        yield typed & (~kinds.is_set() | kinds.equals("All"))
    for selector in trail["advancedEventSelectors"].each():
        fields = list(selector["fieldSelectors"].each())
        wanted = any_of(_field_is(field, "resources.type", type_) for field in fields)
        yield wanted & all_of(~field["field"].among(("readOnly", "eventName")) for field in fields)


def _field_is(field: View, name: str, value: str) -> Fact:
    return field["field"].equals(name) & field["equals"].contains(value)


RULES: tuple[Rule, ...] = (
    validated,
    encrypted,
    complete,
    data_events,
    live,
    stores,
    every_type,
    started,
    kept,
)
