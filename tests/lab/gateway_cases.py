"""Objects of the Gateway API, and certificates, for the tests of the lab's gateway."""

import base64
import datetime
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from falaj.lab.serving.gateway import gateway_class
from falaj.lab.serving.gateway_objects import GROUP
from falaj.lab.serving.nodes import NODE

Made = dict[str, Any]
CLIENT = "spiffe://falaj/tenant/vision/client/app"
HOST = "models.vision.example"


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Authority:
    """Signs certificates."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, *names: str, days: float = 1, server: bool = False) -> Signed:
        """Return a certificate that names these hosts or URIs and is valid until ``days`` from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        end = now + datetime.timedelta(days=days)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        kinds: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name) for name in names
        ]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, end) - datetime.timedelta(days=1))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(kinds), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Signed(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def authority(name: str = "test authority") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


@functools.cache
def shared_authority() -> Authority:
    return authority()


@functools.cache
def shared_server() -> Signed:
    return shared_authority().sign(HOST, server=True)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def thing(kind: str, name: str, namespace: str | None, spec: Any = None, **more: Any) -> Made:
    """Return any object; ``more`` are further fields, and ``annotations`` and ``labels`` of its metadata."""
    version = f"{GROUP}/v1" if kind in {"Gateway", "GatewayClass", "HTTPRoute", "GRPCRoute"} else "v1"
    version = f"{GROUP}/v1beta1" if kind == "ReferenceGrant" else version
    metadata: Made = {"name": name, **({"namespace": namespace} if namespace else {})}
    metadata |= {field: more.pop(field) for field in ("annotations", "labels", "creationTimestamp") if field in more}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **({"spec": spec} if spec else {}), **more}


def gateway(*listeners: Made, certified: bool = True, authorities: Sequence[Made] | None = None) -> Made:
    spec: Made = {"gatewayClassName": "falaj-lab", "listeners": list(listeners or [https()])}
    if certified:
        refs = [{"group": "", "kind": "ConfigMap", "name": "clients"}] if authorities is None else authorities
        spec["tls"] = {"frontend": {"default": {"validation": {"caCertificateRefs": list(refs)}}}}
    return thing("Gateway", "serving", "gateways", spec)


def https(name: str = "https", port: int = 443, **more: Any) -> Made:
    return {
        "name": name,
        "port": port,
        "protocol": "HTTPS",
        "tls": {"certificateRefs": [{"name": "server"}]},
        "allowedRoutes": {"namespaces": {"from": "All"}},
        **more,
    }


def backend(name: str, port: int = 8000, **more: Any) -> Made:
    return {"name": name, "port": port, **more}


def http_route(
    *backends: Made, name: str = "iris", clients: str | None = CLIENT, namespace: str = "vision", **more: Any
) -> Made:
    """Return a route of one rule; ``more`` are fields of the rule, and ``hostnames`` and ``annotations``."""
    return _route("HTTPRoute", name, clients, list(backends), {"namespace": namespace, **more})


def grpc_route(*backends: Made, name: str = "iris-grpc", clients: str | None = CLIENT, **more: Any) -> Made:
    return _route("GRPCRoute", name, clients, list(backends), more)


def _route(kind: str, name: str, clients: str | None, backends: list[Made], more: Made) -> Made:
    annotations = {**more.pop("annotations", {}), **({} if clients is None else {"falaj.dev/clients": clients})}
    namespace = more.pop("namespace", "vision")
    spec = {
        "parentRefs": [more.pop("parent", {"name": "serving", "namespace": "gateways"})],
        "hostnames": more.pop("hostnames", [HOST]),
        "rules": [{"backendRefs": backends, **more}],
    }
    return thing(kind, name, namespace, spec, annotations=annotations)


def service(name: str, namespace: str = "vision", **selector: str) -> Made:
    ports: list[Made] = [
        {"name": "http", "port": 8000, "targetPort": "http"},
        {"name": "grpc", "port": 8001, "targetPort": 8001},
    ]
    return thing("Service", name, namespace, {"selector": selector or {"app": name}, "ports": ports})


def pod(name: str, ip: str, *, ready: bool = True, leaving: bool = False, port: int = 8000, **labels: str) -> Made:
    containers = [{"name": "triton", "image": "triton", "ports": [{"name": "http", "containerPort": port}]}]
    conditions = [{"type": "Ready", "status": str(ready)}]
    made = thing("Pod", name, "vision", {"nodeName": NODE, "containers": containers}, labels=labels)
    if leaving:
        made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {**made, "status": {"podIP": ip, "phase": "Running", "conditions": conditions}}


def tls_secret(signed: Signed, name: str = "server", namespace: str = "gateways") -> Made:
    pair = {"tls.crt": signed.certificate, "tls.key": signed.key}
    data = {key: base64.b64encode(pem).decode() for key, pem in pair.items()}
    return thing("Secret", name, namespace, type="kubernetes.io/tls", data=data)


def config_map(pem: str, name: str = "clients", namespace: str = "gateways") -> Made:
    return thing("ConfigMap", name, namespace, data={"ca.crt": pem})


def grant(namespace: str, source: tuple[str, str], target: str, name: str | None = None) -> Made:
    """Let one kind in a namespace (``source``) refer to a kind here."""
    kind, source_namespace = source
    to: Made = {"group": "", "kind": target, **({"name": name} if name else {})}
    spec = {"from": [{"group": GROUP, "kind": kind, "namespace": source_namespace}], "to": [to]}
    return thing("ReferenceGrant", "grant", namespace, spec)


def platform(**replaced: Made) -> list[Made]:
    """Return what every test needs: the class, the Gateway, its certificate, the authority of clients, two Services."""
    usual: Mapping[str, Made] = {
        "gateway_class": gateway_class(),
        "gateway": gateway(),
        "server": tls_secret(shared_server()),
        "clients": config_map(shared_authority().pem),
        "stable": service("iris"),
        "canary": service("iris-canary"),
    }
    return list({**usual, **replaced}.values())
