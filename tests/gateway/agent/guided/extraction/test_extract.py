from __future__ import annotations

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import MAX_CHARACTERS
from portico_gateway.agent.guided.extraction.extract import MAX_CANDIDATES, extract
from portico_gateway.agent.rendered_results import RenderedResult


def citation(**fields: object) -> Citation:
    return Citation(fields, f"{fields.get('path')}:{fields.get('start_line', '')}", None, str(fields.get("text", "")))


def quotable(results: list[RenderedResult]) -> list[str]:
    return [candidate.text for candidate in extract(results)]


def test_prose_is_quoted_by_paragraph_or_sentence_without_headings() -> None:
    long = "First sentence is here. " + "Word " * 80 + "end. Second sentence follows."
    result = RenderedResult(
        "...", True, (citation(path="g.md", anchor="x", text=f"## Install\n\nRun the\ninstaller now.\n\n{long}"),)
    )
    found = quotable([result])
    assert found[0] == "Run the installer now."
    assert found[1] == "First sentence is here."
    assert found[-1] == "Second sentence follows."
    assert all(len(text) <= MAX_CHARACTERS for text in found)


def test_rows_are_quoted_whole() -> None:
    result = RenderedResult("orders: count = 3", True, (citation(table="orders"),))
    assert quotable([result]) == ["orders: count = 3"]


def test_passages_are_few_and_never_twice() -> None:
    text = "\n\n".join(f"Paragraph number {i % 50} of many." for i in range(100))
    found = quotable([RenderedResult(text, True)])
    assert len(found) == MAX_CANDIDATES
    assert len(set(found)) == MAX_CANDIDATES
