"""Which reader a result's shape asks for. Lines of source files are read apart: they need the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, shortened
from portico_gateway.agent.guided.extraction.plain_text import plain_text
from portico_gateway.agent.guided.extraction.prose import prose
from portico_gateway.agent.guided.extraction.rows import is_rows, rows
from portico_gateway.agent.guided.extraction.structured import structured, structured_value
from portico_gateway.agent.rendered_results import RenderedResult, citation_of_hit

MAX_CANDIDATES = 24  # but of documents, which are weighed before the best are chosen
MIN_CHARACTERS = 12  # of prose and code: less says nothing


def extract(results: Sequence[RenderedResult]) -> list[AnswerCandidate]:
    """The candidates of all results, best-ranked results first. Of a document, several may have one text."""
    found: list[AnswerCandidate] = []
    seen: set[tuple[str, str]] = set()
    for result in results:
        for candidate in _of_result(result):
            text = candidate.text.strip()
            if _says_enough(text, result) and (text, candidate.focus) not in seen:
                seen.add((text, candidate.focus))
                whole = candidate.focus or is_rows(result)  # they keep within bounds of their own
                found.append(candidate if whole else AnswerCandidate(shortened(text), candidate.citation))
    plain = [candidate for candidate in found if not candidate.focus][:MAX_CANDIDATES]
    return plain + [candidate for candidate in found if candidate.focus]


def _says_enough(text: str, result: RenderedResult) -> bool:
    if len(text) >= MIN_CHARACTERS or not text or is_rows(result):
        return bool(text)
    return text == result.text.strip() or structured_value(result.text, result.data) is not None  # "391" may be all there is


def _of_result(result: RenderedResult) -> Iterator[AnswerCandidate]:
    if is_rows(result):
        yield from rows(result)
        return
    found = False
    for rank, citation in enumerate(_hits(result)):
        for candidate in prose(str(citation.fields.get("text") or ""), citation, rank=rank):
            found = True
            yield candidate
    if not found:
        value = structured_value(result.text, result.data)
        yield from plain_text(result.text) if value is None else structured(value)


def _hits(result: RenderedResult) -> Sequence[Citation]:
    """What the result cites: of documents every hit, also what was not shown."""
    if result.citations:
        hits = (result.data or {}).get("hits")
        if isinstance(hits, Sequence):
            return [citation_of_hit(hit) for hit in hits if isinstance(hit, Mapping)]
    return result.citations
