"""Storage of a cluster: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, simple

from falaj.policies.values import UNKNOWN

CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
VOLUME = "kubernetes:core/v1:PersistentVolume"


def disks(provisioner: Any = "ebs.csi.aws.com", **parameters: Any) -> dict[str, Any]:
    """Return a storage class."""
    return {"provisioner": provisioner, "parameters": parameters}


CASES: list[Case] = [
    simple(
        "FJ-VOL-001",
        VOLUME,
        {"spec": {"csi": {"driver": "efs.csi.aws.com"}}},
        {"spec": {"hostPath": {"path": "/"}}},
        {"spec": {"hostPath": UNKNOWN}},
    ),
    *(
        simple(
            "FJ-VOL-002",
            CLASS,
            disks(encrypted="true", kmsKeyId="arn:aws:kms:me-central-1:123456789012:key/one"),
            bad,
            disks(encrypted="true", kmsKeyId=UNKNOWN),
        )
        for bad in (disks(encrypted="true"), disks(kmsKeyId="one"), disks("kubernetes.io/aws-ebs"))
    ),
    simple("FJ-VOL-002", CLASS, disks("efs.csi.aws.com"), disks(), disks(UNKNOWN)),
    simple("FJ-VOL-003", CLASS, disks(type="gp3"), disks(type="gp2"), disks(type=UNKNOWN)),
    simple("FJ-VOL-003", CLASS, disks("fsx.csi.aws.com", type="gp2"), disks(type="io1"), disks(UNKNOWN, type="gp2")),
]
