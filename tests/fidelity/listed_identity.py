"""Keys, principals, policies and the organization."""

from collections.abc import Iterator

from listing import Client, Listing, Thing, ask, listed, pages, settings, shows


def _keys(kms: Client) -> Iterator[Thing]:
    for item in pages(kms, "list_keys", "Keys"):
        key = item["KeyId"]
        metadata = ask(kms, "describe_key", KeyId=key)["KeyMetadata"]
        # A key is never gone at once: it waits for its deletion, and counts as gone.
        if metadata["KeyState"] != "PendingDeletion":
            yield (
                key,
                {
                    "metadata": metadata,
                    "policy": ask(kms, "get_key_policy", KeyId=key, PolicyName="default"),
                    "rotation": ask(kms, "get_key_rotation_status", KeyId=key),
                    "tags": ask(kms, "list_resource_tags", KeyId=key),
                    "grants": ask(kms, "list_grants", KeyId=key),
                },
            )


def _roles(iam: Client) -> Iterator[Thing]:
    for item in pages(iam, "list_roles", "Roles"):
        name = item["RoleName"]
        inline = pages(iam, "list_role_policies", "PolicyNames", RoleName=name)
        yield (
            name,
            {
                "role": ask(iam, "get_role", RoleName=name),
                "attached": list(pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)),
                "inline": {each: ask(iam, "get_role_policy", RoleName=name, PolicyName=each) for each in inline},
                "profiles": list(pages(iam, "list_instance_profiles_for_role", "InstanceProfiles", RoleName=name)),
            },
        )


def _policies(iam: Client) -> Iterator[Thing]:
    for item in pages(iam, "list_policies", "Policies", Scope="Local"):
        arn = item["Arn"]
        version = ask(iam, "get_policy_version", PolicyArn=arn, VersionId=item["DefaultVersionId"])
        yield arn, {"policy": ask(iam, "get_policy", PolicyArn=arn), "version": version}


def _oidc_providers(iam: Client) -> Iterator[Thing]:
    for item in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        yield item["Arn"], ask(iam, "get_open_id_connect_provider", OpenIDConnectProviderArn=item["Arn"])


LISTINGS = (
    Listing(
        "KMS key",
        "kms",
        _keys,
        shows("kms/key:Key", "kms/externalKey:ExternalKey", "kms/grant:Grant", "kms/keyPolicy:KeyPolicy"),
    ),
    Listing("KMS alias", "kms", listed("list_aliases", "Aliases", "AliasName"), shows("kms/alias:Alias")),
    Listing(
        "custom key store",
        "kms",
        listed("describe_custom_key_stores", "CustomKeyStores", "CustomKeyStoreId"),
        shows("kms/customKeyStore:CustomKeyStore"),
    ),
    Listing(
        "role",
        "iam",
        _roles,
        shows(
            "iam/role:Role",
            "iam/rolePolicy:RolePolicy",
            "iam/rolePolicyAttachment:RolePolicyAttachment",
            "iam/serviceLinkedRole:ServiceLinkedRole",
        ),
    ),
    Listing(
        "instance profile",
        "iam",
        listed("list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
        shows("iam/instanceProfile:InstanceProfile"),
    ),
    Listing("managed policy", "iam", _policies, shows("iam/policy:Policy")),
    Listing("OIDC provider", "iam", _oidc_providers, shows("iam/openIdConnectProvider:OpenIdConnectProvider")),
    Listing(
        "secret",
        "secretsmanager",
        listed(
            "list_secrets",
            "SecretList",
            "ARN",
            {
                "described": ("describe_secret", {"SecretId": "ARN"}),
                "policy": ("get_resource_policy", {"SecretId": "ARN"}),
            },
        ),
        shows("secretsmanager/secret:Secret", "secretsmanager/secretVersion:SecretVersion"),
    ),
    Listing(
        "organization",
        "organizations",
        settings(organization="describe_organization", roots="list_roots"),
        shows("organizations/organization:Organization"),
    ),
    Listing(
        "service control policy",
        "organizations",
        listed(
            "list_policies",
            "Policies",
            "Id",
            {
                "described": ("describe_policy", {"PolicyId": "Id"}),
                "targets": ("list_targets_for_policy", {"PolicyId": "Id"}),
                "tags": ("list_tags_for_resource", {"ResourceId": "Id"}),
            },
            Filter="SERVICE_CONTROL_POLICY",
        ),
        shows("organizations/policy:Policy", "organizations/policyAttachment:PolicyAttachment"),
    ),
)
