"""A tenant's part of the platform's Vault: its keys, the names it is certified for, and who logs in as what."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_vault as vault

from falaj.components.checks import dns_label
from falaj.components.classification import Classification, check_key_covers
from falaj.components.errors import ConfigError
from falaj.components.refs import VaultRef, pick
from falaj.components.vault_pki import tenant_certificates
from falaj.components.vault_policies import PipelineStage, key_name, login_role

_MINUTE = 60
_HOUR = 60 * _MINUTE


def check_stages(
    field: str, stages: Mapping[str, Sequence[str]], accounts: Sequence[str]
) -> dict[PipelineStage, list[str]]:
    """Return the service accounts of each stage, those of none as ``workload``; an account is of one stage only."""
    known = [stage for stage in PipelineStage if stage is not PipelineStage.WORKLOAD]
    of: dict[str, str] = dict.fromkeys(accounts, "service_accounts")
    for stage, names in stages.items():
        if stage not in set(known):
            raise ConfigError(field, stage, f"must be among {', '.join(known)}")
        for name in names:
            if of.setdefault(dns_label(f"{field}.{stage}", name), stage) != stage:
                raise ConfigError(f"{field}.{stage}", name, f"must be of one stage only, and is in {of[name]} too")
    by_stage = {PipelineStage(stage): list(names) for stage, names in stages.items() if names}
    return {**({PipelineStage.WORKLOAD: list(accounts)} if accounts else {}), **by_stage}


def check_data(field: str, highest: Classification, data: Sequence[str] | None) -> list[Classification]:
    """Return the classifications of the tenant's data, none above the tenant's own."""
    wanted = [Classification(each) for each in ([highest] if data is None else data)]
    for each in wanted:
        try:
            check_key_covers(field, each, highest)
        except ConfigError as error:
            raise ConfigError(field, each.value, f"must not be above the tenant's own, {highest.value}") from error
    return list(dict.fromkeys(wanted))


def tenant_in_vault(
    name: str,
    tenant: str,
    ref: pulumi.Input[VaultRef],
    *,
    stages: Mapping[PipelineStage, Sequence[str]],
    data: Sequence[Classification],
    opts: pulumi.ResourceOptions,
) -> None:
    """Give the tenant a key for each classification and its certificates, and let each stage log in as itself."""
    for classification in data:
        _key(name, tenant, classification, ref, opts)
    tenant_certificates(
        name,
        tenant,
        pick(ref, "pki_path"),
        domains=pick(ref, "service_domains"),
        hours=pick(ref, "certificate_hours"),
        opts=opts,
    )
    for stage, accounts in stages.items():
        _login(name, tenant, ref, stage=stage, accounts=accounts, opts=opts)


def _key(
    name: str,
    tenant: str,
    classification: Classification,
    ref: pulumi.Input[VaultRef],
    opts: pulumi.ResourceOptions,
) -> None:
    vault.transit.SecretBackendKey(
        f"{name}-key-{classification}",
        backend=pick(ref, "transit_path"),
        name=key_name(tenant, classification),
        type="aes256-gcm96",
        exportable=False,
        allow_plaintext_backup=False,
        deletion_allowed=False,
        # Rotation adds a version; the smallest that decrypts stays, so that nothing becomes unreadable by it.
        auto_rotate_period=pick(ref, "rotation_days").apply(lambda known: int(known) * 24 * _HOUR),
        # Removing a tenant must not destroy its data: that takes a deliberate act on the key.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True)),
    )


def _login(
    name: str,
    tenant: str,
    ref: pulumi.Input[VaultRef],
    *,
    stage: PipelineStage,
    accounts: Sequence[str],
    opts: pulumi.ResourceOptions,
) -> None:
    suffix = "" if stage is PipelineStage.WORKLOAD else f"-{stage}"
    vault.kubernetes.AuthBackendRole(
        f"{name}-vault-login{suffix}",
        backend=pick(ref, "kubernetes_path"),
        role_name=login_role(tenant, stage),
        bound_service_account_names=list(accounts),
        bound_service_account_namespaces=[tenant],
        audience="vault",
        token_policies=[pick(ref, "policies").apply(lambda known: known[stage.value])],
        token_ttl=pick(ref, "token_minutes").apply(lambda known: int(known) * _MINUTE),
        token_max_ttl=pick(ref, "token_longest_minutes").apply(lambda known: int(known) * _MINUTE),
        token_no_default_policy=True,
        opts=opts,
    )
