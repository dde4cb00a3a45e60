from __future__ import annotations

import pytest
from tests.gateway.agent.fakes import nothing

from portico_engine.grammar.ir import Alt, Text
from portico_gateway.agent.guided.quotations import passage_weights, quotation_grammar


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
