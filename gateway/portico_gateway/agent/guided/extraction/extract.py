"""Which reader a result's shape asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, shortened
from portico_gateway.agent.guided.extraction.prose import prose
from portico_gateway.agent.guided.extraction.rows import is_rows, rows
from portico_gateway.agent.guided.extraction.source_lines import is_source, source_lines
from portico_gateway.agent.rendered_results import RenderedResult

MAX_CANDIDATES = 24
MIN_CHARACTERS = 12  # of prose and code: less says nothing


def extract(results: Sequence[RenderedResult]) -> list[AnswerCandidate]:
    """The candidates of all results, best-ranked results first, without repeats."""
    found: dict[str, AnswerCandidate] = {}
    for result in results:
        for candidate in _of_result(result):
            text = candidate.text.strip()
            if text and (len(text) >= MIN_CHARACTERS or is_rows(result)):
                text = text if is_rows(result) else shortened(text)  # rows keep within a bound of their own
                found.setdefault(text, AnswerCandidate(text, candidate.citation))
    return list(found.values())[:MAX_CANDIDATES]


def _of_result(result: RenderedResult) -> Iterator[AnswerCandidate]:
    if is_rows(result):
        yield from rows(result)
        return
    found = False
    for citation in result.citations:
        of_hit = source_lines(citation) if is_source(citation) else prose(str(citation.fields.get("text") or ""), citation)
        for candidate in of_hit:
            found = True
            yield candidate
    if not found:
        yield from prose(result.text)
