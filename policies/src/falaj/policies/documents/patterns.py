"""Wildcards and variables as IAM reads them: ``*``, ``?``, ``${aws:PrincipalTag/team}``, ``${*}``."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence

Request = Mapping[str, str | Sequence[str]]
"""Condition keys of a request, in small letters, with their values."""

# Stand for the wildcards in a pattern whose own stars and question marks may be plain characters.
_ANY, _ONE = "\ue000", "\ue001"
# ${key} or ${key, 'default'}: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
_VARIABLE = re.compile(r"\$\{\s*([^,}]*?)\s*(?:,\s*'([^']*)'\s*)?\}")
_HOLES = re.compile(r"(\$\{[^}]*\})")
_WILDCARDS = re.compile(f"[*?{_ANY}{_ONE}]")
_SPECIAL = ("*", "?", "$")


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern without variables matches the whole text."""
    return pattern == text if is_plain(pattern) else glob(wild(pattern), text)


def is_plain(pattern: str) -> bool:
    """Return whether a pattern without variables matches nothing but itself."""
    return not _WILDCARDS.search(pattern)


def has_variables(pattern: str) -> bool:
    """Return whether something in the pattern depends on the request."""
    return any(found.group(1) not in _SPECIAL for found in _VARIABLE.finditer(pattern))


def expand(pattern: str, request: Request) -> str | None:
    """Return what ``glob`` takes, with the request's values as plain text; nothing where a variable has no value."""
    return _expanded(pattern, request, wild)


def resolve(text: str, request: Request) -> str | None:
    """Return text without wildcards with the request's values in it; nothing where a variable has no value."""
    return _expanded(text, request, str)


def _expanded(pattern: str, request: Request, plain: Callable[[str], str]) -> str | None:
    parts: list[str] = []
    end = 0
    for found in _VARIABLE.finditer(pattern):
        name, default = found.groups()
        value = name if name in _SPECIAL else request.get(name.lower(), default)
        if not isinstance(value, str):
            return None
        parts += (plain(pattern[end : found.start()]), value)
        end = found.end()
    return "".join((*parts, plain(pattern[end:])))


def loose(pattern: str) -> str:
    """Return what ``glob`` takes, with each variable as any text at all."""
    return wild(_VARIABLE.sub(lambda found: found.group(1) if found.group(1) in _SPECIAL else "*", pattern))


def strict(pattern: str) -> str:
    """Return what ``glob`` takes, with each variable as a name that is nobody's."""
    return "".join(part if part.startswith("${") else wild(part) for part in _HOLES.split(pattern) if part)


@functools.lru_cache(8192)
def glob(pattern: str, text: str) -> bool:
    """Return whether an expanded pattern matches the whole text, in time that no pattern makes explode."""
    position = at = 0
    star = anchor = -1
    while at < len(text):
        wanted = pattern[position] if position < len(pattern) else ""
        if wanted == _ANY:
            star, anchor = position, at
            position += 1
        elif wanted and wanted in (_ONE, text[at]):
            position, at = position + 1, at + 1
        elif star >= 0:
            anchor += 1
            position, at = star + 1, anchor
        else:
            return False
    return pattern[position:].strip(_ANY) == ""


def wild(text: str) -> str:
    """Return what ``glob`` takes for a pattern without variables."""
    return text.replace("*", _ANY).replace("?", _ONE)
