"""A team serves a published model, and each new version gets 5, 25 and 50 percent of the traffic before all of it.

The cluster is the one of KUBECONFIG, with Argo Rollouts, its Gateway API plugin, the Gateway ``gateways/serving`` and a
Prometheus. The digests are those of your own images. In a lab with ``--serving``, ``-c lab=true`` has the pods run on
the node whose pods are processes of this machine; ``-c store=URL -c key=ARN -c public-key=PEM -c prometheus=URL`` say
what is there, and ``-c digest=SHA256`` which manifest the first version must have. ``-c drift=10`` has so many percent
of the requests watched for drift.
"""

import pulumi

from falaj.components import Ownership, Tenant, Tier, TritonService, TritonServiceArgs

config = pulumi.Config()
ownership: Ownership = {"owner": "vision-team", "cost_centre": "cc-1000", "environment": "dev"}
registry = "123456789012.dkr.ecr.me-central-1.amazonaws.com"
key = "arn:aws:kms:me-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
# An Ed25519 key of an example, which signs nothing.
public_key = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
vision = Tenant(
    "vision",
    {
        "ownership": ownership,
        "gpus": 4,
        "tiers": [Tier.PRODUCTION],
        "service_accounts": ["server"],
    },
)
service: TritonServiceArgs = {
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
    "service_account": "server",
    "storage_cidrs": ["10.20.8.0/24"],
    "gateway": "gateways/serving",
    "client_names": ["web.vision.svc"],
    "p99_milliseconds": 250,
    "recorder": {"api_server_cidrs": ["10.20.0.0/16"]},
    "strategy": {
        "canary": {
            "steps": [{"weight": 5}, {"weight": 25}, {"weight": 50, "measurements": 10}],
            "analysis": {"prometheus": config.get("prometheus") or "http://prometheus.monitoring.svc:9090"},
        }
    },
}
if config.get_bool("lab"):
    service["gpus"] = 0
    service["node_labels"] = {"falaj.dev/lab-processes": "true"}
    service["taints"] = [{"key": "falaj.dev/lab-processes", "value": "true"}]
if digest := config.get("digest"):
    # As publishing told it. So pinned, the first version's pods are those that a rollback asks for.
    service["digest"] = digest
if percent := config.get_int("drift"):
    service["drift"] = {"percent": percent}
pulumi.export("url", TritonService("detector", service).url)
