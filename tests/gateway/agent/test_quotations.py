from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from portico_engine.grammar.ir import Alt, Text
from portico_gateway.agent.citations import Citation
from portico_gateway.agent.quotations import (
    MAX_PASSAGE_CHARACTERS,
    MAX_PASSAGES,
    passage_weights,
    quotable_passages,
    quotation_grammar,
)
from portico_gateway.agent.rendered_results import RenderedResult


def citation(**fields: object) -> Citation:
    return Citation(fields, f"{fields.get('path')}:{fields.get('start_line', '')}", None, str(fields.get("text", "")))


def nothing(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 4), np.float32)


def test_code_is_quoted_as_where_it_is() -> None:
    result = RenderedResult(
        "...", True, (citation(path="a.py", start_line=3, kind="method", symbol="Pool.free", text="def free"),)
    )
    assert quotable_passages([result]) == ["a.py:3: method Pool.free"]


def test_prose_is_quoted_by_paragraph_or_sentence_without_headings() -> None:
    long = "First sentence is here. " + "Word " * 80 + "end. Second sentence follows."
    result = RenderedResult(
        "...", True, (citation(path="g.md", anchor="x", text=f"## Install\n\nRun the\ninstaller now.\n\n{long}"),)
    )
    found = quotable_passages([result])
    assert found[0] == "Run the installer now."
    assert found[1] == "First sentence is here."
    assert found[-1] == "Second sentence follows."
    assert all(len(text) <= MAX_PASSAGE_CHARACTERS for text in found)


def test_rows_are_quoted_whole() -> None:
    result = RenderedResult("orders: count = 3", True, (citation(table="orders"),))
    assert quotable_passages([result]) == ["orders: count = 3"]


def test_passages_are_few_and_never_twice() -> None:
    text = "\n\n".join(f"Paragraph number {i % 50} of many." for i in range(100))
    found = quotable_passages([RenderedResult(text, True)])
    assert len(found) == MAX_PASSAGES
    assert len(set(found)) == MAX_PASSAGES


@pytest.mark.parametrize("text", ['say "hi" \\ there', "two\nlines", "tab\tand [class] {x}", "ünï ☃"])
def test_the_grammar_allows_exactly_the_passages(text: str) -> None:
    compiled = quotation_grammar([text, "another passage"])
    assert compiled.ir is not None
    assert compiled.ir.rules["root"] == Alt((Text(text), Text("another passage")))


def test_a_passage_with_the_questions_words_weighs_more_and_a_later_one_less() -> None:
    weights = passage_weights(
        ["Nothing of it.", "The pump is installed here.", "Nothing at all."], "How is the pump installed?", nothing
    )
    assert weights["The pump is installed here."] > weights["Nothing of it."] > weights["Nothing at all."]
