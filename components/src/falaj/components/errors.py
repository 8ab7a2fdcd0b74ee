"""The error that says what a user of a component did wrong."""


class ConfigError(ValueError):
    """A refused value: which field, what it was, and what would be accepted."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field} {remedy} (got {value!r})")
        self.field = field
        self.value = value
        self.remedy = remedy
