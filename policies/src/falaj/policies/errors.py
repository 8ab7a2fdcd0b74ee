"""The errors that a person sees as one line."""


class PolicyError(Exception):
    """Something that the person can put right; the message says what is wrong and what to do, in one line."""


class RefusedError(PolicyError, ValueError):
    """A refused value: which field, what it was, and what would be accepted."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        shown = repr(value)
        super().__init__(f"{field} {remedy} (got {shown[:80] + '…' if len(shown) > 80 else shown})")
        self.field = field
        self.value = value
        self.remedy = remedy
