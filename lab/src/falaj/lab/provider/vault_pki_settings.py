"""What a certificate authority's mount publishes and tidies, in the emulated `vault` provider."""

from collections.abc import Mapping
from typing import Any

from falaj.lab.provider.kind import Change, Kind
from falaj.lab.provider.values import Props
from falaj.lab.provider.vault_api import OpenBao, seconds, seen, snake, taken


def _settings(
    token: str, path: str, names: tuple[str, ...], durations: tuple[str, ...] = (), absent: Mapping[str, Any] = {}
) -> Kind[OpenBao]:
    """Return the kind of a mount's settings at a fixed path, which exist as long as the mount does.

    ``absent`` says what an input means that is left out; others stay as the service has them.
    """

    def path_of(inputs: Props) -> str:
        return f"{inputs['backend'].strip('/')}/{path}"

    def write(bao: OpenBao, inputs: Props) -> str:
        given = [name for name in names if name in inputs]
        bao.write(path_of(inputs), {snake(name): value for name, value in absent.items()} | taken(inputs, given))
        return path_of(inputs)

    def update(bao: OpenBao, _: str, change: Change) -> None:
        write(bao, change.wanted)

    def read(bao: OpenBao, identifier: str, _: Props) -> Props | None:
        backend = identifier.removesuffix(f"/{path}")
        if f"{backend}/" not in (bao.read("sys/mounts") or {}):
            return None
        found = bao.read(identifier)
        return found and {"backend": backend, **seen(found, names)}

    return Kind(
        token,
        create=write,
        read=read,
        update=update,
        replace_on=frozenset({"backend", "namespace"}),
        computed=frozenset(names) - absent.keys(),
        normalise=dict.fromkeys(durations, seconds),
        key=path_of,
    )


URLS = _settings(
    "vault:pkiSecret/secretBackendConfigUrls:SecretBackendConfigUrls",
    "config/urls",
    ("crlDistributionPoints", "enableTemplating", "issuingCertificates", "ocspServers"),
    absent={"crlDistributionPoints": [], "enableTemplating": False, "issuingCertificates": [], "ocspServers": []},
)
CRL = _settings(
    "vault:pkiSecret/secretBackendCrlConfig:SecretBackendCrlConfig",
    "config/crl",
    (
        "autoRebuild",
        "autoRebuildGracePeriod",
        "deltaRebuildInterval",
        "disable",
        "enableDelta",
        "expiry",
        "ocspDisable",
        "ocspExpiry",
    ),
    durations=("autoRebuildGracePeriod", "deltaRebuildInterval", "expiry", "ocspExpiry"),
)
ISSUERS = _settings(
    "vault:pkiSecret/secretBackendConfigIssuers:SecretBackendConfigIssuers",
    "config/issuers",
    ("default", "defaultFollowsLatestIssuer"),
)
TIDY = _settings(
    "vault:pkiSecret/backendConfigAutoTidy:BackendConfigAutoTidy",
    "config/auto-tidy",
    ("enabled", "intervalDuration", "safetyBuffer", "tidyCertStore", "tidyRevokedCerts"),
    durations=("intervalDuration", "safetyBuffer"),
)
