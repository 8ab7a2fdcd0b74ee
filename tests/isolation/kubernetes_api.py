"""Requests to a lab's API server as somebody in particular, and what it answered: status, reason and message."""

import base64
import json
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Manifest = dict[str, Any]
Found = TypeVar("Found")
GROUPS = {
    "api/v1": "nodes namespaces pods services secrets configmaps events persistentvolumes persistentvolumeclaims"
    " serviceaccounts resourcequotas limitranges",
    "apis/apps/v1": "deployments replicasets",
    "apis/batch/v1": "jobs",
    "apis/networking.k8s.io/v1": "networkpolicies",
    "apis/rbac.authorization.k8s.io/v1": "roles rolebindings clusterroles clusterrolebindings",
    "apis/kueue.x-k8s.io/v1beta2": "workloads localqueues clusterqueues resourceflavors workloadpriorityclasses",
    "apis/certificates.k8s.io/v1": "certificatesigningrequests",
    "apis/scheduling.k8s.io/v1": "priorityclasses",
    "apis/admissionregistration.k8s.io/v1": "mutatingwebhookconfigurations validatingadmissionpolicies"
    " validatingadmissionpolicybindings",
    "apis/apiextensions.k8s.io/v1": "customresourcedefinitions",
    "apis/apiregistration.k8s.io/v1": "apiservices",
    "apis/authentication.k8s.io/v1": "selfsubjectreviews",
}
BASES = {resource: base for base, resources in GROUPS.items() for resource in resources.split()}


@dataclass(frozen=True)
class Answer:
    """What the API server answered."""

    code: int
    body: Manifest

    @property
    def message(self) -> str:
        """Why it refused."""
        return str(self.body.get("message", ""))


def url_path(resource: str, namespace: str | None = None, name: str | None = None) -> str:
    """Return the path of a resource, ``pods/exec`` for one below an object."""
    kind, _, below = resource.partition("/")
    parts = ["", BASES[kind], *(["namespaces", namespace] if namespace else []), kind, name, below]
    return "/".join(part for number, part in enumerate(parts) if part or number == 0)


@dataclass(frozen=True)
class Identity:
    """Somebody who asks the API server: by a client certificate, or by a token."""

    name: str
    server: str
    context: ssl.SSLContext = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def ask(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        content: str = "application/json",
        as_user: str | None = None,
        as_group: str | None = None,
        **query: str,
    ) -> Answer:
        """Ask, and return the answer whatever it is."""
        headers = {**self.headers, "Content-Type": content, "Accept": "application/json"}
        headers |= {"Impersonate-User": as_user} if as_user else {}
        headers |= {"Impersonate-Group": as_group} if as_group else {}
        request = urllib.request.Request(  # noqa: S310 - the API server of the lab, by HTTPS
            f"{self.server}{path}{'?' + urlencode(query) if query else ''}",
            method=method,
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context)
        )
        try:
            with opener.open(request, timeout=30) as response:
                return Answer(response.status, _body(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _body(error.read()))

    def get(self, resource: str, namespace: str | None = None, name: str | None = None, **query: str) -> Answer:
        """Read an object, or list them."""
        return self.ask("GET", url_path(resource, namespace, name), **query)

    def create(
        self, resource: str, manifest: Manifest, namespace: str | None = None, name: str | None = None, **query: str
    ) -> Answer:
        """Create an object; ``name`` for what is created below one."""
        return self.ask("POST", url_path(resource, namespace, name), manifest, **query)

    def try_create(self, resource: str, manifest: Manifest, namespace: str | None = None) -> Answer:
        """Go through all that the API server judges, without keeping the object."""
        return self.create(resource, manifest, namespace, dryRun="All")

    def patch(self, resource: str, change: Manifest, namespace: str | None, name: str, **query: str) -> Answer:
        """Change an object by a merge patch."""
        path = url_path(resource, namespace, name)
        return self.ask("PATCH", path, change, content="application/merge-patch+json", **query)

    def delete(self, resource: str, namespace: str | None, name: str, **query: str) -> Answer:
        """Delete an object."""
        return self.ask("DELETE", url_path(resource, namespace, name), **query)


def administrator(kubeconfig: Path) -> Identity:
    """Return the lab's own administrator."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    certificate, key = (base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key"))
    return Identity("administrator", cluster["server"], _context(authority, certificate, key))


def person(admin: Identity, name: str, *groups: str) -> Identity:
    """Return a person with a client certificate that names them and their groups, signed by the cluster."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    named += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(named)).sign(key, hashes.SHA256())
    request = signing_request(name, asked.public_bytes(serialization.Encoding.PEM))
    done(admin.create("certificatesigningrequests", request))
    approved = {"type": "Approved", "status": "True", "reason": "Test", "message": "for the tests"}
    change = {**request, "status": {"conditions": [approved]}}
    path = url_path("certificatesigningrequests/approval", name=name)
    done(admin.ask("PATCH", path, change, content="application/merge-patch+json"))

    def signed() -> str | None:
        found = done(admin.get("certificatesigningrequests", name=name))
        return found.get("status", {}).get("certificate")

    certificate = base64.b64decode(wait_for(signed, f"the certificate of {name}"))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Identity(name, admin.server, _context(_authority(admin), certificate, private))


def signing_request(name: str, request: bytes) -> Manifest:
    """Return a request for a client certificate."""
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(request).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "expirationSeconds": 3600,
            "usages": ["client auth"],
        },
    }


def service_account(admin: Identity, namespace: str, name: str) -> Identity:
    """Return a service account with a token as its pods have it."""
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    made = done(admin.create("serviceaccounts/token", asked, namespace, name))
    headers = {"Authorization": f"Bearer {made['status']['token']}"}
    return Identity(f"{namespace}/{name}", admin.server, _context(_authority(admin)), headers)


def done(answer: Answer) -> Manifest:
    """Return what was answered to a request that was to be let through."""
    assert 200 <= answer.code < 300, f"{answer.code}: {answer.body}"
    return answer.body


def refused(answer: Answer, *words: str, code: int = 403) -> None:
    """Expect a refusal for the reason that these words of its message tell."""
    assert answer.code == code, f"{answer.code}: {answer.body}"
    for word in words:
        assert word in answer.message, f"{word!r} is not in: {answer.message}"


def let_through(answer: Answer) -> None:
    """Expect that rights and admission let a request through, whatever became of it: KWOK's pods are empty."""
    assert answer.body.get("reason") != "Forbidden", f"{answer.code}: {answer.body}"


def wait_for(look: Callable[[], Found | None], what: str, seconds: float = 150) -> Found:
    """Return what is found, looking until it is there."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"no sign of {what} within {seconds:.0f} s"
        time.sleep(0.2)
    return found


def running(admin: Identity, namespace: str, name: str) -> Manifest:
    """Wait until a pod was let in, scheduled and runs, and return it."""

    def look() -> Manifest | None:
        found = done(admin.get("pods", namespace, name))
        return found if found["status"].get("phase") == "Running" else None

    return wait_for(look, f"pod {namespace}/{name} running")


def _authority(admin: Identity) -> str:
    return "".join(ssl.DER_cert_to_PEM_cert(each) for each in admin.context.get_ca_certs(binary_form=True))


def _context(authority: str, certificate: bytes = b"", key: bytes = b"") -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority)
    if certificate:
        with tempfile.NamedTemporaryFile(suffix=".pem") as both:  # ssl reads certificates from files only
            both.write(certificate + key)
            both.flush()
            context.load_cert_chain(both.name)
    return context


def _body(content: bytes) -> Manifest:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {"message": content.decode(errors="replace")}
    return found if isinstance(found, dict) else {"items": found}
