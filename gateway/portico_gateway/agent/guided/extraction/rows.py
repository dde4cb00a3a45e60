"""Rows of a table: the whole answer where it is short, else its first lines."""

from __future__ import annotations

from collections.abc import Iterator

from portico_gateway.agent.guided.extraction.candidate import MAX_CHARACTERS, AnswerCandidate
from portico_gateway.agent.rendered_results import RenderedResult

FIRST_LINES = 6


def is_rows(result: RenderedResult) -> bool:
    """Is all that the result cites a table?"""
    return bool(result.citations) and all("table" in citation.fields for citation in result.citations)


def rows(result: RenderedResult) -> Iterator[AnswerCandidate]:
    """The one candidate of a table's answer."""
    lines = [line for line in result.text.splitlines() if line.strip()]
    shown = lines if len(result.text) <= MAX_CHARACTERS else lines[:FIRST_LINES]
    yield AnswerCandidate("\n".join(shown), result.citations[0])
