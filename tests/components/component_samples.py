"""Arguments that the tests of several components start from."""

REGIME = {"home_region": "me-central-1", "account_id": "123456789012"}
OWNERSHIP = {"owner": "ml-platform", "cost_centre": "cc-1", "environment": "test"}
KEY = {"arn": "arn:aws:kms:me-central-1:123456789012:key/1", "classification": "restricted"}
NETWORK = {
    "vpc_id": "vpc-1",
    "subnet_ids": ["subnet-a", "subnet-b"],
    "isolated_subnet_ids": ["subnet-c", "subnet-d"],
    "cidr": "10.20.0.0/16",
    "zones": ["me-central-1a", "me-central-1b"],
    "efa_security_group_id": "sg-efa",
    "placement_group": "test-network-a",
    "placement_zone": "me-central-1a",
    "placement_subnet_id": "subnet-a",
}
CLUSTER = {
    "cluster_name": "falaj-test",
    "version": "1.35",
    "endpoint": "https://127.0.0.1:6443",
    "certificate_authority": "PEM",
    "security_group_id": "sg-cluster",
}
VAULT = {
    "kubernetes_path": "test-kubernetes",
    "transit_path": "test-transit",
    "kv_path": "test-kv",
    "pki_path": "test-pki",
    "policies": {stage: f"test-{stage}" for stage in ("prepare", "train", "evaluate", "serve", "workload")},
    "service_domains": ["svc"],
    "certificate_hours": 24,
    "rotation_days": 30,
    "token_minutes": 15,
    "token_longest_minutes": 60,
}
QUEUES = {
    "queues": {"vision": "vision", "speech": "speech"},
    "departments": {"vision": "research"},
    "tiers": ["interactive", "production", "batch", "scavenger"],
}
