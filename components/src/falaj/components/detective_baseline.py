"""The detectors of an account as one baseline: GuardDuty, Security Hub, Macie, Inspector and IAM Access Analyzer."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.detectors import RUNTIME_AGENTS, WITHOUT_MACIE, Scans, Severity, Standard, Threats, members
from falaj.components.errors import ConfigError
from falaj.components.findings import Findings, keep_findings, tell_findings
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import RecordsRef, pick
from falaj.components.regime import Regime, check_regime


class DetectiveBaselineArgs(TypedDict):
    """What may be said of a detective baseline."""

    records: pulumi.Input[RecordsRef]
    """Where findings end: ``ref`` of an ``AuditTrail``, whose key is also used by SNS."""
    regime: Regime
    """Home region, account and organization."""
    ownership: Ownership
    """Who answers for the findings and pays for the detectors."""
    classification: NotRequired[Classification]
    """Classification of the findings. Default: ``restricted``."""
    threats: NotRequired[list[str]]
    """What GuardDuty looks at beside its foundation: members of ``Threats``. Default: all of them."""
    standards: NotRequired[list[str]]
    """Standards that Security Hub checks: members of ``Standard``. Default: all of them."""
    scans: NotRequired[list[str]]
    """What Inspector scans: members of ``Scans``. Default: all of them."""
    macie: NotRequired[bool]
    """Whether Macie looks for sensitive data in buckets. Default: true where AWS offers it, which is not in the UAE."""
    organization: NotRequired[bool]
    """Whether Access Analyzer trusts the whole organization rather than the account. Default: false."""
    unused_access_days: NotRequired[int]
    """Days after which an unused right is a finding, 1 to 365, at a price per identity. Default: not looked at."""
    alert_from: NotRequired[Severity]
    """Least severity of the findings that are sent to the topic: a member of ``Severity``. Default: ``HIGH``."""


class DetectiveBaseline(pulumi.ComponentResource):
    """Every detector of the home region turned on, with its findings kept in the records and the grave ones told.

    Findings are gathered in the home region only: there is no aggregator to another.
    Serves ISO/IEC 27001:2022 A.8.7, A.8.8, A.8.15, A.8.16 and SP 800-207 tenets 5 and 7.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    detector_id: pulumi.Output[str]
    """Id of GuardDuty's detector."""
    hub_arn: pulumi.Output[str]
    """ARN of Security Hub in the account."""
    topic_arn: pulumi.Output[str]
    """ARN of the topic that tells grave findings; who listens is up to the stack."""
    log_group: pulumi.Output[str]
    """Name of the log group that keeps every finding."""

    def __init__(self, name: str, args: DetectiveBaselineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership, records = args["regime"], args["ownership"], args["records"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        environment = dns_label(f"{name}.ownership.environment", ownership["environment"])
        threats = members(f"{name}.threats", Threats, args.get("threats", list(Threats)))
        standards = members(f"{name}.standards", Standard, args.get("standards", list(Standard)))
        scans = members(f"{name}.scans", Scans, args.get("scans", list(Scans)))
        (alert_from,) = members(f"{name}.alert_from", Severity, [args.get("alert_from", Severity.HIGH)])
        macie = check_macie(f"{name}.macie", args.get("macie"), regime["home_region"])
        analyzers = analyzers_of(name, args)
        tags = labels(f"{name}.ownership", ownership, classification)

        super().__init__("falaj:index:DetectiveBaseline", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        detector = _guardduty(name, threats, records, tags, child)
        hub = _security_hub(name, [each.arn(regime["home_region"]) for each in standards], child)
        if macie:
            _macie(name, records, child)
        aws.inspector2.Enabler(
            f"{name}-inspector",
            account_ids=[regime["account_id"]],
            resource_types=[each.value for each in scans],
            opts=child,
        )
        for suffix, settings in analyzers.items():
            aws.accessanalyzer.Analyzer(
                f"{name}-{suffix}", analyzer_name=f"{environment}-{suffix}", **settings, tags=tags, opts=child
            )
        findings = Findings(name, environment, regime, pick(records, "key_arn"), tags)
        topic = tell_findings(findings, alert_from.and_above(), child)
        group = keep_findings(findings, pick(records, "record_days"), child)

        self.detector_id, self.hub_arn = detector.id, hub.arn
        self.topic_arn, self.log_group = topic.arn, group.name
        self.register_outputs(
            {
                "detectorId": self.detector_id,
                "hubArn": self.hub_arn,
                "topicArn": self.topic_arn,
                "logGroup": self.log_group,
            }
        )


def check_macie(field: str, wanted: bool | None, region: str) -> bool:
    """Return whether to turn Macie on; it is never turned on in another region than the data's."""
    offered = region not in WITHOUT_MACIE
    if wanted and not offered:
        raise ConfigError(field, True, f"must be false or left out, as AWS does not offer Macie in {region}")
    return offered if wanted is None else bool(wanted)


def analyzers_of(name: str, args: DetectiveBaselineArgs) -> dict[str, dict[str, Any]]:
    """Return the analyzers to make: who outside has access, and, where asked for, which rights nobody uses."""
    wide = bool(args.get("organization"))
    if wide and "organization_id" not in args["regime"]:
        raise ConfigError(f"{name}.organization", True, "must come with organization_id in the regime")
    scope = "ORGANIZATION" if wide else "ACCOUNT"
    found: dict[str, dict[str, Any]] = {"external-access": {"type": scope}}
    days = args.get("unused_access_days")
    if days is not None:
        age = bounded(f"{name}.unused_access_days", days, 1, 365, "days")
        configuration = {"unused_access": {"unused_access_age": age}}
        found["unused-access"] = {"type": f"{scope}_UNUSED_ACCESS", "configuration": configuration}
    return found


def _guardduty(
    name: str,
    threats: list[Threats],
    records: pulumi.Input[RecordsRef],
    tags: dict[str, str],
    child: pulumi.ResourceOptions,
) -> aws.guardduty.Detector:
    """Turn GuardDuty on, with what it looks at, and let it write its findings to the records every 15 minutes."""
    detector = aws.guardduty.Detector(
        f"{name}-guardduty",
        enable=True,
        finding_publishing_frequency="FIFTEEN_MINUTES",
        tags=tags,
        opts=child,
    )
    for threat in Threats:
        # Some features are on in a new detector: those that are not asked for are turned off.
        status = "ENABLED" if threat in threats else "DISABLED"
        agents: list[aws.guardduty.DetectorFeatureAdditionalConfigurationArgsDict] = [
            {"name": agent, "status": status if wanted else "DISABLED"} for agent, wanted in RUNTIME_AGENTS.items()
        ]
        aws.guardduty.DetectorFeature(
            f"{name}-guardduty-{threat.name.lower().replace('_', '-')}",
            detector_id=detector.id,
            name=threat.value,
            status=status,
            additional_configurations=agents if threat is Threats.RUNTIME else None,
            opts=child,
        )
    aws.guardduty.PublishingDestination(
        f"{name}-guardduty-records",
        detector_id=detector.id,
        destination_arn=pick(records, "bucket_arn"),
        kms_key_arn=pick(records, "key_arn"),
        opts=child,
    )
    return detector


def _security_hub(name: str, standards: list[str], child: pulumi.ResourceOptions) -> aws.securityhub.Account:
    """Turn Security Hub on with these standards; one finding per control, whatever standards it belongs to."""
    hub = aws.securityhub.Account(
        f"{name}-hub",
        enable_default_standards=False,
        auto_enable_controls=True,
        control_finding_generator="SECURITY_CONTROL",
        opts=child,
    )
    before: pulumi.Resource = hub
    for arn in standards:
        # One after the other: Security Hub refuses two changes of standards at once.
        before = aws.securityhub.StandardsSubscription(
            f"{name}-{arn.split('/')[1]}",
            standards_arn=arn,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[before])),
        )
    return hub


def _macie(name: str, records: pulumi.Input[RecordsRef], child: pulumi.ResourceOptions) -> None:
    """Turn Macie on, and let it write what it discovers to the records; it would else forget it after 90 days."""
    session = aws.macie2.Account(
        f"{name}-macie", status="ENABLED", finding_publishing_frequency="FIFTEEN_MINUTES", opts=child
    )
    aws.macie2.ClassificationExportConfiguration(
        f"{name}-macie-records",
        s3_destination={
            "bucket_name": pick(records, "bucket_arn").apply(lambda arn: str(arn).rpartition(":")[2]),
            "key_prefix": "macie",
            "kms_key_arn": pick(records, "key_arn"),
        },
        opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[session])),
    )
