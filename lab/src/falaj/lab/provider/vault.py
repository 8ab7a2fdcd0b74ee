"""The emulated `vault` provider: what it makes is real and lives in the lab's OpenBao.

Run by the pulumi CLI as `python -m falaj.lab.provider.vault ENGINE_ADDRESS`. Two things differ from the official
provider: it uses the given token itself instead of a child token, and a changed path makes a new mount instead of
moving the old one. OpenBao takes audit devices from its configuration file only: an `Audit` is looked for, not made.
"""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import hvac
import hvac.exceptions
import requests

from falaj.lab.provider.engine import EmulatedProvider
from falaj.lab.provider.journal import Journal
from falaj.lab.provider.kind import GoneError, Kind, ProviderError
from falaj.lab.provider.server import serve
from falaj.lab.provider.values import Props
from falaj.lab.provider.vault_api import OpenBao
from falaj.lab.provider.vault_auth import AUTH, CONFIG, ROLE
from falaj.lab.provider.vault_database import CONNECTION, DATABASE_ROLE
from falaj.lab.provider.vault_mounts import AUDIT, KV_CONFIG, MOUNT, POLICY
from falaj.lab.provider.vault_pki import PKI_KINDS
from falaj.lab.provider.vault_transit import KEY

KINDS: Mapping[str, Kind[OpenBao]] = {
    kind.token: kind
    for kind in (MOUNT, KV_CONFIG, POLICY, KEY, AUTH, CONFIG, ROLE, AUDIT, *PKI_KINDS, CONNECTION, DATABASE_ROLE)
}
"""The types that are enacted in OpenBao; the provider knows no others."""


class VaultProvider(EmulatedProvider[OpenBao]):
    """Reads the official provider's configuration, else the environment as the official one does."""

    name = "vault"
    sdk = "pulumi_vault"
    functions: Mapping[str, Any] = {}

    def __init__(self, journal: Journal | None = None) -> None:
        super().__init__(journal)
        self.config: Props = {}
        self.answers: dict[str, Props] = {}

    def kind(self, token: str) -> Kind[OpenBao]:
        """Return the kind of an enacted type; unlike AWS types, others are refused: OpenBao is real."""
        if token not in KINDS:
            known = ", ".join(sorted(token.rpartition(":")[2] for token in KINDS))
            raise ProviderError(f"the lab's vault provider has no type {token}; it has {known}")
        return KINDS[token]

    def configure(self, config: Props) -> None:
        """Take address, token and certificate authority."""
        given = {
            "address": config.get("address") or os.environ.get("VAULT_ADDR"),
            "token": config.get("token") or os.environ.get("VAULT_TOKEN"),
        }
        for name, value in given.items():
            if not value:
                raise ProviderError(f"the vault provider has no {name}: give it, or run inside `falaj-lab exec`")
        self.config = {**config, **given}

    def session(self, inputs: Props, timeout: float = 0, token: str = "") -> OpenBao:
        """Return a client of the resource's namespace, over TLS that the given authority vouches for."""
        del token  # what OpenBao holds is found by its path
        http = requests.Session()
        http.verify = self.config.get("caCertFile") or os.environ.get("VAULT_CACERT") or True
        # As the official provider: what is on this machine is never asked through a proxy.
        http.trust_env = urlsplit(self.config["address"]).hostname not in {"127.0.0.1", "::1", "localhost"}
        return OpenBao(
            hvac.Client(
                url=self.config["address"],
                token=self.config["token"],
                namespace=inputs.get("namespace") or self.config.get("namespace"),
                timeout=int(timeout) or 30,
                session=http,
            ),
            self.answers,
        )

    def explain(self, error: Exception) -> ProviderError | None:
        """Return OpenBao's refusals and failures to reach it as one line."""
        if isinstance(error, hvac.exceptions.InvalidPath):
            return GoneError(str(error))
        if isinstance(error, hvac.exceptions.VaultError):
            refused = (hvac.exceptions.InvalidRequest, hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized)
            return ProviderError(f"OpenBao refused: {error}", certain=isinstance(error, refused))
        if isinstance(error, requests.RequestException):
            return ProviderError(f"OpenBao does not answer at {self.config.get('address')}: {error}")
        return None


if __name__ == "__main__":
    serve(VaultProvider())
