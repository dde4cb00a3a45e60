"""Tables of server_questions.py: shares with their intervals, by area; and settings compared on the same questions.

It knows rows of the journal; it asks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_quality import interval
from server_questions_material import Question
from server_questions_scoring import AREAS, says_it_itself

UNSAID = "fact unsaid"  # questions that don't hold the fact themselves, as "where is X defined?" does
Rows = Mapping[str, Sequence[Mapping[str, Any]]]  # by setting, in the questions' order
_PAIRS = (
    ("shipped auto", "none auto"),
    ("shipped off", "none off"),
    ("shipped auto", "shipped off"),
    ("shipped off", "shipped off unforced"),
    ("shipped auto", "shipped auto unforced"),
)


def call_rows(asked: Sequence[Question], found: Rows) -> Iterator[tuple[str, list[str], list[list[Any]], dict[str, Any]]]:
    """By area and in all: headings and lines of a table, and the same as figures."""
    return _shares(asked, found, {"right tool": "right_tool", "call finds it": "finds", "and shows it": "shown"})


def answer_rows(asked: Sequence[Question], found: Rows) -> Iterator[tuple[str, list[str], list[list[Any]], dict[str, Any]]]:
    both = {name: [{**row, "both": row["fact"] and row["source"]} for row in rows] for name, rows in found.items()}
    return _shares(asked, both, {"right fact": "fact", "right source": "source", "both": "both"})


def _shares(
    asked: Sequence[Question], found: Rows, columns: Mapping[str, str]
) -> Iterator[tuple[str, list[str], list[list[Any]], dict[str, Any]]]:
    for area in ("all", *AREAS, UNSAID):
        lines, figures = [], {}
        for name, rows in found.items():
            those = [row for question, row in zip(asked, rows, strict=True) if area in _groups(question)]
            if not those:
                continue
            counts = {column: sum(bool(row[key]) for row in those) for column, key in columns.items()}
            figures[name] = {"questions": len(those)} | {
                column: {"share": round(100 * count / len(those), 1), "interval": interval(count, len(those))}
                for column, count in counts.items()
            }
            shares = [f"{100 * count / len(those):.1f} ({interval(count, len(those))})" for count in counts.values()]
            lines.append([name, len(those), *shares])
        if lines:
            yield area, ["questions", *columns], lines, figures


def _groups(question: Question) -> tuple[str, ...]:
    return ("all", question["area"]) if says_it_itself(question) else ("all", question["area"], UNSAID)


def comparison(given: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Of two settings on the questions that both were asked: how many calls are the same, and how many are right under the one
    alone. `given`: rows by setting and question."""
    lines = []
    for one, other in _PAIRS:
        pairs = [(row, given[other][at]) for at, row in given.get(one, {}).items() if at in given.get(other, {})]
        if not pairs:
            continue
        same = sum((a["tool"], a.get("arguments")) == (b["tool"], b.get("arguments")) for a, b in pairs)
        line: dict[str, Any] = {"compared": f"{one} / {other}", "questions": len(pairs), "same call": same}
        for key in ("right_tool", "finds"):
            line[key] = [sum(a[key] > b[key] for a, b in pairs), sum(b[key] > a[key] for a, b in pairs)]
        lines.append(line)
    return lines
