"""How the operations of a type reach the emulated AWS: clients, one-line errors, retries."""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from falaj.lab.provider.kind import GoneError, ProviderError
from falaj.lab.provider.values import Props

GONE = ("NotFound", "NoSuch", "ResourceNotFoundException", "404", "DoesNotExist", ".Unknown")
"""Parts of the codes by which AWS's services say that a thing does not exist."""

EVENTUAL = {"DependencyViolation", "DeleteConflict", "OperationAborted", "ResourceInUseException", "ResourceInUse"}
"""Codes by which a removal is refused until what is in the way has gone."""
REMOVALS = ("delete", "detach", "disassociate", "remove", "revoke")

EVENTUAL_SECONDS = 10.0
TIMEOUT_SECONDS = 60
CREATION_TAG = "falaj-lab:creation"
"""Carried by a thing from its creation until the creation has been noted; the first update removes it."""

_making_clients = threading.Lock()


@dataclass(frozen=True)
class Config:
    """The provider's configuration, read as the official provider reads it."""

    given: Props

    @property
    def region(self) -> str:
        """The region of resources that name none."""
        found = self.given.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not found:
            raise ProviderError("no AWS region: set aws:region, the provider's region, or AWS_REGION")
        return str(found)

    def endpoint(self, service: str) -> str:
        """Return the address of a service; without one the provider refuses, since it must never reach the real AWS."""
        merged: Props = {}
        for entry in self.given.get("endpoints") or []:
            merged.update(entry)
        aliases = {"logs": ("cloudwatchlogs",)}.get(service, (service.replace("-", ""),))
        environment = (f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}", "AWS_ENDPOINT_URL")
        named = [merged.get(name) for name in (service, *aliases)] + [os.environ.get(name) for name in environment]
        address = next((a for a in named if a), None)
        if not address:
            raise ProviderError(
                f"the emulated AWS provider has no endpoint for {service}: set AWS_ENDPOINT_URL (`falaj-lab env` "
                "prints it) or the provider's `endpoints`; it never reaches the real AWS"
            )
        host = urlsplit(address).hostname or ""
        if host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
            raise ProviderError(f"the emulated AWS provider does not talk to the real AWS ({host})")
        return address

    @property
    def default_tags(self) -> dict[str, Any]:
        """Tags that every resource gets."""
        return dict((self.given.get("defaultTags") or {}).get("tags") or {})

    def is_ignored(self, tag: str) -> bool:
        """Say whether a tag is kept out of sight: AWS's own, and what `ignoreTags` names."""
        ignored = self.given.get("ignoreTags") or {}
        prefixes = ("aws:", *(ignored.get("keyPrefixes") or []))
        return tag.startswith(prefixes) or tag in (ignored.get("keys") or [])


@dataclass(frozen=True)
class Aws:
    """The emulated AWS in one region, for one operation on one resource."""

    config: Config
    region: str
    timeout: float = 0
    token: str = ""
    clients: dict[Any, Any] = field(default_factory=dict[Any, Any])
    """Clients by service and region, shared by all sessions of one configuration."""

    def call(self, operation: str, **parameters: Any) -> Any:
        """Call an operation, for example ``ec2.create_vpc``; raise `GoneError` or `ProviderError`, told in one line."""
        # Imported late: a run without changes needs none of it.
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        service, _, name = operation.partition(".")
        deadline = time.monotonic() + min(self.timeout or EVENTUAL_SECONDS, EVENTUAL_SECONDS)
        while True:
            try:
                return getattr(self.client(service), name)(**parameters)
            except ClientError as error:
                detail = error.response.get("Error", {})
                code, message = str(detail.get("Code", "")), str(detail.get("Message", ""))
                if message.startswith("<!doctype html>"):
                    message = "the emulator failed; its log says why"
                line = f"{service} {error.operation_name}: {message} ({code})"
                if any(part in code for part in GONE):
                    raise GoneError(line) from error
                ends = code in EVENTUAL and name.startswith(REMOVALS)
                if not ends or time.monotonic() > deadline:
                    raise ProviderError(line, certain=not code.startswith(("5", "Internal"))) from error
                time.sleep(0.5)
            except ResponseParserError as error:
                raise ProviderError(f"{service} {name}: the emulator failed; its log says why") from error
            except BotoCoreError as error:
                raise ProviderError(f"{service} {name} at {self.config.endpoint(service)}: {error}") from error

    def client(self, service: str) -> Any:
        """Return the client of a service in this region; making one is not thread-safe, using one is."""
        with _making_clients:
            found = self.clients.get((service, self.region))
            if found is None:
                found = self.clients[service, self.region] = self._new_client(service)
            return found

    def _new_client(self, service: str) -> Any:
        from botocore.config import Config as ClientConfig  # noqa: PLC0415 (takes a quarter of a second)
        from botocore.session import Session  # noqa: PLC0415

        given = self.config.given
        session = Session(profile=given.get("profile"))
        for name, variable in {
            "sharedCredentialsFiles": "credentials_file",
            "sharedConfigFiles": "config_file",
        }.items():
            for path in given.get(name) or []:
                session.set_config_variable(variable, path)
        # A bucket's name cannot become a host name of an emulator, so path style is the default here.
        style: Any = {"addressing_style": "path" if given.get("s3UsePathStyle", True) else "auto"}
        return session.create_client(
            service,
            region_name=self.region,
            endpoint_url=self.config.endpoint(service),
            aws_access_key_id=given.get("accessKey"),
            aws_secret_access_key=given.get("secretKey"),
            aws_session_token=given.get("token"),
            verify=False if given.get("insecure") else given.get("customCaBundle"),
            config=ClientConfig(
                s3=style,
                connect_timeout=5,
                read_timeout=TIMEOUT_SECONDS,
                retries={
                    "mode": given.get("retryMode") or "standard",
                    "total_max_attempts": given.get("maxRetries") or 3,
                },
                max_pool_connections=40,
                parameter_validation=True,
            ),
        )

    @cached_property
    def account(self) -> str:
        """The account that the credentials belong to."""
        known = self.clients.get("account")
        if known is None:
            known = self.clients["account"] = self.call("sts.get_caller_identity")["Account"]
        return known

    @property
    def partition(self) -> str:
        """The partition of the region."""
        prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
        return next((name for prefix, name in prefixes.items() if self.region.startswith(prefix)), "aws")

    def arn(self, service: str, resource: str, region: str | None = None, account: str | None = None) -> str:
        """Return the ARN of a resource of this account and region; an empty ``region`` or ``account`` leaves it out."""
        where = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{where}:{self.account if account is None else account}:{resource}"

    def tags(self, found: Any) -> dict[str, str]:
        """Return tags as a map, whichever of AWS's forms they have; those that are to be ignored are left out."""
        if isinstance(found, Mapping):
            pairs = [(str(k), str(v)) for k, v in found.items()]
        else:
            pairs = [(str(t.get("Key", t.get("TagKey"))), str(t.get("Value", t.get("TagValue")))) for t in found or []]
        return {key: value for key, value in pairs if not self.config.is_ignored(key)}

    def creation_tags(self) -> dict[str, str]:
        """Return the tag by which an interrupted creation is found again."""
        return {CREATION_TAG: self.token} if self.token else {}
