"""The job file's table of checkpoints."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from falaj.training.sealing.keys import check_key
from falaj.training.section import Section


class CheckpointSection(Section):
    """Where checkpoints go, how often, how many are kept, and the key that seals them. There is no unsealed kind."""

    location: str
    """A path, relative to the job file, or ``s3://BUCKET/PREFIX``; all workers must see the same."""
    key: str
    """``aws-kms:ARN``, ``vault:MOUNT/KEY``, or for laptops ``file:PATH`` (32 bytes in base64, mode 0600)."""
    region: str | None = None
    """Region that the key must be in; needed with AWS KMS. No default: where data may be is not to be guessed."""
    every: Annotated[int, Field(ge=1)] = 100
    """Steps from one checkpoint to the next. Default: 100."""
    keep: Annotated[int, Field(ge=1)] = 3
    """Checkpoints that are kept, the newest ones; with 1 there is none to go back to if it is damaged. Default: 3."""
    asynchronous: bool = True
    """Whether training goes on while a checkpoint is written, from a copy in memory. Default: true."""
    timeout_seconds: Annotated[int, Field(ge=1)] = 600
    """Seconds that a worker waits for the others in a checkpoint before it fails. Default: 600."""

    @model_validator(mode="after")
    def _key_is_acceptable(self) -> Self:
        check_key(self.key, self.region)
        return self
