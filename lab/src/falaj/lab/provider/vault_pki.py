"""Certificate authorities in the emulated `vault` provider: roots, signing requests and intermediates.

The official provider takes a certificate that was made for granted; here it is looked for at each refresh. What the API
tells only when it makes a thing, such as a signing request, is handed on from there and kept in the state.
"""

from collections.abc import Mapping
from typing import Any

from falaj.lab.provider.kind import Kind
from falaj.lab.provider.values import Props
from falaj.lab.provider.vault_api import OpenBao, every_input, taken
from falaj.lab.provider.vault_pki_roles import PKI_ROLE
from falaj.lab.provider.vault_pki_settings import CRL, ISSUERS, TIDY, URLS

_SUBJECT = (
    "altNames",
    "commonName",
    "country",
    "excludeCnFromSans",
    "format",
    "ipSans",
    "locality",
    "organization",
    "otherSans",
    "ou",
    "postalCode",
    "privateKeyFormat",
    "province",
    "signatureBits",
    "streetAddress",
    "uriSans",
)
_KEY = ("keyBits", "keyName", "keyType")
_CONSTRAINTS = (
    "maxPathLength",
    "notAfter",
    "notBeforeDuration",
    "permittedDnsDomains",
    "ttl",
)


def _lists_as_text(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: ",".join(value) if isinstance(value, list) else value for key, value in data.items()}


def _told(bao: OpenBao, identifier: str, known: Props, names: tuple[str, ...]) -> Props:
    """Return what was told when the thing was made: just now, or so long ago that only the state knows."""
    return bao.answers.get(identifier) or {name: known[name] for name in names if name in known}


# The root: vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert. The identifier is BACKEND/issuer/ID.

_ROOT = "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert"


def _create_root(bao: OpenBao, inputs: Props) -> str:
    backend = inputs["backend"].strip("/")
    wanted = _lists_as_text(taken(inputs, (*_SUBJECT, *_KEY, *_CONSTRAINTS, "issuerName", "usePss")))
    made = bao.write(f"{backend}/root/generate/{inputs['type']}", wanted)
    identifier = f"{backend}/issuer/{made['issuer_id']}"
    bao.answers[identifier] = {"issuingCa": made["issuing_ca"], "serialNumber": made["serial_number"]}
    return identifier


def _read_root(bao: OpenBao, identifier: str, known: Props) -> Props | None:
    found = _issuer(bao, identifier)
    return found and {**_told(bao, identifier, known, ("issuingCa", "serialNumber")), **found}


def _issuer(bao: OpenBao, identifier: str) -> Props | None:
    backend, issuer = identifier.rsplit("/issuer/", 1)
    if issuer not in _listed(bao, f"{backend}/issuers"):
        return None
    found = bao.read(identifier) or {}
    return {
        "backend": backend,
        "certificate": found["certificate"].strip(),
        "issuerId": issuer,
        "issuerName": found["issuer_name"],
        "keyId": found["key_id"],
    }


def _listed(bao: OpenBao, path: str) -> list[str]:
    answer: Any = bao.client.list(path)
    return answer["data"]["keys"] if answer else []


ROOT: Kind[OpenBao] = Kind(
    _ROOT,
    create=_create_root,
    read=_read_root,
    delete=lambda bao, identifier, _: bao.delete(identifier),
    replace_on=every_input(_ROOT),
    computed=frozenset({"issuerName", "keyName"}),
)


# A signing request: vault:pkiSecret/secretBackendIntermediateCertRequest:…. The identifier is BACKEND/key/ID.

_CSR = "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest"


def _create_csr(bao: OpenBao, inputs: Props) -> str:
    backend = inputs["backend"].strip("/")
    wanted = _lists_as_text(taken(inputs, (*_SUBJECT, *_KEY, "addBasicConstraints")))
    made = bao.write(f"{backend}/intermediate/generate/{inputs['type']}", wanted)
    identifier = f"{backend}/key/{made['key_id']}"
    bao.answers[identifier] = {"csr": made["csr"]}
    return identifier


def _read_csr(bao: OpenBao, identifier: str, known: Props) -> Props | None:
    backend, key = identifier.rsplit("/key/", 1)
    if key not in _listed(bao, f"{backend}/keys"):
        return None
    return {"backend": backend, "keyId": key, **_told(bao, identifier, known, ("csr",))}


CSR: Kind[OpenBao] = Kind(
    _CSR,
    create=_create_csr,
    read=_read_csr,
    # The official provider leaves the key where it is as well: an issuer may live by it.
    replace_on=every_input(_CSR),
    computed=frozenset({"keyName"}),
)


# A signed intermediate: vault:pkiSecret/secretBackendRootSignIntermediate:…. The identifier is BACKEND/cert/SERIAL.

_SIGNED = "vault:pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate"


_ONCE = ("caChains", "certificate", "certificateBundle", "issuingCa")


def _sign(bao: OpenBao, inputs: Props) -> str:
    backend = inputs["backend"].strip("/")
    issuer = inputs.get("issuerRef")
    path = f"{backend}/issuer/{issuer}/sign-intermediate" if issuer else f"{backend}/root/sign-intermediate"
    wanted = _lists_as_text(taken(inputs, (*_SUBJECT, *_CONSTRAINTS, "csr", "useCsrValues", "usePss")))
    made = bao.write(path, wanted)
    identifier = f"{backend}/cert/{made['serial_number']}"
    certificate, authority = made["certificate"].strip(), made["issuing_ca"].strip()
    # A bundle holds its authority already.
    bundle = certificate if authority in certificate else f"{certificate}\n{authority}"
    bao.answers[identifier] = {
        "caChains": made["ca_chain"],
        "certificate": made["certificate"],
        "certificateBundle": bundle,
        "issuingCa": authority,
    }
    return identifier


def _read_signed(bao: OpenBao, identifier: str, known: Props) -> Props | None:
    found = bao.read(identifier)
    backend, serial = identifier.rsplit("/cert/", 1)
    if found is None:
        return None
    certificate = {"certificate": found["certificate"], "serialNumber": serial}
    return {"backend": backend, **certificate, **_told(bao, identifier, known, _ONCE)}


SIGNED: Kind[OpenBao] = Kind(
    _SIGNED,
    create=_sign,
    read=_read_signed,
    replace_on=every_input(_SIGNED) - {"revoke"},
)


# Its return: vault:pkiSecret/secretBackendIntermediateSetSigned:…. The identifier is BACKEND/issuer/ID.

_SET = "vault:pkiSecret/secretBackendIntermediateSetSigned:SecretBackendIntermediateSetSigned"


def _set_signed(bao: OpenBao, inputs: Props) -> str:
    backend = inputs["backend"].strip("/")
    made = bao.write(f"{backend}/intermediate/set-signed", {"certificate": inputs["certificate"]})
    keys: dict[str, str] = made["mapping"]
    # The issuer that has its key here is the intermediate; the others are its chain.
    issuers = sorted(keys, key=lambda issuer: not keys[issuer])
    identifier = f"{backend}/issuer/{issuers[0]}"
    bao.answers[identifier] = {"importedIssuers": issuers, "importedKeys": made["imported_keys"] or []}
    return identifier


def _read_set(bao: OpenBao, identifier: str, known: Props) -> Props | None:
    found = _issuer(bao, identifier)
    if found is None:
        return None
    # A chain that was given stays as it was given.
    certificate = known.get("certificate", found["certificate"])
    told = _told(bao, identifier, known, ("importedIssuers", "importedKeys"))
    return {"backend": found["backend"], "certificate": certificate, **told}


SET_SIGNED: Kind[OpenBao] = Kind(_SET, create=_set_signed, read=_read_set, replace_on=every_input(_SET))


PKI_KINDS = (ROOT, CSR, SIGNED, SET_SIGNED, URLS, CRL, ISSUERS, TIDY, PKI_ROLE)
