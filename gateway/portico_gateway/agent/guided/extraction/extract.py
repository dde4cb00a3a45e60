"""Which reader a result's shape asks for. Lines of source files are read apart: they need the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, shortened
from portico_gateway.agent.guided.extraction.prose import prose
from portico_gateway.agent.guided.extraction.rows import is_rows, rows
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
                text = shortened(text)
                found.setdefault(text, AnswerCandidate(text, candidate.citation))
    return list(found.values())[:MAX_CANDIDATES]


def _of_result(result: RenderedResult) -> Iterator[AnswerCandidate]:
    if is_rows(result):
        yield from rows(result)
        return
    found = False
    for citation in result.citations:
        for candidate in prose(str(citation.fields.get("text") or ""), citation):
            found = True
            yield candidate
    if not found:
        yield from prose(result.text)
