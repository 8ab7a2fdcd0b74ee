"""The platform's use of a Vault: keys that never leave it, secrets by path, certificates, and pods that log in."""

import re
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_vault as vault

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import ClusterRef, VaultRef
from falaj.components.renamed import renamed
from falaj.components.vault_audit import AuditBy, AuditDevice, check_devices, make_devices
from falaj.components.vault_databases import Database, check_databases, make_databases
from falaj.components.vault_login import kubernetes_login
from falaj.components.vault_pki import AuthorityPlan, RootAuthority, make_authorities
from falaj.components.vault_policies import PipelineStage, stage_policy

_MINUTE = 60
_DAY = 24 * 60 * _MINUTE
_ADDRESS = "https://openbao.openbao.svc:8200"
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


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
    """Days after which transit keys are rotated, 1 to 365; old versions go on decrypting. Default: 30."""
    token_minutes: NotRequired[int]
    """Minutes that a pod's token lives unless it is renewed, 5 to 60. Default: 15."""
    token_longest_minutes: NotRequired[int]
    """Minutes after which it ends whatever is renewed, 5 to 1440. Default: 60."""
    kv_versions: NotRequired[int]
    """Versions of a secret that are kept, 1 to 100. Default: 10."""
    kv_check_and_set: NotRequired[bool]
    """Whether a secret is only written by who says which version it replaces. Default: false."""
    address: NotRequired[pulumi.Input[str]]
    """URL by which services reach Vault; stands in certificates. Default: ``https://openbao.openbao.svc:8200``."""
    root: NotRequired[RootAuthority]
    """Who signs the intermediate that issues certificates: a member of ``RootAuthority``. Default: ``internal``."""
    signed_intermediate: NotRequired[pulumi.Input[str]]
    """With an external root: ``pki_request`` as it signed it, with the chain, PEM. Default: nothing is issued yet."""
    root_years: NotRequired[int]
    """Years that an internal root lives, 2 to 20. Default: 10."""
    intermediate_years: NotRequired[int]
    """Years that the intermediate lives under an internal root, 1 to 5 and less than the root. Default: 3."""
    certificate_hours: NotRequired[int]
    """Hours that a service's certificate lives, 1 to 72. Default: 24."""
    service_domains: NotRequired[list[str]]
    """Domains of services; nothing else is certified. Default: ``["svc", "svc.cluster.local"]``."""
    databases: NotRequired[list[Database]]
    """Databases in which Vault makes credentials, and for whom. Default: none."""
    audit: NotRequired[AuditBy]
    """Who sets up audit devices: a member of ``AuditBy``. Default: ``config-file``."""
    audit_devices: NotRequired[list[AuditDevice]]
    """With ``audit`` as ``resources``: two or more devices. Default: a file and the container's output."""


class SecretsVault(pulumi.ComponentResource):
    """Transit, key-value, certificate and database mounts, and login for service accounts of one cluster.

    Works on HashiCorp Vault and on OpenBao alike. The cluster checks each login itself (TokenReview), so a deleted
    pod's token is worth nothing. One policy for each stage of a pipeline serves every tenant, by the tenant's
    namespace. Needs the ``kubernetes`` and ``vault`` providers in its options.
    Serves ISO/IEC 27001:2022 A.5.15, A.5.17, A.8.15, A.8.20 and A.8.24. Raises ``ConfigError`` for a value that it
    refuses, before any resource exists.
    """

    kubernetes_path: pulumi.Output[str]
    """Path of the Kubernetes auth backend."""
    transit_path: pulumi.Output[str]
    """Path of the transit mount."""
    kv_path: pulumi.Output[str]
    """Path of the key-value mount, version 2."""
    pki_path: pulumi.Output[str]
    """Path of the mount that issues certificates."""
    database_path: pulumi.Output[str]
    """Path of the database mount."""
    pki_request: pulumi.Output[str]
    """The intermediate's signing request, PEM, for an external root."""
    trust_anchor: pulumi.Output[str]
    """Certificate of the internal root, PEM; empty with an external one."""
    ref: VaultRef
    """The Vault as other components take it."""

    def __init__(self, name: str, args: SecretsVaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        prefix = dns_label(f"{name}.path_prefix", args.get("path_prefix", args["ownership"]["environment"]))
        rotation = bounded(f"{name}.rotation_days", args.get("rotation_days", 30), 1, 365, "days")
        ttls = _token_minutes(name, args)
        versions = bounded(f"{name}.kv_versions", args.get("kv_versions", 10), 1, 100)
        databases = check_databases(f"{name}.databases", args.get("databases", []))
        by = AuditBy(args.get("audit", AuditBy.CONFIG_FILE))
        devices = check_devices(f"{name}.audit_devices", by, args.get("audit_devices"))
        tags = labels(f"{name}.ownership", args["ownership"], classification)
        about = f"{prefix}: owner {tags['owner']}, classification {tags['classification']}"
        plan = _authorities(name, args, prefix, about)

        super().__init__("falaj:index:SecretsVault", name, dict(args), renamed("Vault", opts))
        # Nothing is done in a Vault that does not record it.
        recorded = make_devices(name, devices, pulumi.ResourceOptions(parent=self))
        child = pulumi.ResourceOptions(parent=self, depends_on=recorded)
        transit = _mount(name, "transit", prefix, f"Keys of {about}", child)
        _platform_key(name, transit, rotation, child)
        kv = _mount(name, "kv", prefix, f"Secrets of {about}", child, options={"version": "2"})
        vault.kv.SecretBackendV2(
            f"{name}-kv-settings",
            mount=kv.path,
            max_versions=versions,
            cas_required=args.get("kv_check_and_set", False),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(deleted_with=kv)),
        )
        database = _mount(name, "database", prefix, f"Credentials of {about}", child, max_lease_ttl_seconds=_DAY)
        make_databases(name, databases, database, child)
        pki = make_authorities(name, plan, child)
        auth = kubernetes_login(
            name,
            f"{prefix}-kubernetes",
            args["cluster"],
            description=f"Pods of {about}",
            ttls=(ttls[0] * _MINUTE, ttls[1] * _MINUTE),
            tags=tags,
            opts=child,
        )
        mounts = {"transit": transit.path, "kv": kv.path, "pki": pki.path, "database": database.path}
        policies = {
            stage.value: _policy(name, prefix, stage, auth=auth, mounts=mounts, opts=child) for stage in PipelineStage
        }

        self.kubernetes_path = auth.path.apply(lambda path: path or "")
        self.transit_path = transit.path
        self.kv_path = kv.path
        self.pki_path = pki.path
        self.database_path = database.path
        self.pki_request = pki.request
        self.trust_anchor = pki.trust_anchor
        self.ref = {
            "kubernetes_path": self.kubernetes_path,
            "transit_path": self.transit_path,
            "kv_path": self.kv_path,
            "pki_path": self.pki_path,
            "policies": pulumi.Output.all(**policies).apply(lambda known: {**known}),
            "service_domains": [*plan.domains],
            "certificate_hours": plan.certificate_hours,
            "rotation_days": rotation,
            "token_minutes": ttls[0],
            "token_longest_minutes": ttls[1],
        }
        self.register_outputs(
            {
                "kubernetesPath": self.kubernetes_path,
                "transitPath": self.transit_path,
                "kvPath": self.kv_path,
                "pkiPath": self.pki_path,
                "databasePath": self.database_path,
                "pkiRequest": self.pki_request,
                "trustAnchor": self.trust_anchor,
                "ref": self.ref,
            }
        )


def _token_minutes(name: str, args: SecretsVaultArgs) -> tuple[int, int]:
    """Return for how many minutes tokens live, and at most."""
    lives = bounded(f"{name}.token_minutes", args.get("token_minutes", 15), 5, 60, "minutes")
    longest = bounded(f"{name}.token_longest_minutes", args.get("token_longest_minutes", 60), 5, 1440, "minutes")
    if lives > longest:
        raise ConfigError(f"{name}.token_minutes", lives, f"must not be above token_longest_minutes, {longest}")
    return lives, longest


def _authorities(name: str, args: SecretsVaultArgs, prefix: str, about: str) -> AuthorityPlan:
    """Return what is decided about certificates, refusing a chain that would end before what it carries."""
    root = RootAuthority(args.get("root", RootAuthority.INTERNAL))
    if root is RootAuthority.INTERNAL and "signed_intermediate" in args:
        raise ConfigError(f"{name}.signed_intermediate", "PEM", "must be left out unless root is external")
    root_years = bounded(f"{name}.root_years", args.get("root_years", 10), 2, 20, "years")
    years = bounded(f"{name}.intermediate_years", args.get("intermediate_years", 3), 1, 5, "years")
    if years >= root_years:
        raise ConfigError(f"{name}.intermediate_years", years, f"must be less than root_years, {root_years}")
    domains = args.get("service_domains", ["svc", "svc.cluster.local"])
    for domain in domains or [""]:
        if not _DOMAIN.fullmatch(domain):
            raise ConfigError(f"{name}.service_domains", domain, "must be domains in lower case without wildcards")
    return AuthorityPlan(
        prefix=prefix,
        about=about,
        address=args.get("address", _ADDRESS),
        root=root,
        root_years=root_years,
        intermediate_years=years,
        certificate_hours=bounded(f"{name}.certificate_hours", args.get("certificate_hours", 24), 1, 72, "hours"),
        domains=domains,
        signed=args.get("signed_intermediate"),
    )


def _mount(
    name: str, kind: str, prefix: str, description: str, opts: pulumi.ResourceOptions, **settings: Any
) -> vault.Mount:
    return vault.Mount(
        f"{name}-{kind}", path=f"{prefix}-{kind}", type=kind, description=description, opts=opts, **settings
    )


def _platform_key(name: str, transit: vault.Mount, rotation: int, opts: pulumi.ResourceOptions) -> None:
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
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(deleted_with=transit)),
    )


def _policy(
    name: str,
    prefix: str,
    stage: PipelineStage,
    *,
    auth: vault.AuthBackend,
    mounts: dict[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Make the policy of a stage and return its name."""
    text = pulumi.Output.all(auth.accessor, pulumi.Output.all(**mounts)).apply(
        lambda known: stage_policy(stage, known[0], known[1])
    )
    return vault.Policy(f"{name}-policy-{stage}", name=f"{prefix}-{stage}", policy=text, opts=opts).name
