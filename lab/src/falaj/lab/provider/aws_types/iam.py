"""IAM: roles, policies, attachments, instance profiles, OpenID Connect providers."""

from contextlib import suppress
from typing import Any

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, as_pairs, canonical_document, resource, tag_change
from falaj.lab.provider.kind import Autoname, Change, GoneError
from falaj.lab.provider.values import Props, has_unknown


def _tags(noun: str, key: str) -> Put:
    """Return what tags a kind of thing, whose operations are named after it."""

    def put(aws: Aws, identifier: str, change: Change) -> None:
        added, removed = tag_change(change)
        if added:
            aws.call(f"iam.tag_{noun}", **{key: identifier, "Tags": as_pairs(added)})
        if removed:
            aws.call(f"iam.untag_{noun}", **{key: identifier, "TagKeys": removed})

    return Put("tags", put)


def _tag_list(props: Props) -> Any:
    return as_pairs(props.get("tags")) or None


def _whole_role(aws: Aws, identifier: str, props: Props) -> Props:
    attached = aws.call("iam.list_attached_role_policies", RoleName=identifier)["AttachedPolicies"]
    inline = aws.call("iam.list_role_policies", RoleName=identifier)["PolicyNames"]
    return {
        **props,
        "createDate": _date(props["createDate"]),
        "assumeRolePolicy": _text(props["assumeRolePolicy"]),
        "managedPolicyArns": sorted(policy["PolicyArn"] for policy in attached),
        "inlinePolicies": [
            {"name": name, "policy": _read_role_policy(aws, f"{identifier}:{name}", {})["policy"]} for name in inline
        ],
    }


def _put_managed(aws: Aws, identifier: str, change: Change) -> None:
    wanted, observed = (set(props.get("managedPolicyArns") or []) for props in (change.wanted, change.observed))
    for arn in sorted(observed - wanted):
        aws.call("iam.detach_role_policy", RoleName=identifier, PolicyArn=arn)
    for arn in sorted(wanted - observed):
        aws.call("iam.attach_role_policy", RoleName=identifier, PolicyArn=arn)


def _put_inline(aws: Aws, identifier: str, change: Change) -> None:
    wanted, observed = (
        {policy["name"]: policy["policy"] for policy in props.get("inlinePolicies") or []}
        for props in (change.wanted, change.observed)
    )
    for name in sorted(observed.keys() - wanted.keys()):
        aws.call("iam.delete_role_policy", RoleName=identifier, PolicyName=name)
    for name, document in wanted.items():
        aws.call("iam.put_role_policy", RoleName=identifier, PolicyName=name, PolicyDocument=document)


def _same_inline(policies: Any) -> Any:
    """Inline policies are a set of documents; one without a name or document is the official way to say none."""
    if has_unknown(policies):
        return policies
    named = [policy for policy in policies if policy.get("name")]
    return [(p["name"], canonical_document(p.get("policy"))) for p in sorted(named, key=lambda p: p["name"])]


def _date(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(value, "strftime") else value


def _text(document: Any) -> Any:
    """Return a policy document as text: botocore decodes those that IAM answers."""
    import json  # noqa: PLC0415

    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def _describe_role(aws: Aws, identifier: str, change: Change) -> None:
    description, longest = change.wanted.get("description") or "", change.wanted.get("maxSessionDuration")
    parameters = {"Description": description} | ({"MaxSessionDuration": longest} if longest else {})
    aws.call("iam.update_role", RoleName=identifier, **parameters)


def _bound_role(aws: Aws, identifier: str, change: Change) -> None:
    boundary = change.wanted.get("permissionsBoundary")
    if boundary:
        aws.call("iam.put_role_permissions_boundary", RoleName=identifier, PermissionsBoundary=boundary)
    else:
        aws.call("iam.delete_role_permissions_boundary", RoleName=identifier)


def _delete_role(aws: Aws, identifier: str, state: Props) -> None:
    for profile in aws.call("iam.list_instance_profiles_for_role", RoleName=identifier)["InstanceProfiles"]:
        name = profile["InstanceProfileName"]
        aws.call("iam.remove_role_from_instance_profile", InstanceProfileName=name, RoleName=identifier)
    if state.get("forceDetachPolicies") or state.get("managedPolicyArns") or state.get("inlinePolicies"):
        for policy in aws.call("iam.list_attached_role_policies", RoleName=identifier)["AttachedPolicies"]:
            aws.call("iam.detach_role_policy", RoleName=identifier, PolicyArn=policy["PolicyArn"])
        for name in aws.call("iam.list_role_policies", RoleName=identifier)["PolicyNames"]:
            aws.call("iam.delete_role_policy", RoleName=identifier, PolicyName=name)
    aws.call("iam.delete_role", RoleName=identifier)


ROLE = resource(
    "aws:iam/role:Role",
    create=Call(
        "iam.create_role",
        {
            "RoleName": "@name",
            "Path": "@path",
            "AssumeRolePolicyDocument": "@assumeRolePolicy",
            "Description": "@description",
            "MaxSessionDuration": "@maxSessionDuration",
            "PermissionsBoundary": "@permissionsBoundary",
            "Tags": _tag_list,
        },
        "Role.RoleName",
    ),
    read=Look(
        "iam.get_role",
        {"RoleName": "@id"},
        "Role",
        "arn name=RoleName path assumeRolePolicy=AssumeRolePolicyDocument description maxSessionDuration tags "
        "permissionsBoundary=PermissionsBoundary.PermissionsBoundaryArn uniqueId=RoleId createDate",
    ),
    update=[
        Put(
            "assumeRolePolicy",
            Call("iam.update_assume_role_policy", {"RoleName": "@id", "PolicyDocument": "@assumeRolePolicy"}),
        ),
        Put("description maxSessionDuration", _describe_role),
        Put("permissionsBoundary", _bound_role),
        Put("managedPolicyArns", _put_managed),
        Put("inlinePolicies", _put_inline),
        _tags("role", "RoleName"),
    ],
    delete=_delete_role,
    finish=_whole_role,
    local="forceDetachPolicies",
    defaults={"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": False},
    computed="inlinePolicies managedPolicyArns",
    documents="assumeRolePolicy",
    sets="managedPolicyArns",
    normalise={"inlinePolicies": _same_inline},
    name=Autoname(prefix="namePrefix", longest=64),
    key="name",
)


def _new_policy_version(aws: Aws, identifier: str, change: Change) -> None:
    versions = aws.call("iam.list_policy_versions", PolicyArn=identifier)["Versions"]
    spare = sorted((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
    if len(versions) >= 5 and spare:  # IAM keeps five at most
        aws.call("iam.delete_policy_version", PolicyArn=identifier, VersionId=spare[0]["VersionId"])
    document = change.wanted["policy"]
    aws.call("iam.create_policy_version", PolicyArn=identifier, PolicyDocument=document, SetAsDefault=True)


def _delete_policy(aws: Aws, identifier: str, state: Props) -> None:
    del state
    for version in aws.call("iam.list_policy_versions", PolicyArn=identifier)["Versions"]:
        if not version["IsDefaultVersion"]:
            aws.call("iam.delete_policy_version", PolicyArn=identifier, VersionId=version["VersionId"])
    aws.call("iam.delete_policy", PolicyArn=identifier)


def _with_document(aws: Aws, identifier: str, props: Props) -> Props:
    version = aws.call("iam.get_policy_version", PolicyArn=identifier, VersionId=props.pop("version"))
    return {**props, "policy": _text(version["PolicyVersion"]["Document"])}


POLICY = resource(
    "aws:iam/policy:Policy",
    create=Call(
        "iam.create_policy",
        {
            "PolicyName": "@name",
            "Path": "@path",
            "PolicyDocument": "@policy",
            "Description": "@description",
            "Tags": _tag_list,
        },
        "Policy.Arn",
    ),
    read=Look(
        "iam.get_policy",
        {"PolicyArn": "@id"},
        "Policy",
        "arn name=PolicyName path description tags policyId attachmentCount version=DefaultVersionId",
    ),
    update=[Put("policy", _new_policy_version), _tags("policy", "PolicyArn")],
    delete=_delete_policy,
    finish=_with_document,
    local="delayAfterPolicyCreationInMs",
    defaults={"path": "/"},
    documents="policy",
    name=Autoname(prefix="namePrefix", longest=128),
)


def _put_role_policy(aws: Aws, props: Props) -> str:
    aws.call("iam.put_role_policy", RoleName=props["role"], PolicyName=props["name"], PolicyDocument=props["policy"])
    return f"{props['role']}:{props['name']}"


def _read_role_policy(aws: Aws, identifier: str, known: Props) -> Props:
    del known
    role, _, name = identifier.partition(":")
    document = aws.call("iam.get_role_policy", RoleName=role, PolicyName=name)["PolicyDocument"]
    return {"role": role, "name": name, "policy": _text(document)}


ROLE_POLICY = resource(
    "aws:iam/rolePolicy:RolePolicy",
    create=_put_role_policy,
    read=_read_role_policy,
    update=[Put("policy", lambda aws, _, change: _put_role_policy(aws, change.wanted))],
    delete=Call("iam.delete_role_policy", {"RoleName": "@role", "PolicyName": "@name"}),
    replace="role",
    documents="policy",
    name=Autoname(prefix="namePrefix", longest=128),
    key=lambda p: f"{p['role']}:{p['name']}",
)


def _attach(aws: Aws, props: Props) -> str:
    aws.call("iam.attach_role_policy", RoleName=props["role"], PolicyArn=props["policyArn"])
    return f"{props['role']}/{props['policyArn']}"


def _read_attachment(aws: Aws, identifier: str, known: Props) -> Props | None:
    del known
    role, _, arn = identifier.partition("/")
    attached = aws.call("iam.list_attached_role_policies", RoleName=role)["AttachedPolicies"]
    return {"role": role, "policyArn": arn} if any(policy["PolicyArn"] == arn for policy in attached) else None


ROLE_POLICY_ATTACHMENT = resource(
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    create=_attach,
    read=_read_attachment,
    delete=Call("iam.detach_role_policy", {"RoleName": "@role", "PolicyArn": "@policyArn"}),
    replace="role policyArn",
    key=lambda p: f"{p['role']}/{p['policyArn']}",
)


def _set_profile_role(aws: Aws, identifier: str, change: Change) -> None:
    old, new = change.observed.get("role"), change.wanted.get("role")
    if old:
        aws.call("iam.remove_role_from_instance_profile", InstanceProfileName=identifier, RoleName=old)
    if new:
        aws.call("iam.add_role_to_instance_profile", InstanceProfileName=identifier, RoleName=new)


def _delete_profile(aws: Aws, identifier: str, state: Props) -> None:
    if state.get("role"):
        with suppress(GoneError):
            aws.call("iam.remove_role_from_instance_profile", InstanceProfileName=identifier, RoleName=state["role"])
    aws.call("iam.delete_instance_profile", InstanceProfileName=identifier)


INSTANCE_PROFILE = resource(
    "aws:iam/instanceProfile:InstanceProfile",
    create=Call(
        "iam.create_instance_profile",
        {"InstanceProfileName": "@name", "Path": "@path", "Tags": _tag_list},
        "InstanceProfile.InstanceProfileName",
    ),
    read=Look(
        "iam.get_instance_profile",
        {"InstanceProfileName": "@id"},
        "InstanceProfile",
        "arn name=InstanceProfileName path role=Roles[0].RoleName tags uniqueId=InstanceProfileId createDate",
    ),
    update=[Put("role", _set_profile_role), _tags("instance_profile", "InstanceProfileName")],
    delete=_delete_profile,
    finish=lambda aws, identifier, props: {**props, "createDate": _date(props["createDate"])},
    defaults={"path": "/"},
    name=Autoname(prefix="namePrefix", longest=128),
    key="name",
)


def _put_clients(aws: Aws, identifier: str, change: Change) -> None:
    """Make the provider anew, under the same ARN: moto can neither add nor remove a client."""
    aws.call("iam.delete_open_id_connect_provider", OpenIDConnectProviderArn=identifier)
    _CREATE_OIDC(aws, change.wanted)


def _without_scheme(value: Any) -> Any:
    return value.removeprefix("https://") if isinstance(value, str) else value


def _thumbprints(props: Props) -> list[str]:
    return props.get("thumbprintLists") or []


_CREATE_OIDC = Call(
    "iam.create_open_id_connect_provider",
    {
        "Url": "@url",
        "ClientIDList": "@clientIdLists",
        # IAM finds the thumbprint itself when none is given; moto wants the list to be there.
        "ThumbprintList": _thumbprints,
        "Tags": _tag_list,
    },
    "OpenIDConnectProviderArn",
)

OIDC_PROVIDER = resource(
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    create=_CREATE_OIDC,
    read=Look(
        "iam.get_open_id_connect_provider",
        {"OpenIDConnectProviderArn": "@id"},
        fields="url clientIdLists=ClientIDList thumbprintLists=ThumbprintList tags",
    ),
    update=[
        Put("clientIdLists", _put_clients),
        Put(
            "thumbprintLists",
            Call(
                "iam.update_open_id_connect_provider_thumbprint",
                {"OpenIDConnectProviderArn": "@id", "ThumbprintList": "@thumbprintLists"},
            ),
        ),
        _tags("open_id_connect_provider", "OpenIDConnectProviderArn"),
    ],
    delete=Call("iam.delete_open_id_connect_provider", {"OpenIDConnectProviderArn": "@id"}),
    finish=lambda aws, identifier, props: {**props, "arn": identifier},
    replace="url",
    computed="thumbprintLists",
    sets="clientIdLists",
    normalise={"url": _without_scheme},
)

KINDS = [ROLE, POLICY, ROLE_POLICY, ROLE_POLICY_ATTACHMENT, INSTANCE_PROFILE, OIDC_PROVIDER]
