"""The errors that a person sees as one line."""


class TrainingError(Exception):
    """Something outside the job failed: a store, a key service, a worker."""


class RefusedError(TrainingError, ValueError):
    """A refused value: which field, what it was, and what would be accepted."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field} {remedy} (got {value!r})")
        self.field = field
        self.value = value
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["RefusedError"], tuple[str, object, str]]:
        """Let it pass between processes."""
        return type(self), (self.field, self.value, self.remedy)


def in_words(error: TrainingError | OSError) -> str:
    """Say what went wrong in one line, without the numbers that only programs read."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
