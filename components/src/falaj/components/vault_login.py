"""How pods log in to Vault: the cluster is asked about each token, by an identity that can do nothing else."""

import base64
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
import pulumi_vault as vault

from falaj.components.refs import ClusterRef, pick
from falaj.components.tenant import POD_SECURITY


def kubernetes_login(
    name: str,
    path: str,
    cluster: pulumi.Input[ClusterRef],
    *,
    description: str,
    ttls: tuple[int, int],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> vault.AuthBackend:
    """Make the login of a cluster's service accounts; tokens live for ``ttls`` seconds: as given, and at most."""
    auth = vault.AuthBackend(
        f"{name}-kubernetes",
        type="kubernetes",
        path=path,
        description=description,
        tune={
            "default_lease_ttl": _go_duration(ttls[0]),
            "max_lease_ttl": _go_duration(ttls[1]),
            # Batch tokens could not be revoked.
            "token_type": "default-service",
        },
        opts=opts,
    )
    vault.kubernetes.AuthBackendConfig(
        f"{name}-kubernetes-config",
        backend=auth.path,
        kubernetes_host=pick(cluster, "endpoint"),
        kubernetes_ca_cert=pick(cluster, "certificate_authority"),
        token_reviewer_jwt=_reviewer(name, tags, opts),
        disable_local_ca_jwt=True,
        opts=opts,
    )
    return auth


def _go_duration(seconds: int) -> str:
    """Return a duration as the provider reads it back: ``1h0m0s``."""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}h{rest // 60}m0s" if hours else f"{rest // 60}m0s"


def _reviewer(name: str, labels_: dict[str, str], opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Make the identity by which Vault asks the cluster about tokens, and return its token; it may do nothing else."""
    namespace = k8s.core.v1.Namespace(
        f"{name}-namespace",
        metadata={"name": "vault-login", "labels": labels_ | POD_SECURITY},
        opts=opts,
    )
    in_namespace = namespace.metadata.name
    k8s.networking.v1.NetworkPolicy(
        f"{name}-deny-all",
        metadata={"name": "default-deny", "namespace": in_namespace, "labels": labels_},
        spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
        opts=opts,
    )
    account = k8s.core.v1.ServiceAccount(
        f"{name}-reviewer",
        metadata={"name": "token-reviewer", "namespace": in_namespace, "labels": labels_},
        automount_service_account_token=False,
        opts=opts,
    )
    binding = k8s.rbac.v1.ClusterRoleBinding(
        f"{name}-reviewer-binding",
        metadata={"name": "vault-token-reviewer", "labels": labels_},
        role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        subjects=[{"kind": "ServiceAccount", "name": "token-reviewer", "namespace": in_namespace}],
        opts=opts,
    )
    token = k8s.core.v1.Secret(
        f"{name}-reviewer-token",
        type="kubernetes.io/service-account-token",
        metadata={
            "name": "token-reviewer",
            "namespace": in_namespace,
            "labels": labels_,
            "annotations": {"kubernetes.io/service-account.name": account.metadata.name},
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[binding])),
    )
    return pulumi.Output.secret(token.data.apply(_decoded_token))


def _decoded_token(data: Mapping[str, str]) -> str:
    return base64.b64decode(data["token"]).decode()
