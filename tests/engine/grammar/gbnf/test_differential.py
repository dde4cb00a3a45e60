"""Our matcher and llama.cpp's own grammar sampler accept and refuse the same mutated sentences of real grammars.

A sample; `benchmarks/gbnf_differential.py` decides 10,000 strings of each.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("llama_cpp", reason="llama-cpp-python is in the extra `dev`")

from gbnf_differential import Both, LlamaGrammar
from portico_engine.grammar import compile_gbnf, sentences, to_gbnf, tool_calls_grammar
from portico_engine.tool import Tool

GRAMMARS = sorted((Path(__file__).parent / "grammars").glob("*.gbnf"))


@pytest.fixture(scope="module")
def both() -> Both:
    return Both()


@pytest.mark.parametrize("path", GRAMMARS, ids=lambda path: path.stem)
def test_both_decide_alike(both: Both, path: Path) -> None:
    result = both.compare(path.stem, path.read_text(encoding="utf-8"), 150, seed=11)
    assert not result.unexplained
    assert 20 < result.accepted < 140  # else nothing was compared


def test_a_character_split_over_tokens_is_where_llama_cpp_is_stricter(both: Both) -> None:
    text = "root ::= [^\\u2028]+"
    result = LlamaGrammar(both.vocab, text)
    ids = both.llama.tokenize("\u2d9a")
    assert result.refused_at(ids) is not None
    assert both._accepts(compile_gbnf(text), ids)
    assert both._splits_a_character(compile_gbnf(text), ids, result.refused_at(ids) or 0)
    result.close()


def test_a_catalog_printed_for_llama_cpp_is_accepted_by_it_and_means_the_same(both: Both) -> None:
    tools = [
        Tool(
            "search",
            "",
            {"type": "object", "properties": {"query": {"type": "string", "maxLength": 5000}}, "required": ["query"]},
        ),
        Tool("tables", "", {"type": "object", "properties": {"like": {"type": "string", "pattern": "^(?!sys)[a-z]+$"}}}),
    ]
    grammar = tool_calls_grammar(tools, parallel=(1, 3)).grammar
    text = to_gbnf(grammar, target="llama.cpp")
    assert "looser in rule" in text
    theirs = LlamaGrammar(both.vocab, text)
    for sentence in sentences(grammar, 60, seed=3):
        ids = both.spell(sentence)
        assert ids is None or theirs.refused_at(ids) is None, sentence
    for bad in ('[{"name":"tables","arguments":{"like":"sysa"}}]', '[{"name":"nosuch","arguments":{}}]', '[{"name":"search"'):
        assert theirs.refused_at(both.llama.tokenize(bad)) is not None
    theirs.close()
