"""What the parts of EKS share: the request, the cluster that it is about, and what is kept with a cluster."""

import json
import re
from collections.abc import Iterator
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.eks.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.eks.models import Cluster, paginated_list
from moto.eks.responses import DEFAULT_MAX_RESULTS, EKSResponse
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.kept import Given, Kept, kept

_ARNS = {"access_entries": "accessEntryArn", "addons": "addonArn", "associations": "associationArn"}


class Base(Given, EKSResponse):
    """A request to EKS. moto's own way reads one key of several, and the cluster's name by its place in the path."""

    @property
    def cluster(self) -> Cluster:
        """The cluster that the path names."""
        return self.eks_backend.describe_cluster(self.uri_match["name"])

    def kept(self, kind: str) -> dict[str, Kept]:
        """Return what the cluster has of one kind."""
        return kept(self.cluster, kind)

    def arn(self, kind: str, *rest: str) -> str:
        """Return the ARN of something that the cluster has."""
        path = "/".join([kind, self.cluster.name, *rest])
        return f"arn:{self.partition}:eks:{self.region}:{self.current_account}:{path}"

    def found(self, kind: str, identifier: str, message: str) -> Kept:
        """Return one thing that the cluster has, or answer that it is not there."""
        try:
            return self.kept(kind)[identifier]
        except KeyError:
            raise ResourceNotFoundException(clusterName=self.cluster.name, message=message) from None

    def page(self, key: str, names: list[str], **more: Any) -> ActionResult:
        """Answer a list of names, in pages."""
        limit = self._get_int_param("maxResults", DEFAULT_MAX_RESULTS)
        page, rest = paginated_list(names, limit, self._get_param("nextToken"))
        return ActionResult({key: page, "nextToken": rest, **more})

    def updated(self, kind: str, parameters: Kept, **of: str) -> ActionResult:
        """Keep and answer an update; it is done at once. ``of`` names the node group or add-on."""
        update: Kept = {
            "id": str(mock_random.uuid4()),
            "status": "Successful",
            "type": kind,
            "params": [
                {"type": name[0].upper() + name[1:], "value": value if isinstance(value, str) else json.dumps(value)}
                for name, value in parameters.items()
            ],
            "createdAt": utcnow(),
            "errors": [],
        }
        self.kept("updates")[update["id"]] = {**update, "of": of}
        return ActionResult({"update": update})

    def describe_update(self) -> ActionResult:
        """EKS tells how an update goes; moto cannot be asked."""
        identifier = self.given["updateId"]
        return ActionResult({"update": self.found("updates", identifier, f"No update found for ID: {identifier}")})

    def list_updates(self) -> ActionResult:
        """EKS lists the updates of a cluster, or of one node group or add-on of it; moto cannot be asked."""
        of = {name: self.given[name] for name in ("nodegroupName", "addonName") if self.given.get(name)}
        return self.page("updateIds", [name for name, update in self.kept("updates").items() if update["of"] == of])


def tagged(clusters: Iterator[Cluster]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the ARN and the tags of all that can be tagged."""
    for cluster in clusters:
        yield cluster.arn, cluster.tags
        for group in cluster.nodegroups.values():
            yield group.arn, group.tags
        for profile in cluster.fargate_profiles.values():
            yield profile.fargate_profile_arn, profile.tags
        for kind, arn in _ARNS.items():
            for one in kept(cluster, kind).values():
                yield one[arn], one["tags"]


def number(version: str) -> tuple[int, ...]:
    """Return a version of Kubernetes as it compares, refusing what is none."""
    if not re.fullmatch(r"1\.\d+", version):
        raise refuse(f"unsupported Kubernetes version {version}")
    return tuple(int(part) for part in version.split("."))


def refuse(message: str) -> InvalidParameterException:
    """Return the refusal of a parameter."""
    return InvalidParameterException(message=message)
