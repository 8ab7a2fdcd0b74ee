"""The client of Vault or OpenBao, found by VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT."""

import os
from typing import Any
from urllib.parse import urlsplit

from falaj.training.errors import RefusedError

TIMEOUT_SECONDS = 20


def vault_client(travels: str) -> Any:
    """Return a client of the Vault that VAULT_ADDR names, over TLS unless it is on this machine.

    ``travels`` says what would be seen on the way. Raises `RefusedError` where VAULT_ADDR is missing, or would send it
    in clear through a network.
    """
    import hvac  # noqa: PLC0415 - it takes a tenth of a second, and most commands do without

    address = os.environ.get("VAULT_ADDR", "")
    parts = urlsplit(address)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise RefusedError("VAULT_ADDR", address, f"must be an https address: {travels}")
    # hvac itself reads these variables only once, when it is imported.
    authority = os.environ.get("VAULT_CACERT") or os.environ.get("VAULT_CAPATH") or True
    return hvac.Client(address, verify=authority, timeout=TIMEOUT_SECONDS)
