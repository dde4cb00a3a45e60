"""Secrets taken out of text before anybody sees it: the one place, used by every error, log line and log row of the gateway.

It owns what looks like a secret (in URLs, settings, headers, known forms of tokens) and the values that the configuration gave
to servers. It can't know a secret that has neither form nor name and that nobody configured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

REDACTED = "[redacted]"
_MAX_TEXT = 64 << 10  # characters of one text that are looked through; what follows is left out
_LONGEST_SECRET = 4096  # characters behind the cut that are looked at too: no secret is shown by its beginning
_MAX_VALUES = 10_000  # configured values that are known
_SHORTEST_VALUE = 6  # characters: shorter values stand in ordinary words
_NAME = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token(?!s|iz)|api[_-]?key|access[_-]?key|private[_-]?key|credential|"
    r"authorization|cookie|dsn|connection[ _-]?string)"
)
_NAMED = re.compile(rf"(?i){_NAME}")
_HEADER_NAME = re.compile(r"[A-Za-z][\w-]{0,60}")
_SECRET_NAME = re.compile(rf"(?i)(?:{_NAME}|(?:^|[_-])(?:key|auth|pass|pw|sas|sig|pat)(?:$|[_-]))")
_HARMLESS_HEADERS = frozenset(["accept", "accept-language", "content-type", "user-agent", "mcp-protocol-version"])

_NAME_PARTS = (
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "authorization",
    "cookie",
    "dsn",
    "connection",
)
_TOKEN_BEGINNINGS = (
    "sk-",
    "gh",
    "glpat",
    "hf",
    "npm",
    "pypi",
    "dop_v1",
    "shpat",
    "xapp",
    "xox",
    "akia",
    "asia",
    "aiza",
    "eyj",
    "portico-",
)


class _Rule(NamedTuple):
    """What is taken out by `pattern`, which matches nothing in a text of ASCII that has none of `parts` in small letters: most
    texts have none, and looking for a word takes a hundredth of the time."""

    parts: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str


_RULES: tuple[_Rule, ...] = (
    _Rule(("@",), re.compile(r"(://)[^\s/?#\"'<>@]{0,500}(?:@[^\s/?#\"'<>@]{0,500})*@"), rf"\1{REDACTED}@"),
    _Rule(("@",), re.compile(r"(://[^\s/:@\"'<>]{1,200}:)(?!\d{1,5}/)[^\s@\"'<>]{1,500}@"), rf"\1{REDACTED}@"),
    _Rule(
        ("=",),
        re.compile(
            rf"(?i)([?&;#](?:[\w.%-]{{0,60}}(?:{_NAME}|auth|sig(?:nature)?|session|jwt|sas)[\w.%-]{{0,60}}|key|code|pw|pass|sv)=)"
            r"[^&\s#\"'<>]+"
        ),
        rf"\1{REDACTED}",
    ),
    _Rule(
        ("bearer", "basic", "token", "digest"),
        re.compile(r"(?i)\b(bearer|basic|token|digest)(\s+)(?=\S*\d)[A-Za-z0-9._~+/=:-]{8,}"),
        rf"\1\2{REDACTED}",
    ),
    _Rule(
        _NAME_PARTS,
        re.compile(
            rf"(?i)((?:--)?(?<![A-Za-z])[\w.-]{{0,60}}{_NAME}[\w.-]{{0,60}}[\"']?\s{{0,5}}[=:]\s{{0,5}}[\"']?)"
            rf"(?!\[redacted\]|(?:bearer|basic|token|digest)\s)[^\s\"',;&]{{3,}}"
        ),
        rf"\1{REDACTED}",
    ),
    _Rule(("--",), re.compile(rf"(?i)(--[\w-]{{0,60}}{_NAME}[\w-]{{0,60}}\s+)(?!--)\S+"), rf"\1{REDACTED}"),
    _Rule(
        ("-----begin",),
        re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*", re.DOTALL),
        f"-----BEGIN PRIVATE KEY----- {REDACTED}",
    ),
    _Rule(
        _TOKEN_BEGINNINGS,
        re.compile(
            r"\b(?:sk-[\w-]{16,}|(?:gh[pousr]|glpat|hf|npm|pypi|dop_v1|shpat|xapp|xox[abeprs])[_-][\w-]{16,}|github_pat_\w{20,}|"
            r"(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?|portico-[\w-]{40,})"
        ),
        REDACTED,
    ),
)
_ANY_PART = re.compile("|".join(sorted({re.escape(part) for rule in _RULES for part in rule.parts})))
_values: dict[str, None] = {}  # longest first, so that one that contains another goes whole


def redacted(text: str) -> str:
    """The text without what is or looks like a secret."""
    whole = len(text) <= _MAX_TEXT
    text = text if whole else text[: _MAX_TEXT + _LONGEST_SECRET]
    text = without_known_values(text)
    plain = text.lower() if text.isascii() else None
    if plain is None or _ANY_PART.search(plain) is not None:
        for parts, pattern, replacement in _RULES:
            if plain is None or any(part in plain for part in parts):
                text = pattern.sub(replacement, text)
    return text if whole else f"{text[:_MAX_TEXT]} […]"


def without_known_values(text: str) -> str:
    """The text without the values that the configuration gave to servers as secrets, and nothing else changed."""
    for value in _values:
        if value in text:
            text = text.replace(value, REDACTED)
    return text


def is_secret_name(name: str) -> bool:
    """Whether a setting, variable or header of this name is likely to hold a secret."""
    return _SECRET_NAME.search(name) is not None


def know_secrets(
    *, env: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, args: Sequence[str] = (), url: str = ""
) -> None:
    """Take out from now on what a server was given to prove itself."""
    found = [value for name, value in (env or {}).items() if is_secret_name(name) or _looks_like_token(value)]
    for name, value in (headers or {}).items():
        if name.lower() not in _HARMLESS_HEADERS:
            found += [value, value.partition(" ")[2]]
    for flag, value in zip(args, [*args[1:], ""], strict=False):
        name, equals, given = flag.partition("=")
        if name.startswith("-") and is_secret_name(name):
            found.append(given if equals else value)
        header, colon, content = (given or flag).partition(":")  # --header "Authorization: Bearer ..."
        if colon and _HEADER_NAME.fullmatch(header) and is_secret_name(header):
            found += [content.strip(), content.strip().partition(" ")[2]]
    for text in (url, *args, *(env or {}).values()):
        found += _in_url(text)
    _know([*found, *map(unquote, found)])


def _in_url(text: str) -> list[str]:
    """What proves who asks, in a URL that the text is or holds: a password, a user that stands alone, secret parameters."""
    if "://" not in text:
        return []
    users = re.findall(r"://([^/?#@\s]{1,2000})@", text)
    found = [user.partition(":")[2] or user for user in users]
    for name, value in re.findall(r"[?&;#]([\w.%-]{1,120})=([^&\s#\"'<>]{1,4000})", text):
        if is_secret_name(name):
            found.append(value)
    return found


def _know(values: Iterable[str]) -> None:
    global _values
    new = [value for value in values if len(value) >= _SHORTEST_VALUE and value not in _values]
    if new and len(_values) + len(new) <= _MAX_VALUES:
        _values = dict.fromkeys(sorted([*_values, *new], key=len, reverse=True))


def _looks_like_token(value: str) -> bool:
    """Long, without spaces and slashes, of letters and digits both: a name or a path is not."""
    return (
        len(value) >= 16
        and not re.search(r"[\s/\\:]", value)
        and any(char.isdigit() for char in value)
        and any(char.isalpha() for char in value)
    )


def redacted_value(value: Any) -> Any:
    """A JSON value whose texts are without secrets; what a member with a secret's name says is left out as a whole."""
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return {redacted(str(name)): _named(str(name), item) for name, item in value.items()}
        case list() | tuple():
            return [redacted_value(item) for item in value]
        case _:
            return value


def _named(name: str, item: Any) -> Any:
    if isinstance(item, str) and len(item) >= _SHORTEST_VALUE and _NAMED.search(name):
        return REDACTED
    return redacted_value(item)


def redacted_args(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """An exception's arguments, the texts among them without secrets."""
    return tuple(redacted(arg) if isinstance(arg, str) else arg for arg in args)
