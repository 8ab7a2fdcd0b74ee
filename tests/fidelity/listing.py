"""How things of one kind are listed in AWS's own shapes: the language of the listings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

Client = Any
Thing = tuple[str, Any]
"""Identifier and everything that AWS says of the thing."""
Things = Callable[[Client], Iterator[Thing]]
Questions = Mapping[str, tuple[str, Mapping[str, str]]]
"""What else is asked about a thing: the fact's name, the operation, its parameters by their names in the thing."""

REFUSED = "(refused)"
"""The identifier of what stands for a listing that cannot be asked."""


@dataclass(frozen=True)
class Listing:
    """How things of one kind are listed, and which Pulumi types are seen in it."""

    kind: str
    service: str
    things: Things
    shows: frozenset[str] = field(default_factory=frozenset[str])

    def found(self, client: Client) -> dict[str, Any]:
        """Return the things by identifier; that AWS does not answer is a fact too, and no reason to stop."""
        try:
            return dict(self.things(client))
        except (ClientError, ResponseParserError) as error:
            return {REFUSED: {"error": _code(error)}}


def shows(*types: str) -> frozenset[str]:
    """Return tokens, given as ``ec2/vpc:Vpc``."""
    return frozenset(f"aws:{each}" for each in types)


def ask(client: Client, operation: str, **parameters: Any) -> Any:
    """Return an answer of AWS; a refusal is an answer as well: that a bucket has no lifecycle is a fact about it."""
    try:
        answer = getattr(client, operation)(**parameters)
    except (ClientError, ResponseParserError) as error:
        return {"error": _code(error)}
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def pages(client: Client, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
    """Yield the items of all pages of a list."""
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**parameters):
            yield from page.get(key, [])
    else:
        yield from getattr(client, operation)(**parameters).get(key, [])


def listed(operation: str, key: str, identity: str, questions: Questions | None = None, **parameters: Any) -> Things:
    """List things by one operation, each with the answers to further questions about it."""

    def things(client: Client) -> Iterator[Thing]:
        for found in pages(client, operation, key, **parameters):
            item = found if isinstance(found, Mapping) else {identity: found}
            yield item[identity], {**item, **answers(client, item, questions or {})}

    return things


def answers(client: Client, item: Mapping[str, Any], questions: Questions) -> dict[str, Any]:
    """Return what AWS answers to questions about one thing; a parameter ``Ids[]`` is a list of one."""
    return {
        name: ask(
            client,
            operation,
            **{
                parameter.removesuffix("[]"): [item[part]] if parameter.endswith("[]") else item[part]
                for parameter, part in parameters.items()
            },
        )
        for name, (operation, parameters) in questions.items()
    }


def settings(**operations: str) -> Things:
    """List an account's settings as one thing: they are always there, and nothing but their values comes or goes."""

    def things(client: Client) -> Iterator[Thing]:
        yield "settings", {name: ask(client, operation) for name, operation in operations.items()}

    return things


def _code(error: Exception) -> str:
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", "no answer that can be read"))
