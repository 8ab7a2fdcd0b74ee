"""Macie: off until somebody turns it on, changed in place, and with a place for what it discovers; moto's is always on.

Weaker than AWS: nothing is discovered.
"""

import json
from typing import Any

from moto.core.utils import utcnow
from moto.macie2 import urls
from moto.macie2.exceptions import AccessDeniedException, MacieException
from moto.macie2.models import MacieBackend
from moto.macie2.responses import MacieResponse


def serve() -> None:
    """Let moto's server answer Macie's requests so."""
    make = MacieBackend.__init__

    def made_off(self: MacieBackend, region_name: str, account_id: str) -> None:
        make(self, region_name, account_id)
        self.macie_session = None

    MacieBackend.__init__ = made_off
    paths = [*urls.url_paths, "{0}/classification-export-configuration$"]
    urls.url_paths.update(dict.fromkeys(paths, Macie.dispatch))


class _ConflictError(MacieException):
    code = 409

    def __init__(self, message: str) -> None:
        super().__init__("ConflictException", message)

    def get_headers(self, *_args: Any, **_more: Any) -> list[tuple[str, str]]:
        return [("x-amzn-ErrorType", "ConflictException")]


class Macie(MacieResponse):
    """The operations of Macie that are served."""

    def enable_macie(self) -> str:
        """Turn Macie on; it can be turned on once."""
        if self.macie_backend.macie_session:
            raise _ConflictError("Macie has already been enabled")
        return super().enable_macie()

    def get_macie_session(self) -> str:
        """Tell how Macie is set."""
        _ = self._session
        return super().get_macie_session()

    def disable_macie(self) -> str:
        """Turn Macie off and forget its settings."""
        _ = self._session
        vars(self.macie_backend).pop("kept_export", None)
        return super().disable_macie()

    def update_macie_session(self) -> str:
        """Change the status or how often findings are published."""
        session = self._session
        for name in ("status", "findingPublishingFrequency"):
            session[name] = self._get_param(name) or session[name]
        session["updatedAt"] = utcnow()
        return "{}"

    def get_classification_export_configuration(self) -> str:
        """Tell where what is discovered is written to."""
        _ = self._session
        return json.dumps({"configuration": vars(self.macie_backend).get("kept_export", {})})

    def put_classification_export_configuration(self) -> str:
        """Write what is discovered elsewhere, or, given nothing, nowhere."""
        _ = self._session
        configuration = self._get_param("configuration") or {}
        vars(self.macie_backend)["kept_export"] = configuration
        return json.dumps({"configuration": configuration})

    @property
    def _session(self) -> dict[str, Any]:
        session = self.macie_backend.macie_session
        if not session:
            raise AccessDeniedException("Macie is not enabled")
        return session
