"""Gaps of EKS."""

from base64 import b64decode

from asking import ADMIN, PERSON, Aws, refused

from falaj.lab.state import REGION


def a_cluster_keeps_its_access_config(aws: Aws) -> bool:
    given = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    found = aws.described(aws.cluster(accessConfig=given)).get("accessConfig")
    return found == {"authenticationMode": "API"}


def a_cluster_s_authority_is_a_certificate(aws: Aws) -> bool:
    found = aws.described(aws.cluster())["certificateAuthority"]["data"]
    return b64decode(found, validate=True).startswith(b"-----BEGIN CERTIFICATE-----")


def a_cluster_keeps_its_upgrade_policy(aws: Aws) -> bool:
    return aws.described(aws.cluster(upgradePolicy={"supportType": "STANDARD"})).get("upgradePolicy") == {
        "supportType": "STANDARD"
    }


def a_cluster_tells_what_it_was_not_told(aws: Aws) -> bool:
    found = aws.described(aws.cluster())
    return (
        found.get("accessConfig") == {"authenticationMode": "CONFIG_MAP"}
        and found.get("upgradePolicy") == {"supportType": "EXTENDED"}
        and found.get("deletionProtection") is False
        and found.get("computeConfig") == {"enabled": False}
        and found.get("storageConfig") == {"blockStorage": {"enabled": False}}
        and found["kubernetesNetworkConfig"].get("ipFamily") == "ipv4"
        and found["kubernetesNetworkConfig"].get("elasticLoadBalancing") == {"enabled": False}
        and found["resourcesVpcConfig"].get("securityGroupIds") == []
        and found["resourcesVpcConfig"].get("endpointPublicAccess") is True
        and found["resourcesVpcConfig"].get("publicAccessCidrs") == ["0.0.0.0/0"]
        and found["resourcesVpcConfig"].get("vpcId", "").startswith("vpc-")
    )


def a_cluster_has_a_version_and_a_mode_that_exist(aws: Aws) -> bool:
    code = "InvalidParameterException"
    version = refused(lambda: aws.cluster(version="latest"), code, "unsupported Kubernetes version")
    return version and refused(lambda: aws.cluster(accessConfig={"authenticationMode": "NONE"}), code, "mode NONE")


def a_protected_cluster_cannot_be_deleted(aws: Aws) -> bool:
    cluster = aws.cluster(deletionProtection=True)
    is_refused = refused(lambda: aws.eks.delete_cluster(name=cluster), "InvalidRequestException", "protection")
    aws.eks.update_cluster_config(name=cluster, deletionProtection=False)
    aws.eks.delete_cluster(name=cluster)
    return is_refused and cluster not in aws.eks.list_clusters()["clusters"]


def a_cluster_s_update_can_be_asked_after(aws: Aws) -> bool:
    cluster = aws.cluster()
    update = aws.eks.update_cluster_config(name=cluster, upgradePolicy={"supportType": "STANDARD"})
    kept = aws.described(cluster)["upgradePolicy"] == {"supportType": "STANDARD"}
    return kept and aws.succeeded(update, cluster)


def an_update_changes_what_it_names_and_leaves_the_rest(aws: Aws) -> bool:
    logs = {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}
    cluster = aws.cluster(logging=logs)
    before = aws.described(cluster)["resourcesVpcConfig"]
    aws.eks.update_cluster_config(name=cluster, resourcesVpcConfig={"endpointPrivateAccess": True})
    off = {"clusterLogging": [{"types": ["api"], "enabled": False}]}
    aws.eks.update_cluster_config(name=cluster, logging=off)
    after = aws.described(cluster)
    enabled = [log for setup in after["logging"]["clusterLogging"] if setup["enabled"] for log in setup["types"]]
    return after["resourcesVpcConfig"] == before | {"endpointPrivateAccess": True} and enabled == ["audit"]


def only_one_kind_of_setting_is_updated_at_a_time(aws: Aws) -> bool:
    two = {"upgradePolicy": {"supportType": "STANDARD"}, "accessConfig": {"authenticationMode": "API"}}
    cluster = aws.cluster()
    return refused(
        lambda: aws.eks.update_cluster_config(name=cluster, **two), "InvalidParameterException", "one type of update"
    )


def the_authentication_mode_goes_one_way(aws: Aws) -> bool:
    cluster = aws.cluster(accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
    to = {mode: {"name": cluster, "accessConfig": {"authenticationMode": mode}} for mode in ("API", "CONFIG_MAP")}
    aws.eks.update_cluster_config(**to["API"])
    back = refused(
        lambda: aws.eks.update_cluster_config(**to["CONFIG_MAP"]), "InvalidParameterException", "API to CONFIG_MAP"
    )
    return back and aws.described(cluster)["accessConfig"] == {"authenticationMode": "API"}


def secrets_of_an_existing_cluster_can_be_encrypted(aws: Aws) -> bool:
    cluster, key = aws.cluster(), "arn:aws:kms:me-central-1:123456789012:key/k"
    wanted = [{"resources": ["secrets"], "provider": {"keyArn": key}}]
    update = aws.eks.associate_encryption_config(clusterName=cluster, encryptionConfig=wanted)
    return aws.described(cluster)["encryptionConfig"] == wanted and aws.succeeded(update, cluster)


def a_cluster_is_upgraded_one_minor_version_at_a_time(aws: Aws) -> bool:
    cluster = aws.cluster(version="1.33")
    for too_far in ("1.32", "1.33", "1.35"):
        if not refused(
            lambda: aws.eks.update_cluster_version(name=cluster, version=too_far),  # noqa: B023  # called at once
            "InvalidParameterException",
            "minor version",
        ):
            return False
    update = aws.eks.update_cluster_version(name=cluster, version="1.34")
    return aws.described(cluster)["version"] == "1.34" and aws.succeeded(update, cluster)


def a_node_group_keeps_how_it_is_updated_and_repaired(aws: Aws) -> bool:
    given = {"updateConfig": {"maxUnavailablePercentage": 50}, "nodeRepairConfig": {"enabled": True}}
    found = aws.described_group(aws.group(aws.cluster(), **given))
    return {key: found.get(key) for key in given} == given


def a_node_group_has_no_remote_access_that_nobody_asked_for(aws: Aws) -> bool:
    found = aws.described_group(aws.group(aws.cluster()))
    return "remoteAccess" not in found and "remoteAccessSecurityGroup" not in found["resources"]


def a_node_group_has_its_cluster_s_version(aws: Aws) -> bool:
    found = aws.described_group(aws.group(aws.cluster(version="1.34")))
    return found["version"] == "1.34" and found["releaseVersion"].startswith("1.34.")


def a_launch_template_says_what_a_node_group_does_not(aws: Aws) -> bool:
    cluster = aws.cluster()
    named = aws.described_group(aws.group(cluster, launchTemplate={"id": aws.template({"InstanceType": "m5.large"})}))
    unnamed = aws.described_group(aws.group(cluster, launchTemplate={"id": aws.template({"EbsOptimized": True})}))
    return (
        named["launchTemplate"].get("version") == "1"
        and not {"diskSize", "instanceTypes"} & named.keys()
        and unnamed["instanceTypes"] == ["t3.medium"]
    )


def a_node_group_has_its_instance_types_from_one_place(aws: Aws) -> bool:
    cluster, two = aws.cluster(), {"instanceTypes": ["m5.xlarge"], "launchTemplate": {"id": aws.template()}}
    is_refused = refused(lambda: aws.group(cluster, **two), "InvalidParameterException", "instance types")
    return is_refused and aws.eks.list_nodegroups(clusterName=cluster)["nodegroups"] == []


def the_latest_version_of_a_launch_template_is_a_number(aws: Aws) -> bool:
    latest = {"id": aws.template({"KeyName": "a"}, {"KeyName": "b"}), "version": "$Latest"}
    return aws.described_group(aws.group(aws.cluster(), launchTemplate=latest))["launchTemplate"]["version"] == "2"


def a_node_group_is_not_newer_than_its_cluster(aws: Aws) -> bool:
    cluster = aws.cluster(version="1.33")
    return refused(lambda: aws.group(cluster, version="1.34"), "InvalidParameterException", "greater than")


def a_node_group_s_update_can_be_asked_after(aws: Aws) -> bool:
    cluster = aws.cluster()
    group = aws.group(cluster)
    update = aws.eks.update_nodegroup_config(**group, updateConfig={"maxUnavailable": 2})
    kept = aws.described_group(group)["updateConfig"] == {"maxUnavailable": 2}
    of_cluster = aws.eks.list_updates(name=cluster)["updateIds"]
    return kept and not of_cluster and aws.succeeded(update, cluster, nodegroupName=group["nodegroupName"])


def a_node_group_is_upgraded_up_to_its_cluster_s_version(aws: Aws) -> bool:
    cluster = aws.cluster(version="1.33")
    group = aws.group(cluster, version="1.32")
    if not refused(
        lambda: aws.eks.update_nodegroup_version(**group, version="1.34"), "InvalidParameterException", "greater than"
    ):
        return False
    update = aws.eks.update_nodegroup_version(**group, version="1.33")
    found = aws.described_group(group)
    moved = found["version"] == "1.33" and found["releaseVersion"].startswith("1.33.")
    return moved and aws.succeeded(update, cluster, nodegroupName=group["nodegroupName"])


def a_node_group_moves_to_another_version_of_its_launch_template_alone(aws: Aws) -> bool:
    template, other = aws.template({"InstanceType": "m5.large"}, {"InstanceType": "m5.xlarge"}), aws.template()
    group = aws.group(aws.cluster(), launchTemplate={"id": template, "version": "1"})
    aws.eks.update_nodegroup_version(**group, launchTemplate={"id": template, "version": "2"})
    return aws.described_group(group)["launchTemplate"]["version"] == "2" and refused(
        lambda: aws.eks.update_nodegroup_version(**group, launchTemplate={"id": other}),
        "InvalidParameterException",
        "only its version",
    )


def a_node_group_s_tags_can_be_changed(aws: Aws) -> bool:
    group = aws.group(aws.cluster(), tags={"a": "1", "b": "2", "c": "3"})
    arn = aws.described_group(group)["nodegroupArn"]
    aws.eks.tag_resource(resourceArn=arn, tags={"c": "4", "d": "5"})
    aws.eks.untag_resource(resourceArn=arn, tagKeys=["a", "b"])
    now = {"c": "4", "d": "5"}
    listed = aws.eks.list_tags_for_resource(resourceArn=arn)["tags"]
    return listed == aws.described_group(group)["tags"] == now


def several_tags_of_a_cluster_are_removed_at_once(aws: Aws) -> bool:
    cluster = aws.cluster(tags={"a": "1", "b": "2", "c": "3"})
    aws.eks.untag_resource(resourceArn=aws.described(cluster)["arn"], tagKeys=["a", "b"])
    return aws.described(cluster)["tags"] == {"c": "3"}


def a_principal_is_let_into_a_cluster(aws: Aws) -> bool:
    named = aws.cluster_with_entries()
    made = aws.eks.create_access_entry(**named, kubernetesGroups=["readers"], tags={"a": "1"})["accessEntry"]
    found = aws.eks.describe_access_entry(**named)["accessEntry"]
    expected = {
        **named,
        "kubernetesGroups": ["readers"],
        "username": "arn:aws:sts::123456789012:assumed-role/people/{{SessionName}}",
        "type": "STANDARD",
        "tags": {"a": "1"},
    }
    cluster = named["clusterName"]
    arn = f"arn:aws:eks:{REGION}:123456789012:access-entry/{cluster}/role/123456789012/people/"
    return (
        made == found
        and {key: found.get(key) for key in expected} == expected
        and found["accessEntryArn"].startswith(arn)
        and aws.eks.list_access_entries(clusterName=cluster)["accessEntries"] == [PERSON]
        and aws.eks.list_tags_for_resource(resourceArn=found["accessEntryArn"])["tags"] == {"a": "1"}
        and refused(lambda: aws.eks.create_access_entry(**named), "ResourceInUseException", "already in use")
    )


def a_principal_s_groups_and_user_can_be_changed(aws: Aws) -> bool:
    named = aws.cluster_with_entries()
    aws.eks.create_access_entry(**named, kubernetesGroups=["readers"], username="someone")
    aws.eks.update_access_entry(**named, kubernetesGroups=["writers"])
    found = aws.eks.describe_access_entry(**named)["accessEntry"]
    return (found["kubernetesGroups"], found["username"]) == (["writers"], "someone")


def nobody_is_let_in_under_a_name_of_the_system(aws: Aws) -> bool:
    named, groups = aws.cluster_with_entries(), {"kubernetesGroups": ["system:masters"]}
    return refused(
        lambda: aws.eks.create_access_entry(**named, **groups), "InvalidParameterException", "cannot start with"
    )


def nodes_are_let_in_as_nodes(aws: Aws) -> bool:
    named, admin = aws.cluster_with_entries(), {"policyArn": ADMIN, "accessScope": {"type": "cluster"}}
    made = aws.eks.create_access_entry(**named, type="EC2_LINUX")["accessEntry"]
    is_node = (made["kubernetesGroups"], made["username"]) == (["system:nodes"], "system:node:{{EC2PrivateDNSName}}")
    return is_node and refused(
        lambda: aws.eks.associate_access_policy(**named, **admin), "InvalidParameterException", "STANDARD"
    )


def a_cluster_by_config_map_has_no_access_entries(aws: Aws) -> bool:
    named = {"clusterName": aws.cluster(), "principalArn": PERSON}
    return refused(
        lambda: aws.eks.create_access_entry(**named), "InvalidRequestException", "authentication mode must be set to"
    )


def a_principal_is_allowed_what_a_policy_says(aws: Aws) -> bool:
    named = aws.cluster_with_entries()
    aws.eks.create_access_entry(**named)
    for scope in ({"type": "cluster"}, {"type": "namespace", "namespaces": ["a", "b"]}):
        aws.eks.associate_access_policy(**named, policyArn=ADMIN, accessScope=scope)
        found = aws.eks.list_associated_access_policies(**named)["associatedAccessPolicies"]
        if [(one["policyArn"], one["accessScope"]) for one in found] != [(ADMIN, {"namespaces": []} | scope)]:
            return False
    holders = aws.eks.list_access_entries(clusterName=named["clusterName"], associatedPolicyArn=ADMIN)
    aws.eks.disassociate_access_policy(**named, policyArn=ADMIN)
    left = aws.eks.list_associated_access_policies(**named)["associatedAccessPolicies"]
    return holders["accessEntries"] == [PERSON] and left == []


def a_principal_that_was_shut_out_comes_back_without_its_policies(aws: Aws) -> bool:
    named = aws.cluster_with_entries()
    aws.eks.create_access_entry(**named)
    aws.eks.associate_access_policy(**named, policyArn=ADMIN, accessScope={"type": "cluster"})
    aws.eks.delete_access_entry(**named)
    gone = refused(lambda: aws.eks.describe_access_entry(**named), "ResourceNotFoundException", "could not be found")
    aws.eks.create_access_entry(**named)
    return gone and aws.eks.list_associated_access_policies(**named)["associatedAccessPolicies"] == []


def a_cluster_has_add_ons(aws: Aws) -> bool:
    cluster = aws.cluster()
    named = {"clusterName": cluster, "addonName": "vpc-cni"}
    made = aws.eks.create_addon(**named, addonVersion="v1.2.3-eksbuild.4", tags={"a": "1"})["addon"]
    update = aws.eks.update_addon(**named, addonVersion="v1.3.0-eksbuild.1", configurationValues="{}")
    found = aws.eks.describe_addon(**named)["addon"]
    listed = aws.eks.list_addons(clusterName=cluster)["addons"]
    again = refused(lambda: aws.eks.create_addon(**named), "ResourceInUseException", "already exists")
    succeeded = aws.succeeded(update, cluster, addonName="vpc-cni")
    aws.eks.delete_addon(**named)
    return (
        (made["addonVersion"], made["status"]) == ("v1.2.3-eksbuild.4", "ACTIVE")
        and (found["addonVersion"], found["configurationValues"]) == ("v1.3.0-eksbuild.1", "{}")
        and found["addonArn"].startswith(f"arn:aws:eks:{REGION}:123456789012:addon/{cluster}/vpc-cni/")
        and listed == ["vpc-cni"]
        and again
        and succeeded
        and refused(lambda: aws.eks.describe_addon(**named), "ResourceNotFoundException", "No addon")
    )


def pods_get_a_role_by_their_service_account(aws: Aws) -> bool:
    cluster, role, other = aws.cluster(), aws.role(), aws.role()
    pods = {"clusterName": cluster, "namespace": "team", "serviceAccount": "trainer"}
    made = aws.eks.create_pod_identity_association(**pods, roleArn=role)["association"]
    named = {"clusterName": cluster, "associationId": made["associationId"]}
    twice = refused(
        lambda: aws.eks.create_pod_identity_association(**pods, roleArn=role),
        "ResourceInUseException",
        "already exists",
    )
    changed = aws.eks.update_pod_identity_association(**named, roleArn=other, targetRoleArn=role)["association"]
    found = aws.eks.describe_pod_identity_association(**named)["association"]
    listed = [
        [one["associationId"] for one in aws.eks.list_pod_identity_associations(**asked)["associations"]]
        for asked in ({"clusterName": cluster}, pods, {"clusterName": cluster, "namespace": "other"})
    ]
    aws.eks.delete_pod_identity_association(**named)
    return (
        made["associationArn"].endswith(f":podidentityassociation/{cluster}/{made['associationId']}")
        and {key: made[key] for key in (*pods, "roleArn")} == {**pods, "roleArn": role}
        and found == changed
        and (found["roleArn"], found["targetRoleArn"], bool(found["externalId"])) == (other, role, True)
        and listed == [[made["associationId"]], [made["associationId"]], []]
        and twice
        and refused(
            lambda: aws.eks.describe_pod_identity_association(**named), "ResourceNotFoundException", "No association"
        )
    )


def an_add_on_s_pods_get_their_roles_with_it(aws: Aws) -> bool:
    cluster, role = aws.cluster(), aws.role()
    named = {"clusterName": cluster, "addonName": "vpc-cni"}
    wanted = [{"serviceAccount": "aws-node", "roleArn": role}]
    made = aws.eks.create_addon(**named, podIdentityAssociations=wanted)["addon"]
    found = aws.eks.list_pod_identity_associations(clusterName=cluster)["associations"]
    aws.eks.delete_addon(**named)
    return (
        [one["associationArn"] for one in found] == made["podIdentityAssociations"]
        and [(one["serviceAccount"], one["ownerArn"]) for one in found] == [("aws-node", made["addonArn"])]
        and aws.eks.list_pod_identity_associations(clusterName=cluster)["associations"] == []
    )


GAPS = [
    a_cluster_keeps_its_access_config,
    a_cluster_s_authority_is_a_certificate,
    a_cluster_keeps_its_upgrade_policy,
    a_cluster_tells_what_it_was_not_told,
    a_cluster_has_a_version_and_a_mode_that_exist,
    a_protected_cluster_cannot_be_deleted,
    a_cluster_s_update_can_be_asked_after,
    an_update_changes_what_it_names_and_leaves_the_rest,
    only_one_kind_of_setting_is_updated_at_a_time,
    the_authentication_mode_goes_one_way,
    secrets_of_an_existing_cluster_can_be_encrypted,
    a_cluster_is_upgraded_one_minor_version_at_a_time,
    a_node_group_keeps_how_it_is_updated_and_repaired,
    a_node_group_has_no_remote_access_that_nobody_asked_for,
    a_node_group_has_its_cluster_s_version,
    a_launch_template_says_what_a_node_group_does_not,
    a_node_group_has_its_instance_types_from_one_place,
    the_latest_version_of_a_launch_template_is_a_number,
    a_node_group_is_not_newer_than_its_cluster,
    a_node_group_s_update_can_be_asked_after,
    a_node_group_is_upgraded_up_to_its_cluster_s_version,
    a_node_group_moves_to_another_version_of_its_launch_template_alone,
    a_node_group_s_tags_can_be_changed,
    several_tags_of_a_cluster_are_removed_at_once,
    a_principal_is_let_into_a_cluster,
    a_principal_s_groups_and_user_can_be_changed,
    nobody_is_let_in_under_a_name_of_the_system,
    nodes_are_let_in_as_nodes,
    a_cluster_by_config_map_has_no_access_entries,
    a_principal_is_allowed_what_a_policy_says,
    a_principal_that_was_shut_out_comes_back_without_its_policies,
    a_cluster_has_add_ons,
    pods_get_a_role_by_their_service_account,
    an_add_on_s_pods_get_their_roles_with_it,
]
