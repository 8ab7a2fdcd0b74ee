"""EKS's own security group of a cluster, which its nodes and its control plane share; moto makes none.

Weaker than AWS: nothing is behind it, and who says nothing of a node group's security groups need not have it.
"""

import hashlib
from contextlib import suppress

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.eks.models import Cluster

from falaj.lab.moto_gaps.eks_kept import Base


class SecurityGroups(Base):
    """What happens to it as its cluster is made and deleted; stands before the operations on clusters."""

    def create_cluster(self) -> ActionResult:
        """EKS makes the group in the cluster's VPC, whose members talk to each other and to everything."""
        answer = super().create_cluster()
        cluster: Cluster = self.eks_backend.clusters[self.given["name"]]
        vpc = cluster.resources_vpc_config.get("vpcId")
        if vpc:
            cluster.resources_vpc_config["clusterSecurityGroupId"] = _make(self._ec2, cluster, vpc)
        return answer

    def delete_cluster(self) -> ActionResult:
        """EKS deletes the group with its cluster, or leaves it where something still uses it."""
        group = self.cluster.resources_vpc_config.get("clusterSecurityGroupId")
        answer = super().delete_cluster()
        if group:
            with suppress(EC2ClientError):
                self._ec2.delete_security_group(group_id=group)
        return answer

    @property
    def _ec2(self) -> EC2Backend:
        return ec2_backends[self.current_account][self.region]


def _make(ec2: EC2Backend, cluster: Cluster, vpc: str) -> str:
    # By the cluster's name alone, so that two labs of one program have the same.
    number = int(hashlib.sha256(cluster.arn.encode()).hexdigest()[:8], 16)
    name = f"eks-cluster-sg-{cluster.name}-{number}"
    tags = {"Name": name, f"kubernetes.io/cluster/{cluster.name}": "owned", "aws:eks:cluster-name": cluster.name}
    about = "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes"
    group = ec2.create_security_group(name, f"{about}, as well as any managed workloads.", vpc_id=vpc, tags=tags)
    ec2.authorize_security_group_ingress(
        group.id, "-1", "-1", "-1", [], source_groups=[{"GroupId": group.id}], vpc_id=vpc
    )
    return group.id
