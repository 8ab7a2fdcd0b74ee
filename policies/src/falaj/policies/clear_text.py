"""Finds secrets that stand where everyone can read them: by the name of what holds them, or by their looks."""

import itertools
import re
from typing import Any

from falaj.policies.values import Fact, View, any_of

_SECRET_NAME = re.compile(
    # Not tokenizers, nor a number of tokens.
    r"passw(or)?d|passphrase|secret|token(?!i[sz]|s(?![a-z]))|credential|api_?key|access_?key|private_?key"
    # PWD alone is the working directory, and a bypass is none; the last two are Redis's.
    r"|(?<=_)pwd$|(?<![a-z])pass$|requirepass|masterauth",
    re.IGNORECASE,
)
# A name that ends so says where a secret is, which one, or how it is handled, rather than being it.
_NOT_SECRET_NAME = re.compile(
    r"_?(file|path|dir|name|url|uri|arn|id|ttl|endpoint|host|port|ref|policy|length|type|class|mode|format|issuer|"
    r"audience|algorithm|enabled|required|rotation|expiry|expiration|lifetime|seconds|minutes|hours|days)$",
    re.IGNORECASE,
)
_FILE_NAME = re.compile(r"\.(ya?ml|json|conf|cfg|toml|ini|properties|txt|sh|py|xml|env|crt|tmpl|tpl)$", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bhv[sbr]\.[\w-]{20,}|\bgh[pousr]_\w{30,}"
    r"|\bglpat-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\bsk_live_\w{16,}|\bhf_[A-Za-z]{30,}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|://[^/\s:@$]+:[^/\s:@${]+@"
)
_ASSIGNMENT = re.compile(r"""(?<![\w.-])-{0,2}["']?([A-Za-z][\w.-]*)["']?\s*[=:]\s*["']?([^\s"',;}#]+)""")
_FLAG = re.compile(r"--?([A-Za-z][\w.-]*)")
# References, templates and switches hold nothing.
_NO_SECRET = re.compile(r"[$<{%].*|true|false|yes|no|on|off|null|none|nil|\*+|\|-?|>-?", re.IGNORECASE)


def names_secret(name: Any) -> bool:
    """Return whether what has this name is likely to be a secret."""
    plain = re.sub(r"[.-]", "_", str(name))
    return bool(_SECRET_NAME.search(plain)) and not _NOT_SECRET_NAME.search(plain)


def names_secret_entry(name: Any) -> bool:
    """Return whether an entry of a map of settings is likely to be a secret: not where its name is a file's."""
    return names_secret(name) and not _FILE_NAME.search(str(name))


def looks_secret(value: Any) -> bool:
    """Return whether the value looks like a credential, whatever its name."""
    return bool(_SECRET_VALUE.search(str(value)))


def is_literal(value: Any) -> bool:
    """Return whether the value is something rather than a reference, a template or a switch."""
    return str(value).strip() != "" and not _NO_SECRET.fullmatch(str(value).strip())


def assigns_secret(text: Any) -> bool:
    """Return whether a text, such as a file of settings or a shell command, gives something secret a value."""
    return looks_secret(text) or any(
        names_secret(name) and is_literal(value) for name, value in _ASSIGNMENT.findall(str(text))
    )


def is_secret_flag(word: Any) -> bool:
    """Return whether a word of a command line is a flag that takes a secret in the next word."""
    flag = _FLAG.fullmatch(str(word))
    return flag is not None and names_secret(flag[1])


def tells_secret(words: View) -> Fact:
    """Return whether a word of a command line assigns a secret, or is one that follows its flag."""
    listed = list(words.each())
    assigned = (word.test(assigns_secret) for word in listed)
    follow = (
        flag.test(is_secret_flag) & word.test(lambda text: is_literal(text) and not str(text).startswith(("-", "/")))
        for flag, word in itertools.pairwise(listed)
    )
    return any_of((*assigned, *follow), words.path)
