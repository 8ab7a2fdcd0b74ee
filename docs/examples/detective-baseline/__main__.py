"""Every detector turned on: findings end in the records of the audit trail, the grave ones are told to a topic."""

import pulumi

from falaj.components import (
    AuditTrail,
    DetectiveBaseline,
    DetectiveBaselineArgs,
    KeyUse,
    Ownership,
    Regime,
    ResidencyKey,
    Scans,
)

config = pulumi.Config()
regime: Regime = {
    "name": config.get("regime") or "uae-restricted",
    "home_region": config.get("homeRegion") or "me-central-1",
    "account_id": "123456789012",
}
ownership: Ownership = {"owner": "security", "cost_centre": "cc-1000", "environment": "dev"}

uses: list[str] = [KeyUse.S3, KeyUse.CLOUDTRAIL, KeyUse.CONFIG, KeyUse.GUARDDUTY, KeyUse.LOGS, KeyUse.SNS]
# AWS does not offer Macie in the UAE.
if regime["home_region"] != "me-central-1":
    uses.append(KeyUse.MACIE)
key = ResidencyKey("records", {"purpose": "records", "used_by": uses, "regime": regime, "ownership": ownership})
trail = AuditTrail("audit", {"key": key.ref, "regime": regime, "ownership": ownership})

wanted: DetectiveBaselineArgs = {
    "records": trail.ref,
    "regime": regime,
    "ownership": ownership,
    "scans": (config.get("scans") or ",".join(Scans)).split(","),
}
if days := config.get_int("unusedAccessDays"):
    wanted["unused_access_days"] = days
baseline = DetectiveBaseline("baseline", wanted)

pulumi.export("detector", baseline.detector_id)
pulumi.export("topic", baseline.topic_arn)
pulumi.export("log_group", baseline.log_group)
