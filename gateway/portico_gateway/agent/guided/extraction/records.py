"""Several records of one result taken together: how many there are, and all those that a question is about.

A list of objects, groups of `Key: value` lines and a list of short lines are records; the names and the times of the question
tell which of them are meant, and the tool's own words whether they are what is counted. It knows no tool by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from portico_engine import Tool
from portico_gateway.agent.guided.extraction.plain_text import line_records
from portico_gateway.agent.guided.extraction.structured import said, structured_value
from portico_gateway.agent.guided.questions.answer_type import AnswerType, asked_for, fits
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.guidance.copying.text.span import SpanKind
from portico_gateway.guidance.copying.text.spans import read_spans
from portico_gateway.guidance.copying.text.written_dates import WrittenDate, read_date
from portico_gateway.guidance.question import Question
from portico_gateway.guidance.stemming import content_words, spaced, stems_of

MOST_LISTED = 10  # records that are told
LONGEST_RECORD = 280  # characters of a single one: its fields say little without each other
LONGEST_LINE = 100  # characters of one in a list of lines
LONGEST = 900  # characters of all that are told
_COUNTS = re.compile(
    r"\b(?:how many|number of|count(?: of)?(?: the)?|wie viele)\s+"
    r"(?P<noun>(?:(?!(?:is|are|was|were|do|does|did|has|have|had|can|in|on|at|by|of|from|there)\b)[\w'’-]+\s*){1,4})",
    re.IGNORECASE,
)  # what is counted ends where something is said of it: "how many people are in work/contacts.csv"
_SEVERAL = re.compile(
    r"""\b(?:list|show|name|which|what|all|give\ me)\s+(?:me\s+)?(?:all\s+)?(?:of\s+)?(?:the\s+)?
      (?P<kinds>(?:[\w-]+\s+){0,2}?)(?P<noun>[\w-]{3,}s)\b
    | ^\W*(?P<first>[\w-]{3,}s)\s+(?:in|of|by|from|with|on)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_DATED = re.compile(r"\d{4}-\d\d-\d\d")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s|[\w ]+:$)")


def told_together(question: Question, result: RenderedResult, tool: Tool) -> str | None:
    """The number of the records that the question counts, with them where they are few; those that it asks for, where it asks
    for several; one record whole. None where the result has no records, or the question is about something else in them."""
    records = _records(result)
    if len(records) == 1 and isinstance(records[0], Mapping):
        line = _line(records[0])
        short = len(records[0]) > 1 and len(line) <= LONGEST_RECORD
        return line if short and _is_about(question, records[0], tool) else None
    if len(records) < 2:
        return None
    meant = [record for record in records if _is_meant(question, record, records)]
    counted = _COUNTS.search(question.text)
    if counted is not None:
        return _counted(meant, len(records)) if _are_these(counted["noun"], records, tool) else None
    several = _SEVERAL.search(question.text)
    if several is None or not _are_these(several["noun"] or several["first"], records, tool):
        return None
    meant = [record for record in meant if _is_of_kind(several["kinds"] or "", record, tool)]
    if 1 < len(meant) <= MOST_LISTED:
        text = "\n".join(f"- {line}" for line in _told(question, meant))
        return text if len(text) <= LONGEST else None
    return None


def _records(result: RenderedResult) -> list[Mapping[str, Any] | str]:
    value = structured_value(result.text, result.data)
    while isinstance(value, Mapping) and value:
        lists = [inner for inner in value.values() if isinstance(inner, list) and inner]
        if len(value) > 1 and (len(lists) != 1 or not isinstance(lists[0][0], Mapping)):
            return (
                [value] if all(not isinstance(inner, Mapping) and not _has_objects(inner) for inner in value.values()) else []
            )
        value = lists[0] if len(value) > 1 else next(iter(value.values()))
    if isinstance(value, list):
        return [item for item in value if isinstance(item, Mapping | str) and item]
    if value is not None:
        return []
    lines = [line for line in result.text.splitlines() if line.strip()]
    if records := line_records(lines):
        return list(records)
    if any(_HEADING.match(line) or len(line) > LONGEST_LINE for line in lines):
        return []
    return [line.strip(" *-•") for line in lines]


def _has_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def _is_meant(question: Question, record: Mapping[str, Any] | str, every: Sequence[Mapping[str, Any] | str]) -> bool:
    """Has it each name and time of the question that some records have?"""
    text = _text(record)
    texts = [_text(other) for other in every]
    named = {value.text.lower() for value in question.values if value.kinds & {"name", "quoted"}}
    named |= {part for name in named for part in [name.removesuffix("'s").removesuffix("’s")]}
    for name in named:
        if any(name in other for other in texts) and name not in text:
            return False
    for date in _dates(question.text):
        written = (
            f"{date.year:04}-{date.month:02}" + (f"-{date.day:02}" if date.day else "") if date.month else f"{date.year:04}"
        )
        if any(_DATED.search(other) for other in texts) and written not in text:
            return False
    return True


def _dates(text: str) -> list[WrittenDate]:
    found = (read_date(span.text) for span in read_spans(text) if span.kind is SpanKind.DATE)
    return [date for date in found if date is not None and date.year]


def _are_these(noun: str, records: Sequence[Mapping[str, Any] | str], tool: Tool) -> bool:
    """Are the records of the kind that is counted? The tool says so in its name or description, or each by a key."""
    asked = {stem for word in content_words(noun)[:2] for stem in stems_of(word)}
    known = {*stems_of(spaced(tool.name.rpartition("__")[2])), *stems_of(tool.description)}
    keys = {stem for record in records if isinstance(record, Mapping) for key in record for stem in stems_of(spaced(str(key)))}
    return bool(asked & (known | keys))


def _is_of_kind(kinds: str, record: Mapping[str, Any] | str, tool: Tool) -> bool:
    """Has it the words that say which of them are meant: "csv files"? The tool's own words say nothing."""
    known = {*stems_of(spaced(tool.name)), *stems_of(tool.description)}
    words = [word.lower() for word in kinds.split() if content_words(word) and not set(stems_of(word)) <= known]
    return all(word in _text(record) for word in words)


def _is_about(question: Question, record: Mapping[str, Any], tool: Tool) -> bool:
    """Does a single record, or the tool that gave it, have a word that is asked for, or the time that is?"""
    named = {stem for value in question.values for stem in stems_of(value.text)}
    asked = {stem for token in question.tokens for stem in stems_of(token.text)} - named
    line = _line(record)
    known = {*stems_of(spaced(tool.name.rpartition("__")[2])), *stems_of(line)}
    return bool(asked & known) or (asked_for(question) is AnswerType.DATE and fits(question, AnswerType.DATE, line))


def _counted(meant: Sequence[Mapping[str, Any] | str], of: int) -> str:
    lines = [f"- {_line(record)}" for record in meant]
    shown = "\n".join(lines) if 0 < len(lines) <= MOST_LISTED else ""
    head = f"{len(meant)}" if len(meant) == of else f"{len(meant)} of {of}"
    return f"{head}:\n{shown}" if shown and len(shown) <= LONGEST else head


def _told(question: Question, records: Sequence[Mapping[str, Any] | str]) -> list[str]:
    """A line each: of objects the fields that the question names, where it names some."""
    asked = {stem for token in question.tokens for stem in stems_of(token.text)}
    lines = []
    for record in records:
        own = (
            {key: value for key, value in record.items() if set(stems_of(spaced(str(key)))) & asked}
            if isinstance(record, Mapping)
            else {}
        )
        lines.append(_line(own or record))
    return list(dict.fromkeys(lines))


def _line(record: Mapping[str, Any] | str) -> str:
    if isinstance(record, str):
        return record
    return "; ".join(f"{spaced(str(key))}: {said(value)}" for key, value in record.items())


def _text(record: Mapping[str, Any] | str) -> str:
    return _line(record).lower().replace("_", " ") + " " + _line(record).lower()
