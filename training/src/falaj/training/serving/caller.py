"""Who does something, as far as this machine, AWS and the cluster know."""

import getpass
import os
import platform
from collections.abc import Callable
from typing import Any

from falaj.training.stores import Store
from falaj.training.stores.local import LocalStore

_SECONDS = 5


def caller(store: Store, kubernetes_user: str | None = None) -> dict[str, str]:
    """Return who calls: the user and the machine, the identity at AWS where S3 is the store, the cluster's user.

    AWS is asked, not the configuration. An answer that does not come is written down as unknown, with the reason.
    """
    found = {"user": _user(), "host": platform.node() or "unknown"}
    if not isinstance(store, LocalStore):
        found["aws"] = _aws_identity()
    if kubernetes_user is not None:
        found["kubernetes"] = kubernetes_user
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"


def _aws_identity() -> str:
    import boto3  # noqa: PLC0415 - it takes a third of a second
    from botocore.config import Config  # noqa: PLC0415 - the same
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the same

    config = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 2})
    make: Callable[..., Any] = boto3.client  # its stubs know services by their literal names only
    try:
        return str(make("sts", config=config).get_caller_identity()["Arn"])
    except (BotoCoreError, ClientError) as error:
        return f"unknown: {type(error).__name__}"
