"""AWS KMS as the key source: GenerateDataKey and Decrypt with an encryption context, which CloudTrail records too."""

from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.sealing.keys import ARN

PASSING = {"KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException", "ThrottlingException"}
"""Errors of KMS that say nothing of the key: after botocore's own attempts they end the save, not the trust in it."""


class KmsKeys:
    """Data keys under one KMS key, which is called in the key's own region only."""

    def __init__(self, arn: str) -> None:
        match = ARN.fullmatch(arn)
        assert match is not None, "checked when the keys were opened"
        self._arn = arn
        config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
        # The stubs of boto3 know services by their literal names only, and are no dependency of this package.
        make: Callable[..., Any] = boto3.client
        self._kms = make("kms", region_name=match["region"], config=config)

    @property
    def name(self) -> str:
        """The key by its ARN."""
        return f"aws-kms:{self._arn}"

    def new(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new data key, in clear and wrapped."""
        told = self._ask("generate_data_key", KeySpec="AES_256", EncryptionContext=dict(context))
        return told["Plaintext"], told["CiphertextBlob"]

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Return the data key in clear; refuse one of another key or context."""
        told = self._ask("decrypt", CiphertextBlob=wrapped, EncryptionContext=dict(context))
        return told["Plaintext"]

    def _ask(self, action: str, **told: Any) -> Mapping[str, Any]:
        try:
            return getattr(self._kms, action)(KeyId=self._arn, **told)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            if code in PASSING or status >= 500:
                raise TrainingError(f"AWS KMS did not answer: {error}") from error
            remedy = f"must be a key that this job may use for what it seals: KMS answered {code or status}"
            raise RefusedError("key", self._arn, remedy) from error
        except BotoCoreError as error:
            raise TrainingError(f"AWS KMS did not answer: {error}") from error
