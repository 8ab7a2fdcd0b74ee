"""What pods can do in Vault, by the tokens of their service accounts."""

import base64

import hvac
from examples import Example


class Pod:
    """What a pod of a service account can do in Vault."""

    def __init__(self, example: Example, namespace: str, account: str, role: str, audience: str = "vault") -> None:
        told = example.run("kubectl", "create", "token", account, "--namespace", namespace, f"--audience={audience}")
        env = example.lab.env
        self.client = hvac.Client(url=env["VAULT_ADDR"], verify=env["VAULT_CACERT"])
        self.login = self.client.auth.kubernetes.login(role, told.stdout.strip(), mount_point="dev-kubernetes")["auth"]

    def read(self, path: str) -> dict:
        return self.client.read(path)["data"]

    def write(self, path: str, **data) -> dict:
        return self.client.write_data(path, data=data)["data"]

    def encrypt(self, key: str, text: str = "weights") -> str:
        plain = base64.b64encode(text.encode()).decode()
        return self.write(f"dev-transit/encrypt/{key}", plaintext=plain)["ciphertext"]

    def decrypt(self, key: str, ciphertext: str) -> str:
        return base64.b64decode(self.write(f"dev-transit/decrypt/{key}", ciphertext=ciphertext)["plaintext"]).decode()

    def certificate(self, role: str, name: str, **more) -> dict:
        return self.write(f"dev-pki/issue/{role}", common_name=name, **more)
