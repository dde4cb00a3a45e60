from __future__ import annotations

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import MAX_CHARACTERS
from portico_gateway.agent.guided.extraction.extract import MAX_CANDIDATES, extract
from portico_gateway.agent.rendered_results import RenderedResult


def citation(**fields: object) -> Citation:
    return Citation(fields, f"{fields.get('path')}:{fields.get('start_line', '')}", None, str(fields.get("text", "")))


def quotable(results: list[RenderedResult]) -> list[str]:
    return [candidate.text for candidate in extract(results)]


def test_a_document_gives_its_sentences_with_what_follows_them_without_headings() -> None:
    result = RenderedResult(
        "...", True, (citation(path="g.md", anchor="x", text="## Install\n\nRun the\ninstaller now. Then restart."),)
    )
    found = extract([result])
    assert [candidate.focus for candidate in found] == ["Run the installer now.", "Then restart."]
    assert found[0].text == "Install: Run the installer now. Then restart."
    assert "Install" in found[0].context


def test_hits_that_were_not_shown_are_read_too() -> None:
    hits = [{"path": f"{n}.md", "anchor": "x", "text": f"Sentence number {n} is here."} for n in range(9)]
    result = RenderedResult("...", True, (citation(**hits[0]),), data={"hits": hits})
    found = extract([result])
    assert [candidate.rank for candidate in found] == list(range(9))
    assert found[-1].citation is not None
    assert found[-1].citation.label == "8.md#x"


def test_other_text_is_quoted_by_paragraph_or_sentence() -> None:
    long = "First sentence is here. " + "Word " * 80 + "end. Second sentence follows."
    found = quotable([RenderedResult(f"# Title\n\nOne paragraph.\n\n{long}", True)])
    assert found[:2] == ["One paragraph.", "First sentence is here."]
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


def test_a_short_text_is_a_candidate_where_it_is_all_that_a_result_says() -> None:
    assert [candidate.text for candidate in extract([RenderedResult("391", True)])] == ["391"]
    assert extract([RenderedResult("yes\n\nno", True)]) == []
