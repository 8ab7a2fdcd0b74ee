"""One service, and three ways in which a new version takes over: ``-c strategy=canary``, ``blue_green`` or ``shadow``.

The model asks itself a known question with each request, and counts right and wrong answers in Triton's own metrics:
that is the figure by which a version goes back that answers in time and without errors, but wrongly.

The cluster is as in `docs/examples/triton-canary`, and so is what ``-c lab=true`` and the other values mean; in a lab
the windows are short.
"""

import pulumi

from falaj.components import Analysis, Ownership, RolloutStrategy, Tenant, Tier, TritonService

config = pulumi.Config()
lab = config.get_bool("lab") or False
ownership: Ownership = {"owner": "vision-team", "cost_centre": "cc-1000", "environment": "dev"}
key = "arn:aws:kms:me-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
# An Ed25519 key of an example, which signs nothing.
public_key = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
registry = "123456789012.dkr.ecr.me-central-1.amazonaws.com"
vision = Tenant(
    "vision",
    {"ownership": ownership, "gpus": 4, "tiers": [Tier.PRODUCTION], "service_accounts": ["server"]},
)
window = 10 if lab else 60
answers = f'rate(known_answers{{rollouts_pod_template_hash="{{{{args.hash}}}}"}}[{window}s])'
right = answers.replace("{rollouts", '{outcome="right", rollouts')
analysis: Analysis = {
    "prometheus": config.get("prometheus") or "http://prometheus.monitoring.svc:9090",
    "quality": {"name": "known-answers", "query": f"sum({right}) / sum({answers})", "at_least": 0.99},
    "window_seconds": window,
    "interval_seconds": 5 if lab else 30,
}
strategies: dict[str, RolloutStrategy] = {
    "canary": {"canary": {"steps": [{"weight": 10}, {"weight": 50}], "analysis": analysis}},
    "blue_green": {"blue_green": {"preview": 15 if lab else 600, "soak": 60 if lab else 600, "analysis": analysis}},
    "shadow": {"shadow": {"mirror": 50, "analysis": analysis}},
}
service = TritonService(
    "detector",
    {
        "tenant": vision.ref,
        "image": f"{registry}/nvidia/tritonserver@sha256:{64 * '0'}",
        "model": "detector",
        "version": config.get_int("version") or 1,
        "model_repository": config.get("store") or "s3://123456789012-me-central-1-artifacts/vision",
        "signing_key": config.get("public-key") or public_key,
        "sealing_key": config.get("key") or key,
        "fetcher_image": f"{registry}/falaj/serving@sha256:{64 * '0'}",
        "model_size": "2Gi",
        "memory": "8Gi",
        "gpus": 0,
        "service_account": "server",
        "storage_cidrs": ["10.20.8.0/24"],
        "node_labels": {"falaj.dev/lab-processes": "true"} if lab else {},
        "taints": [{"key": "falaj.dev/lab-processes", "value": "true"}] if lab else [],
        "gateway": "gateways/serving",
        "client_names": ["web.vision.svc"],
        # An answer is computed from the question alone.
        "idempotent": True,
        "p99_milliseconds": 1000,
        "strategy": strategies[config.get("strategy") or "canary"],
        # What Argo decides is read from its AnalysisRuns; docs/examples/triton-canary has it written down too.
        "unrecorded": True,
    },
)
pulumi.export("url", service.url)
