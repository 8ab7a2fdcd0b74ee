"""Residency: what passes, what fails, and what cannot be decided."""

from policies.making import AWS_PROVIDER, HOME, KEY, simple

from falaj.policies.values import UNKNOWN

CASES = [
    simple("FJ-RES-001", KEY, {}, {"region": "eu-west-1"}, {"region": UNKNOWN}),
    simple("FJ-RES-002", AWS_PROVIDER, HOME, {"region": "me-central-1"}, HOME | {"allowedAccountIds": UNKNOWN}),
    simple(
        "FJ-RES-003",
        AWS_PROVIDER,
        {"endpoints": [{"s3": "http://127.0.0.1:5000", "sts": "https://sts.me-central-1.amazonaws.com"}]},
        {"endpoints": [{"s3": "https://s3.eu-west-1.amazonaws.com"}]},
        {"endpoints": [{"s3": UNKNOWN}]},
    ),
]
