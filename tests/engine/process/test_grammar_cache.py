from __future__ import annotations

import pickle
from typing import Any

import pytest

from portico_engine import Tool
from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar import compile_tool_calls, ir
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.process import grammar_cache
from portico_engine.process.grammar_cache import KEPT, GrammarReceiver, GrammarSender


def grammar(i: int) -> CompiledGrammar:
    return CompiledGrammar(f'start: "{i}"')


def test_a_grammar_crosses_once() -> None:
    sender, receiver = GrammarSender(), GrammarReceiver()
    packed = [sender.pack(grammar(i)) for i in (1, 2, 1, 1)]
    assert [data is not None for _, data in packed] == [True, True, False, False]
    assert [receiver.unpack(each).text for each in packed] == ['start: "1"', 'start: "2"', 'start: "1"', 'start: "1"']


def test_both_ends_forget_the_same_ones() -> None:
    sender, receiver = GrammarSender(), GrammarReceiver()
    order = [*range(KEPT), 0, 0, KEPT, 1, 0, 2, *range(3 * KEPT), 5]
    for i in order:
        assert receiver.unpack(sender.pack(grammar(i))) == grammar(i)
    assert len(receiver._here) == KEPT
    assert list(receiver._here._entries) == list(sender._there._entries)


def calls(*numbers: int) -> CompiledGrammar:
    """A grammar of two tools, one of which takes one of these numbers."""
    number: dict[str, Any] = {"type": "object", "properties": {"number": {"enum": [*numbers]}}, "required": ["number"]}
    text: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}, "day": {"type": "string"}}}
    return compile_tool_calls([Tool("read", "", number), Tool("write", "", text)])


def test_of_a_grammar_that_differs_in_one_rule_only_that_one_crosses() -> None:
    sender, receiver = GrammarSender(), GrammarReceiver()
    crossed = []
    for n in range(5):
        grammar = calls(n, n + 100_000, n + 200_000)
        packed = sender.pack(grammar)
        assert packed.data is not None
        crossed.append(len(pickle.loads(packed.data).bodies))
        received = receiver.unpack(packed)
        assert (received, received.ir) == (grammar, grammar.ir)
    assert crossed[0] == len(grammar.ir.rules if grammar.ir else ()) > 4
    assert crossed[1:] == [1] * 4


def test_rules_are_forgotten_at_both_ends_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar_cache, "RULES_KEPT", 24)
    sender, receiver = GrammarSender(), GrammarReceiver()
    for n in range(60):
        grammar = calls(n, n + 100_000)
        assert receiver.unpack(sender.pack(grammar)).ir == grammar.ir
        assert len(sender._rules) == len(receiver._rules) <= 24


def test_a_grammar_that_is_too_deep_to_cross_leaves_nothing_behind() -> None:
    deep: ir.Node = ir.Text("a")
    for _ in range(30_000):
        deep = ir.Repeat(deep, 1, 2)
    sender, receiver = GrammarSender(), GrammarReceiver()
    receiver.unpack(sender.pack(calls(1, 2, 3)))
    with pytest.raises(GrammarTooLarge, match="nested too deeply"):
        sender.pack(CompiledGrammar("deep", ir=ir.Grammar({"root": ir.Text("b"), "deep": deep})))
    grammar = calls(4, 5, 6)
    assert receiver.unpack(sender.pack(grammar)).ir == grammar.ir
