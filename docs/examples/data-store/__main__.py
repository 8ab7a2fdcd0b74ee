"""A bucket of each kind: datasets, locked models, records that AWS services deliver, and what can be made again."""

import pulumi

from falaj.components import Classification, DataStore, KeyUse, LogSource, Ownership, Regime, ResidencyKey, StoreKind

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
uses = [KeyUse.S3, KeyUse.CLOUDTRAIL, KeyUse.GUARDDUTY]
key = ResidencyKey("stores", {"purpose": "stores", "used_by": [*uses], "regime": regime, "ownership": ownership})

datasets = DataStore(
    "datasets",
    {
        "purpose": "datasets",
        "noncurrent_days": config.get_int("noncurrentDays") or 30,
        "key": key.ref,
        "regime": regime,
        "ownership": ownership,
    },
)
models = DataStore(
    "models",
    {
        "purpose": "models",
        "kind": StoreKind(config.get("modelsAre") or StoreKind.MODEL_ARTIFACTS),
        "classification": Classification(config.get("modelsClassification") or Classification.CONFIDENTIAL),
        "key": key.ref,
        "regime": regime,
        "ownership": ownership,
    },
)
records = DataStore(
    "records",
    {
        "purpose": "records",
        "kind": StoreKind.LOGS,
        "deliveries": [LogSource.CLOUDTRAIL, LogSource.GUARDDUTY],
        "key": key.ref,
        "regime": regime,
        "ownership": ownership,
    },
)
scratch = DataStore(
    "scratch",
    {
        "purpose": "scratch",
        "kind": StoreKind.SCRATCH,
        "classification": Classification.INTERNAL,
        "key": key.ref,
        "regime": regime,
        "ownership": ownership,
    },
)
for name, store in {"datasets": datasets, "models": models, "records": records, "scratch": scratch}.items():
    pulumi.export(name, store.bucket)
