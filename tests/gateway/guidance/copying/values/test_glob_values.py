"""Patterns of file names out of a question."""

from __future__ import annotations

import pytest

from portico_engine import Tool
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.call_guide import CallGuide

STRING = {"type": "string"}
FILES = Tool(
    "search_files",
    "Search for files that match a glob-style pattern, in a folder and all below it.",
    {"type": "object", "properties": {"path": STRING, "pattern": STRING}, "required": ["path", "pattern"]},
)


@pytest.mark.parametrize(
    ("question", "path", "pattern"),
    [
        ("list all csv files", ".", "**/*.csv"),
        ("Find the file about pancakes", ".", "**/*pancake*"),
        ("Which files match src/*.py?", ".", "src/*.py"),
    ],
)
def test_a_question_is_told_as_a_pattern(question: str, path: str, pattern: str) -> None:
    narrowed = CallGuide(embedder().embed).narrowed([FILES], question)["search_files"]
    values = narrowed.tool.parameters["allOf"][-1]["properties"]
    assert (values["path"]["enum"][0], values["pattern"]["enum"][0]) == (path, pattern)
    assert not narrowed.free
