from __future__ import annotations

from portico_gateway.agent.guided.extraction.documents.sentences import sentences


def test_a_paragraph_is_cut_behind_its_sentences_not_inside_names_or_abbreviations() -> None:
    text = "Use `a.b` from 3.1 on, e.g. Linux. It works! (Mostly.) See app.py."
    assert sentences(text) == ["Use `a.b` from 3.1 on, e.g. Linux.", "It works!", "(Mostly.)", "See app.py."]


def test_a_single_sentence_is_itself_and_nothing_has_none() -> None:
    assert sentences("No end") == ["No end"]
    assert sentences("") == []
