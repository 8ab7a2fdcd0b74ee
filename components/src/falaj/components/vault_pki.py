"""Certificates between services: a root whose key nobody sees, an intermediate that issues, and lives of hours."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumi_vault as vault

_HOUR = 3600
_YEAR = 365 * 24 * _HOUR


class RootAuthority(StrEnum):
    """Who signs the intermediate."""

    INTERNAL = "internal"
    """A root in Vault, whose key is made there and never leaves."""
    EXTERNAL = "external"
    """An authority of the enterprise: it signs the request that the component gives out."""


@dataclass(frozen=True)
class AuthorityPlan:
    """What is decided about the authorities before any exists."""

    prefix: str
    about: str
    address: pulumi.Input[str]
    root: RootAuthority
    root_years: int
    intermediate_years: int
    certificate_hours: int
    domains: Sequence[str]
    signed: pulumi.Input[str] | None
    """The intermediate as an external authority signed it, with its chain, PEM."""


@dataclass(frozen=True)
class Authorities:
    """What was made."""

    path: pulumi.Output[str]
    """Path of the mount that issues."""
    request: pulumi.Output[str]
    """The intermediate's signing request, PEM."""
    trust_anchor: pulumi.Output[str]
    """Certificate of the internal root, PEM; empty with an external one, which its owner hands out."""


def make_authorities(name: str, plan: AuthorityPlan, opts: pulumi.ResourceOptions) -> Authorities:
    """Make the intermediate, and the root above it unless that is somebody else's."""
    mount, urls = _mount(name, "pki", plan, longest=plan.certificate_hours * _HOUR, opts=opts)
    within = _in(mount, opts)
    vault.pkisecret.BackendConfigAutoTidy(
        f"{name}-pki-tidy",
        backend=mount.path,
        enabled=True,
        # Certificates of hours would pile up by the thousand.
        tidy_cert_store=True,
        tidy_revoked_certs=True,
        interval_duration=str(12 * _HOUR),
        safety_buffer=str(72 * _HOUR),
        opts=within,
    )
    request = vault.pkisecret.SecretBackendIntermediateCertRequest(
        f"{name}-pki-request",
        backend=mount.path,
        type="internal",
        common_name=f"{plan.prefix} services",
        exclude_cn_from_sans=True,
        key_type="ec",
        key_bits=256,
        opts=within,
    )
    if plan.root is RootAuthority.INTERNAL:
        signed, anchor = _signed_by_root(name, plan, request, opts)
    else:
        signed, anchor = plan.signed, pulumi.Output.from_input("")
    if signed is not None:
        after = pulumi.ResourceOptions.merge(within, pulumi.ResourceOptions(depends_on=[urls]))
        _install(name, mount, signed, after)
    return Authorities(mount.path, request.csr, anchor)


def _mount(
    name: str, kind: str, plan: AuthorityPlan, *, longest: int, opts: pulumi.ResourceOptions
) -> tuple[vault.Mount, pulumi.Resource]:
    """Make one authority's mount, and tell in what it issues where its certificate and its revocations are."""
    path = f"{plan.prefix}-{kind}"
    mount = vault.Mount(
        f"{name}-{kind}",
        path=path,
        type="pki",
        description=f"Certificates of {plan.about}",
        default_lease_ttl_seconds=longest,
        max_lease_ttl_seconds=longest,
        opts=opts,
    )
    within = _in(mount, opts)
    urls = vault.pkisecret.SecretBackendConfigUrls(
        f"{name}-{kind}-urls",
        backend=mount.path,
        issuing_certificates=[pulumi.Output.concat(plan.address, f"/v1/{path}/ca")],
        crl_distribution_points=[pulumi.Output.concat(plan.address, f"/v1/{path}/crl")],
        opts=within,
    )
    vault.pkisecret.SecretBackendCrlConfig(
        f"{name}-{kind}-crl",
        backend=mount.path,
        expiry="72h",
        # Without it, revocations are served until they expire, and after that nothing is.
        auto_rebuild=True,
        auto_rebuild_grace_period="12h",
        opts=within,
    )
    return mount, urls


def _signed_by_root(
    name: str,
    plan: AuthorityPlan,
    request: vault.pkisecret.SecretBackendIntermediateCertRequest,
    opts: pulumi.ResourceOptions,
) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Make the root and have it sign; return the intermediate with its chain, and the root's own certificate."""
    mount, urls = _mount(name, "pki-root", plan, longest=plan.root_years * _YEAR, opts=opts)
    lasting = pulumi.ResourceOptions(parent=opts.parent, retain_on_delete=True, depends_on=[urls])
    root = vault.pkisecret.SecretBackendRootCert(
        f"{name}-pki-root-certificate",
        backend=mount.path,
        type="internal",
        common_name=f"{plan.prefix} root",
        exclude_cn_from_sans=True,
        key_type="ec",
        key_bits=384,
        max_path_length=1,
        ttl=str(plan.root_years * _YEAR),
        # A root that is replaced stays beside the new one until the mount goes: what it signed must still verify.
        opts=lasting,
    )
    signed = vault.pkisecret.SecretBackendRootSignIntermediate(
        f"{name}-pki-signed",
        backend=mount.path,
        issuer_ref=root.issuer_id,
        csr=request.csr,
        common_name=f"{plan.prefix} services",
        exclude_cn_from_sans=True,
        format="pem_bundle",
        ttl=str(plan.intermediate_years * _YEAR),
        # Whatever a role in the intermediate allows: no authority below it, and no name outside the services' domains.
        max_path_length=0,
        permitted_dns_domains=list(plan.domains),
        opts=_in(mount, opts),
    )
    return signed.certificate_bundle, root.certificate


def _install(name: str, mount: vault.Mount, signed: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
    """Give the intermediate its certificate, and have it issue by that one from now on."""
    lasting = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True))
    returned = vault.pkisecret.SecretBackendIntermediateSetSigned(
        f"{name}-pki-certificate",
        backend=mount.path,
        certificate=signed,
        # A former intermediate stays an issuer until the mount goes: what it issued lives for some hours more.
        opts=lasting,
    )
    vault.pkisecret.SecretBackendConfigIssuers(
        f"{name}-pki-issuer",
        backend=mount.path,
        # What stands first in the chain that was given; a chain that was there already imports nothing.
        default=returned.imported_issuers.apply(lambda issuers: issuers[0] if issuers else ""),
        opts=opts,
    )


def _in(mount: vault.Mount, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """Return the options of what goes with its mount."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(deleted_with=mount))


def tenant_certificates(
    name: str,
    tenant: str,
    path: pulumi.Input[str],
    *,
    domains: pulumi.Input[list[str]],
    hours: pulumi.Input[int],
    opts: pulumi.ResourceOptions,
) -> vault.pkisecret.SecretBackendRole:
    """Let a tenant's services have certificates of their own names, ``<service>.<tenant>.<domain>``, and no others."""
    life = pulumi.Output.from_input(hours).apply(lambda known: str(int(known) * _HOUR))
    return vault.pkisecret.SecretBackendRole(
        f"{name}-certificates",
        backend=path,
        name=tenant,
        allowed_domains=pulumi.Output.from_input(domains).apply(lambda known: [f"{tenant}.{each}" for each in known]),
        allow_subdomains=True,
        allow_bare_domains=False,
        allow_glob_domains=False,
        allow_any_name=False,
        allow_wildcard_certificates=False,
        allow_localhost=False,
        allow_ip_sans=False,
        enforce_hostnames=True,
        require_cn=True,
        key_type="ec",
        key_bits=256,
        key_usages=["DigitalSignature"],
        server_flag=True,
        client_flag=True,
        ttl=life,
        max_ttl=life,
        opts=opts,
    )
