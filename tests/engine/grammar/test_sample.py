"""Random sentences are in the language, end, and show more than one thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.grammar.oracle import accepts, recognizes

from portico_engine.errors import GrammarError, GrammarTooLarge
from portico_engine.grammar import ir, sample
from portico_engine.grammar.compile import compile_gbnf
from portico_engine.grammar.gbnf import parse_gbnf
from portico_engine.grammar.sample import sentences

GRAMMARS = sorted((Path(__file__).parent / "gbnf" / "grammars").glob("*.gbnf"))


@pytest.mark.parametrize("path", GRAMMARS, ids=lambda path: path.stem)
def test_sentences_of_real_grammars_are_accepted(path: Path) -> None:
    compiled = compile_gbnf(path.read_text(encoding="utf-8"))
    assert compiled.ir is not None
    found = list(sentences(compiled.ir, 40, seed=1))
    assert all(accepts(compiled.text, sentence) for sentence in found)
    assert len(set(found)) > 20


def test_recursion_without_an_end_in_sight_ends() -> None:
    grammar = parse_gbnf('root ::= "(" root ")" root | "[" root root root "]" | "x"')
    found = list(sentences(grammar, 50, seed=2, size=30))
    assert all(recognizes(grammar, sentence) for sentence in found if len(sentence) < 60)
    assert max(map(len, found)) < 2000


def test_intersections_and_complements_are_walked() -> None:
    no_aa = ir.And((ir.repeat(ir.chars("abc"), 3, 8), ir.Not(ir.seq(ir.ANY_TEXT, ir.text("aa"), ir.ANY_TEXT))))
    grammar = ir.Grammar({"root": ir.seq(no_aa, ir.text("!"))})
    found = list(sentences(grammar, 60, seed=3))
    assert all(recognizes(grammar, sentence) for sentence in found)
    assert len(set(found)) > 30


def test_a_seed_repeats_and_options_that_match_nothing_are_passed_by() -> None:
    grammar = ir.Grammar({"root": ir.alt(ir.seq(ir.text("a"), ir.Ref("never")), ir.text("b")), "never": ir.Ref("never")})
    assert list(sentences(grammar, 3, seed=1)) == ["b", "b", "b"]
    words = parse_gbnf("root ::= [a-z]{5,9}")
    assert list(sentences(words, 5, seed=7)) == list(sentences(words, 5, seed=7)) != list(sentences(words, 5, seed=8))


def test_what_has_no_sentence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MAX_STATES", 300)
    with pytest.raises(GrammarError, match="matches no text"):
        next(sentences(parse_gbnf('root ::= "a" root'), 1))
    letters = ir.chars((97, 122))
    blowup = ir.seq(ir.repeat(letters), ir.text("a"), ir.repeat(letters, 12, 12))
    with pytest.raises(GrammarTooLarge, match="can't be sampled"):
        next(sentences(ir.Grammar({"root": ir.And((ir.Not(blowup), blowup))}), 1))
