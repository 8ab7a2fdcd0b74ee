"""Who did what, and what was changed: CloudTrail and AWS Config, written once and kept as long as the regime asks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.config_recorder import config_role, record_configuration
from falaj.components.data_store import DataStore, DataStoreArgs
from falaj.components.documents import allow, document, service_trust
from falaj.components.errors import ConfigError
from falaj.components.log_deliveries import LogSource
from falaj.components.log_group import check_retention, encrypted_log_group, offered_retention
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef, RecordsRef, key_arn
from falaj.components.regime import Regime, RegimeRules, at_least, check_regime, rules_of
from falaj.components.retention import StoreKind
from falaj.components.trail_events import DataEvents, check_data_events, event_selectors

_DEFAULT_EVENTS = (DataEvents.S3, DataEvents.EBS, DataEvents.LAMBDA)
_TO_RECORDS = [LogSource.CLOUDTRAIL, LogSource.GUARDDUTY, LogSource.MACIE]
_INSIGHTS: list[aws.cloudtrail.TrailInsightSelectorArgsDict] = [
    {"insight_type": "ApiCallRateInsight"},
    {"insight_type": "ApiErrorRateInsight"},
]


class AuditTrailArgs(TypedDict):
    """What may be said of an audit trail."""

    key: pulumi.Input[KeyRef]
    """Key of the records: ``ref`` of a ``ResidencyKey`` used by S3, CloudTrail, Config, GuardDuty, Macie and Logs."""
    regime: Regime
    """Home region, account and organization."""
    ownership: Ownership
    """Who answers for the records and pays for them."""
    classification: NotRequired[Classification]
    """Classification of the records. Default: ``restricted``."""
    record_days: NotRequired[int]
    """Days that records are kept, and locked. Default: the regime's minimum."""
    log_days: NotRequired[int]
    """Days that events can be searched in CloudWatch. Default: the regime's minimum."""
    data_events: NotRequired[list[str]]
    """What is recorded beside management events: members of ``DataEvents``. Default: ``s3``, ``ebs`` and ``lambda``."""
    insights: NotRequired[bool]
    """Whether CloudTrail tells unusual rates of calls and errors, at a price per event. Default: false."""
    organization: NotRequired[bool]
    """Whether the trail records every account of the organization, from its management account. Default: false."""
    config_role: NotRequired[bool]
    """Whether to make AWS Config's service-linked role; false where the account has it. Default: true."""


@dataclass(frozen=True)
class _Terms:
    """How long records are kept, in the stores and to be searched."""

    record_days: int
    log_days: int


class AuditTrail(pulumi.ComponentResource):
    """The records of an account in stores that nobody can alter, and a ``ref`` by which detectors write there too.

    Serves ISO/IEC 27001:2022 A.5.28, A.5.33, A.8.15, A.8.16 and SP 800-207 tenet 7.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    trail_arn: pulumi.Output[str]
    """ARN of the trail."""
    bucket: pulumi.Output[str]
    """Name of the store of the trail's records, and of what detectors find."""
    config_bucket: pulumi.Output[str]
    """Name of the store of AWS Config's records."""
    log_group: pulumi.Output[str]
    """Name of the log group in which the trail's events can be searched."""
    ref: RecordsRef
    """The records as other components take them."""

    def __init__(self, name: str, args: AuditTrailArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        environment = dns_label(f"{name}.ownership.environment", ownership["environment"])
        terms = check_terms(name, args, classification, rules_of(regime))
        events = check_data_events(f"{name}.data_events", args.get("data_events", _DEFAULT_EVENTS))
        organization = check_organization(f"{name}.organization", bool(args.get("organization")), regime)
        key = key_arn(f"{name}.key", args["key"], classification)
        tags = labels(f"{name}.ownership", ownership, classification)

        super().__init__("falaj:index:AuditTrail", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        store = DataStore(f"{name}-records", _store(args, terms, "records", _TO_RECORDS), child)
        group = encrypted_log_group(
            f"{name}-events",
            f"/falaj/{environment}/audit-trail",
            key=key,
            days=terms.log_days,
            tags=tags,
            opts=child,
        )
        trail = aws.cloudtrail.Trail(
            f"{name}-trail",
            name=f"{environment}-audit-trail",
            s3_bucket_name=store.bucket,
            kms_key_id=key,
            # Other regions' events are written to the home region: nothing leaves it, and nothing abroad goes unseen.
            is_multi_region_trail=True,
            include_global_service_events=True,
            is_organization_trail=organization,
            enable_log_file_validation=True,
            enable_logging=True,
            advanced_event_selectors=store.arn.apply(lambda arn: event_selectors(events, arn)),
            insight_selectors=_INSIGHTS if args.get("insights") else None,
            cloud_watch_logs_group_arn=pulumi.Output.concat(group.arn, ":*"),
            cloud_watch_logs_role_arn=_writer(name, group, regime, tags, child),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[store]),
        )
        history = DataStore(f"{name}-config", _store(args, terms, "config-records", [LogSource.CONFIG]), child)
        record_configuration(
            name,
            history,
            role=config_role(name, regime["account_id"], make=args.get("config_role", True), opts=child),
            key=key,
            days=terms.record_days,
            opts=child,
        )

        self.trail_arn = trail.arn
        self.bucket, self.config_bucket, self.log_group = store.bucket, history.bucket, group.name
        self.ref = {
            # Known when the trail stands, so that nobody is to write before the bucket's policy lets them.
            "bucket_arn": pulumi.Output.all(store.arn, trail.arn).apply(lambda known: str(known[0])),
            "key_arn": key,
            "classification": classification.value,
            "record_days": terms.record_days,
        }
        self.register_outputs(
            {
                "trailArn": self.trail_arn,
                "bucket": self.bucket,
                "configBucket": self.config_bucket,
                "logGroup": self.log_group,
                "ref": self.ref,
            }
        )


def check_terms(name: str, args: Mapping[str, Any], classification: Classification, rules: RegimeRules) -> _Terms:
    """Return how long records and events are kept, refusing less than the regime asks for."""
    records, logs = rules.record_days[classification], rules.log_days[classification]
    record_days = bounded(f"{name}.record_days", args.get("record_days", records), 1, 36500, "days")
    log_days = check_retention(f"{name}.log_days", args.get("log_days", offered_retention(logs)))
    return _Terms(
        record_days=at_least(f"{name}.record_days", record_days, records, rules.name),
        log_days=at_least(f"{name}.log_days", log_days, logs, rules.name),
    )


def check_organization(field: str, wanted: bool, regime: Regime) -> bool:
    """Return whether the trail is the organization's, which then has to be known: its records lie below its id."""
    if wanted and "organization_id" not in regime:
        raise ConfigError(field, True, "must come with organization_id in the regime")
    return wanted


def _store(args: AuditTrailArgs, terms: _Terms, purpose: str, deliveries: Sequence[LogSource]) -> DataStoreArgs:
    """Return what a store of records is to be."""
    return {
        "purpose": purpose,
        "key": args["key"],
        "regime": args["regime"],
        "ownership": args["ownership"],
        "classification": args.get("classification", Classification.RESTRICTED),
        "kind": StoreKind.LOGS,
        "lock_days": terms.record_days,
        "deliveries": list(deliveries),
    }


def _writer(
    name: str, group: aws.cloudwatch.LogGroup, regime: Regime, tags: dict[str, str], child: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Make the role by which CloudTrail writes events to the log group, and return its ARN once it may."""
    role = aws.iam.Role(
        f"{name}-writer",
        assume_role_policy=json.dumps(service_trust("cloudtrail.amazonaws.com")),
        tags=tags,
        opts=child,
    )
    policy = aws.iam.RolePolicy(
        f"{name}-writing",
        role=role.id,
        policy=group.arn.apply(lambda arn: json.dumps(writing_policy(arn, regime))),
        opts=child,
    )
    return pulumi.Output.all(role.arn, policy.id).apply(lambda known: known[0])


def writing_policy(group_arn: str, regime: Regime) -> dict[str, Any]:
    """Return the rights on the log streams that CloudTrail makes, of the account and of its organization.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html
    """
    region = regime["home_region"]
    streams = [f"{group_arn}:log-stream:{regime['account_id']}_CloudTrail_{region}*"]
    if "organization_id" in regime:
        streams.append(f"{group_arn}:log-stream:{regime['organization_id']}_*")
    return document(allow(["logs:CreateLogStream", "logs:PutLogEvents"], streams))
