"""The top level of Triton's `config.pbtxt`, protobuf's text format, with the place of each field in the text.

https://protobuf.dev/reference/protobuf/textformat-spec/
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from falaj.training.errors import RefusedError

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<mark>[{}<>\[\]:,;])
    |(?P<word>[^\s{}<>\[\]:,;"'\#]+)""",
    re.VERBOSE,
)
_CLOSES = {"{": "}", "<": ">", "[": "]"}


@dataclass(frozen=True)
class Field:
    """A field of the top level."""

    name: str
    """Its name."""
    value: str | None
    """Its value where that is one word or string, without its quotes; None for a message or a list."""
    start: int
    """Where its name begins in the text."""
    end: int
    """Where its value ends."""


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int


def top_fields(text: str) -> list[Field]:
    """Return the fields of the top level in their order; raise `RefusedError` where the text has no such form."""
    tokens = list(_tokens(text))
    found: list[Field] = []
    place = 0
    while place < len(tokens):
        name = tokens[place]
        if not re.fullmatch(r"[A-Za-z_]\w*", name.text):
            raise _refused(name.text, "must begin each field with its name")
        place += 1
        if place < len(tokens) and tokens[place].text == ":":
            place += 1
        if place >= len(tokens):
            raise _refused(name.text, "must give each field a value")
        last = _end(tokens, place)
        alone = tokens[place].text if last == place else None
        found.append(Field(name.text, _plain(alone), name.start, tokens[last].end))
        place = last + 1
        if place < len(tokens) and tokens[place].text in ",;":
            place += 1
    return found


def with_version(text: str, version: int) -> str:
    """Return the text with a policy that serves one version, in place of the policy that it had."""
    policy = f"version_policy {{ specific {{ versions: [{version}] }} }}"
    for field in reversed([each for each in top_fields(text) if each.name == "version_policy"]):
        text = text[: field.start] + text[field.end :]
    return f"{text.rstrip()}\n{policy}\n"


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _refused(text[place : place + 20], "must close its strings")
        if match.lastgroup != "space":
            yield _Token(match.group(), match.start(), match.end())
        place = match.end()


def _end(tokens: list[_Token], place: int) -> int:
    """Return the place of the last token of a value."""
    awaited: list[str] = []
    for at in range(place, len(tokens)):
        text = tokens[at].text
        if text in _CLOSES:
            awaited.append(_CLOSES[text])
        elif text in _CLOSES.values() and (not awaited or awaited.pop() != text):
            raise _refused(text, "must close what it opens")
        if not awaited:
            return at
    raise _refused(tokens[place].text, "must close what it opens")


def _plain(text: str | None) -> str | None:
    if text is None or text[0] not in "\"'":
        return text
    return text[1:-1]


def _refused(value: str, remedy: str) -> RefusedError:
    return RefusedError("config.pbtxt", value, remedy)
