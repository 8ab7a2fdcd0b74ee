"""The images of GPU nodes, and what a node is told at its start.

EKS's own image types, and not an image of our own choosing by id: EKS then joins the node to the cluster, replaces it
gently at an upgrade, and says when its release is out of date. A pinned release is as exact as an image's id.
"""

import base64
import re
from enum import StrEnum

from falaj.components.errors import ConfigError


class GpuImage(StrEnum):
    """Images with NVIDIA's driver and container toolkit, as EKS names them."""

    AL2023 = "AL2023_x86_64_NVIDIA"
    """Amazon Linux 2023: EKS's default, which NVIDIA's operator and most tools expect."""
    BOTTLEROCKET = "BOTTLEROCKET_x86_64_NVIDIA"
    """Bottlerocket: no shell and no package manager, a root file system that cannot be written."""


_RELEASES = {
    GpuImage.AL2023: (re.compile(r"1\.\d+\.\d+-\d{8}"), "1.35.0-20251120"),
    GpuImage.BOTTLEROCKET: (re.compile(r"\d+\.\d+\.\d+-[0-9a-f]{8}"), "1.50.0-a1b2c3d4"),
}
"""What a release of each looks like, and one that does."""
_PARAMETERS = {
    GpuImage.AL2023: "/aws/service/eks/optimized-ami/{}/amazon-linux-2023/x86_64/nvidia/recommended/release_version",
    GpuImage.BOTTLEROCKET: "/aws/service/bottlerocket/aws-k8s-{}-nvidia/x86_64/latest/image_version",
}
_NODE_CONFIG = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="falaj"

--falaj
Content-Type: application/node.eks.aws

---
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage:
      strategy: RAID0

--falaj--
"""
"""What AL2023's nodeadm is told, https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/."""
_BOTTLEROCKET = """\
[settings.bootstrap-commands.local-nvme]
commands = [
    ["apiclient", "ephemeral-storage", "init"],
    ["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods"],
]
essential = true
mode = "always"
"""
"""Bottlerocket makes an array of several disks by itself."""


def check_release(field: str, image: GpuImage, release: str | None) -> str | None:
    """Return the release, if it is one of the image."""
    form, example = _RELEASES[image]
    if release is not None and not form.fullmatch(release):
        raise ConfigError(field, release, f"must be a release of {image.name} such as {example}")
    return release


def release_parameter(image: GpuImage, version: str) -> str:
    """Return the name of AWS's public parameter that tells the newest release for a version of Kubernetes."""
    return _PARAMETERS[image].format(version)


def user_data(image: GpuImage, local_nvme: bool) -> str | None:
    """Return what the node is told: to make one disk (RAID 0) of its local NVMe, for images and pods."""
    if not local_nvme:
        return None
    told = _NODE_CONFIG if image is GpuImage.AL2023 else _BOTTLEROCKET
    return base64.b64encode(told.encode()).decode()
