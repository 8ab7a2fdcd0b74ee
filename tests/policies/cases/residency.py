"""Residency: what passes, what fails, and what cannot be decided."""

from policies.making import AWS_PROVIDER, BUCKET, HOME, KEY, Case, make, simple
from policies.placing import ELSEWHERE

from falaj.policies.values import UNKNOWN

_VAULT = "pulumi:providers:vault"
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
    simple(
        "FJ-RES-003",
        AWS_PROVIDER,
        {"httpsProxy": "http://proxy:3128"},
        {"httpsProxy": "http://proxy.example.com:3128"},
        {"httpsProxy": UNKNOWN},
    ),
    simple(
        "FJ-RES-004",
        _VAULT,
        {"address": "https://openbao.openbao.svc:8200"},
        {"address": "https://acme.vault.example.com:8200"},
        {},
    ),
    Case(
        "FJ-RES-005",
        [make(AWS_PROVIDER, HOME)],
        [make("pulumi:providers:datadog", {})],
        [make("pulumi:providers:another", {})],
    ),
    Case(
        "FJ-RES-006",
        [make(AWS_PROVIDER, HOME), make(BUCKET, {"bucket": "states"})],
        [make(AWS_PROVIDER, HOME), make(BUCKET, {"bucket": "states"}, provider=ELSEWHERE)],
        [make(AWS_PROVIDER, HOME)],
        {"stateBackend": "s3://states"},
    ),
]
MUTATIONS = [
    ("pulumi:providers:aws", ["httpsProxy"], "http://proxy.example.com:3128", {"FJ-RES-003"}),
    ("pulumi:providers:vault", ["address"], "https://vault.example.com:8200", {"FJ-RES-004"}),
    ("Topic", ["region"], "me-south-1", {"FJ-RES-001"}),
    ("LogGroup", ["region"], "us-east-1", {"FJ-RES-001"}),
    ("FileSystem", ["region"], "eu-central-1", {"FJ-RES-001"}),
]
