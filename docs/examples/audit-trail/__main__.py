"""Who did what, and what was changed: recorded under a key of its own, kept as long as the regime asks."""

import pulumi

from falaj.components import AuditTrail, AuditTrailArgs, KeyUse, Ownership, Regime, ResidencyKey

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
if organization := config.get("organizationId"):
    regime["organization_id"] = organization
ownership: Ownership = {
    "owner": "security",
    "cost_centre": "cc-1000",
    "environment": config.get("environment") or "dev",
}

key = ResidencyKey(
    "records",
    {
        "purpose": "records",
        "used_by": [KeyUse.S3, KeyUse.CLOUDTRAIL, KeyUse.CONFIG, KeyUse.GUARDDUTY, KeyUse.LOGS],
        "regime": regime,
        "ownership": ownership,
    },
)
wanted: AuditTrailArgs = {
    "key": key.ref,
    "regime": regime,
    "ownership": ownership,
    "data_events": (config.get("dataEvents") or "s3,ebs,lambda").split(","),
    "insights": config.get_bool("insights") or False,
    # Run in the management account, whose trail then records what every account of the organization does.
    "organization": organization is not None,
}
if days := config.get_int("recordDays"):
    wanted["record_days"] = days
trail = AuditTrail("audit", wanted)

pulumi.export("trail", trail.trail_arn)
pulumi.export("bucket", trail.bucket)
pulumi.export("config_bucket", trail.config_bucket)
pulumi.export("log_group", trail.log_group)
