"""What keeps a model from being served, as one word that programs read and one line that people read."""

from typing import Any, Literal

from falaj.training.errors import RefusedError

Reason = Literal[
    "unsigned", "wrong-signature", "no-verdict", "failed-verdict", "other-tenant", "tampered", "unknown-version"
]
"""Why a model is not served."""


class NotServedError(RefusedError):
    """A model that did not stand up to verification."""

    def __init__(self, reason: Reason, field: str, value: object, remedy: str) -> None:
        super().__init__(field, value, remedy)
        self.reason: Reason = reason
        """The word for it."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it pass between processes."""
        return type(self), (self.reason, self.field, self.value, self.remedy)

    def __str__(self) -> str:
        """Say the word, and then what is wrong."""
        return f"{self.reason}: {super().__str__()}"
