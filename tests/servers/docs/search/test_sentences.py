from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from portico_servers.common.embeddings import Embedder
from portico_servers.docs.index.models import StoredPassage
from portico_servers.docs.search.ranking import RankedSection
from portico_servers.docs.search.sentences import RERANKED, rerank, sentences


class _WordBag:
    """Embeds a text as which of four words it has."""

    WORDS = ("glass", "paper", "tape", "box")

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        found = np.array([[word in text.lower() for word in self.WORDS] for text in texts], np.float32)
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        return np.divide(found, norms, out=np.zeros_like(found), where=norms > 0)


EMBEDDER = cast(Embedder, _WordBag())


def passage(number: int, text: str) -> StoredPassage:
    return StoredPassage(number, 1, 1, number, "a.md", "", "Title", ("Title",), 1, 9, b"", text)


def test_the_section_with_the_best_sentence_comes_first() -> None:
    scattered = passage(1, "Glass is here. Tape is there.\n\nA box is big, and made of card.")
    exact = passage(2, "Nothing of it. Wrap glass in paper. Nothing else.")
    ranked = [RankedSection(1, 1, 0.50), RankedSection(2, 2, 0.45)]
    found = rerank("How is glass wrapped in paper?", ranked, {1: scattered, 2: exact}, EMBEDDER)
    assert [item.section for item in found] == [2, 1]
    assert all(0 <= item.score <= 1 for item in found)


def test_a_term_keeps_the_order_that_it_had() -> None:
    ranked = [RankedSection(1, 1, 0.50), RankedSection(2, 2, 0.45)]
    passages = {1: passage(1, "Nothing of it."), 2: passage(2, "Glass, and paper.")}
    assert rerank("glass paper", ranked, passages, EMBEDDER) == ranked


def test_what_is_not_reranked_stays_behind_what_is() -> None:
    ranked = [RankedSection(n, n, 1 - n / 100) for n in range(RERANKED + 5)]
    passages = {n: passage(n, "Glass is wrapped in paper." if n == 3 else "Nothing of it.") for n in range(RERANKED + 5)}
    found = rerank("How is glass wrapped in good paper?", ranked, passages, EMBEDDER)
    assert found[0].section == 3
    assert [item.section for item in found[RERANKED:]] == list(range(RERANKED, RERANKED + 5))
    assert sorted(found, key=lambda item: -item.score) == found


def test_a_passage_is_cut_at_sentences_items_and_rows() -> None:
    text = "# Title here\n\nOne sentence. Another `one` follows.\n\n- an item of it\n- a second item\n| a row | with cells |\n"
    assert sentences(text) == [
        "# Title here",
        "One sentence.",
        "Another one follows.",
        "- an item of it",
        "- a second item",
        "a row with cells",
    ]
