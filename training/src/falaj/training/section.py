"""What all tables of a job file share: typed, unchangeable, and nothing in them that nobody knows."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the job file; a key that it does not have is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
