from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from portico_gateway.agent.guided.extraction.source_code.words import Senses, line_words, question_terms, words_in
from portico_gateway.guidance.weights import CodeWordWeights


def stems(question: str) -> dict[str, bool]:
    return {term.stem: term.name for term in question_terms(question)}


def no_sense(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 8), np.float32)


def test_an_identifier_counts_by_its_parts_and_as_a_whole() -> None:
    assert set(line_words("parseHTTPHeader")) == set(line_words("parse_http_header")) >= {"http", "parsehttpheader"}


def test_a_question_names_what_it_spells_as_code_is() -> None:
    found = stems("Where is rewind_body used?")
    assert found["rewindbody"]
    assert "where" not in found


def test_the_last_part_of_a_dotted_name_is_a_name() -> None:
    assert stems("signature of tomlkit.string")["string"]
    assert not stems("signature of the string")["string"]


def test_what_is_quoted_is_a_name() -> None:
    assert stems("Which function implements the filter 'upper'?")["upper"]


def test_what_is_called_or_decorates_is_a_name() -> None:
    assert stems("flush(42): what error?")["flush"]
    assert stems("What does @cached answer with?")["cach"]
    assert not stems("What does a cached page answer with?")["cach"]


def test_how_people_ask_says_nothing_of_code() -> None:
    assert set(stems("Do you know whether I need to tell it anything before it closes?")) == set(stems("closes"))


def test_an_acronym_counts_unless_all_is_shouted() -> None:
    assert "get" in stems("Is a GET retried?")
    assert "get" not in stems("WHAT DO I GET BACK")


def test_how_much_is_said_finds_what_code_calls_it() -> None:
    assert "maximum" in words_in(" ".join(term.text for term in question_terms("how many redirects at most?")))


def test_a_contraction_leaves_no_crumbs() -> None:
    assert {term.text for term in question_terms("what path do cookies get if I don't set it")} == {
        "path",
        "cookies",
        "set",
    }


def test_a_synonym_stands_for_a_word_and_never_for_a_name() -> None:
    senses = Senses(no_sense, CodeWordWeights())
    word, name = question_terms("error"), question_terms("'error'")
    vocabulary = words_in("exception")
    assert senses.matches(word, vocabulary)[0, 0] == np.float32(CodeWordWeights().same)
    assert senses.matches(name, vocabulary)[0, 0] == 0.0


def test_a_word_with_one_letter_wrong_stands_for_the_right_one() -> None:
    senses = Senses(no_sense, CodeWordWeights())
    [slip] = question_terms("redircts")
    assert senses.matches([slip], ["redirct", "direct"]).tolist() == [[1.0, 0.0]]
    vocabulary = words_in("redirects, stream")
    assert senses.matches([slip], vocabulary)[0].tolist() == [np.float32(CodeWordWeights().same), 0.0]
