"""Two data sets with a key each: `stacks/shred.py` makes one unreadable, and the other stays as it is."""

import pulumi

from falaj.components import DataStore, KeyUse, Ownership, Regime, ResidencyKey

regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}

for purpose in ("voices", "images"):
    key = ResidencyKey(
        f"{purpose}-key",
        {
            "purpose": purpose,
            "used_by": [KeyUse.S3],
            "regime": regime,
            "ownership": ownership,
            "deletion_window_days": 14,
        },
    )
    store = DataStore(purpose, {"purpose": purpose, "key": key.ref, "regime": regime, "ownership": ownership})
    pulumi.export(purpose, store.bucket)
    pulumi.export(f"{purpose}Key", key.arn)
