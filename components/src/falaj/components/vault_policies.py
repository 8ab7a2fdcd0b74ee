"""What each stage of a pipeline may do in Vault: one policy per stage, which serves all tenants.

The tenant's name is no text in a policy but a template: Vault puts in the namespace of the service account that logged
in, as the cluster told it. So a new tenant brings no policy that somebody would have to review, none can name another
tenant by mistake, and a token without such a login reaches nothing. The price: the text holds the accessor of the
login, which exists only when the login does, so a first preview cannot judge the policy; the apply does, before it is
made.
"""

from collections.abc import Mapping
from enum import StrEnum


class PipelineStage(StrEnum):
    """What a service account does for its team; decides what it may do in Vault."""

    PREPARE = "prepare"
    """Makes datasets: encrypts and decrypts, and takes database credentials."""
    TRAIN = "train"
    """Trains on datasets and writes models: encrypts and decrypts."""
    EVALUATE = "evaluate"
    """Reads models and datasets, and changes neither: decrypts."""
    SERVE = "serve"
    """Answers requests: decrypts models, takes database credentials, and gets certificates as server and client."""
    WORKLOAD = "workload"
    """Work of no named stage: all that is the tenant's, its secrets' writing included."""


_READ, _WRITE, _USE = ["read"], ["create", "read", "update", "delete"], ["update"]
_DECRYPT = {"{transit}/decrypt/{tenant}.*": _USE}
_ENCRYPT = {
    **_DECRYPT,
    "{transit}/encrypt/{tenant}.*": _USE,
    "{transit}/datakey/plaintext/{tenant}.*": _USE,
    # To a key's newest version, without seeing what is encrypted.
    "{transit}/rewrap/{tenant}.*": _USE,
}
_CREDENTIALS = {"{database}/creds/{tenant}.{stage}.*": _READ}
_CERTIFICATES = {"{pki}/issue/{tenant}": _USE}
_SECRETS = {
    "{kv}/data/{tenant}/{stage}/*": _READ,
    "{kv}/data/{tenant}/shared/*": _READ,
}
_OWN_TOKEN = {"auth/token/renew-self": _USE, "auth/token/revoke-self": _USE}
_GRANTS: Mapping[PipelineStage, Mapping[str, list[str]]] = {
    PipelineStage.PREPARE: {**_ENCRYPT, **_SECRETS, **_CREDENTIALS},
    PipelineStage.TRAIN: {**_ENCRYPT, **_SECRETS},
    PipelineStage.EVALUATE: {**_DECRYPT, **_SECRETS},
    PipelineStage.SERVE: {**_DECRYPT, **_SECRETS, **_CREDENTIALS, **_CERTIFICATES},
    PipelineStage.WORKLOAD: {
        **_ENCRYPT,
        "{kv}/data/{tenant}/*": _WRITE,
        "{kv}/metadata/{tenant}/*": ["read", "list"],
        **_CREDENTIALS,
        **_CERTIFICATES,
    },
}
"""What each stage may do. A dot ends the tenant's name in keys and roles: no namespace holds one, so none is the
beginning of another's."""


def stage_policy(stage: PipelineStage, accessor: str, mounts: Mapping[str, str]) -> str:
    """Return the policy of a stage, for logins by the method of this accessor; ``mounts`` has the mounts' paths."""
    tenant = f"{{{{identity.entity.aliases.{accessor}.metadata.service_account_namespace}}}}"
    granted = {
        path.format(tenant=tenant, stage=stage.value, **mounts): capabilities
        for path, capabilities in {**_GRANTS[stage], **_OWN_TOKEN}.items()
    }
    return "\n".join(
        f'path "{path}" {{\n  capabilities = [{", ".join(f"{chr(34)}{each}{chr(34)}" for each in capabilities)}]\n}}'
        for path, capabilities in granted.items()
    )


def key_name(tenant: str, classification: str) -> str:
    """Return the name of a tenant's transit key for data of a classification."""
    return f"{tenant}.{classification}"


def login_role(tenant: str, stage: PipelineStage) -> str:
    """Return the role by which a tenant's service accounts of a stage log in."""
    return tenant if stage is PipelineStage.WORKLOAD else f"{tenant}.{stage.value}"
