"""Security Hub: its settings, its standards and its tags; moto knows whether it is on.

Weaker than AWS: no control is checked, and the catalogue of standards is the three that are listed here.
"""

import json
from urllib.parse import unquote

from moto.securityhub import urls
from moto.securityhub.exceptions import SecurityHubClientError
from moto.securityhub.models import SecurityHubBackend
from moto.securityhub.responses import SecurityHubResponse

from falaj.lab.moto_gaps.kept import Kept, kept

_STANDARDS = {
    "aws-foundational-security-best-practices/v/1.0.0": "AWS Foundational Security Best Practices v1.0.0",
    "cis-aws-foundations-benchmark/v/3.0.0": "CIS AWS Foundations Benchmark v3.0.0",
    "nist-800-53/v/5.0.0": "NIST Special Publication 800-53 Revision 5",
}
_DEFAULT = ("aws-foundational-security-best-practices/v/1.0.0",)
_ARN = "StandardsSubscriptionArn"
_OFF = "is not subscribed to AWS Security Hub"


def serve() -> None:
    """Let moto's server answer Security Hub's requests so."""
    one = "(?P<rest>.+)$"
    paths = [*urls.url_paths, "{0}/standards$", "{0}/standards/register$", "{0}/standards/deregister$"]
    paths += ["{0}/standards/get$", "{0}/tags/" + one]
    urls.url_paths.update(dict.fromkeys(paths, SecurityHub.dispatch))


class SecurityHub(SecurityHubResponse):
    """The operations of Security Hub that are served."""

    def enable_security_hub(self) -> str:
        """Turn it on, with the default standards unless they are declined; it can be turned on once."""
        hub, given = self.securityhub_backend, self._given
        if hub.enabled:
            raise SecurityHubClientError("ResourceConflictException", "Account is already subscribed to Security Hub")
        hub.enable_security_hub(tags=given.get("Tags"))
        defaults = _DEFAULT if given.get("EnableDefaultStandards", True) else ()
        vars(hub).update(
            kept_auto=True,
            kept_generator=given.get("ControlFindingGenerator", "SECURITY_CONTROL"),
            kept_standards={arn: self._subscription(arn) for arn in map(self._standard_arn, defaults)},
        )
        return "{}"

    def describe_hub(self) -> str:
        """Tell how it is set; the ARN is in the query, where moto does not look."""
        hub = self._hub
        told = hub.describe_hub(hub_arn=self._get_param("HubArn"))
        settings = {
            "AutoEnableControls": vars(hub)["kept_auto"],
            "ControlFindingGenerator": vars(hub)["kept_generator"],
        }
        return json.dumps({name: value for name, value in told.items() if name != "Tags"} | settings)

    def update_security_hub_configuration(self) -> str:
        """Change whether new controls are on, and how findings are told."""
        hub, given = self._hub, self._given
        vars(hub)["kept_auto"] = given.get("AutoEnableControls", vars(hub)["kept_auto"])
        vars(hub)["kept_generator"] = given.get("ControlFindingGenerator", vars(hub)["kept_generator"])
        return "{}"

    def disable_security_hub(self) -> str:
        """Turn it off; standards are forgotten with it."""
        hub = self._hub
        hub.disable_security_hub()
        for name in ("kept_auto", "kept_generator", "kept_standards"):
            vars(hub).pop(name, None)
        return "{}"

    def describe_standards(self) -> str:
        """List the standards that there are."""
        _ = self._hub
        found = [
            {
                "StandardsArn": self._standard_arn(path),
                "Name": title,
                "EnabledByDefault": path in _DEFAULT,
            }
            for path, title in _STANDARDS.items()
        ]
        return json.dumps({"Standards": found})

    def batch_enable_standards(self) -> str:
        """Check standards, each of which has to exist."""
        standards, made = self._standards, list[Kept]()
        for request in self._given["StandardsSubscriptionRequests"]:
            arn = request["StandardsArn"]
            if arn not in map(self._standard_arn, _STANDARDS):
                raise SecurityHubClientError("InvalidInputException", f"Invalid standards arn {arn}")
            made.append(standards.setdefault(arn, self._subscription(arn)))
        return json.dumps({"StandardsSubscriptions": made})

    def batch_disable_standards(self) -> str:
        """Check standards no more."""
        standards, gone = self._standards, list[Kept]()
        for subscription in self._given["StandardsSubscriptionArns"]:
            arn = next((arn for arn, each in standards.items() if each[_ARN] == subscription), None)
            if arn is None:
                raise SecurityHubClientError("ResourceNotFoundException", f"No subscription {subscription}")
            gone.append({**standards.pop(arn), "StandardsStatus": "DELETING"})
        return json.dumps({"StandardsSubscriptions": gone})

    def get_enabled_standards(self) -> str:
        """Tell which standards are checked, all or those that are named."""
        named = self._given.get("StandardsSubscriptionArns")
        found = [each for each in self._standards.values() if not named or each[_ARN] in named]
        return json.dumps({"StandardsSubscriptions": found})

    def list_tags_for_resource(self) -> str:
        """Tell the tags of the hub."""
        return json.dumps({"Tags": self._tags})

    def tag_resource(self) -> str:
        """Add tags, or change their values."""
        self._tags.update(self._given["Tags"])
        return "{}"

    def untag_resource(self) -> str:
        """Take tags away."""
        for key in self.querystring.get("tagKeys", []):
            self._tags.pop(key, None)
        return "{}"

    @property
    def _given(self) -> Kept:
        return json.loads(self.body) if self.body else {}

    @property
    def _hub(self) -> SecurityHubBackend:
        hub = self.securityhub_backend
        if not hub.enabled:
            raise SecurityHubClientError("InvalidAccessException", f"Account {self.current_account} {_OFF}")
        vars(hub).setdefault("kept_auto", True)
        vars(hub).setdefault("kept_generator", "SECURITY_CONTROL")
        return hub

    @property
    def _standards(self) -> dict[str, Kept]:
        return kept(self._hub, "standards")

    @property
    def _tags(self) -> dict[str, str]:
        if not unquote(self.path).endswith(":hub/default"):
            raise SecurityHubClientError("ResourceNotFoundException", "Only the hub has tags here")
        return self._hub.tags

    def _standard_arn(self, path: str) -> str:
        return f"arn:{self.partition}:securityhub:{self.region}::standards/{path}"

    def _subscription(self, standard_arn: str) -> Kept:
        path = standard_arn.partition("::standards/")[2]
        arn = f"arn:{self.partition}:securityhub:{self.region}:{self.current_account}:subscription/{path}"
        return {_ARN: arn, "StandardsArn": standard_arn, "StandardsInput": {}, "StandardsStatus": "READY"}
