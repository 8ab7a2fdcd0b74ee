"""What the gaps share: what is kept with moto's objects, and the parameters of a request."""

from typing import Any

from moto.core.responses import BaseResponse

Kept = dict[str, Any]
"""What AWS answers of one thing, by its own names."""


def kept(thing: object, kind: str) -> dict[str, Any]:
    """Return what is kept of one kind, as an attribute of moto's object: it is written down with it."""
    return vars(thing).setdefault(f"kept_{kind}", {})


class Given(BaseResponse):
    """A request whose parameters are read by botocore's model; stands before moto's own class of the service."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.automated_parameter_parsing = True

    @property
    def given(self) -> Kept:
        """The parameters by their names in the service's API."""
        parameters: Any = self.params
        return parameters
