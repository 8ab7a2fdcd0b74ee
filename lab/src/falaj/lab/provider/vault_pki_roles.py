"""What a certificate authority issues in the emulated `vault` provider: vault:pkiSecret/secretBackendRole:….

The identifier is BACKEND/roles/NAME.
"""

from falaj.lab.provider.kind import Change, Kind
from falaj.lab.provider.values import Props
from falaj.lab.provider.vault_api import OpenBao, in_order, last, seconds, snake

_OTHERWISE_CALLED = {
    "countries": "country",
    "extKeyUsages": "ext_key_usage",
    "keyUsages": "key_usage",
    "localities": "locality",
    "organizationUnit": "ou",
    "organizations": "organization",
    "postalCodes": "postal_code",
    "provinces": "province",
    "streetAddresses": "street_address",
}
_LISTS = (
    *_OTHERWISE_CALLED,
    "allowedDomains",
    "allowedOtherSans",
    "allowedSerialNumbers",
    "allowedUriSans",
    "allowedUserIds",
    "cnValidations",
    "extKeyUsageOids",
    "policyIdentifiers",
)
_DURATIONS = ("maxTtl", "notBeforeDuration", "ttl")
_ON = (
    "allowIpSans",
    "allowLocalhost",
    "allowWildcardCertificates",
    "clientFlag",
    "enforceHostnames",
    "requireCn",
    "serverFlag",
    "useCsrCommonName",
    "useCsrSans",
)
"""What is allowed unless a program says otherwise."""
_OFF = (
    "allowAnyName",
    "allowBareDomains",
    "allowGlobDomains",
    "allowSubdomains",
    "allowedDomainsTemplate",
    "allowedUriSansTemplate",
    "basicConstraintsValidForNonCa",
    "codeSigningFlag",
    "emailProtectionFlag",
    "generateLease",
    "noStore",
    "usePss",
)
_CHOSEN = ("issuerRef", "keyBits", "keyType", "notAfter", "signatureBits")
_ROLE = (
    *_LISTS,
    *_DURATIONS,
    *_ON,
    *_OFF,
    *_CHOSEN,
)
_API = {name: _OTHERWISE_CALLED.get(name) or snake(name) for name in _ROLE}


def _role_id(inputs: Props) -> str:
    return f"{inputs['backend'].strip('/')}/roles/{inputs['name']}"


def _write_role(bao: OpenBao, inputs: Props) -> str:
    # What is left out becomes the default again: the API replaces the role.
    bao.write(_role_id(inputs), {_API[name]: inputs.get(name) for name in _ROLE})
    return _role_id(inputs)


def _update_role(bao: OpenBao, _: str, change: Change) -> None:
    _write_role(bao, change.wanted)


def _read_role(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(identifier)
    backend = identifier.rsplit("/roles/", 1)[0]
    return found and {
        "backend": backend,
        "name": last(identifier),
        **{name: found[key] for name, key in _API.items() if key in found},
    }


PKI_ROLE: Kind[OpenBao] = Kind(
    "vault:pkiSecret/secretBackendRole:SecretBackendRole",
    create=_write_role,
    read=_read_role,
    update=_update_role,
    delete=lambda bao, identifier, _: bao.delete(identifier),
    replace_on=frozenset({"backend", "name", "namespace"}),
    defaults=dict.fromkeys(_ON, True),
    computed=frozenset({*_LISTS, *_DURATIONS, *_CHOSEN}) - {"allowedDomains"},
    normalise={**dict.fromkeys(_DURATIONS, seconds), **dict.fromkeys(_LISTS, in_order)},
    key=_role_id,
)
