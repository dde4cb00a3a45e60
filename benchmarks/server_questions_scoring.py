"""Does a call of server_questions.py name the right tool, and does its result hold what was asked? Does an answer tell it?

- the right tool: one of those that the question names
- finds: code, the result names the place (file and line); documentation, a passage of the page that holds the fact; a database,
  every value and not among many others (answers_questions.crowded); its schema, every name
- shown: the result's short text, which a model reads, holds the fact, and names the file or page that it is from
- an answer's fact: every value in one of its forms; its source: the file, page or table that the fact is from
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from answers_questions import crowded, held
from server_questions_material import Question

AREAS = ("code", "docs", "db")


def right_tool(question: Question, tool: str) -> bool:
    return tool in question["tools"]


def finds(question: Question, text: str, data: Mapping[str, Any] | None) -> bool:
    """`text` and `data` are the result's text and structured content."""
    if question["area"] == "db":
        return all(held(question, text)) and ("sql" not in question["evidence"] or not crowded(question, text))
    file = question["evidence"]["file"]
    places = [place for place in _places(data or {}) if place["path"] == file]
    if question["area"] == "docs":
        return any(all(held(question, str(place["text"]))) for place in places)
    return any(place["start_line"] <= line <= place["end_line"] for place in places for line in question["evidence"]["lines"])


def _places(data: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Of a search, of a passage that was read, and of an outline."""
    if "hits" in data:
        return list(data["hits"])
    if "symbols" in data:
        return [{"path": data["path"], **symbol} for symbol in data["symbols"]]
    return [data] if "path" in data else []


def shown(question: Question, text: str) -> bool:
    """Could a reader of this text alone answer? Rows don't name their table; the call does."""
    return all(held(question, text)) and (question["area"] == "db" or names_source(question, text))


def names_source(question: Question, text: str) -> bool:
    """A page or file by its name, a table by its own; what lists all tables is from none."""
    if question["area"] != "db":
        return PurePosixPath(question["evidence"]["file"]).name.lower() in text.lower()
    table = question["evidence"].get("table", "")
    return table.lower() in text.lower()


def tells(question: Question, answer: str) -> bool:
    """Has the answer every value, and not among many others?"""
    numbers_alone = question["area"] == "db" and "sql" in question["evidence"]
    return all(held(question, answer)) and not (numbers_alone and crowded(question, answer))


def says_it_itself(question: Question) -> bool:
    """Does the question hold the fact already? An answer that repeats it proves little."""
    return all(held(question, question["question"]))
