from __future__ import annotations

import pytest
from tests.gateway.agent.fakes import nothing

from portico_engine.grammar.ir import Alt, Text
from portico_gateway.agent.guided.answers.quotations import passage_weights, quotation_grammar


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


def test_a_passage_with_the_name_that_the_question_spells_goes_before_others() -> None:
    weights = passage_weights(["by Ada Byron: parse", "by Max Weber: print"], "Which commit is by 'Max Weber'?", nothing)
    assert max(weights, key=weights.__getitem__) == "by Max Weber: print"


def test_where_several_things_are_asked_for_the_list_goes_before_its_items() -> None:
    weights = passage_weights(["main", "main, fix, export"], "Show the branches of it", nothing)
    assert weights["main, fix, export"] > weights["main"]


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("Name of Tarik's dog?", "Tarik Novak: Has a dog called Biscuit"),
        ("What's Tarik's last name?", "name: Tarik_Novak"),  # here it is what is asked for
    ],
)
def test_whose_thing_is_asked_for_is_not_the_thing(question: str, best: str) -> None:
    weights = passage_weights(["name: Tarik_Novak", "Tarik Novak: Has a dog called Biscuit"], question, nothing)
    assert max(weights, key=weights.__getitem__) == best
