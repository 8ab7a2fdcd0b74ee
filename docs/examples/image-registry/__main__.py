"""The registry of an account: own repositories, and mirrors, so that nodes pull from the home region only."""

import pulumi
import pulumi_aws as aws

from falaj.components import ImageRegistry, ImageScanning, KeyUse, Ownership, Regime, ResidencyKey, Upstream

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
tags = {"owner": "ml-platform", "cost-centre": "cc-1000", "environment": "dev", "classification": "restricted"}

key = ResidencyKey(
    "images",
    {
        "purpose": "images",
        "used_by": [KeyUse.ECR, KeyUse.SECRETS_MANAGER],
        "regime": regime,
        "ownership": ownership,
    },
)
# Its value, a name and an access token of the upstream, is put in by whoever keeps that account.
login = aws.secretsmanager.Secret("github", name_prefix="ecr-pullthroughcache/github-", kms_key_id=key.arn, tags=tags)
images = ImageRegistry(
    "images",
    {
        "repositories": config.get_object("repositories") or ["nvidia/tritonserver", "vision/detector"],
        "key": key.ref,
        "regime": regime,
        "ownership": ownership,
        "mirrors": [
            {"upstream": Upstream.KUBERNETES},
            {"upstream": Upstream.QUAY, "prefix": config.get("quayPrefix") or "quay"},
            {"upstream": Upstream.ECR_PUBLIC},
            {"upstream": Upstream.GITHUB, "credential_arn": login.arn},
        ],
        "moving_tags": [config.get("movingTag") or "nightly-*"],
        "scanning": ImageScanning(config.get("scanning") or "on-push"),
    },
)

pulumi.export("registry", images.registry)
pulumi.export("repositories", images.repository_urls)
pulumi.export("exporter", images.image("quay.io/prometheus/node-exporter:v1.9.1"))
