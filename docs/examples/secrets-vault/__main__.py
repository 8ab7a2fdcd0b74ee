"""Two teams in one Vault: keys, secrets, certificates and credentials, each for its own pods, by what they do.

The cluster is the one of KUBECONFIG, the Vault the one of VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT.
"""

import base64
import os
from pathlib import Path

import pulumi
import yaml

from falaj.components import Classification, Database, Ownership, PipelineStage, SecretsVault, Tenant

config = pulumi.Config()
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
cluster = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]
databases: list[Database] = []
if config.get("databaseHost"):
    databases.append(
        {
            "name": "features",
            "host": config.require("databaseHost"),
            "port": config.get_int("databasePort") or 5432,
            "allow_plain_text": config.get_bool("databasePlainText") or False,
            "database": "features",
            "username": "vault",
            "password": config.require_secret("databasePassword"),
            "roles": [{"tenant": "vision", "stage": PipelineStage.SERVE, "member_of": ["feature_readers"]}],
        }
    )
vault = SecretsVault(
    "vault",
    {
        "cluster": {
            "cluster_name": "dev",
            "version": "1.36",
            "endpoint": cluster["server"],
            "certificate_authority": base64.b64decode(cluster["certificate-authority-data"]).decode(),
        },
        "ownership": ownership,
        "kv_versions": config.get_int("kvVersions") or 10,
        "root_years": config.get_int("rootYears") or 10,
        "databases": databases,
    },
)
for team in ("vision", "vision-two"):
    Tenant(
        team,
        {
            "ownership": {**ownership, "owner": f"{team}-team"},
            "gpus": 8,
            "data": [Classification.INTERNAL, Classification.RESTRICTED],
            "service_accounts": [],
            "stages": {
                PipelineStage.TRAIN: ["trainer"],
                PipelineStage.EVALUATE: ["evaluator"],
                PipelineStage.SERVE: ["server"],
            },
            "vault": vault.ref,
        },
    )
pulumi.export("trustAnchor", vault.trust_anchor)
