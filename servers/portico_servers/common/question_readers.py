"""What a server tells the gateway that started it of a question, for the model built into that: read by nobody else.

A tool's `_meta` names the URI that reads a question for it; no list names that resource, and hosts are shown neither. A
reading is a call of the tool (`arguments`, `schema`, `used`, `unused`) or, of a search, the places that the question leads to
(`places`). It knows no tool.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp_types import Tool

META = "portico/question-reader"  # in a tool's `_meta`: the URI that reads `?question=...`
STARTED_BY_GATEWAY = "PORTICO_NESTING"  # in the environment of what a gateway starts
MAX_QUESTION = 2_000  # characters that are read
MAX_PLACES = 8  # of a search
_PLACE_CHARS = 4_000  # of one place's text

QuestionReader: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any]]]  # a question to what is JSON-ready of it


def started_by_gateway() -> bool:
    """Is this server a gateway's child?"""
    return STARTED_BY_GATEWAY in os.environ


def place(name: str, text: str) -> dict[str, str]:
    """One place that a question leads to: what it is called, with what it stands in, and what it says."""
    return {"name": name[:_PLACE_CHARS], "text": text[:_PLACE_CHARS]}


class QuestionReaders:
    """The readers of one server's tools, by the tool's name; none where no gateway started it."""

    def __init__(self, server: str, readers: Mapping[str, QuestionReader]) -> None:
        own = readers if started_by_gateway() else {}
        self._uris = {name: f"{server}:///{name}/question" for name in own}
        self._readers = {self._uris[name]: reader for name, reader in own.items()}

    def named_in(self, tools: Sequence[Tool]) -> list[Tool]:
        """The tools, each with the URI of its reader."""
        return [
            tool.model_copy(update={"meta": {**(tool.meta or {}), META: self._uris[tool.name]}})
            if tool.name in self._uris
            else tool
            for tool in tools
        ]

    async def read(self, uri: str) -> list[ReadResourceContents] | None:
        """How the question in the URI is read; None where the URI is no reader's."""
        address, _, query = uri.partition("?")
        if address not in self._readers:
            return None
        question = "".join(parse_qs(query).get("question", ()))[:MAX_QUESTION]
        found = await self._readers[address](question)
        return [ReadResourceContents(content=json.dumps(found, ensure_ascii=False), mime_type="application/json")]
