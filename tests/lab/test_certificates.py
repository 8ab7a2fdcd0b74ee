import base64
import json
import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from falaj.lab import certificates
from falaj.lab.certificates import CERTIFICATES, ensure_certificates, is_current, kubeconfig_path
from falaj.lab.state import Lab


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path / "lab")
    ensure_certificates(lab, 6443)
    return lab


def contents(lab: Lab) -> dict[str, bytes]:
    return {str(path.relative_to(lab.root)): path.read_bytes() for path in lab.root.rglob("*") if path.is_file()}


def extensions(lab: Lab, name: str) -> x509.Extensions:
    return x509.load_pem_x509_certificate((lab.root / "pki" / f"{name}.crt").read_bytes()).extensions


def handshake(lab: Lab, *, server: str, host: str, client: str | None = None, authority: str = "ca") -> str | None:
    """Shake hands in memory, as a client that trusts one authority would; return the server's view of the client."""
    pki = lab.root / "pki"
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pki / f"{server}.crt", pki / f"{server}.key")
    asked = ssl.create_default_context(cafile=pki / f"{authority}.crt")
    if client:
        served.verify_mode = ssl.CERT_REQUIRED
        served.load_verify_locations(pki / f"{authority}.crt")
        asked.load_cert_chain(pki / f"{client}.crt", pki / f"{client}.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = served.wrap_bio(to_server, to_client, server_side=True)
    here = asked.wrap_bio(to_client, to_server, server_hostname=host)
    done: set[ssl.SSLObject] = set()
    for side in (here, there) * 4:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        done.add(side)
    assert done == {here, there}
    seen = there.getpeercert()
    return dict(pair[0] for pair in seen["subject"])["commonName"] if seen else None


def test_a_second_call_changes_nothing(made: Lab) -> None:
    before = contents(made)
    ensure_certificates(made, 6443)
    assert contents(made) == before


def test_every_file_is_readable_by_its_owner_alone(made: Lab) -> None:
    for path in made.root.rglob("*"):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_two_labs_share_no_key(made: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other")
    ensure_certificates(other, 6443)
    assert not set(contents(made).values()) & set(contents(other).values())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "kubernetes.default.svc", "172.20.0.1"])
def test_the_api_server_is_trusted_under_each_of_its_names(made: Lab, host: str) -> None:
    handshake(made, server="kube-apiserver", host=host)


def test_a_server_is_not_trusted_under_another_name(made: Lab) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(made, server="openbao", host="example.org")


def test_a_client_is_known_to_the_server_by_its_name(made: Lab) -> None:
    assert handshake(made, server="kube-apiserver", host="localhost", client="kwok") == "falaj:kwok"


def test_a_clients_certificate_cannot_serve(made: Lab) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(made, server="admin", host="localhost")


def test_etcd_is_not_reached_with_a_certificate_of_the_cluster(made: Lab) -> None:
    assert handshake(made, server="etcd", host="localhost", client="etcd-client", authority="etcd-ca")
    with pytest.raises(ssl.SSLError):
        handshake(made, server="etcd", host="localhost", client="admin", authority="etcd-ca")


def test_only_authorities_may_sign(made: Lab) -> None:
    for name in certificates.AUTHORITIES:
        assert extensions(made, name).get_extension_for_class(x509.BasicConstraints).value.ca
    for certificate in CERTIFICATES:
        assert not extensions(made, certificate.name).get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_that_expires_soon_is_renewed(made: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(made)
    monkeypatch.setattr(certificates, "RENEW", certificates.LIFE + timedelta(days=1))
    ensure_certificates(made, 6443)
    after = contents(made)
    assert after["pki/kube-apiserver.crt"] != before["pki/kube-apiserver.crt"]
    assert after["pki/ca.crt"] == before["pki/ca.crt"]
    assert after["pki/service-accounts.key"] == before["pki/service-accounts.key"]


@pytest.mark.parametrize("damage", ["ca.crt", "ca.key"])
def test_with_a_new_authority_all_that_it_signed_is_made_anew(made: Lab, damage: str) -> None:
    before = contents(made)
    (made.root / "pki" / damage).unlink()
    ensure_certificates(made, 6443)
    assert all(is_current(made.root / "pki", c.name, c.authority) for c in CERTIFICATES)
    after = contents(made)
    assert after["kubeconfig"] != before["kubeconfig"]
    assert after["pki/etcd.crt"] == before["pki/etcd.crt"]


def test_a_damaged_certificate_is_made_anew(made: Lab) -> None:
    path = made.root / "pki" / "openbao.crt"
    path.write_text("damaged")
    ensure_certificates(made, 6443)
    handshake(made, server="openbao", host="127.0.0.1")


def test_a_kubeconfig_follows_the_port_and_holds_all_that_it_needs(made: Lab) -> None:
    ensure_certificates(made, 7443)
    for name in ("admin", "kwok", "kube-scheduler"):
        config = json.loads(kubeconfig_path(made, name).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        assert cluster["server"] == "https://127.0.0.1:7443"
        assert base64.b64decode(cluster["certificate-authority-data"]) == (made.root / "pki" / "ca.crt").read_bytes()
        assert base64.b64decode(user["client-key-data"]) == (made.root / "pki" / f"{name}.key").read_bytes()
        assert "insecure-skip-tls-verify" not in cluster


def test_nobody_but_the_bootstrap_identity_is_beyond_rbac(made: Lab) -> None:
    masters = [certificate.name for certificate in CERTIFICATES if "system:masters" in certificate.groups]
    assert masters == ["bootstrap"]
    assert not kubeconfig_path(made, "bootstrap").exists()
