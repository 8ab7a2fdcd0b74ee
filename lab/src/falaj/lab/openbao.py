"""The lab's OpenBao: its configuration, its first initialization, and whether it is well.

Real: one OpenBao server with Raft storage, TLS, two audit devices and auto-unseal. The key that unseals it is a file of
the lab beside the data that it protects: right for a machine that is thrown away, wrong for anything else.
"""

import http.client
import json
import shutil
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from falaj.lab.errors import LabError
from falaj.lab.state import Lab, write_private

POLICY_NAME = "falaj-admin"
POLICY = 'path "*" {\n  capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]\n}\n'
RENEWABLE_FOR = "768h"
AUDIT_LOGS = {"lab": "openbao-audit.log", "lab-second": "openbao-audit-second.log"}
"""The audit devices by path, and their files: while one fails, OpenBao serves on by the other."""
DEADLINE = 60
"""Seconds that OpenBao may take to unseal itself and to lead its cluster of one."""


class RefusedError(LabError):
    """OpenBao's refusal of a request, with its HTTP status."""

    def __init__(self, status: int, message: str):
        super().__init__(f"{message} ({status})")
        self.status = status


def write_config(lab: Lab, ports: Mapping[str, int]) -> Path:
    """Write the server's configuration and return its path; call it before each start."""
    data = lab.folder("data", "openbao")
    if any(data.iterdir()) and not _keys(lab).exists() and not _token(lab).exists():
        # Killed between its initialization and the writing of its keys: nobody ever had a token, so nothing is in it.
        shutil.rmtree(data)
        lab.folder("data", "openbao")
    lab.secret("openbao-unseal")
    address, cluster = f"127.0.0.1:{ports['openbao']}", f"127.0.0.1:{ports['openbao-cluster']}"
    config = {
        "ui": False,
        "api_addr": f"https://{address}",
        "cluster_addr": f"https://{cluster}",
        "listener": [
            {
                "tcp": {
                    "address": address,
                    "cluster_address": cluster,
                    "tls_cert_file": str(lab.root / "pki" / "openbao.crt"),
                    "tls_key_file": str(lab.root / "pki" / "openbao.key"),
                    "tls_min_version": "tls13",
                }
            }
        ],
        "storage": {"raft": {"path": str(data), "node_id": "lab", "performance_multiplier": 1}},
        "seal": [
            {
                "static": {
                    "current_key_id": "lab",
                    "current_key": f"file://{lab.root / 'secrets' / 'openbao-unseal'}",
                }
            }
        ],
        # OpenBao takes audit devices by configuration only: through its API, a token could write to any file.
        "audit": [{"file": {name: _audit_device(lab, log)}} for name, log in AUDIT_LOGS.items()],
    }
    path = lab.folder("data") / "openbao.json"
    write_private(path, json.dumps(config, indent=2))
    return path


def _audit_device(lab: Lab, log: str) -> dict[str, Any]:
    return {
        "description": "every request and answer, secrets as HMAC",
        "options": {"file_path": str(lab.folder("logs") / log), "mode": "0600"},
    }


def initialize(lab: Lab) -> None:
    """Initialize a new OpenBao once, wait until it serves, and see to the token in ``secrets/vault-token``.

    The root token and the recovery key stay in ``secrets/openbao-keys.json``: the lab needs them when its own token has
    expired after a long time down. Programs get a token of the policy ``falaj-admin`` instead, renewed at each start.
    """
    if not _wait(lab, "answering", lambda _: True)["initialized"]:
        keys = _ask(lab, "PUT", "sys/init", body={"recovery_shares": 1, "recovery_threshold": 1})
        write_private(_keys(lab), json.dumps(keys, indent=2))
    _wait(lab, "unsealed", lambda health: not health["sealed"] and not health["standby"])
    if not _keys(lab).exists():
        raise LabError("OpenBao was killed amid its first start and its keys are lost; run `falaj-lab down`, then `up`")
    root = json.loads(_keys(lab).read_text())["root_token"]
    _ask(lab, "PUT", f"sys/policies/acl/{POLICY_NAME}", token=root, body={"policy": POLICY})
    if not _renew(lab):
        wanted = {"policies": [POLICY_NAME], "period": RENEWABLE_FOR, "display_name": "falaj-lab", "no_parent": True}
        made = _ask(lab, "POST", "auth/token/create", token=root, body=wanted)
        write_private(_token(lab), made["auth"]["client_token"])


def healthy(lab: Lab) -> bool:
    """Say whether OpenBao is initialized, unsealed and serving, over TLS that the lab's authority vouches for."""
    try:
        health = _health(lab)
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return bool(health["initialized"]) and not health["sealed"] and not health["standby"]


def _keys(lab: Lab) -> Path:
    return lab.folder("secrets") / "openbao-keys.json"


def _token(lab: Lab) -> Path:
    return lab.folder("secrets") / "vault-token"


def _renew(lab: Lab) -> bool:
    if not _token(lab).exists():
        return False
    try:
        _ask(lab, "POST", "auth/token/renew-self", token=_token(lab).read_text(), body={})
    except RefusedError as error:
        if error.status == http.HTTPStatus.FORBIDDEN:
            return False
        raise
    return True


def _wait(lab: Lab, state: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE
    said = "no answer"
    while time.monotonic() < deadline:
        try:
            health = _health(lab)
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = str(error)
        else:
            if reached(health):
                return health
            said = json.dumps(health)
        time.sleep(0.05)
    raise LabError(f"OpenBao is not {state} after {DEADLINE} s ({said}); see `falaj-lab logs openbao`")


def _health(lab: Lab) -> dict[str, Any]:
    return _ask(lab, "GET", "sys/health?standbyok=true&sealedcode=200&uninitcode=200")


def _ask(
    lab: Lab, method: str, path: str, *, token: str | None = None, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=lab.root / "pki" / "ca.crt")
    connection = http.client.HTTPSConnection("127.0.0.1", lab.ports()["openbao"], timeout=10, context=context)
    try:
        headers = {"X-Vault-Token": token} if token else {}
        connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        raise RefusedError(
            response.status, f"OpenBao refused {method} {path}: {answer.decode(errors='replace').strip()}"
        )
    return json.loads(answer) if answer else {}
