"""A lab that is an OpenBao alone, and the emulated vault provider over it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from falaj.lab.provider.journal import Journal
from falaj.lab.provider.testing import Driver
from falaj.lab.provider.vault import VaultProvider
from falaj.lab.testing import RunningLab


def configuration(lab: RunningLab) -> dict[str, Any]:
    """Return the provider's configuration."""
    return {
        "address": lab.env["VAULT_ADDR"],
        "token": lab.env["VAULT_TOKEN"],
        "caCertFile": lab.env["VAULT_CACERT"],
        "skipChildToken": "true",
    }


@contextmanager
def driving(lab: RunningLab) -> Iterator[Driver]:
    """Yield a provider told everything by its configuration; what is left in OpenBao afterwards is removed."""
    bao = lab.vault()
    yield Driver(VaultProvider(Journal(None))).configure(**configuration(lab))
    for path in bao.sys.list_mounted_secrets_engines()["data"]:
        if path.startswith("test-"):
            bao.sys.disable_secrets_engine(path.strip("/"))
    for path in bao.sys.list_auth_methods()["data"]:
        if path.startswith("test-"):
            bao.sys.disable_auth_method(path.strip("/"))
    bao.sys.delete_policy("test-readers")
