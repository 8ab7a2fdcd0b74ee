"""What the demonstration plays on: a lab of its own, its store, key and gateway, and the service on it."""

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from falaj.lab.errors import LabError
from falaj.lab.progress import Progress, Task
from falaj.lab.state import REGION, Lab
from falaj.lab.testing import RunningLab
from serving_demo.models import NAME, Keys
from serving_demo.programs import run

sys.path.insert(0, str(Path(__file__).parents[2]))
from run import POLICIES, lab_configuration

TENANT = "vision"
SERVICE = f"{TENANT}/{NAME}"
HOST, GRPC_HOST = f"{NAME}.{TENANT}.svc", f"{NAME}-grpc.{TENANT}.svc"
CLIENT = f"web.{TENANT}.svc"
SERVICES = ("kwok", "kube-scheduler", "kube-controller-manager", "moto", "openbao")

_PROGRAM = Path(__file__).parents[1] / "platform"
_GATEWAYS = "gateways"


@dataclass(frozen=True)
class Stage:
    """A running lab, with a store for published models and a key that seals them."""

    lab: RunningLab
    progress: Progress
    folder: Path
    """For files of the demonstration's own."""
    store: str
    key: str

    @classmethod
    def set_up(cls, root: Path, folder: Path, task: Task) -> "Stage":
        """Start the lab at ``root``, and make in it what is there before a team comes: store, key, gateway."""
        lab = RunningLab(root)
        only = [f"--only={name}" for name in SERVICES]
        run(task.progress, lab.command("up", "--serving", *only), on_line=lambda line: task.update(0.4, line))
        task.update(0.8, "a store, a key, and a gateway whose certificates OpenBao signs")
        bucket = "123456789012-me-central-1-artifacts"
        lab.aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        key = lab.aws("kms").create_key()["KeyMetadata"]["Arn"]
        made = cls(lab, task.progress, folder, f"s3://{bucket}/{TENANT}", key)
        made._open_gateway()
        return made

    def _open_gateway(self) -> None:
        """Make the platform's Gateway, which lets in whom the platform's authority knows."""
        pki = self.lab.vault().secrets.pki
        self.lab.vault().sys.enable_secrets_engine("pki")
        authority = pki.generate_root("internal", "demonstration")["data"]["certificate"]
        for name, of in (("server", "server_flag"), ("client", "client_flag")):
            flags = {"server_flag": False, "client_flag": False, of: True}
            pki.create_or_update_role(
                name, {"allow_any_name": True, "ttl": "24h", "key_type": "ec", "key_bits": 256, **flags}
            )
        server = pki.generate_certificate("server", HOST, {"alt_names": GRPC_HOST})["data"]
        caller = pki.generate_certificate("client", CLIENT)["data"]
        for name, content in (
            ("authority.pem", authority),
            ("client.pem", caller["certificate"]),
            ("client.key", caller["private_key"]),
        ):
            (self.folder / name).touch(0o600)
            (self.folder / name).write_text(content)
        api = config.new_client_from_config(self.lab.env["KUBECONFIG"])
        core: Any = client.CoreV1Api(api)  # it takes plain objects too, which its types do not say
        custom = client.CustomObjectsApi(api)
        core.create_namespace({"metadata": {"name": _GATEWAYS}})
        pair = {"tls.crt": server["certificate"], "tls.key": server["private_key"]}
        secret = {name: base64.b64encode(pem.encode()).decode() for name, pem in pair.items()}
        made = {"metadata": {"name": "server"}, "type": "kubernetes.io/tls", "data": secret}
        core.create_namespaced_secret(_GATEWAYS, made)
        made = {"metadata": {"name": "clients"}, "data": {"ca.crt": authority}}
        core.create_namespaced_config_map(_GATEWAYS, made)
        group = ("gateway.networking.k8s.io", "v1")
        custom.create_namespaced_custom_object(*group, _GATEWAYS, "gateways", _gateway())

    def serve(self, *words: str) -> list[dict[str, Any]]:
        """Run `falaj-serve` inside the lab, and return what it says for programs, line by line."""
        lines = run(self.progress, ["falaj-serve", *words], env=self.lab.env)
        return [json.loads(line) for line in lines if line.startswith("{")]

    def publish(self, model: Path, keys: Keys, *, tried: bool) -> dict[str, Any]:
        """Publish a model to the tenant's store, and return the event; ``tried`` by the service at once."""
        told = ["--to", self.store, "--name", NAME, "--tenant", TENANT, "--key", f"aws-kms:{self.key}"]
        told += ["--public-key", str(keys.public), *(("--service", SERVICE) if tried else ())]
        return next(event for event in self.serve("publish", str(model), *told) if event["what"] == "publish")

    def audit(self) -> Sequence[dict[str, Any]]:
        """Return the audit log, the oldest event first; ``falaj-serve`` has verified its chain and the store."""
        told = self.serve("history", "--store", self.store, "--name", NAME, "--service", SERVICE, "--verify", "--json")
        return told[0]["events"]

    def deploy(self, told: Mapping[str, Any], task: Task) -> None:
        """Bring the service up by Pulumi, policies first."""
        ports = Lab(self.lab.root).ports()
        known = {"store": self.store, "key": self.key, "client": CLIENT}
        known["prometheus"] = f"http://127.0.0.1:{ports['prometheus']}"
        stack = ["--stack", "demo", "--non-interactive", "--config-file", str(self.folder / "Pulumi.demo.yaml")]
        given = ["--config", f"serving-demo:told={json.dumps({**known, **told})}"]
        up = ["up", "--yes", "--skip-preview", "--suppress-outputs", "--policy-pack", str(POLICIES)]
        self._pulumi(task, "stack", "select", "--create", "demo", "--non-interactive")
        self._pulumi(task, *up, *stack, *lab_configuration(self.lab.env), *given)

    def _pulumi(self, task: Task, *words: str) -> None:
        said: list[str] = []

        def tell(line: str) -> None:
            said.append(line.strip())
            if line.strip():
                task.update(min(0.05 + 0.015 * len(said), 0.95), line.strip())

        try:
            run(self.progress, ["pulumi", *words], env=self.lab.env, cwd=_PROGRAM, on_line=tell)
        except LabError as error:
            why = next((line for line in said if "error" in line.lower()), str(error))
            raise LabError(f"`pulumi {words[0]}` failed: {why}") from error

    def pods(self) -> str:
        """How the service's pods are, in words."""
        listed = self.lab.run("exec", "--", "kubectl", "get", "pods", "-n", TENANT, "--no-headers", check=False)
        return "; ".join(" ".join(line.split()) for line in listed.stdout.splitlines()) or "it has no pods"

    @property
    def gateway_port(self) -> int:
        """The port of this machine at which the gateway listens."""
        ports = json.loads((self.lab.root / "data" / "envoy" / "ports.json").read_text())
        return ports[f"{_GATEWAYS}/serving:443"]


def stop(root: Path) -> None:
    """Stop the lab at ``root``, whatever state it is in."""
    lab = RunningLab(root)
    if Lab(root).exists():
        lab.run("down", check=False)


def _gateway() -> dict[str, Any]:
    listener = {
        "name": "https",
        "port": 443,
        "protocol": "HTTPS",
        "tls": {"certificateRefs": [{"name": "server"}]},
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    authority = {"group": "", "kind": "ConfigMap", "name": "clients"}
    spec = {
        "gatewayClassName": "falaj-lab",
        "listeners": [listener],
        "tls": {"frontend": {"default": {"validation": {"caCertificateRefs": [authority]}}}},
    }
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}
    return {**kind, "metadata": {"name": "serving", "namespace": _GATEWAYS}, "spec": spec}


__all__ = ["CLIENT", "HOST", "NAME", "SERVICE", "Stage", "stop"]
