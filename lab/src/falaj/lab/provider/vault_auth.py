"""Who may log in, in the emulated `vault` provider: auth methods, and Kubernetes' configuration and roles."""

from falaj.lab.provider.kind import Change, Kind
from falaj.lab.provider.values import Props
from falaj.lab.provider.vault_api import OpenBao, as_given, camel, in_order, last, seconds, seen, taken

# Auth methods: vault:index/authBackend:AuthBackend. The identifier is the path, which is the type when none is given.


def _auth_path(inputs: Props) -> str:
    return (inputs.get("path") or inputs["type"]).strip("/")


def _create_auth(bao: OpenBao, inputs: Props) -> str:
    path = _auth_path(inputs)
    bao.write(f"sys/auth/{path}", taken(inputs, ("type", "description", "local")))
    return path


def _read_auth(bao: OpenBao, identifier: str, known: Props) -> Props | None:
    found = (bao.read("sys/auth") or {}).get(f"{identifier}/")
    if found is None:
        return None
    tuned: Props = known.get("tune") or {}
    config = {camel(key): value for key, value in found["config"].items()}
    observed = {"tune": {name: as_given(config.get(name), given) for name, given in tuned.items()}} if tuned else {}
    return {"path": identifier, **seen(found, ("accessor", "description", "local", "type")), **observed}


def _in_seconds(tune: Props) -> Props:
    """Return a tuning in which ``60m`` and ``1h`` are equal."""
    return {n: seconds(v) if n.endswith("Ttl") and isinstance(v, str) else v for n, v in tune.items()}


def _tune_auth(bao: OpenBao, identifier: str, change: Change) -> None:
    tuned: Props = change.wanted.get("tune") or {}
    described = {"description": change.wanted.get("description") or ""}
    bao.write(f"sys/auth/{identifier}/tune", {**taken(tuned, tuned), **described})


AUTH: Kind[OpenBao] = Kind(
    "vault:index/authBackend:AuthBackend",
    create=_create_auth,
    read=_read_auth,
    update=_tune_auth,
    delete=lambda bao, identifier, _: bao.delete(f"sys/auth/{identifier}"),
    replace_on=frozenset({"path", "type", "local", "namespace"}),
    defaults={"local": False},
    computed=frozenset({"path"}),
    normalise={"tune": _in_seconds},
    key=_auth_path,
)


# Kubernetes auth: its configuration and its roles. The identifiers are their paths.

_CONFIG = (
    "disableIssValidation",
    "disableLocalCaJwt",
    "issuer",
    "kubernetesCaCert",
    "kubernetesHost",
    "pemKeys",
    "useAnnotationsAsAliasMetadata",
)


def _write_config(bao: OpenBao, inputs: Props) -> str:
    identifier = f"auth/{inputs['backend'].strip('/')}/config"
    bao.write(identifier, taken(inputs, (*_CONFIG, "tokenReviewerJwt")))
    return identifier


def _update_config(bao: OpenBao, _: str, change: Change) -> None:
    _write_config(bao, change.wanted)


def _read_config(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(identifier)
    return found and {"backend": identifier.split("/", 1)[1].rpartition("/")[0], **seen(found, _CONFIG)}


CONFIG: Kind[OpenBao] = Kind(
    "vault:kubernetes/authBackendConfig:AuthBackendConfig",
    create=_write_config,
    read=_read_config,
    update=_update_config,
    # The API has no way to remove it; it goes with its auth method.
    replace_on=frozenset({"backend", "namespace"}),
    defaults={"backend": "kubernetes"},
    computed=frozenset({"disableIssValidation", "disableLocalCaJwt", "issuer", "kubernetesCaCert"}),
    secret_outputs=frozenset({"tokenReviewerJwt", "tokenReviewerJwtWo"}),
    key=lambda inputs: f"auth/{inputs['backend'].strip('/')}/config",
)

_ROLE_LISTS = ("boundServiceAccountNames", "boundServiceAccountNamespaces", "tokenBoundCidrs", "tokenPolicies")
_ROLE = (
    *_ROLE_LISTS,
    "aliasNameSource",
    "audience",
    "tokenExplicitMaxTtl",
    "tokenMaxTtl",
    "tokenNoDefaultPolicy",
    "tokenNumUses",
    "tokenPeriod",
    "tokenTtl",
    "tokenType",
)


def _role_id(inputs: Props) -> str:
    return f"auth/{inputs['backend'].strip('/')}/role/{inputs['roleName']}"


def _write_role(bao: OpenBao, inputs: Props) -> str:
    bao.write(_role_id(inputs), taken(inputs, _ROLE))
    return _role_id(inputs)


def _update_role(bao: OpenBao, identifier: str, change: Change) -> None:
    # An input that was left out is reset: the API would keep what it is not told.
    empty: Props = {name: [] if name in _ROLE_LISTS else 0 for name in _ROLE if "Ttl" in name or name in _ROLE_LISTS}
    bao.write(identifier, taken({**empty, "audience": "", **change.wanted}, _ROLE))


def _read_role(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(identifier)
    backend = identifier.removeprefix("auth/").rpartition("/role/")[0]
    return found and {"backend": backend, "roleName": last(identifier), **seen(found, _ROLE)}


ROLE: Kind[OpenBao] = Kind(
    "vault:kubernetes/authBackendRole:AuthBackendRole",
    create=_write_role,
    read=_read_role,
    update=_update_role,
    delete=lambda bao, identifier, _: bao.delete(identifier),
    replace_on=frozenset({"backend", "roleName", "namespace"}),
    defaults={"backend": "kubernetes"},
    computed=frozenset({"aliasNameSource", "tokenType"}),
    normalise=dict.fromkeys(_ROLE_LISTS, in_order),
    key=_role_id,
)
