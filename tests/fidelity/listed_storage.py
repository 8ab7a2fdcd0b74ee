"""Stores: buckets, file systems, image registries and backups."""

from collections.abc import Iterator

from listing import Client, Listing, Thing, ask, listed, pages, settings, shows


def _buckets(s3: Client) -> Iterator[Thing]:
    """List the buckets with every answer that S3 gives about one, whatever it is asked by the bucket's name alone."""
    model = s3.meta.service_model
    operations = [
        name
        for name, api in s3.meta.method_to_api_mapping.items()
        if name.startswith("get_") and model.operation_model(api).input_shape.required_members == ["Bucket"]
    ]
    for item in s3.list_buckets()["Buckets"]:
        bucket = item["Name"]
        facts = {operation: ask(s3, operation, Bucket=bucket) for operation in sorted(operations)}
        objects = [each["Key"] for each in pages(s3, "list_objects_v2", "Contents", Bucket=bucket)]
        yield bucket, {**facts, "objects": objects}


def _mount_targets(efs: Client) -> Iterator[Thing]:
    for system in pages(efs, "describe_file_systems", "FileSystems"):
        for item in pages(efs, "describe_mount_targets", "MountTargets", FileSystemId=system["FileSystemId"]):
            identity = item["MountTargetId"]
            groups = ask(efs, "describe_mount_target_security_groups", MountTargetId=identity)
            yield identity, {**item, "securityGroups": groups}


def _backup_plans(backup: Client) -> Iterator[Thing]:
    for item in pages(backup, "list_backup_plans", "BackupPlansList"):
        plan = item["BackupPlanId"]
        yield (
            plan,
            {
                **item,
                "described": ask(backup, "get_backup_plan", BackupPlanId=plan),
                "tags": ask(backup, "list_tags", ResourceArn=item["BackupPlanArn"]),
            },
        )


def _backup_selections(backup: Client) -> Iterator[Thing]:
    for item in pages(backup, "list_backup_plans", "BackupPlansList"):
        plan = item["BackupPlanId"]
        for selection in pages(backup, "list_backup_selections", "BackupSelectionsList", BackupPlanId=plan):
            identity = selection["SelectionId"]
            yield identity, ask(backup, "get_backup_selection", BackupPlanId=plan, SelectionId=identity)


def _registry(ecr: Client) -> Iterator[Thing]:
    asked = ("get_registry_policy", "get_registry_scanning_configuration", "describe_registry")
    names = ("BASIC_SCAN_TYPE_VERSION", "REGISTRY_POLICY_SCOPE")
    settings = {name: ask(ecr, "get_account_setting", name=name) for name in names}
    yield "settings", {**{operation: ask(ecr, operation) for operation in asked}, "settings": settings}


LISTINGS = (
    Listing(
        "bucket",
        "s3",
        _buckets,
        shows(
            "s3/bucket:Bucket",
            "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            "s3/bucketLogging:BucketLogging",
            "s3/bucketObject:BucketObject",
            "s3/bucketObjectv2:BucketObjectv2",
            "s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
            "s3/bucketOwnershipControls:BucketOwnershipControls",
            "s3/bucketPolicy:BucketPolicy",
            "s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "s3/bucketVersioning:BucketVersioning",
        ),
    ),
    Listing(
        "file system",
        "efs",
        listed(
            "describe_file_systems",
            "FileSystems",
            "FileSystemId",
            {
                "policy": ("describe_file_system_policy", {"FileSystemId": "FileSystemId"}),
                "backup": ("describe_backup_policy", {"FileSystemId": "FileSystemId"}),
                "lifecycle": ("describe_lifecycle_configuration", {"FileSystemId": "FileSystemId"}),
            },
        ),
        shows(
            "efs/fileSystem:FileSystem",
            "efs/fileSystemPolicy:FileSystemPolicy",
            "efs/backupPolicy:BackupPolicy",
        ),
    ),
    Listing("mount target", "efs", _mount_targets, shows("efs/mountTarget:MountTarget")),
    Listing(
        "access point",
        "efs",
        listed("describe_access_points", "AccessPoints", "AccessPointId"),
        shows("efs/accessPoint:AccessPoint"),
    ),
    Listing(
        "training file system",
        "fsx",
        listed("describe_file_systems", "FileSystems", "FileSystemId"),
        shows("fsx/lustreFileSystem:LustreFileSystem"),
    ),
    Listing(
        "data repository association",
        "fsx",
        listed("describe_data_repository_associations", "Associations", "AssociationId"),
        shows("fsx/dataRepositoryAssociation:DataRepositoryAssociation"),
    ),
    Listing(
        "image repository",
        "ecr",
        listed(
            "describe_repositories",
            "repositories",
            "repositoryName",
            {
                "lifecycle": ("get_lifecycle_policy", {"repositoryName": "repositoryName"}),
                "policy": ("get_repository_policy", {"repositoryName": "repositoryName"}),
                "tags": ("list_tags_for_resource", {"resourceArn": "repositoryArn"}),
            },
        ),
        shows(
            "ecr/repository:Repository",
            "ecr/lifecyclePolicy:LifecyclePolicy",
            "ecr/repositoryPolicy:RepositoryPolicy",
        ),
    ),
    Listing(
        "pull-through cache rule",
        "ecr",
        listed("describe_pull_through_cache_rules", "pullThroughCacheRules", "ecrRepositoryPrefix"),
        shows("ecr/pullThroughCacheRule:PullThroughCacheRule"),
    ),
    Listing(
        "repository creation template",
        "ecr",
        listed("describe_repository_creation_templates", "repositoryCreationTemplates", "prefix"),
        shows("ecr/repositoryCreationTemplate:RepositoryCreationTemplate"),
    ),
    Listing(
        "image registry",
        "ecr",
        _registry,
        shows(
            "ecr/accountSetting:AccountSetting",
            "ecr/registryPolicy:RegistryPolicy",
            "ecr/registryScanningConfiguration:RegistryScanningConfiguration",
            "ecr/replicationConfiguration:ReplicationConfiguration",
        ),
    ),
    Listing(
        "backup vault",
        "backup",
        listed(
            "list_backup_vaults",
            "BackupVaultList",
            "BackupVaultName",
            {
                "described": ("describe_backup_vault", {"BackupVaultName": "BackupVaultName"}),
                "policy": ("get_backup_vault_access_policy", {"BackupVaultName": "BackupVaultName"}),
                "notifications": ("get_backup_vault_notifications", {"BackupVaultName": "BackupVaultName"}),
                "tags": ("list_tags", {"ResourceArn": "BackupVaultArn"}),
            },
        ),
        shows(
            "backup/vault:Vault",
            "backup/vaultLockConfiguration:VaultLockConfiguration",
            "backup/vaultPolicy:VaultPolicy",
            "backup/vaultNotifications:VaultNotifications",
        ),
    ),
    Listing("backup plan", "backup", _backup_plans, shows("backup/plan:Plan")),
    Listing("backup selection", "backup", _backup_selections, shows("backup/selection:Selection")),
    Listing(
        "backup settings",
        "backup",
        settings(region="describe_region_settings", account="describe_global_settings"),
        shows("backup/regionSettings:RegionSettings", "backup/globalSettings:GlobalSettings"),
    ),
)
