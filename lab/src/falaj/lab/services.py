"""The services of a lab, as a table: what each needs, how it is started, when it answers and what follows then."""

import base64
import http
import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

import yaml

from falaj.lab import kueue, openbao
from falaj.lab.certificates import SERVICE_CIDR, ensure_certificates, kubeconfig_path
from falaj.lab.environment import environment
from falaj.lab.errors import LabError
from falaj.lab.loopback import apply, ask, delete
from falaj.lab.service import Binaries, Service, answers_at, python
from falaj.lab.serving.services import SERVING
from falaj.lab.state import Lab, write_private

POD_CIDR = "100.64.0.0/16"
"""Addresses that KWOK gives to pods: what EKS uses for pods beside a VPC's own."""

PACE = {"qps": 500, "burst": 1000}
"""How often each controller and the scheduler may ask the API server in a second: it sheds load by itself."""

NODE_LEASE = 3600
"""Seconds that a node's lease holds; KWOK renews it four times in that, and of nodes that came together at once.

With the usual 40, a thousand idle nodes would write a hundred times a second. A simulated node fails by being deleted,
not by its silence.
"""

DATA = Path(str(resources.files("falaj.lab")))


def etcd(lab: Lab, binaries: Binaries) -> list[str]:
    """Return etcd's command line: TLS and client certificates for clients and peers, a store of at most 1 GiB."""
    ports, pki = lab.ports(), lab.root / "pki"
    client, peer = f"https://127.0.0.1:{ports['etcd']}", f"https://127.0.0.1:{ports['etcd-peer']}"
    return [
        str(binaries["etcd"]),
        "--name=lab",
        f"--data-dir={lab.folder('data', 'etcd')}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
        "--client-cert-auth",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--peer-client-cert-auth",
        f"--peer-cert-file={pki / 'etcd-peer.crt'}",
        f"--peer-key-file={pki / 'etcd-peer.key'}",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--enable-grpc-gateway=false",
        f"--quota-backend-bytes={1 << 30}",
        "--log-level=warn",
    ]


def kube_apiserver(lab: Lab, binaries: Binaries) -> list[str]:
    """Return the API server's command line: nobody anonymous, RBAC, audit, admission, secrets encrypted in etcd."""
    ports, pki = lab.ports(), lab.root / "pki"
    issuer = "https://kubernetes.default.svc.cluster.local"
    return [
        str(binaries["kube-apiserver"]),
        "--bind-address=127.0.0.1",
        f"--secure-port={ports['kube-apiserver']}",
        # EndpointSlices refuse loopback addresses, so that the `kubernetes` Service stays without endpoints.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
        "--tls-min-version=VersionTLS13",
        "--anonymous-auth=false",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction,PodSecurity,ResourceQuota,ValidatingAdmissionPolicy",
        f"--admission-control-config-file={DATA / 'kubernetes' / 'admission.yaml'}",
        # As on EKS, it is admission that refuses privileged pods, not the API's validation.
        "--allow-privileged=true",
        f"--audit-policy-file={DATA / 'kubernetes' / 'audit-policy.yaml'}",
        f"--audit-log-path={lab.folder('logs') / 'kube-apiserver-audit.log'}",
        "--audit-log-maxsize=20",
        "--audit-log-maxbackup=5",
        f"--encryption-provider-config={lab.root / 'pki' / 'encryption.json'}",
        f"--etcd-servers=https://127.0.0.1:{ports['etcd']}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        f"--service-account-issuer={issuer}",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        "--profiling=false",
    ]


def kube_controller_manager(lab: Lab, binaries: Binaries) -> list[str]:
    """Return the controller manager's command line: each controller with its own service account's rights."""
    pki = lab.root / "pki"
    return [
        *control_plane(lab, binaries, "kube-controller-manager"),
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--allocate-node-cidrs=false",
        f"--node-monitor-grace-period={NODE_LEASE + 40}s",
        # By default a controller asks 20 times a second at most: a thousand jobs at once would wait for nothing else.
        *(f"--kube-api-{name}={number}" for name, number in PACE.items()),
        "--concurrent-job-syncs=20",
    ]


def kube_scheduler(lab: Lab, binaries: Binaries) -> list[str]:
    """Return the scheduler's command line, and write what it reads: how often it may ask is no flag of it."""
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig_path(lab, "kube-scheduler")), **PACE},
        "leaderElection": {"leaderElect": False},
    }
    path = lab.folder("run") / "kube-scheduler.json"
    write_private(path, json.dumps(config, indent=2))
    return [*control_plane(lab, binaries, "kube-scheduler"), f"--config={path}"]


def control_plane(lab: Lab, binaries: Binaries, name: str) -> list[str]:
    """Return what the controller manager and the scheduler share; alone in their cluster, they elect no leader."""
    pki, kubeconfig = lab.root / "pki", kubeconfig_path(lab, name)
    return [
        str(binaries[name]),
        "--bind-address=127.0.0.1",
        f"--secure-port={lab.ports()[name]}",
        f"--tls-cert-file={pki / f'{name}-server.crt'}",
        f"--tls-private-key-file={pki / f'{name}-server.key'}",
        "--tls-min-version=VersionTLS13",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--profiling=false",
    ]


def kwok(lab: Lab, binaries: Binaries) -> list[str]:
    """Return KWOK's command line: it plays the kubelet of every node, by the stages beside this module."""
    stages = [f"--config={path}" for path in sorted((DATA / "kwok").glob("*.yaml"))]
    return [
        str(binaries["kwok"]),
        f"--kubeconfig={kubeconfig_path(lab, 'kwok')}",
        # Where pods are processes, one node is another's to keep. Nodes without any label KWOK does not see then.
        f"--manage-nodes-with-label-selector=!{PROCESSES}" if serves(lab) else "--manage-all-nodes",
        f"--node-lease-duration-seconds={NODE_LEASE}",
        f"--cidr={POD_CIDR}",
        f"--server-address=127.0.0.1:{lab.ports()['kwok']}",
        f"--tls-cert-file={lab.root / 'pki' / 'kwok-server.crt'}",
        f"--tls-private-key-file={lab.root / 'pki' / 'kwok-server.key'}",
        *stages,
    ]


def forget_leases(lab: Lab, _: Binaries) -> None:
    """Delete the leases of nodes: KWOK has another name with each start, and leaves nodes alone that another holds."""
    delete(lab, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")


def moto(lab: Lab, _: Binaries) -> list[str]:
    """Return the command line of the emulated AWS."""
    authorizer = lab.settings().get(AUTHORIZER, "")
    return [
        *python("falaj.lab.moto_server", f"--port={lab.ports()['moto']}", f"--data={lab.folder('data', 'moto')}"),
        *([f"--authorizer={authorizer}"] if authorizer else []),
    ]


def moto_answers(lab: Lab) -> bool:
    """Say whether the emulated AWS answers; one that enforces IAM refuses who does not sign."""
    return ask(lab, "moto", "GET", "/", authority=None)[0] in {http.HTTPStatus.OK, http.HTTPStatus.FORBIDDEN}


def root_credentials(lab: Lab) -> Mapping[str, str]:
    """Return the credentials that the emulated AWS takes for those of the root user: the lab's own."""
    own = environment(lab)
    return {name: own[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


def bao(lab: Lab, binaries: Binaries) -> list[str]:
    """Return OpenBao's command line."""
    return [str(binaries["bao"]), "server", f"-config={openbao.write_config(lab, lab.ports())}"]


def eks_nodes(_: Lab, __: Binaries) -> list[str]:
    """Return the command line of what turns moto's EKS node groups into KWOK nodes."""
    return python("falaj.lab.eks_nodes")


def eks_nodes_environment(lab: Lab) -> Mapping[str, str]:
    """Return the lab's variables with the narrow identity in place of the person's, and without OpenBao's token."""
    kept = {name: value for name, value in environment(lab).items() if name.startswith("AWS_")}
    return {**kept, "FALAJ_LAB": str(lab.root), "KUBECONFIG": str(kubeconfig_path(lab, "eks-nodes"))}


def looked_lately(lab: Lab) -> bool:
    """Say whether eks-nodes has compared node groups and nodes in the last minute: it serves nobody who could ask."""
    return time.time() - (lab.root / "run" / "eks-nodes.looked").stat().st_mtime < 60


def grant_rights(lab: Lab) -> None:
    """Apply the rights of the lab's own identities; where Kueue does not run, nothing waits for it."""
    for manifest in yaml.safe_load_all((DATA / "kubernetes" / "rbac.yaml").read_text()):
        apply(lab, manifest)
    if "kueue" not in {service.name for service in services_of(lab)}:
        kueue.forget_webhooks(lab)


SERVICES: tuple[Service, ...] = (
    Service(
        "etcd",
        etcd,
        answers_at("etcd", "/readyz", authority="etcd-ca", client="etcd-client"),
        ports=("etcd", "etcd-peer"),
    ),
    Service(
        "kube-apiserver",
        kube_apiserver,
        answers_at("kube-apiserver", "/readyz", client="health"),
        needs=("etcd",),
        ports=("kube-apiserver",),
        deadline=120,
        after_start=grant_rights,
    ),
    Service(
        "kube-controller-manager",
        kube_controller_manager,
        answers_at("kube-controller-manager", "/healthz"),
        needs=("kube-apiserver",),
        ports=("kube-controller-manager",),
    ),
    Service(
        "kube-scheduler",
        kube_scheduler,
        answers_at("kube-scheduler", "/readyz"),
        needs=("kube-apiserver",),
        ports=("kube-scheduler",),
    ),
    Service(
        "kwok",
        kwok,
        answers_at("kwok", "/healthz"),
        needs=("kube-apiserver",),
        ports=("kwok",),
        before_start=forget_leases,
    ),
    Service(
        "kueue",
        kueue.command,
        answers_at("kueue", "/readyz", authority=None),
        needs=("kube-apiserver",),
        ports=("kueue", "kueue-webhook", "kueue-metrics"),
        before_start=kueue.install,
    ),
    Service("moto", moto, moto_answers, ports=("moto",), environment=root_credentials),
    Service(
        "openbao",
        bao,
        # Sealed or not yet initialized is an answer too: what follows the start changes that.
        answers_at("openbao", "/v1/sys/health?standbyok=true&sealedcode=200&uninitcode=200"),
        ports=("openbao", "openbao-cluster"),
        after_start=openbao.initialize,
        healthy=openbao.healthy,
    ),
    Service(
        "eks-nodes",
        eks_nodes,
        looked_lately,
        needs=("kube-apiserver", "moto"),
        environment=eks_nodes_environment,
    ),
)


AUTHORIZER = "authorizer"
"""Under which a lab remembers the command that decides in its AWS who may do what."""
ONLY = "only"
"""Under which a lab remembers that it runs some services only."""
BESIDE = "beside"
"""Under which a lab remembers the commands that it runs in the place of pods."""
SERVES = "serving"
"""Under which a lab remembers that it serves models."""
PROCESSES = "falaj.dev/lab-processes"
"""The label of the one node whose pods are processes of this machine."""


def services_of(lab: Lab) -> tuple[Service, ...]:
    """Return the services that this lab runs: all, or those that it was told and what they need; then the commands."""
    return (*_own_services(lab), *(SERVING if serves(lab) else ()), *_commands(lab))


def serves(lab: Lab) -> bool:
    """Say whether the lab was told to serve models."""
    return lab.settings().get(SERVES) == "on"


def remember_serving(lab: Lab, *, on: bool) -> None:
    """Have the lab serve models from its next start on, or not."""
    lab.remember(SERVES, "on" if on else "")


def ports_of(lab: Lab) -> list[str]:
    """Return the names of all ports that services of this lab may have, run or not."""
    return [name for service in (*SERVICES, *(SERVING if serves(lab) else ())) for name in service.ports]


def _commands(lab: Lab) -> Iterator[Service]:
    """Yield the commands that take the place of pods; that they run is all that is known of them."""
    for name, line in json.loads(lab.settings().get(BESIDE, "{}")).items():
        yield Service(
            name,
            lambda _, __, line=line: shlex.split(line),
            lambda _: True,
            needs=("kube-apiserver",),
            environment=environment,
        )


def _own_services(lab: Lab) -> tuple[Service, ...]:
    names = lab.settings().get(ONLY, "").split()
    if not names:
        return SERVICES
    wanted = set(names)
    if serves(lab):
        wanted.update(need for service in SERVING for need in service.needs)
    for service in reversed(SERVICES):  # what one needs stands before it
        if service.name in wanted:
            wanted.update(service.needs)
    return tuple(service for service in SERVICES if service.name in wanted)


def remember_only(lab: Lab, names: Sequence[str]) -> None:
    """Have the lab run these services only, and what they need; ``all`` has it run all again."""
    known = [service.name for service in SERVICES]
    unknown = sorted(set(names) - {*known, "all"})
    if unknown:
        raise LabError(f"no service is named {', '.join(unknown)}; the names are {', '.join(known)}")
    lab.remember(ONLY, "" if "all" in names else " ".join(names))


def remember_command(lab: Lab, told: str) -> None:
    """Have the lab keep a command running in the place of a pod: ``name=command``; ``name=none`` ends that."""
    name, _, line = told.partition("=")
    own = {service.name for service in (*SERVICES, *SERVING)}
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or name in own or not line:
        raise LabError(f"{told!r} must be NAME=COMMAND, for example scheduler='my-scheduler --verbose'")
    others = {each: other for each, other in json.loads(lab.settings().get(BESIDE, "{}")).items() if each != name}
    if line != "none":
        program, *arguments = shlex.split(line)
        # The lab's own environment first: what is installed beside it is meant.
        found = shutil.which(program, path=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
        if found is None:
            raise LabError(f"there is no command {program}; install it, or name its path")
        others[name] = shlex.join([str(Path(found).absolute()), *arguments])
    lab.remember(BESIDE, json.dumps(others))


def remember_authorizer(lab: Lab, command: str) -> None:
    """Have the lab's AWS enforce IAM by asking this command; ``none`` has it accept everyone again."""
    lab.remember(AUTHORIZER, "" if command == "none" else command)


def prepare(lab: Lab, wanted: Mapping[str, int] | None = None) -> None:
    """Make what the services read: ports, certificates, kubeconfigs and the key that encrypts secrets in etcd."""
    names = ports_of(lab)
    unknown = sorted(set(wanted or {}) - set(names))
    if unknown:
        raise LabError(f"no service has a port named {', '.join(unknown)}; the names are {', '.join(names)}")
    ports = lab.allocate_ports(names, wanted)
    ensure_certificates(lab, ports["kube-apiserver"])
    key = base64.b64encode(bytes.fromhex(lab.secret("kubernetes-encryption"))).decode()
    rule = {"resources": ["secrets"], "providers": [{"secretbox": {"keys": [{"name": "lab", "secret": key}]}}]}
    config = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [rule]}
    write_private(lab.folder("pki") / "encryption.json", json.dumps(config))
