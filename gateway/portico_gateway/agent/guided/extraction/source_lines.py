"""Code: where a hit stands, and what stands there."""

from __future__ import annotations

from collections.abc import Iterator

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate


def is_source(citation: Citation) -> bool:
    """Does the citation name a line of a file?"""
    return "start_line" in citation.fields


def source_lines(citation: Citation) -> Iterator[AnswerCandidate]:
    """The candidates of one hit."""
    symbol, kind = citation.fields.get("symbol"), citation.fields.get("kind")
    yield AnswerCandidate(
        f"{citation.label}: {kind} {symbol}" if symbol and kind else f"{citation.label}: {citation.quote}", citation
    )
