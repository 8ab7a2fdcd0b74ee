"""The lab's own certificate authorities: certificates, keys and kubeconfigs, made at random for each lab.

There are three authorities. One signs what the Kubernetes API and OpenBao serve and accept. The second is etcd's alone,
so that nobody who holds a certificate of the cluster can pass the API server by and talk to its store. The third signs
the API server's calls to aggregated APIs, in which it vouches for the users it names.
"""

import base64
import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from falaj.lab.state import Lab, write_private

SERVICE_CIDR = ipaddress.ip_network("172.20.0.0/16")
"""Addresses of Services: what EKS uses beside VPCs in 10.0.0.0/8."""

ADMINS = "falaj:admins"
"""The group of the person's own identity, bound to cluster-admin; unlike system:masters it can be taken away."""

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=365)
RENEW = timedelta(days=30)
LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Certificate:
    """One certificate that the lab needs: who it names, and which authority signs it."""

    name: str
    common_name: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Names and addresses that it serves; without any it is a client's."""
    authority: str = "ca"
    kubeconfig: bool = False


CERTIFICATES = (
    Certificate(
        "kube-apiserver",
        "kube-apiserver",
        hosts=(
            *LOOPBACK,
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            str(SERVICE_CIDR[1]),
        ),
    ),
    Certificate("kube-controller-manager-server", "kube-controller-manager", hosts=LOOPBACK),
    Certificate("kube-scheduler-server", "kube-scheduler", hosts=LOOPBACK),
    Certificate("kwok-server", "kwok", hosts=LOOPBACK),
    Certificate("kueue-server", "kueue", hosts=LOOPBACK),
    Certificate("openbao", "openbao", hosts=LOOPBACK),
    Certificate("etcd", "etcd", hosts=LOOPBACK, authority="etcd-ca"),
    Certificate("etcd-peer", "etcd", hosts=LOOPBACK, authority="etcd-ca"),
    Certificate("etcd-client", "kube-apiserver", authority="etcd-ca"),
    Certificate("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
    Certificate("kubelet-client", "falaj:kubelet-client"),
    Certificate("bootstrap", "falaj:bootstrap", groups=("system:masters",)),
    Certificate("health", "falaj:health"),
    Certificate("admin", "falaj:admin", groups=(ADMINS,), kubeconfig=True),
    Certificate("kube-controller-manager", "system:kube-controller-manager", kubeconfig=True),
    Certificate("kube-scheduler", "system:kube-scheduler", kubeconfig=True),
    Certificate("kwok", "falaj:kwok", kubeconfig=True),
    Certificate("eks-nodes", "falaj:eks-nodes", kubeconfig=True),
    Certificate("lab-gateway", "falaj:lab-gateway", kubeconfig=True),
    Certificate("prometheus", "falaj:prometheus", kubeconfig=True),
    # The name that its Helm chart gives it, so that what is said of Kueue's identity on EKS holds here.
    Certificate(
        "kueue",
        "system:serviceaccount:kueue-system:kueue-controller-manager",
        groups=("system:serviceaccounts", "system:serviceaccounts:kueue-system"),
        kubeconfig=True,
    ),
    Certificate(
        "argo-rollouts",
        "system:serviceaccount:argo-rollouts:argo-rollouts",
        groups=("system:serviceaccounts", "system:serviceaccounts:argo-rollouts"),
        kubeconfig=True,
    ),
)
AUTHORITIES = ("ca", "etcd-ca", "front-proxy-ca")


def ensure_certificates(lab: Lab, api_server_port: int) -> None:
    """Make what is missing, renew what expires within 30 days, and write the kubeconfigs."""
    pki = lab.folder("pki")
    for authority in AUTHORITIES:
        if not is_current(pki, authority):
            issue_authority(pki, authority)
    for certificate in CERTIFICATES:
        if not is_current(pki, certificate.name, certificate.authority):
            issue(pki, certificate)
        if certificate.kubeconfig:
            path = kubeconfig_path(lab, certificate.name)
            text = kubeconfig(pki, certificate.name, api_server_port)
            if not path.exists() or path.read_text() != text:
                write_private(path, text)
    ensure_signing_key(pki)


def kubeconfig_path(lab: Lab, name: str) -> Path:
    """Return where an identity's kubeconfig is: the person's own in the state directory, a service's beside its key."""
    return lab.root / "kubeconfig" if name == "admin" else lab.root / "pki" / f"{name}.kubeconfig"


def is_current(pki: Path, name: str, authority: str | None = None) -> bool:
    """Say whether a certificate and its key are there, belong together, last a while, and come from this authority."""
    path = pki / f"{name}.crt"
    if not path.exists() or not (pki / f"{name}.key").exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if certificate.not_valid_after_utc - datetime.now(UTC) < RENEW:
            return False
        if authority:
            issuer = x509.load_pem_x509_certificate((pki / f"{authority}.crt").read_bytes())
            certificate.verify_directly_issued_by(issuer)
        return certificate.public_key() == load_key(pki, name).public_key()
    except (ValueError, TypeError, InvalidSignature):
        return False  # damaged, or signed by an authority that was made anew


def issue_authority(pki: Path, name: str) -> None:
    """Make a certificate authority that signs for itself and may not sign further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = subject_name(f"falaj lab {name}")
    builder = (
        unsigned(subject, subject, key, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    save(pki, name, key, builder.sign(key, hashes.SHA256()))


def issue(pki: Path, certificate: Certificate) -> None:
    """Make one certificate for a server, a client, or (etcd's peers) both."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = load_key(pki, certificate.authority)
    issuer = x509.load_pem_x509_certificate((pki / f"{certificate.authority}.crt").read_bytes())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] if certificate.hosts else [ExtendedKeyUsageOID.CLIENT_AUTH]
    if certificate.name == "etcd-peer":
        usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = (
        unsigned(subject_name(certificate.common_name, certificate.groups), issuer.subject, key, LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if certificate.hosts:
        builder = builder.add_extension(alternative_names(certificate.hosts), critical=False)
    save(pki, certificate.name, key, builder.sign(signer, hashes.SHA256()))


def unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    """Return a certificate without its extensions, valid from a little ago, since clocks differ."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + life)
    )


def subject_name(common_name: str, groups: Iterable[str] = ()) -> x509.Name:
    """Return a subject as Kubernetes reads it: the user is the common name, the groups are the organizations."""
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    """Return what a key may be used for."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def alternative_names(hosts: Iterable[str]) -> x509.SubjectAlternativeName:
    """Return host names and addresses as a certificate carries them."""
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def save(pki: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    """Write a key and its certificate; both readable by the owner alone."""
    write_private(pki / f"{name}.key", private_pem(key))
    write_private(pki / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM; the file's mode protects it, since the services start unattended."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(pki: Path, name: str) -> ec.EllipticCurvePrivateKey:
    """Return a private key that the lab made."""
    key = serialization.load_pem_private_key((pki / f"{name}.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def ensure_signing_key(pki: Path) -> None:
    """Make the key pair that signs and verifies service account tokens; never renewed: tokens would die with it."""
    if not (pki / "service-accounts.key").exists():
        write_private(pki / "service-accounts.key", private_pem(ec.generate_private_key(ec.SECP256R1())))
    if not (pki / "service-accounts.pub").exists():
        public = load_key(pki, "service-accounts").public_key()
        write_private(
            pki / "service-accounts.pub",
            public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        )


def kubeconfig(pki: Path, name: str, port: int) -> str:
    """Return the kubeconfig of one identity; JSON is YAML, and everything it needs is inside."""

    def embedded(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    cluster: Mapping[str, str] = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": embedded("ca.crt"),
    }
    user = {
        "client-certificate-data": embedded(f"{name}.crt"),
        "client-key-data": embedded(f"{name}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "falaj-lab", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "falaj-lab", "context": {"cluster": "falaj-lab", "user": name}}],
        "current-context": "falaj-lab",
    }
    return json.dumps(config, indent=2)
