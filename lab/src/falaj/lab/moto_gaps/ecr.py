"""ECR: mirrors of other registries, templates of the repositories that they make, and the settings of an account.

moto has none of them, and knows a registry's policy in its first form only. The lab keeps rules and templates; nothing
pulls an image, so that no repository comes from them.
"""

import json
import re

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ecr import urls
from moto.ecr.models import ECRBackend
from moto.ecr.responses import ECRResponse
from moto.iam.exceptions import MalformedPolicyDocument
from moto.secretsmanager.models import secretsmanager_backends

from falaj.lab.moto_gaps.kept import Kept, kept

"""What ECR answers of one thing, by its own names."""
UPSTREAMS = {
    "public.ecr.aws": "ecr-public",
    "registry.k8s.io": "k8s",
    "quay.io": "quay",
    "registry-1.docker.io": "docker-hub",
    "ghcr.io": "github-container-registry",
    "registry.gitlab.com": "gitlab-container-registry",
    "cgr.dev": "chainguard",
}
OPEN = {"ecr-public", "k8s", "quay"}
"""Upstreams that ask for no credentials."""
SECRET = re.compile(r"arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}:secret:ecr-pullthroughcache/.+")
SETTINGS = {
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE", "CLAIR"),
    "REGISTRY_POLICY_SCOPE": ("V1", "V2"),
    "BLOB_MOUNTING": ("DISABLED", "ENABLED"),
}
"""The settings of an account with their values, the first being the default."""
FIRST_ACTIONS = {"ecr:CreateRepository", "ecr:ReplicateImage", "ecr:BatchImportUpstreamImage"}
"""What a registry's policy in its first form may speak of."""
FREQUENCIES = {"BASIC": {"SCAN_ON_PUSH", "MANUAL"}, "ENHANCED": {"SCAN_ON_PUSH", "CONTINUOUS_SCAN", "MANUAL"}}


class Ecr(ECRResponse):
    """The operations of ECR that are served."""

    def create_pull_through_cache_rule(self) -> ActionResult:
        """Mirror an upstream registry under a prefix."""
        prefix, url = self._get_param("ecrRepositoryPrefix"), self._get_param("upstreamRegistryUrl")
        upstream = UPSTREAMS.get(url) or ("azure-container-registry" if url.endswith(".azurecr.io") else None)
        if upstream is None:
            raise JsonRESTError(
                "UnsupportedUpstreamRegistryException", f"The upstream registry {url} is not supported."
            )
        if prefix in self._rules:
            message = f"The pull through cache rule with prefix '{prefix}' already exists."
            raise JsonRESTError("PullThroughCacheRuleAlreadyExistsException", message)
        credentials = self._credentials(upstream, self._get_param("credentialArn"))
        rule: Kept = {
            "ecrRepositoryPrefix": prefix,
            "upstreamRegistryUrl": url,
            "upstreamRegistry": upstream,
            "upstreamRepositoryPrefix": self._get_param("upstreamRepositoryPrefix"),
            "registryId": self.current_account,
            "createdAt": utcnow(),
            "updatedAt": utcnow(),
        }
        self._rules[prefix] = rule | credentials
        return ActionResult(self._rules[prefix])

    def describe_pull_through_cache_rules(self) -> ActionResult:
        """Tell of the mirrors."""
        prefixes = self._get_param("ecrRepositoryPrefixes") or list(self._rules)
        return ActionResult({"pullThroughCacheRules": [self._rule(prefix) for prefix in prefixes]})

    def update_pull_through_cache_rule(self) -> ActionResult:
        """Change the credentials of a mirror."""
        rule = self._rule(self._get_param("ecrRepositoryPrefix"))
        rule |= self._credentials(rule["upstreamRegistry"], self._get_param("credentialArn")) | {"updatedAt": utcnow()}
        return ActionResult(rule)

    def delete_pull_through_cache_rule(self) -> ActionResult:
        """Mirror no longer; repositories that are there stay."""
        rule = self._rule(self._get_param("ecrRepositoryPrefix"))
        return ActionResult(self._rules.pop(rule["ecrRepositoryPrefix"]))

    def create_repository_creation_template(self) -> ActionResult:
        """Say how repositories are made that ECR makes by itself."""
        prefix = self._get_param("prefix")
        if prefix in self._templates:
            message = f"The template with prefix '{prefix}' already exists."
            raise JsonRESTError("TemplateAlreadyExistsException", message)
        template: Kept = {"prefix": prefix, "imageTagMutability": "MUTABLE", "createdAt": utcnow()}
        self._templates[prefix] = template | self._template()
        return self._told(self._templates[prefix])

    def describe_repository_creation_templates(self) -> ActionResult:
        """Tell of the templates."""
        prefixes = self._get_param("prefixes") or list(self._templates)
        templates = [self._kept_template(prefix) for prefix in prefixes]
        return ActionResult({"registryId": self.current_account, "repositoryCreationTemplates": templates})

    def update_repository_creation_template(self) -> ActionResult:
        """Change what a request names; repositories that are there stay as they are."""
        template = self._kept_template(self._get_param("prefix"))
        template |= self._template()
        return self._told(template)

    def delete_repository_creation_template(self) -> ActionResult:
        """Forget a template."""
        template = self._kept_template(self._get_param("prefix"))
        return self._told(self._templates.pop(template["prefix"]))

    def get_account_setting(self) -> ActionResult:
        """Tell a setting of the account."""
        name = self._get_param("name")
        return ActionResult({"name": name, "value": setting(self.ecr_backend, name)})

    def put_account_setting(self) -> ActionResult:
        """Change a setting of the account."""
        name, value = self._get_param("name"), self._get_param("value")
        setting(self.ecr_backend, name)
        if value not in SETTINGS[name]:
            raise JsonRESTError("InvalidParameterException", f"{name} must be one of {', '.join(SETTINGS[name])}.")
        kept(self.ecr_backend, "settings")[name] = value
        return ActionResult({"name": name, "value": value})

    def put_registry_scanning_configuration(self) -> ActionResult:
        """Change how the registry is scanned; only enhanced scanning goes on after a push."""
        kind = self._get_param("scanType") or "BASIC"
        for rule in self._get_param("rules") or []:
            if rule["scanFrequency"] not in FREQUENCIES.get(kind, set()):
                message = f"The scan frequency {rule['scanFrequency']} is not supported for the scan type {kind}."
                raise JsonRESTError("InvalidParameterException", message)
        return super().put_registry_scanning_configuration()

    @property
    def _rules(self) -> dict[str, Kept]:
        return kept(self.ecr_backend, "rules")

    @property
    def _templates(self) -> dict[str, Kept]:
        return kept(self.ecr_backend, "templates")

    def _rule(self, prefix: str) -> Kept:
        if prefix not in self._rules:
            message = f"The pull through cache rule with prefix '{prefix}' does not exist."
            raise JsonRESTError("PullThroughCacheRuleNotFoundException", message)
        return self._rules[prefix]

    def _kept_template(self, prefix: str) -> Kept:
        if prefix not in self._templates:
            raise JsonRESTError("TemplateNotFoundException", f"The template with prefix '{prefix}' does not exist.")
        return self._templates[prefix]

    def _template(self) -> Kept:
        """Return the settings that the request names."""
        names = (
            *("description", "encryptionConfiguration", "resourceTags", "imageTagMutability", "repositoryPolicy"),
            *("imageTagMutabilityExclusionFilters", "lifecyclePolicy", "appliedFor", "customRoleArn"),
        )
        given = {name: self._get_param(name) for name in names}
        return {name: value for name, value in given.items() if value is not None} | {"updatedAt": utcnow()}

    def _told(self, template: Kept) -> ActionResult:
        return ActionResult({"registryId": self.current_account, "repositoryCreationTemplate": template})

    def _credentials(self, upstream: str, arn: str | None) -> Kept:
        """Return the credentials, refusing those that ECR could not read; an open upstream takes none."""
        if upstream in OPEN:
            if arn:
                raise JsonRESTError(
                    "InvalidParameterException", f"The upstream registry {upstream} takes no credentials."
                )
            return {}
        if not arn:
            raise JsonRESTError("InvalidParameterException", f"The upstream registry {upstream} needs credentials.")
        if not SECRET.fullmatch(arn):
            message = "The secret's name must start with ecr-pullthroughcache/."
            raise JsonRESTError("InvalidParameterException", message)
        secrets = secretsmanager_backends[self.current_account][self.region]
        if not secrets._is_valid_identifier(arn):  # pyright: ignore[reportPrivateUsage]  # moto has no public question
            raise JsonRESTError("SecretNotFoundException", f"The secret {arn} does not exist.")
        return {"credentialArn": arn}


def setting(backend: ECRBackend, name: str) -> str:
    """Return a setting of the account, or its default."""
    if name not in SETTINGS:
        raise JsonRESTError("InvalidParameterException", f"Unknown account setting {name}.")
    return str(kept(backend, "settings").get(name, SETTINGS[name][0]))


def _check_actions(self: ECRBackend, policy_text: str) -> None:
    """Refuse a registry's policy that speaks of what it may not: in its second form it may speak of all of ECR."""
    second = setting(self, "REGISTRY_POLICY_SCOPE") == "V2"
    for statement in json.loads(policy_text)["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            if not (action.startswith("ecr:") if second else action in FIRST_ACTIONS):
                raise MalformedPolicyDocument()


def serve() -> None:
    """Let moto's server answer ECR's requests so."""
    ECRBackend._validate_registry_policy_action = _check_actions  # pyright: ignore[reportPrivateUsage]
    urls.url_paths["{0}/$"] = Ecr.dispatch
