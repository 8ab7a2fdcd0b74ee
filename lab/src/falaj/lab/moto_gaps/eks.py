"""EKS as the lab serves it: moto's answers, with what it drops kept and with the operations that it lacks."""

from moto.eks import urls
from moto.eks.models import Cluster

from falaj.lab.moto_gaps.eks_access import Access
from falaj.lab.moto_gaps.eks_addons import Addons
from falaj.lab.moto_gaps.eks_clusters import DEFAULTS, Clusters
from falaj.lab.moto_gaps.eks_node_groups import NodeGroups
from falaj.lab.moto_gaps.eks_security_groups import SecurityGroups


class Eks(Access, Addons, NodeGroups, SecurityGroups, Clusters):
    """All operations of EKS that are served."""


def serve() -> None:
    """Let moto's server answer EKS's requests so."""
    for name, value in DEFAULTS.items():
        setattr(Cluster, name, value)
    paths = [*urls.url_paths]
    paths.append("{0}/clusters/(?P<name>[^/]+)/node-groups/(?P<nodegroupName>[^/]+)/update-version$")
    paths.append("{0}/clusters/(?P<name>[^/]+)/encryption-config/associate$")
    for collection in ("access-entries", "addons", "pod-identity-associations", "updates"):
        # What comes after may be an ARN, with slashes of its own.
        paths += [
            f"{{0}}/clusters/(?P<name>[^/]+)/{collection}$",
            f"{{0}}/clusters/(?P<name>[^/]+)/{collection}/(?P<rest>.+)$",
        ]
    urls.url_paths.update(dict.fromkeys(paths, Eks.dispatch))
