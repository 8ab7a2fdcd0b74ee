"""How the Vault server itself is to be set up for production: what unseals it, as whom, and where it records requests.

A component cannot make this: it is what has to stand before Vault answers. These functions write it from typed values.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import ClusterRef, KeyRef, key_arn, pick
from falaj.components.regime import Regime, check_regime
from falaj.components.tenant_access import pod_trust
from falaj.components.vault_audit import AUDIT_DEVICES, AuditDevice

SERVER = "openbao"
"""Namespace and service account of the server's pods, and the name of the chart's release."""
PLUGINS = "/openbao/plugins"
"""Folder of the server's image that holds its plugins."""
_TLS = "/openbao/tls"
_TLS_NAME = f"{SERVER}.{SERVER}.svc"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_IMAGE = re.compile(r"(?P<registry>[\w.-]+(:\d+)?)/(?P<repository>[\w./-]+):(?P<tag>[\w.-]+@sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class VaultIdentity:
    """What the server's pods are in AWS."""

    role: aws.iam.Role
    """The role. It needs no policy: that of the key names it."""
    role_arn: str
    """ARN of the role, known before it is made: ``users`` of the key."""
    association: aws.eks.PodIdentityAssociation
    """What gives the role to pods that start after it."""


def vault_identity(
    name: str,
    cluster: pulumi.Input[ClusterRef],
    regime: Regime,
    ownership: Ownership,
    opts: pulumi.ResourceOptions | None = None,
) -> VaultIdentity:
    """Make the role ``<environment>-vault``, which EKS Pod Identity gives to the server's service account alone.

    The cluster needs the add-on for Pod Identity. Make the seal's key after the role, since KMS takes no policy that
    names nobody, and the server's pods after the association, since credentials come into a pod when it is made.
    """
    check_regime(f"{name}.regime", regime)
    tags = labels(f"{name}.ownership", ownership, Classification.RESTRICTED)
    role_name = dns_label(f"{name}.ownership.environment", ownership["environment"]) + "-vault"
    cluster_name = pick(cluster, "cluster_name")
    role = aws.iam.Role(
        f"{name}-role",
        name=role_name,
        description="Unseals the Vault",
        assume_role_policy=cluster_name.apply(
            lambda known: json.dumps(pod_trust(regime, str(known), SERVER, [SERVER])),
        ),
        tags=tags,
        opts=opts,
    )
    association = aws.eks.PodIdentityAssociation(
        f"{name}-identity",
        cluster_name=cluster_name,
        namespace=SERVER,
        service_account=SERVER,
        role_arn=role.arn,
        tags=tags,
        opts=opts,
    )
    return VaultIdentity(role, f"arn:aws:iam::{regime['account_id']}:role/{role_name}", association)


def seal_stanza(key: pulumi.Input[KeyRef], region: str, endpoint: str | None = None) -> pulumi.Output[str]:
    """Return the HCL by which the server unseals itself with a KMS key of the home region.

    The key protects everything in Vault, so that only one for restricted data is taken. ``endpoint`` is the URL of the
    VPC's KMS endpoint where its private name is not resolved. Credentials are the pod's own: none are in the file.
    OpenBao needs ``plugin_stanza`` beside it.
    """
    arn = key_arn("key", key, Classification.RESTRICTED)
    return arn.apply(lambda known: _block('seal "awskms"', _seal(known, region, endpoint)))


def plugin_stanza(sha256: str, command: str = "openbao-plugin-kms-aws") -> str:
    """Return the HCL of the plugin that brings OpenBao the seal, which its server has not held itself since 2.7.

    ``sha256`` is the digest of the plugin's binary, without which OpenBao does not start it. Before 2.6 there is no
    such plugin and the seal is built in, as it is in HashiCorp Vault.
    https://openbao.org/docs/2.6.x/configuration/seal/
    """
    if not _SHA256.fullmatch(sha256):
        raise ConfigError("plugin_sha256", sha256, "must be the 64 hexadecimal digits that the plugin's release tells")
    plugin = _block('plugin "kms" "awskms"', {"command": command, "sha256sum": sha256})
    return f"plugin_directory = {json.dumps(PLUGINS)}\n{plugin}"


def audit_stanzas(devices: Sequence[AuditDevice] = tuple(AUDIT_DEVICES)) -> str:
    """Return the HCL of the audit devices: the only way to have them on OpenBao."""
    return "\n".join(
        f'audit "file" "{device["path"]}" {{\n'
        '  description = "every request and answer, secrets as HMAC"\n'
        f'  options {{\n    file_path = {json.dumps(device["file_path"])}\n    mode = "0600"\n  }}\n}}\n'
        for device in devices
    )


def helm_values(
    key: pulumi.Input[KeyRef], region: str, *, image: str, plugin_sha256: str, replicas: int = 3
) -> pulumi.Output[dict[str, Any]]:
    """Return values for OpenBao's Helm chart: Raft over three servers, sealed by KMS, audited twice.

    For a release that is called ``openbao`` in the namespace ``openbao``, with the Secret ``openbao-tls``: ``tls.crt``
    for the name ``openbao.openbao.svc``, ``tls.key`` and ``ca.crt``. ``image`` holds the server and, in ``PLUGINS``,
    the plugin; it is named by tag and digest. As whom its pods call KMS, `vault_identity` says.
    """
    wanted = bounded("replicas", replicas, 1, 7)
    named = _IMAGE.fullmatch(image)
    if named is None:
        raise ConfigError(
            "image", image, "must be named by tag and digest, registry/repository:2.7.2@sha256:<64 digits>"
        )
    plugin = plugin_stanza(plugin_sha256)

    def values(seal: str) -> dict[str, Any]:
        parts = ("ui = false", _listener(), _raft(wanted), 'service_registration "kubernetes" {}', plugin, seal)
        return {
            "global": {"tlsDisable": False},
            "injector": {"enabled": False},
            "server": {
                "image": named.groupdict(),
                "serviceAccount": {"create": True, "name": SERVER},
                "extraEnvironmentVars": {"BAO_CACERT": f"{_TLS}/ca.crt", "BAO_TLS_SERVER_NAME": _TLS_NAME},
                "volumes": [{"name": "tls", "secret": {"secretName": f"{SERVER}-tls"}}],
                "volumeMounts": [{"name": "tls", "mountPath": _TLS, "readOnly": True}],
                # A volume of its own for the records: full records must not take the data's space.
                "auditStorage": {"enabled": True, "mountPath": "/vault/audit"},
                "ha": {
                    "enabled": True,
                    "replicas": wanted,
                    "raft": {"enabled": True, "setNodeId": True, "config": "\n".join((*parts, audit_stanzas()))},
                },
            },
        }

    return seal_stanza(key, region).apply(values)


def _listener() -> str:
    return (
        'listener "tcp" {\n  address = "[::]:8200"\n  cluster_address = "[::]:8201"\n'
        f'  tls_cert_file = "{_TLS}/tls.crt"\n  tls_key_file = "{_TLS}/tls.key"\n}}'
    )


def _raft(replicas: int) -> str:
    """Return the storage, by which each server finds the others by the names that the chart gives them."""
    joins = "".join(
        f'  retry_join {{\n    leader_api_addr = "https://{SERVER}-{number}.{SERVER}-internal:8200"\n'
        f'    leader_ca_cert_file = "{_TLS}/ca.crt"\n    leader_tls_servername = "{_TLS_NAME}"\n  }}\n'
        for number in range(replicas)
    )
    return f'storage "raft" {{\n  path = "/openbao/data"\n{joins}}}'


def _seal(arn: str, region: str, endpoint: str | None) -> dict[str, str]:
    return {"region": region, "kms_key_id": arn, **({"endpoint": endpoint} if endpoint else {})}


def _block(head: str, values: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in values.items())
    return f"{head} {{\n{lines}}}\n"
