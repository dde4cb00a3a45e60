"""How much of a question each server's reading accounts for, each word by how much it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from portico_gateway.guidance.question_evidence import QuestionEvidence
from portico_gateway.guidance.question_readings import FoundPlace, FoundPlaces, QuestionReading

SAYS = {"gzip": 20.0, "middl": 17.0}


def information(words: Sequence[str]) -> np.ndarray:
    return np.asarray([SAYS.get(word, 8.0) for word in words], np.float32)


def embed(texts: Sequence[str]) -> np.ndarray:
    """One direction for texts about gzip, another for all others."""
    return np.asarray([[1.0, 0.0] if "gzip" in text.lower() else [0.0, 1.0] for text in texts], np.float32)


def evidence(question: str) -> QuestionEvidence:
    return QuestionEvidence(question, embed, information)


def test_the_best_place_counts_and_its_name_is_a_part_of_it() -> None:
    places = FoundPlaces((FoundPlace("cors.py Origin", "about origins"), FoundPlace("gzip.py GZipMiddleware", "class of size")))
    found = evidence("gzip minimum size").of(places)
    assert found.covered == pytest.approx((13 + 1) / (13 + 1 + 1))
    assert found.similar == 1.0


def test_a_word_that_says_more_counts_more() -> None:
    question = evidence("gzip minimum size")
    rare, common = (question.of(FoundPlaces((FoundPlace("", text),))).covered for text in ("gzip", "minimum size"))
    assert rare > 4 * common > 0


def test_a_call_counts_by_the_words_that_it_accounts_for() -> None:
    reading = QuestionReading({}, {}, ("gzip",), ("minimum", "size"))
    assert evidence("gzip minimum size").of(reading).covered == pytest.approx(13 / 15)


def test_nowhere_and_a_question_without_words_are_no_evidence() -> None:
    assert evidence("gzip size").of(FoundPlaces(())).covered == 0.0
    assert evidence("what is it?").of(FoundPlaces((FoundPlace("a", "b"),))).covered == 0.0
