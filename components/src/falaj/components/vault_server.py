"""How the Vault server itself is to be set up for production: what unseals it, and where it records requests.

A component cannot make this: it is what has to stand before Vault answers. These functions write it from typed values.
"""

import json
from collections.abc import Sequence

import pulumi

from falaj.components.classification import Classification
from falaj.components.refs import KeyRef, key_arn
from falaj.components.vault_audit import AUDIT_DEVICES, AuditDevice


def seal_stanza(key: pulumi.Input[KeyRef], region: str, endpoint: str | None = None) -> pulumi.Output[str]:
    """Return the HCL by which the server unseals itself with a KMS key of the home region.

    The key protects everything in Vault, so that only one for restricted data is taken. ``endpoint`` is the URL of the
    VPC's KMS endpoint where its private name is not resolved. Credentials are the pod's own: none are in the file.
    """
    arn = key_arn("key", key, Classification.RESTRICTED)
    return arn.apply(lambda known: _block('seal "awskms"', _seal(known, region, endpoint)))


def audit_stanzas(devices: Sequence[AuditDevice] = tuple(AUDIT_DEVICES)) -> str:
    """Return the HCL of the audit devices: the only way to have them on OpenBao."""
    return "\n".join(
        f'audit "file" "{device["path"]}" {{\n'
        '  description = "every request and answer, secrets as HMAC"\n'
        f'  options {{\n    file_path = {json.dumps(device["file_path"])}\n    mode = "0600"\n  }}\n}}\n'
        for device in devices
    )


def helm_values(
    key: pulumi.Input[KeyRef], region: str, role_arn: pulumi.Input[str], replicas: int = 3
) -> pulumi.Output[dict[str, object]]:
    """Return values for OpenBao's Helm chart: Raft over three servers, sealed by KMS, audited twice.

    ``role_arn`` is the IAM role of the server's pods (IRSA); it needs ``kms:Encrypt``, ``kms:Decrypt`` and
    ``kms:DescribeKey`` on the key, and the key's policy has to name it.
    """

    def values(known: Sequence[str]) -> dict[str, object]:
        seal, role = known
        config = "\n".join(
            (
                "ui = false",
                'listener "tcp" {\n  address = "[::]:8200"\n  cluster_address = "[::]:8201"\n'
                '  tls_cert_file = "/openbao/tls/tls.crt"\n  tls_key_file = "/openbao/tls/tls.key"\n}',
                'storage "raft" {\n  path = "/openbao/data"\n}',
                'service_registration "kubernetes" {}',
                seal,
                audit_stanzas(),
            )
        )
        return {
            "global": {"tlsDisable": False},
            "injector": {"enabled": False},
            "server": {
                "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": role}},
                # A volume of its own for the records: full records must not take the data's space.
                "auditStorage": {"enabled": True, "mountPath": "/vault/audit"},
                "ha": {"enabled": True, "replicas": replicas, "raft": {"enabled": True, "config": config}},
            },
        }

    return pulumi.Output.all(seal_stanza(key, region), role_arn).apply(values)


def _seal(arn: str, region: str, endpoint: str | None) -> dict[str, str]:
    return {"region": region, "kms_key_id": arn, **({"endpoint": endpoint} if endpoint else {})}


def _block(head: str, values: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in values.items())
    return f"{head} {{\n{lines}}}\n"
