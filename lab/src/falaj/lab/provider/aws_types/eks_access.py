"""EKS: who may use a cluster, what is added to it, and which roles its pods have."""

from collections.abc import Iterable
from typing import Any

from falaj.lab.provider.aws_types.eks_tags import TAGS, all_tags
from falaj.lab.provider.aws_types.session import CREATION_TAG, Aws
from falaj.lab.provider.aws_types.table import Call, Put, given, in_order, resource
from falaj.lab.provider.kind import Change, GoneError
from falaj.lab.provider.values import Props, has_unknown

TYPES = ["EC2", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "STANDARD"]
_ENTRY = {"clusterName": "@clusterName", "principalArn": "@principalArn"}
_ADDON = {"clusterName": "@clusterName", "addonName": "@addonName"}


def _named(separator: str, *names: str) -> Any:
    """Return what turns the parts of an identifier into parameters; an ARN, with colons of its own, comes last."""

    def parts(identifier: str) -> Props:
        return dict(zip(names, identifier.split(separator, len(names) - 1), strict=True))

    return parts


_entry = _named(":", "clusterName", "principalArn")
_addon = _named(":", "clusterName", "addonName")
_association = _named("#", "clusterName", "principalArn", "policyArn")


def _type_known(props: Props) -> Iterable[tuple[str, str]]:
    kind = props.get("type")
    if isinstance(kind, str) and kind not in TYPES:
        yield "type", f"must be one of {', '.join(TYPES)}, not {kind}"


def _read_entry(aws: Aws, identifier: str, _: Props) -> Props:
    found = aws.call("eks.describe_access_entry", **_entry(identifier))["accessEntry"]
    plain = ("clusterName", "principalArn", "kubernetesGroups", "accessEntryArn", "type", "tags")
    times = {name: str(found[name]) for name in ("createdAt", "modifiedAt")}
    return {name: found.get(name) for name in plain} | times | {"userName": found["username"]}


def _update_entry(aws: Aws, identifier: str, change: Change) -> None:
    wanted = {**change.observed, **change.wanted}
    groups, user = wanted.get("kubernetesGroups") or [], wanted.get("userName") or ""
    aws.call("eks.update_access_entry", **_entry(identifier), kubernetesGroups=groups, username=user)


ACCESS_ENTRY = resource(
    "aws:eks/accessEntry:AccessEntry",
    create=Call(
        "eks.create_access_entry",
        {**_ENTRY, "kubernetesGroups": "@kubernetesGroups", "username": "@userName", "type": "@type", "tags": "@tags"},
        "join(':', [accessEntry.clusterName, accessEntry.principalArn])",
    ),
    read=_read_entry,
    update=[Put("kubernetesGroups userName", _update_entry), TAGS],
    delete=lambda aws, identifier, _: aws.call("eks.delete_access_entry", **_entry(identifier)),
    defaults={"type": "STANDARD"},
    computed="kubernetesGroups userName",
    volatile="modifiedAt",
    sets="kubernetesGroups",
    key=lambda p: f"{p['clusterName']}:{p['principalArn']}",
    check=_type_known,
)


def _scope(props: Props) -> Props:
    return given(props["accessScope"], "type", "namespaces")


def _same_scope(value: Any) -> Any:
    """Compare the namespaces as a set."""
    return value if has_unknown(value) else {name: in_order(item) for name, item in value.items()}


def _read_association(aws: Aws, identifier: str, _: Props) -> Props | None:
    named = _association(identifier)
    policy = named.pop("policyArn")
    found = aws.call("eks.list_associated_access_policies", **named)["associatedAccessPolicies"]
    for one in found:
        if one["policyArn"] == policy:
            times = {name: str(one[name]) for name in ("associatedAt", "modifiedAt")}
            return {**named, "policyArn": policy, "accessScope": one["accessScope"], **times}
    return None


def _association_id(props: Props) -> str:
    return "#".join(props[name] for name in ("clusterName", "principalArn", "policyArn"))


ACCESS_POLICY_ASSOCIATION = resource(
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    create=Call(
        "eks.associate_access_policy",
        {**_ENTRY, "policyArn": "@policyArn", "accessScope": _scope},
        "join('#', [clusterName, principalArn, associatedAccessPolicy.policyArn])",
    ),
    read=_read_association,
    delete=lambda aws, identifier, _: aws.call("eks.disassociate_access_policy", **_association(identifier)),
    replace="accessScope",
    normalise={"accessScope": _same_scope},
    key=_association_id,
)


def _roles(props: Props) -> list[Props] | None:
    return [given(one, "serviceAccount", "roleArn") for one in props.get("podIdentityAssociations") or []] or None


def _read_addon(aws: Aws, identifier: str, _: Props) -> Props:
    found = aws.call("eks.describe_addon", **_addon(identifier))["addon"]
    cluster = found["clusterName"]
    plain = "clusterName addonName addonVersion configurationValues serviceAccountRoleArn namespaceConfig tags"
    roles = [
        aws.call("eks.describe_pod_identity_association", clusterName=cluster, associationId=arn.rpartition("/")[2])
        for arn in found.get("podIdentityAssociations", [])
    ]
    return {
        **{name: found.get(name) for name in plain.split()},
        **{name: str(found[name]) for name in ("createdAt", "modifiedAt")},
        "arn": found["addonArn"],
        "podIdentityAssociations": [given(role["association"], "serviceAccount", "roleArn") for role in roles],
    }


def _update_addon(aws: Aws, identifier: str, change: Change) -> None:
    wanted = change.wanted
    settings = ("addonVersion", "configurationValues", "serviceAccountRoleArn")
    parameters: Props = {name: wanted.get(name) or "" for name in settings if change.of(name)}
    if change.of("podIdentityAssociations"):
        parameters["podIdentityAssociations"] = _roles(wanted) or []
    if wanted.get("resolveConflictsOnUpdate"):
        parameters["resolveConflicts"] = wanted["resolveConflictsOnUpdate"]
    aws.call("eks.update_addon", **_addon(identifier), **parameters)


def _delete_addon(aws: Aws, identifier: str, state: Props) -> None:
    aws.call("eks.delete_addon", **_addon(identifier), **given(state, "preserve"))


ADDON = resource(
    "aws:eks/addon:Addon",
    create=Call(
        "eks.create_addon",
        {
            **_ADDON,
            "addonVersion": "@addonVersion",
            "configurationValues": "@configurationValues",
            "namespaceConfig": {"namespace": "@namespaceConfig.namespace"},
            "podIdentityAssociations": _roles,
            # Not "@…": it steers the provider alone, so that its change makes no new add-on.
            "resolveConflicts": lambda props: props.get("resolveConflictsOnCreate"),
            "serviceAccountRoleArn": "@serviceAccountRoleArn",
            "tags": "@tags",
        },
        "join(':', [addon.clusterName, addon.addonName])",
    ),
    read=_read_addon,
    update=[
        Put("addonVersion configurationValues serviceAccountRoleArn podIdentityAssociations", _update_addon),
        TAGS,
    ],
    delete=_delete_addon,
    local="preserve resolveConflictsOnCreate resolveConflictsOnUpdate",
    computed="addonVersion configurationValues namespaceConfig",
    volatile="modifiedAt",
    sets="podIdentityAssociations",
    key=lambda p: f"{p['clusterName']}:{p['addonName']}",
)


def _associations(aws: Aws) -> Iterable[Props]:
    """Yield what names each association of each cluster."""
    for cluster in aws.call("eks.list_clusters")["clusters"]:
        for one in aws.call("eks.list_pod_identity_associations", clusterName=cluster)["associations"]:
            yield {"clusterName": cluster, "associationId": one["associationId"]}


def _created_pod_identity(aws: Aws, token: str) -> str | None:
    for named in _associations(aws):
        found = aws.call("eks.describe_pod_identity_association", **named)["association"]
        if found.get("tags", {}).get(CREATION_TAG) == token:
            return named["associationId"]
    return None


def _imported_pod_identity(aws: Aws, identifier: str) -> str:
    """Take the official provider's form: the cluster's name, a comma, the association's identifier."""
    del aws
    return identifier.rpartition(",")[2]


def _cluster_of(aws: Aws, identifier: str) -> str:
    """Return the cluster of an association that only its identifier is known of."""
    found = [named["clusterName"] for named in _associations(aws) if named["associationId"] == identifier]
    if not found:
        raise GoneError
    return found[0]


def _read_pod_identity(aws: Aws, identifier: str, known: Props) -> Props:
    cluster = known.get("clusterName") or _cluster_of(aws, identifier)
    named = {"clusterName": cluster, "associationId": identifier}
    found = aws.call("eks.describe_pod_identity_association", **named)["association"]
    names = (
        "clusterName namespace serviceAccount roleArn targetRoleArn disableSessionTags policy externalId "
        "associationArn associationId tags"
    )
    return {name: found.get(name) for name in names.split()} | {"arn": found["associationArn"]}


def _update_pod_identity(aws: Aws, identifier: str, change: Change) -> None:
    wanted = change.wanted
    parameters: Props = {name: wanted[name] for name in ("roleArn", "disableSessionTags") if change.of(name)}
    parameters |= {name: wanted.get(name) or "" for name in ("targetRoleArn", "policy") if change.of(name)}
    named = {"clusterName": wanted["clusterName"], "associationId": identifier}
    aws.call("eks.update_pod_identity_association", **named, **parameters)


POD_IDENTITY_ASSOCIATION = resource(
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    create=Call(
        "eks.create_pod_identity_association",
        {
            "clusterName": "@clusterName",
            "namespace": "@namespace",
            "serviceAccount": "@serviceAccount",
            "roleArn": "@roleArn",
            "targetRoleArn": "@targetRoleArn",
            "disableSessionTags": "@disableSessionTags",
            "policy": "@policy",
            "tags": all_tags,
        },
        "association.associationId",
    ),
    read=_read_pod_identity,
    update=[Put("roleArn targetRoleArn disableSessionTags policy", _update_pod_identity), TAGS],
    delete=Call("eks.delete_pod_identity_association", {"clusterName": "@clusterName", "associationId": "@id"}),
    find=_created_pod_identity,
    import_id=_imported_pod_identity,
    computed="disableSessionTags",
    volatile="externalId",
    documents="policy",
)

KINDS = [ACCESS_ENTRY, ACCESS_POLICY_ASSOCIATION, ADDON, POD_IDENTITY_ASSOCIATION]
