"""The platform's use of a Vault: keys that never leave it, secrets by path, and pods that log in as themselves."""

import base64
from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s
import pulumi_vault as vault

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import ClusterRef, VaultRef, pick
from falaj.components.renamed import renamed

_DAY = 24 * 3600


class SecretsVaultArgs(TypedDict):
    """What may be said of the platform's Vault."""

    cluster: pulumi.Input[ClusterRef]
    """The cluster whose pods log in: ``ref`` of a ``Cluster``."""
    ownership: Ownership
    """Who answers for it and pays for it."""
    classification: NotRequired[Classification]
    """Classification of what it protects. Default: ``restricted``."""
    path_prefix: NotRequired[str]
    """First part of every path, so that platforms share a Vault. Default: the environment."""
    rotation_days: NotRequired[int]
    """Days after which the platform's transit key is rotated, 1 to 365. Default: 30."""


class SecretsVault(pulumi.ComponentResource):
    """Transit and key-value mounts, the platform's transit key, and login for service accounts of one cluster.

    Works on HashiCorp Vault and on OpenBao alike. The cluster checks each login itself (TokenReview), so a deleted
    pod's token is worth nothing. Needs the ``kubernetes`` and ``vault`` providers in its options.
    Serves ISO/IEC 27001:2022 A.5.17 and A.8.24. Raises ``ConfigError`` for a value that it refuses.
    """

    kubernetes_path: pulumi.Output[str]
    """Path of the Kubernetes auth backend."""
    transit_path: pulumi.Output[str]
    """Path of the transit mount."""
    kv_path: pulumi.Output[str]
    """Path of the key-value mount, version 2."""
    ref: VaultRef
    """The Vault as other components take it."""

    def __init__(self, name: str, args: SecretsVaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        prefix = dns_label(f"{name}.path_prefix", args.get("path_prefix", args["ownership"]["environment"]))
        rotation = bounded(f"{name}.rotation_days", args.get("rotation_days", 30), 1, 365, "days")
        tags = labels(f"{name}.ownership", args["ownership"], classification)

        super().__init__("falaj:index:SecretsVault", name, dict(args), renamed("Vault", opts))
        child = pulumi.ResourceOptions(parent=self)
        about = f"{prefix}: owner {tags['owner']}, classification {tags['classification']}"
        transit = vault.Mount(
            f"{name}-transit", path=f"{prefix}-transit", type="transit", description=f"Keys of {about}", opts=child
        )
        vault.transit.SecretBackendKey(
            f"{name}-platform-key",
            backend=transit.path,
            name="platform",
            type="aes256-gcm96",
            exportable=False,
            allow_plaintext_backup=False,
            deletion_allowed=False,
            auto_rotate_period=rotation * _DAY,
            # A key that may not be deleted goes with its mount.
            opts=pulumi.ResourceOptions(parent=self, deleted_with=transit),
        )
        kv = vault.Mount(
            f"{name}-kv",
            path=f"{prefix}-kv",
            type="kv",
            options={"version": "2"},
            description=f"Secrets of {about}",
            opts=child,
        )
        auth = vault.AuthBackend(
            f"{name}-kubernetes",
            type="kubernetes",
            path=f"{prefix}-kubernetes",
            description=f"Pods of {about}",
            opts=child,
        )
        vault.kubernetes.AuthBackendConfig(
            f"{name}-kubernetes-config",
            backend=auth.path,
            kubernetes_host=pick(args["cluster"], "endpoint"),
            kubernetes_ca_cert=pick(args["cluster"], "certificate_authority"),
            token_reviewer_jwt=_reviewer(name, tags, child),
            disable_local_ca_jwt=True,
            opts=child,
        )

        self.kubernetes_path = auth.path.apply(lambda path: path or "")
        self.transit_path = transit.path
        self.kv_path = kv.path
        self.ref = {
            "kubernetes_path": self.kubernetes_path,
            "transit_path": self.transit_path,
            "kv_path": self.kv_path,
        }
        self.register_outputs(
            {
                "kubernetesPath": self.kubernetes_path,
                "transitPath": self.transit_path,
                "kvPath": self.kv_path,
                "ref": self.ref,
            }
        )


def _reviewer(name: str, labels_: dict[str, str], opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Make the identity by which Vault asks the cluster about tokens, and return its token; it may do nothing else."""
    namespace = k8s.core.v1.Namespace(
        f"{name}-namespace",
        metadata={
            "name": "vault-login",
            "labels": labels_ | {"pod-security.kubernetes.io/enforce": "restricted"},
        },
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
