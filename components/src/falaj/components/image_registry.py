"""The registry from which nodes pull images: own repositories, and mirrors of other registries in the home region."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded
from falaj.components.classification import Classification
from falaj.components.documents import service_trust
from falaj.components.errors import ConfigError
from falaj.components.image_mirrors import ImageMirror, Mirrored, check_mirrors, mirrored, mirrors_of
from falaj.components.image_policies import (
    creation_permissions,
    lifecycle_policy,
    registry_policy,
    repository_policy,
)
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef, RegistryRef, by_name, key_arn
from falaj.components.regime import Regime, check_regime

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG_FILTER = re.compile(r"[0-9a-zA-Z._*-]{1,128}")
_FIXED = "IMMUTABLE"
_FIXED_BUT = "IMMUTABLE_WITH_EXCLUSION"


class ImageScanning(StrEnum):
    """How images are searched for known vulnerabilities."""

    ON_PUSH = "on-push"
    """Once, when an image arrives: packages of the operating system, at no charge."""
    CONTINUOUS = "continuous"
    """By Amazon Inspector, again whenever a vulnerability becomes known: programming languages' packages too."""


class ImageRegistryArgs(TypedDict):
    """What may be said of an image registry."""

    repositories: list[str]
    """Names of the repositories for images of your own, for example ``nvidia/tritonserver``."""
    key: pulumi.Input[KeyRef]
    """Key of the images: ``ref`` of a ``ResidencyKey`` used by ECR."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the registry and pays for it."""
    classification: NotRequired[Classification]
    """Classification of what is in the images. Default: ``restricted``."""
    mirrors: NotRequired[list[ImageMirror]]
    """Registries that are mirrored, so that nodes pull from the home region only. Default: none."""
    moving_tags: NotRequired[list[str]]
    """Tags of mirrored images that may follow the upstream, with ``*`` for any letters, at most 5. Default: none."""
    scanning: NotRequired[ImageScanning]
    """How images are searched for vulnerabilities. Default: ``on-push``."""
    keep_tagged: NotRequired[int]
    """Tagged images that each repository keeps, the newest ones. Default: 100."""
    untagged_days: NotRequired[int]
    """Days that an image without a tag is kept. Default: 14."""
    importers: NotRequired[pulumi.Input[list[str]]]
    """ARNs of roles, such as a node pool's, whose pull may bring in a mirrored image. Default: whom IAM allows to."""
    shared_with_organization: NotRequired[bool]
    """Whether other accounts of the regime's organization may pull the repositories. Default: false."""


@dataclass(frozen=True)
class _Common:
    """What every part of the registry is made with."""

    name: str
    regime: Regime
    key: pulumi.Output[str]
    lifecycle: str
    access: str
    tags: dict[str, str]
    child: pulumi.ResourceOptions

    def after(self, first: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of what is made after another."""
        return pulumi.ResourceOptions.merge(self.child, pulumi.ResourceOptions(depends_on=[first]))


class ImageRegistry(pulumi.ComponentResource):
    """The private registry of the account in the home region; there is one, so make one of these per account.

    Nothing is replicated: there is no such argument, and the registry's policy denies images that others would send.
    Serves ISO/IEC 27001:2022 A.5.21, A.8.3, A.8.7, A.8.8, A.8.19, A.8.24 and A.8.32.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    registry: pulumi.Output[str]
    """Host name of the registry, ``<account>.dkr.ecr.<region>.amazonaws.com``."""
    repository_urls: pulumi.Output[dict[str, str]]
    """Where each repository is, by its name."""
    prefixes: pulumi.Output[dict[str, str]]
    """Under which prefix each mirrored registry is, by its host."""
    ref: RegistryRef
    """The registry as other components take it."""

    def __init__(self, name: str, args: ImageRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        names = check_repositories(f"{name}.repositories", args["repositories"])
        mirrors = check_mirrors(f"{name}.mirrors", args.get("mirrors", []), names, regime)
        moving = check_moving_tags(f"{name}.moving_tags", args.get("moving_tags", []))
        keep = bounded(f"{name}.keep_tagged", args.get("keep_tagged", 100), 1, 10000, "images")
        untagged = bounded(f"{name}.untagged_days", args.get("untagged_days", 14), 1, 365, "days")
        scanning = ImageScanning(args.get("scanning", ImageScanning.ON_PUSH))
        shared = _check_sharing(f"{name}.shared_with_organization", args, regime)
        tags = labels(f"{name}.ownership", ownership, classification)
        key = key_arn(f"{name}.key", args["key"], classification)
        policies = (lifecycle_policy(keep, untagged), repository_policy(regime, shared=shared))

        super().__init__("falaj:index:ImageRegistry", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        common = _Common(name, regime, key, json.dumps(policies[0]), json.dumps(policies[1]), tags, child)
        _settings(common, mirrors, scanning, args.get("importers", []))
        made = {each: _repository(common, each) for each in names}
        if mirrors:
            role = _creator(common, mirrors)
            for mirror in mirrors:
                _mirror(common, mirror, moving, role)

        self._host = f"{regime['account_id']}.dkr.ecr.{regime['home_region']}.amazonaws.com"
        self._mirrors = mirrors_of(mirrors)
        self.registry = pulumi.Output.from_input(self._host)
        self.repository_urls = by_name({each: one.repository_url for each, one in made.items()})
        self.prefixes = pulumi.Output.from_input(self._mirrors)
        self.ref = {"registry": self._host, "prefixes": self._mirrors}
        self.register_outputs(
            {
                "registry": self.registry,
                "repositoryUrls": self.repository_urls,
                "prefixes": self.prefixes,
                "ref": self.ref,
            }
        )

    def image(self, reference: str) -> str:
        """Return an upstream's image as nodes pull it: from the mirror in the home region.

        Raises ``ConfigError`` when its registry is not mirrored.
        """
        return mirrored(self._host, self._mirrors, reference)


def check_repositories(field: str, names: Sequence[str]) -> list[str]:
    """Return the names of repositories, refusing what ECR would refuse and a name that is there twice."""
    for each in names:
        if not _REPOSITORY.fullmatch(each) or not 2 <= len(each) <= 256:
            remedy = "must be 2 to 256 lower-case letters, digits and single separators, such as nvidia/tritonserver"
            raise ConfigError(field, each, remedy)
    if len(set(names)) != len(names):
        raise ConfigError(field, list(names), "must be different names")
    return list(names)


def check_moving_tags(field: str, filters: Sequence[str]) -> list[str]:
    """Return the filters of tags that may move, refusing one that would let every tag move."""
    for each in filters:
        if not _TAG_FILTER.fullmatch(each) or each.count("*") > 2 or not each.strip("*"):
            raise ConfigError(field, each, "must be tags such as latest or nightly-*, with at most two *")
    if len(filters) > 5:
        raise ConfigError(field, list(filters), "must be at most 5")
    return list(filters)


def _check_sharing(field: str, args: ImageRegistryArgs, regime: Regime) -> bool:
    shared = args.get("shared_with_organization", False)
    if shared and "organization_id" not in regime:
        raise ConfigError(field, shared, "must be left out unless the regime has an organization_id")
    return shared


def _settings(
    common: _Common, mirrors: Sequence[Mirrored], scanning: ImageScanning, importers: pulumi.Input[list[str]]
) -> None:
    """Set what holds for the whole registry: who may do what, and how images are scanned."""
    name, child = common.name, common.child
    scope = aws.ecr.AccountSetting(f"{name}-policy-scope", name="REGISTRY_POLICY_SCOPE", value="V2", opts=child)
    scanner = aws.ecr.AccountSetting(f"{name}-scanner", name="BASIC_SCAN_TYPE_VERSION", value="AWS_NATIVE", opts=child)
    prefixes = [mirror.prefix for mirror in mirrors]
    aws.ecr.RegistryPolicy(
        f"{name}-registry-policy",
        policy=pulumi.Output.from_input(importers).apply(
            lambda roles: json.dumps(registry_policy(common.regime, prefixes, roles))
        ),
        # Before, ECR takes no policy that speaks of more than replication and mirrors.
        opts=common.after(scope),
    )
    continuous = scanning is ImageScanning.CONTINUOUS
    aws.ecr.RegistryScanningConfiguration(
        f"{name}-scanning",
        scan_type="ENHANCED" if continuous else "BASIC",
        rules=[
            {
                "scan_frequency": "CONTINUOUS_SCAN" if continuous else "SCAN_ON_PUSH",
                "repository_filters": [{"filter": "*", "filter_type": "WILDCARD"}],
            }
        ],
        opts=common.after(scanner),
    )


def _repository(common: _Common, repository: str) -> aws.ecr.Repository:
    """Make a repository for own images, none of whose tags ever names another image."""
    label = f"{common.name}-{repository.replace('/', '-')}"
    made = aws.ecr.Repository(
        label,
        name=repository,
        image_tag_mutability=_FIXED,
        image_scanning_configuration={"scan_on_push": True},
        encryption_configurations=[{"encryption_type": "KMS", "kms_key": common.key}],
        tags=common.tags,
        opts=common.child,
    )
    aws.ecr.RepositoryPolicy(f"{label}-policy", repository=made.name, policy=common.access, opts=common.child)
    aws.ecr.LifecyclePolicy(f"{label}-lifecycle", repository=made.name, policy=common.lifecycle, opts=common.child)
    return made


def _creator(common: _Common, mirrors: Sequence[Mirrored]) -> aws.iam.Role:
    """Make the role by which ECR makes a mirrored repository; without one it could give it neither key nor tags."""
    role = aws.iam.Role(
        f"{common.name}-creator",
        description=f"ECR makes the mirrored repositories of {common.name}",
        # ECR takes a role of its registry's own account only, so that nobody else's registry can use it.
        assume_role_policy=json.dumps(service_trust("ecr.amazonaws.com")),
        tags=common.tags,
        opts=common.child,
    )
    prefixes = [mirror.prefix for mirror in mirrors]
    aws.iam.RolePolicy(
        f"{common.name}-creator-permissions",
        role=role.name,
        policy=common.key.apply(lambda arn: json.dumps(creation_permissions(common.regime, prefixes, arn))),
        opts=common.child,
    )
    return role


def _mirror(common: _Common, mirror: Mirrored, moving: Sequence[str], role: aws.iam.Role) -> None:
    """Mirror one registry: the template of its repositories first, since a repository keeps what it was made with."""
    template = aws.ecr.RepositoryCreationTemplate(
        f"{common.name}-{mirror.prefix}-template",
        prefix=mirror.prefix,
        description=f"Images of {mirror.host}",
        applied_fors=["PULL_THROUGH_CACHE"],
        custom_role_arn=role.arn,
        image_tag_mutability=_FIXED_BUT if moving else _FIXED,
        image_tag_mutability_exclusion_filters=[{"filter": each, "filter_type": "WILDCARD"} for each in moving],
        encryption_configurations=[{"encryption_type": "KMS", "kms_key": common.key}],
        repository_policy=common.access,
        lifecycle_policy=common.lifecycle,
        resource_tags=common.tags,
        opts=common.child,
    )
    aws.ecr.PullThroughCacheRule(
        f"{common.name}-{mirror.prefix}-rule",
        ecr_repository_prefix=mirror.prefix,
        upstream_registry_url=mirror.url,
        credential_arn=mirror.credential,
        opts=common.after(template),
    )
