"""What reads questions is there for the gateway that started the server, and for nobody else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from mcp_types import Tool

from portico_servers.common.question_readers import MAX_QUESTION, META, STARTED_BY_GATEWAY, QuestionReaders, place

pytestmark = pytest.mark.anyio
TOOLS = [Tool(name="search", input_schema={"type": "object"}), Tool(name="list", input_schema={"type": "object"})]


async def read(question: str) -> Mapping[str, Any]:
    return {"places": [place("a.py", question)]}


async def test_a_gateways_child_names_the_reader_of_its_tool_and_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STARTED_BY_GATEWAY, "1")
    readers = QuestionReaders("portico-code", {"search": read})
    search, listing = readers.named_in(TOOLS)
    assert (search.meta, listing.meta) == ({META: "portico-code:///search/question"}, None)
    found = await readers.read("portico-code:///search/question?question=Where%20is%20a%3Fb%26c%3F")
    assert found is not None
    assert json.loads(found[0].content) == {"places": [{"name": "a.py", "text": "Where is a?b&c?"}]}
    assert await readers.read("portico-code:///other/question?question=Where") is None


async def test_a_long_question_is_read_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STARTED_BY_GATEWAY, "1")
    found = await QuestionReaders("s", {"search": read}).read(f"s:///search/question?question={'a' * 9_000}")
    assert found is not None
    assert len(json.loads(found[0].content)["places"][0]["text"]) == MAX_QUESTION


async def test_whoever_else_starts_it_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STARTED_BY_GATEWAY, raising=False)
    readers = QuestionReaders("portico-code", {"search": read})
    assert readers.named_in(TOOLS) == TOOLS
    assert await readers.read("portico-code:///search/question?question=Where") is None
