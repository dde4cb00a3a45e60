"""What the tools of each server said of themselves when they were first seen, so that a later change is known as one.

It owns digests of definitions and the first one of each tool; a server that restarts or lists anew starts nothing afresh, and
nor does the next process where they are kept (`definition_pins.py`). What follows from a change is the policy's to say.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import mcp_types

from portico_gateway.upstreams.definition_pins import DefinitionPins

log = logging.getLogger(__name__)

_PROSE = ("title", "description", "examples", "$comment", "default")
_NAMES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_MAX_NAME = 128  # characters; a longer name is known by its digest
_MAX_TOOLS = 10_000  # of one server that are remembered; each further one counts as changed, so that none is pushed out


class Standing(NamedTuple):
    """A tool's definition as digest, and whether it is another one than the first."""

    digest: str
    changed: bool


def definition_digest(tool: mcp_types.Tool) -> str:
    """sha256 over all that a server says of a tool: a tool is what this says."""
    whole = tool.model_dump(by_alias=True, mode="json", exclude_none=True)
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def without_words(tool: mcp_types.Tool, notice: str) -> mcp_types.Tool:
    """The tool with nothing of a server's prose in it: names, types and limits stay, so that it can be called."""
    return tool.model_copy(
        update={
            "description": notice,
            "title": None,
            "input_schema": _bare(tool.input_schema),
            "output_schema": None,
            "annotations": None,
            "meta": None,
        }
    )


def _bare(schema: Any, *, names: bool = False) -> Any:
    """A schema without titles, descriptions, examples and comments; where `names`, the keys are names of properties."""
    if isinstance(schema, dict):
        kept = {key: item for key, item in schema.items() if names or key not in _PROSE}
        return {key: _bare(item, names=not names and key in _NAMES) for key, item in kept.items()}
    return [_bare(item) for item in schema] if isinstance(schema, list) else schema


class FirstDefinitions:
    """Of all servers of one gateway, with `pins` also of the gateways before it."""

    def __init__(self, pins: DefinitionPins | None = None) -> None:
        self._pins = pins
        self._identities: dict[str, str] = {}  # by server, of those whose definitions are kept
        self._ours: set[str] = set()  # servers whose definitions are as trusted as this gateway, and name what they find
        self._first: dict[str, dict[str, str]] = {}  # server -> tool -> digest
        self._consents: dict[str, dict[tuple[str, str], str]] = {}  # server -> (tool, caller) -> digest; of earlier processes

    def begin(self, server: str, identity: str | None, *, own: bool = False) -> None:
        """From here on this is the server of that name. What was known of another goes; `identity` is what its definitions are
        kept by, None where they count in this process alone. `own`: it is one of ours, whose tools name the tables that a
        database has now, so that no change of theirs is one that a person has to look at."""
        self._first[server], self._consents[server] = {}, {}
        self._identities.pop(server, None)
        (self._ours.add if own else self._ours.discard)(server)
        if identity is None or self._pins is None:
            return
        self._identities[server] = identity
        for tool, pin in self._pins.of(identity, server).items():
            self._first[server][tool] = pin.first
            self._consents[server].update({(tool, caller): digest for caller, digest in pin.consents.items()})

    def knows(self, server: str) -> bool:
        """Has the server listed any tool, or one of the same identity before it?"""
        return bool(self._first.get(server))

    def standings(self, server: str, tools: Iterable[mcp_types.Tool]) -> Mapping[str, Standing]:
        """By name, of the tools that a server lists now. Tools that are new are remembered as they are."""
        first = self._first.setdefault(server, {})
        found: dict[str, Standing] = {}
        new: dict[str, str] = {}
        for tool in tools:
            digest, key = definition_digest(tool), _key(tool.name)
            if key not in first and len(first) < _MAX_TOOLS:
                first[key] = new[key] = digest
            found[tool.name] = Standing(digest, first.get(key) != digest and server not in self._ours)
        if new and self._pins is not None and server in self._identities:
            self._pins.add(self._identities[server], server, new)
        n_changed = sum(each.changed for each in found.values())
        if n_changed:
            log.info("%d of %d tools of %s are defined otherwise than when they were first seen", n_changed, len(found), server)
        return found

    def consent(self, server: str, tool: str, digest: str, caller: str) -> None:
        """A caller's person has allowed a call of the tool as it is defined now, which later processes are to know."""
        if self._pins is not None and server in self._identities:
            self._pins.consent(self._identities[server], _key(tool), digest, caller)

    def is_consented(self, server: str, tool: str, digest: str, caller: str) -> bool:
        """Had this caller's person allowed a call of the tool as it is defined now when the server began?"""
        return self._consents.get(server, {}).get((_key(tool), caller)) == digest


def _key(name: str) -> str:
    """What a tool is known by, so that no server's names fill a file."""
    if len(name) <= _MAX_NAME:
        return name
    return f"sha256:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
