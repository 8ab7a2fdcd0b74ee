"""IAM Access Analyzer: analyzers and their tags; moto has no such service.

Weaker than AWS: nothing is analyzed, so there are no findings.
"""

import re
import sys
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from moto import backend_index
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.organizations.models import organizations_backends

from falaj.lab.moto_gaps.kept import Given, Kept

_NAME = "accessanalyzer"
_AGE = 90
"""Days of not being used, when nobody says how many."""


def serve() -> None:
    """Give moto the service, as a package of its own: moto looks a service's models and URLs up by name."""
    package, models, urls = (ModuleType(f"moto.{_NAME}{part}") for part in ("", ".models", ".urls"))
    backends = BackendDict(AccessAnalyzerBackend, _NAME)
    vars(package).update(models=models, urls=urls, accessanalyzer_backends=backends, __path__=[])
    vars(models).update(AccessAnalyzerBackend=AccessAnalyzerBackend, accessanalyzer_backends=backends)
    paths = ("analyzer$", "analyzer/(?P<name>[^/]+)$", "tags/(?P<arn>.+)$")
    bases = ["https?://access-analyzer\\.(.+)\\.amazonaws\\.com"]
    vars(urls).update(url_bases=bases, url_paths={f"{{0}}/{path}": AccessAnalyzer.dispatch for path in paths})
    sys.modules.update({module.__name__: module for module in (package, models, urls)})
    backend_index.backend_url_patterns.append((_NAME, re.compile(bases[0])))


class AccessAnalyzerBackend(BaseBackend):
    """The analyzers of an account and region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.analyzers: dict[str, Kept] = {}


# Its objects are written down, and found again, under the name of the module that moto takes it for.
AccessAnalyzerBackend.__module__ = f"moto.{_NAME}.models"


class _RefusedError(JsonRESTError):
    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code, message)
        self.code = status

    def get_headers(self, *_args: Any, **_more: Any) -> list[tuple[str, str]]:
        return [("X-Amzn-ErrorType", self.error_type)]


class AccessAnalyzer(Given):
    """The operations that are served."""

    def __init__(self) -> None:
        super().__init__(_NAME)

    def create_analyzer(self) -> ActionResult:
        """Make an analyzer whose name is free; one of an organization needs an organization."""
        given, name = self.given, self.given["analyzerName"]
        if name in self._analyzers:
            raise _RefusedError("ConflictException", f"An analyzer with the name {name} already exists.", 409)
        organization = organizations_backends[self.current_account][self.partition].org
        if given["type"].startswith("ORGANIZATION") and not organization:
            raise _RefusedError(
                "ValidationException", "You must create an organization before you create an analyzer.", 400
            )
        arn = f"arn:{self.partition}:access-analyzer:{self.region}:{self.current_account}:analyzer/{name}"
        self._analyzers[name] = {
            "arn": arn,
            "name": name,
            "type": given["type"],
            "createdAt": utcnow(),
            "status": "ACTIVE",
            "tags": given.get("tags") or {},
            "configuration": _configuration(given["type"], given.get("configuration") or {}),
        }
        return ActionResult({"arn": arn})

    def get_analyzer(self) -> ActionResult:
        """Tell of one analyzer."""
        return ActionResult({"analyzer": self._analyzer(self.given["analyzerName"])})

    def list_analyzers(self) -> ActionResult:
        """List the analyzers, all or those of one type."""
        wanted = self.given.get("type")
        return ActionResult(
            {"analyzers": [each for each in self._analyzers.values() if wanted in (None, each["type"])]}
        )

    def delete_analyzer(self) -> ActionResult:
        """Forget an analyzer."""
        del self._analyzers[self._analyzer(self.given["analyzerName"])["name"]]
        return ActionResult({})

    def list_tags_for_resource(self) -> ActionResult:
        """Tell an analyzer's tags."""
        return ActionResult({"tags": self._tagged["tags"]})

    def tag_resource(self) -> ActionResult:
        """Add tags, or change their values."""
        self._tagged["tags"] |= self.given["tags"]
        return ActionResult({})

    def untag_resource(self) -> ActionResult:
        """Take tags away."""
        for key in self.given["tagKeys"]:
            self._tagged["tags"].pop(key, None)
        return ActionResult({})

    @property
    def _analyzers(self) -> dict[str, Kept]:
        backends: Any = sys.modules[f"moto.{_NAME}"]
        return backends.accessanalyzer_backends[self.current_account][self.region].analyzers

    @property
    def _tagged(self) -> Kept:
        return self._analyzer(unquote(self.given["resourceArn"]).rpartition("/")[2])

    def _analyzer(self, name: str) -> Kept:
        if name not in self._analyzers:
            raise _RefusedError("ResourceNotFoundException", f"The specified analyzer {name} does not exist.", 404)
        return self._analyzers[name]


def _configuration(kind: str, given: Kept) -> Kept | None:
    """Return the configuration as it is told: only some types have one, and its age has a default."""
    if not kind.endswith("UNUSED_ACCESS"):
        return given or None
    return {"unusedAccess": {"unusedAccessAge": _AGE} | (given.get("unusedAccess") or {})}
