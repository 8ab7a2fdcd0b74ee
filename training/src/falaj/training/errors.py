"""Errors that a person can do something about: their text is all that the command line shows."""


class TrainingError(Exception):
    """Something outside the job failed: a store, a key service, a worker."""


class RefusedError(TrainingError, ValueError):
    """A value that somebody gave cannot be; the text names the field, the value and the remedy."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field} is {value!r}: it {remedy}")
