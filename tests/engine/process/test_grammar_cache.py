from __future__ import annotations

from portico_engine.grammar.compiled import CompiledGrammar
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
