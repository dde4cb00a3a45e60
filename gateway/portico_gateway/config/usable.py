"""Whether what an entry of a server says can be handed to a program or sent to a server at all, before anything is tried.

It knows texts, as they are once variables stand for their values, and tells keys alone: a value may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def why_unusable(
    command: str, args: Sequence[str], env: Mapping[str, str], cwd: str | None, url: str, headers: Mapping[str, str]
) -> str | None:
    """`args[1]: a NUL character ...`, or None where all of it can be used."""
    return next(_mistakes(command, args, env, cwd, url, headers), None)


def _mistakes(
    command: str, args: Sequence[str], env: Mapping[str, str], cwd: str | None, url: str, headers: Mapping[str, str]
) -> Iterator[str]:
    texts = {"command": command, **{f"args[{place}]": text for place, text in enumerate(args)}, "cwd": cwd or ""}
    for key, text in (texts | {f"env.{name}": text for name, text in env.items()}).items():
        if why := _no_text_of_a_process(text):
            yield f"{key}: {why}"
    for name in env:
        if not name or "=" in name or _no_text_of_a_process(name):
            yield f"env: {name!r} is no name of a variable"
    for name, text in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            yield f"headers: {name!r} is no name of a header"
        elif _CONTROL.search(text):
            yield f"headers.{name}: a line break or another control character, which no header can hold"
        elif not text.isascii():
            yield f"headers.{name}: a character beyond ASCII; encode it as the server expects it"
    if url and (why := _no_url(url)):
        yield f"url: {why}"


def _no_text_of_a_process(text: str) -> str | None:
    if "\0" in text:
        return "a NUL character, which no program can be given"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair, which is no character"
    return None


def _no_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is none
    except ValueError as error:
        return f"it can't be read ({error})"
    return None if parts.hostname else "it names no host"
