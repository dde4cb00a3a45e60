"""How upstream names become the gateway's own: tools and prompts `server__tool`, resources `portico://server/...`.

A name is a pure function of (server, name): it does not depend on which servers are up or in what order they came. Tool names
are at most 50 characters of `[A-Za-z0-9_-]`: model APIs take 64, of which hosts use up to 14 (`mcp__portico__`). Two different
pairs never share one.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote, unquote

MAX_NAME = 50
SEPARATOR = "__"
SCHEME = "portico://"
RELATED_TASK = "io.modelcontextprotocol/related-task"  # in the `_meta` of what belongs to a task: {"taskId": ...}

_HASH_DIGITS = 10
_PLAIN_SERVER = re.compile(r"[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*")  # no "__" and no "_" at an end: the first "__" is the border
_PLAIN_NAME = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*")
_HASHED = re.compile(rf"_[0-9a-f]{{{_HASH_DIGITS}}}$")
_FOREIGN = re.compile(r"[^A-Za-z0-9-]+")


def namespaced(server: str, name: str) -> str:
    """The gateway's name for `name` on `server`.

    Readable where that is unambiguous: `code__search`. Otherwise (foreign characters, too long, or a form that another pair
    could also take) it is cut and ends in ten hex digits of a hash over the pair.
    """
    plain = f"{server}{SEPARATOR}{name}"
    unambiguous = _PLAIN_SERVER.fullmatch(server) and _PLAIN_NAME.fullmatch(name) and not _HASHED.search(name)
    if unambiguous and len(plain) <= MAX_NAME:
        return plain
    digest = hashlib.sha256(f"{server}\0{name}".encode()).hexdigest()[:_HASH_DIGITS]
    head = _FOREIGN.sub("_", server).strip("_")[:20] + SEPARATOR + _FOREIGN.sub("_", name).strip("_")
    return f"{head[: MAX_NAME - _HASH_DIGITS - 1].rstrip('_')}_{digest}"


def task_name(server: str, task: str) -> str:
    """The gateway's name for a server's task: the server's own, verbatim, behind the server's."""
    return f"{server}{SEPARATOR}{task}"


def outward_uri(server: str, uri: str) -> str:
    """The gateway's URI (or URI template) for an upstream's: the upstream's own, verbatim, behind `portico://server/`."""
    return f"{SCHEME}{quote(server, safe='')}/{uri}"


def inward_uri(uri: str) -> tuple[str, str] | None:
    """(server, its own URI) of a gateway URI or URI template; None where it isn't one."""
    if not uri.startswith(SCHEME):
        return None
    server, slash, rest = uri[len(SCHEME) :].partition("/")
    return (unquote(server), rest) if server and slash and rest else None
