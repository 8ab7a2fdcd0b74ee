"""Vault policies, read as far as rules need: paths and their capabilities, from HCL or JSON text."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s*(?:(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)|"(?P<string>(?:[^"\\\n]|\\.)*)"|(?P<word>[\w.-]+)|(?P<mark>[{}\[\]=,]))""",
    re.DOTALL,
)


# Some of these are policy words of old.
_CHANGES = frozenset({"create", "update", "patch", "delete", "sudo", "root", "write"})


class UnreadableError(ValueError):
    """The text is no Vault policy that can be read; its message holds nothing of the text."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a Vault policy grants on one path."""

    path: str
    """The path; a ``*`` at its end stands for anything, a ``+`` for one part of it."""
    capabilities: tuple[str, ...]

    @property
    def writes(self) -> bool:
        """Whether it lets its holder change something; denial wins over all else."""
        return "deny" not in self.capabilities and not _CHANGES.isdisjoint(self.capabilities)

    def may_reach(self, place: str) -> bool:
        """Return whether a request to the place, or below it where it ends in a slash, can match the path."""
        literal = re.split(r"[*+]", self.path.lstrip("/"), maxsplit=1)[0]
        if literal == self.path.lstrip("/"):
            return literal.startswith(place) if place.endswith("/") else literal == place
        return literal.startswith(place) or place.startswith(literal)


def grants(text: str) -> list[Grant]:
    """Return what the policy grants."""
    return _from_json(text) if text.lstrip().startswith("{") else _from_hcl(text)


def _from_json(text: str) -> list[Grant]:
    """Read JSON as HCL does: one object or a list of them, and a single word where a list of words is meant."""
    try:
        paths = json.loads(text)["path"]
        found: list[Grant] = []
        for blocks in paths if isinstance(paths, list) else [paths]:
            for path, bodies in blocks.items():
                for body in bodies if isinstance(bodies, list) else [bodies]:
                    words = [*_words(body.get("capabilities", ())), *_words(body.get("policy", ()))]
                    found.append(Grant(path, tuple(words)))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise UnreadableError("not a policy in JSON") from error
    return found


def _words(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value):
        return value
    raise ValueError("not words")


def _from_hcl(text: str) -> list[Grant]:
    """Read ``path "..." { capabilities = [...] }`` blocks; what else stands in a block cannot grant anything."""
    tokens = _tokens(text)
    found: list[Grant] = []
    position = 0
    while position < len(tokens):
        head = tokens[position : position + 3]
        if len(head) < 3 or head[0] not in (("word", "path"), ("string", "path")) or head[1][0] != "string":
            raise UnreadableError("not a policy in HCL")
        if head[2] != ("mark", "{"):
            raise UnreadableError("a path without a block")
        end = _closing(tokens, position + 2)
        found.append(Grant(head[1][1], _capabilities(tokens[position + 3 : end])))
        position = end + 1
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UnreadableError("not a policy in HCL")
        position = match.end()
        kind = str(match.lastgroup)
        if kind != "comment":
            tokens.append((kind, match[kind]))
    return tokens


def _closing(tokens: list[tuple[str, str]], start: int) -> int:
    """Return where the block that opens at ``start`` closes."""
    depth = 0
    for position in range(start, len(tokens)):
        if tokens[position] == ("mark", "{"):
            depth += 1
        elif tokens[position] == ("mark", "}"):
            depth -= 1
            if depth == 0:
                return position
    raise UnreadableError("a block that does not close")


def _capabilities(body: list[tuple[str, str]]) -> tuple[str, ...]:
    """Return the capabilities, and the policy words of old (``policy = "sudo"``), that a block grants."""
    granted: list[str] = []
    for position, token in enumerate(body):
        if token[1] in ("capabilities", "policy") and body[position + 1 : position + 2] == [("mark", "=")]:
            for kind, value in body[position + 2 :]:
                if kind == "string":
                    granted.append(value)
                if kind != "string" and value not in ("[", ","):
                    break
                if token[1] == "policy":
                    break
    return tuple(granted)
