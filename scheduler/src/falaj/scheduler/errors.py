"""The errors that a person sees as one line."""


class SchedulerError(Exception):
    """Something that the person can put right; the message says what is wrong and what to do, in one line."""


class RefusedError(SchedulerError, ValueError):
    """A refused value: which field, what it was, and what would be accepted."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field} {remedy} (got {value!r})")
        self.field = field
        self.value = value
        self.remedy = remedy
