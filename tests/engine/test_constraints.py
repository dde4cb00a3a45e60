from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tests.engine.fakes import fake_engine, run, script, tiny_tokenizer, tokens_of

from portico_engine import Request
from portico_engine.priors.token_texts import TokenTexts


def test_the_mask_is_told_how_many_tokens_are_left() -> None:
    engine = fake_engine()
    run(engine, [Request("a", (5, 6), max_tokens=10, grammar=script("7|8 9 10|11 12|13"))])
    (matcher,) = engine.grammars.made  # type: ignore[attr-defined]
    assert matcher.remaining == [10, 8, 7]


def test_a_prior_is_asked_where_the_grammar_leaves_a_choice_with_all_text_so_far() -> None:
    asked: list[tuple[str, list[int]]] = []

    class Asked:
        def bind(self, vocabulary: TokenTexts) -> Asked:
            assert vocabulary.texts == tiny_tokenizer().token_texts
            return self

        def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            asked.append((text, allowed.tolist()))
            return np.arange(len(allowed), dtype=np.float32)

    hello = tiny_tokenizer().encode("hello")[0]
    request = Request("a", (5, 6), grammar=script(f"{hello} 7|8 9 10|11|12"), prior=Asked(), stop=("hellogram",))
    tokens = tokens_of(run(fake_engine(), [request])["a"])
    assert tokens == [hello, 8, 9, 12]
    assert [allowed for _, allowed in asked] == [[7, 8], [10, 11, 12]]
    assert asked[0][0] == "hello", "though a stop string may still take it back"
