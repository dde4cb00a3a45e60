from __future__ import annotations

from tests.gateway.agent.fakes import nothing

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, PassageFeatures
from portico_gateway.agent.guided.extraction.documents.passage_features import (
    MAX_CHOICES,
    known_rarity,
    passage_features,
    weighed_passages,
)
from portico_gateway.agent.guided.extraction.prose import prose
from portico_gateway.guidance.stemming import stems_of

PAGE = """
.. data:: MAX_PARTS

   The most parts there may be.

   Default: ``1_000``

.. data:: MAX_SIZE

   The most bytes there may be.

   Default: ``500``
"""


def of(text: str, rank: int = 0) -> list[AnswerCandidate]:
    return list(prose(text, Citation({"path": "a.rst", "title_trail": ["Config"]}, "a.rst", None, ""), rank=rank))


def features(question: str, text: str, focus: str) -> PassageFeatures:
    candidates = of(text)
    found = passage_features(question, candidates, nothing, {})
    return next(f for c, f in zip(candidates, found, strict=True) if c.focus == focus)


def test_the_default_of_the_entry_that_is_asked_for_weighs_most() -> None:
    best = weighed_passages("What is the default of MAX_SIZE?", of(PAGE), nothing)[0]
    assert "Default: `500`" in best.text
    assert best.features is not None
    assert best.features.identifiers == 1


def test_a_rare_word_of_the_question_counts_more_than_a_common_one() -> None:
    rarity = {stems_of("bytes")[0]: 7.0, stems_of("parts")[0]: 0.1}
    candidates = [AnswerCandidate("Bytes only.", focus="Bytes only."), AnswerCandidate("Parts only.", focus="Parts only.")]
    rare, common = passage_features("bytes of parts", candidates, nothing, rarity)
    assert rare.focus_words > 0.9 > 0.1 > common.focus_words


def test_a_question_about_something_that_is_not_there_finds_little_of_its_words() -> None:
    found = passage_features("Which protocol does the telescope speak?", of(PAGE), nothing, {})
    assert max(f.context_words for f in found) == 0


def test_code_answers_where_an_example_is_asked_for() -> None:
    text = "Run it:\n\n```\ntool run\n```\n"
    assert features("What is run?", text, "tool run").prose == 0
    assert features("How do I run it?", text, "tool run").prose == 1


def test_rarity_is_what_searches_say_of_their_words() -> None:
    rarity = known_rarity([{"words": {"columns": 1, "the": 99}, "passages": 99}, {"hits": []}])
    assert rarity["column"] > 4 > 0.1 > abs(rarity.get("the", 0.0))


def test_the_best_are_few_and_each_text_is_there_once() -> None:
    text = "\n\n".join(f"The paragraph of number {n} speaks of it." for n in range(60))
    found = weighed_passages("Which paragraph speaks?", [*of(text), *of(text, rank=1)], nothing)
    assert len({candidate.text for candidate in found}) == len(found) == MAX_CHOICES
    weights = [candidate.weight or 0.0 for candidate in found]
    assert weights == sorted(weights, reverse=True)


def test_a_name_in_the_text_itself_says_more_than_one_in_the_heading_of_several() -> None:
    text = "--dump and --save\n=================\n\nUse --dump to see it all.\n\n>>> dump\n\nUse --save to keep it.\n"
    question = "What does --save do?"
    assert features(question, text, "Use --save to keep it.").identifiers == 1
    assert 0 < features(question, text, "Use --dump to see it all.").identifiers < 1


def test_a_text_that_breaks_off_before_what_it_announces_is_not_told_to_its_end() -> None:
    assert features("What are the fields?", "It has these fields:", "It has these fields:").prose == 0
