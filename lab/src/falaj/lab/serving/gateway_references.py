"""What Gateways and routes refer to: Secrets, authorities and Services, and whether they may."""

import base64
import binascii
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from falaj.lab.serving.gateway_objects import GROUP, Manifest, Objects


@dataclass(frozen=True)
class Refusal:
    """Why something is not served, as the Gateway API says it."""

    reason: str
    message: str


@dataclass(frozen=True)
class KeyPair:
    """A server's certificate with its chain, and its key, both PEM."""

    name: str
    certificate: str
    key: str


@dataclass(frozen=True, order=True)
class Backend:
    """One port of a Service, and the protocol that its pods speak."""

    namespace: str
    service: str
    port: int
    http2: bool

    @property
    def cluster(self) -> str:
        """Return its name among Envoy's clusters."""
        return f"{self.namespace}/{self.service}:{self.port}{':grpc' if self.http2 else ''}"

    @property
    def shown(self) -> str:
        """Return its name in Envoy's metrics."""
        return f"{self.namespace}/{self.service}"


def key_pair(objects: Objects, gateway: Manifest, reference: Manifest) -> KeyPair | Refusal:
    """Return the certificate that a listener refers to."""
    namespace = reference.get("namespace", gateway["metadata"]["namespace"])
    said = f"Secret {namespace}/{reference['name']}"
    if (reference.get("group", ""), reference.get("kind", "Secret")) != ("", "Secret"):
        return Refusal("InvalidCertificateRef", "a certificate is a Secret of the type kubernetes.io/tls")
    if not _permitted(objects, gateway, "Gateway", ("", "Secret", namespace, reference["name"])):
        return Refusal("RefNotPermitted", f"no ReferenceGrant lets this Gateway use {said}")
    secret = objects.get("Secret", namespace, reference["name"])
    if secret is None or secret.get("type") != "kubernetes.io/tls":
        return Refusal("InvalidCertificateRef", f"there is no {said} of the type kubernetes.io/tls")
    try:
        certificate, key = (base64.b64decode(secret["data"][each], validate=True) for each in ("tls.crt", "tls.key"))
        (own, *_) = x509.load_pem_x509_certificates(certificate)
        if serialization.load_pem_private_key(key, None).public_key() != own.public_key():
            return Refusal("InvalidCertificateRef", f"key and certificate of {said} do not belong together")
    except (KeyError, TypeError, ValueError, binascii.Error, UnsupportedAlgorithm):
        return Refusal("InvalidCertificateRef", f"{said} holds no certificate with its key in PEM")
    return KeyPair(f"{namespace}/{reference['name']}", certificate.decode(), key.decode())


def authority(objects: Objects, gateway: Manifest, reference: Manifest) -> str | Refusal:
    """Return the certificates, PEM, of an authority for clients: ``ca.crt`` of a ConfigMap or a Secret."""
    namespace = reference.get("namespace", gateway["metadata"]["namespace"])
    kind, name = reference["kind"], reference["name"]
    if reference.get("group", "") or kind not in {"ConfigMap", "Secret"}:
        return Refusal("InvalidCACertificateKind", f"{kind} {name} is neither a ConfigMap nor a Secret")
    said = f"{kind} {namespace}/{name}"
    if not _permitted(objects, gateway, "Gateway", ("", kind, namespace, name)):
        return Refusal("RefNotPermitted", f"no ReferenceGrant lets this Gateway use {said}")
    found = objects.get(kind, namespace, name) or {}
    try:
        text = found["data"]["ca.crt"]
        text = base64.b64decode(text, validate=True).decode() if kind == "Secret" else text
        x509.load_pem_x509_certificates(text.encode())
    except (KeyError, TypeError, ValueError):
        return Refusal("InvalidCACertificateRef", f"there is no certificate in PEM at ca.crt of {said}")
    return text


def backend(objects: Objects, route: Manifest, reference: Manifest) -> Backend | Refusal:
    """Return what a route sends requests to."""
    namespace = reference.get("namespace", route["metadata"]["namespace"])
    name, port = reference["name"], reference.get("port")
    if (reference.get("group", ""), reference.get("kind", "Service")) != ("", "Service"):
        return Refusal("InvalidKind", f"{reference.get('kind')} {name} is not a Service")
    if not _permitted(objects, route, route["kind"], ("", "Service", namespace, name)):
        return Refusal("RefNotPermitted", f"no ReferenceGrant lets this route use Service {namespace}/{name}")
    service = objects.get("Service", namespace, name)
    offered = (
        next((each for each in service["spec"].get("ports", ()) if each["port"] == port), None) if service else None
    )
    if offered is None:
        return Refusal("BackendNotFound", f"there is no Service {namespace}/{name} with a port {port}")
    http2 = route["kind"] == "GRPCRoute" or offered.get("appProtocol") == "kubernetes.io/h2c"
    return Backend(namespace, name, int(offered["port"]), http2)


def _permitted(objects: Objects, source: Manifest, kind: str, target: tuple[str, str, str, str]) -> bool:
    """Say whether an object may refer to another: in its own namespace, or where a ReferenceGrant lets it."""
    group, target_kind, namespace, name = target
    own = source["metadata"]["namespace"]
    if own == namespace:
        return True
    return any(
        any((each["group"], each["kind"], each["namespace"]) == (GROUP, kind, own) for each in grant["spec"]["from"])
        and any(
            (each["group"], each["kind"]) == (group, target_kind) and each.get("name", name) == name
            for each in grant["spec"]["to"]
        )
        for grant in objects.all("ReferenceGrant")
        if grant["metadata"]["namespace"] == namespace
    )
