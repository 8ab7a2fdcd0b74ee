"""The service of the demonstration: small, and impatient, so that a new version is judged within a minute.

It is made as `docs/examples/triton-canary` is. What differs: one pod on CPUs, short windows, and a figure of the model
itself, since a version that answers quickly and wrongly shows neither in errors nor in latency.
"""

import json
from typing import Any

import pulumi

from falaj.components import Ownership, Tenant, Tier, TritonService, TritonServiceArgs

config = pulumi.Config()
ownership: Ownership = {"owner": "vision-team", "cost_centre": "cc-1000", "environment": "dev"}
registry = "123456789012.dkr.ecr.me-central-1.amazonaws.com"
window = 10
told: dict[str, Any] = json.loads(config.require("told"))
# Who asks knows the right answer, and counts by the version that Triton says has answered. Which versions the new
# pods have, their own metrics say.
of_new_version = 'and on (version) nv_inference_request_success{rollouts_pod_template_hash="{{args.hash}}"}'
vision = Tenant(
    "vision",
    {
        "ownership": ownership,
        "gpus": 0,
        "tiers": [Tier.PRODUCTION],
        "service_accounts": ["server"],
    },
)
service: TritonServiceArgs = {
    "tenant": vision.ref,
    "image": f"{registry}/nvidia/tritonserver@sha256:{64 * '0'}",
    "model": "tumours",
    "version": told["version"],
    "digest": told["digest"],
    "model_repository": told["store"],
    "signing_key": told["public_key"],
    "sealing_key": told["key"],
    "fetcher_image": f"{registry}/falaj/serving@sha256:{64 * '0'}",
    "model_size": "1Gi",
    "replicas": 1,
    "gpus": 0,
    "cpus": 1,
    "memory": "8Gi",
    "service_account": "server",
    "storage_cidrs": ["10.20.8.0/24"],
    "node_labels": {"falaj.dev/lab-processes": "true"},
    "taints": [{"key": "falaj.dev/lab-processes", "value": "true"}],
    "gateway": "gateways/serving",
    "client_names": [told["client"]],
    "p99_milliseconds": told["p99_milliseconds"],
    "recorder": {"api_server_cidrs": ["10.20.0.0/16"], "every_seconds": 5},
    "strategy": {
        "canary": {
            "steps": [{"weight": weight} for weight in told["weights"]],
            "analysis": {
                "prometheus": told["prometheus"],
                "interval_seconds": told["interval"],
                "measurements": told["measurements"],
                "window_seconds": window,
                "quality": {
                    "name": "right-answers",
                    "query": f"sum(rate(right_answers_total[{window}s]) {of_new_version})"
                    f" / sum(rate(labelled_answers_total[{window}s]) {of_new_version})",
                    "at_least": told["right_at_least"],
                },
            },
        }
    },
}
pulumi.export("url", TritonService("tumours", service).url)
