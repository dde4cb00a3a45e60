"""Grammars that cross to the child once, though many requests have them: afterwards their digest is enough. Of one that differs
from those before in few of its rules, only these cross.

Sender and receiver forget by the same rule in the order of the messages, so that the sender knows what the other has.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.cache import ByteCache
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.ir import Grammar, Node

KEPT = 128  # grammars: each counts as one, whatever its size
RULES_KEPT = 4_096  # rules of them; then all are forgotten


class PackedGrammar(NamedTuple):
    """A grammar as it crosses: `data` is None where the other end has it."""

    digest: str
    data: bytes | None


class _Content(NamedTuple):
    """A grammar's parts. `rules` are the names of its IR's rules, and their bodies by the number under which each has crossed;
    those of `bodies` have not: they get the numbers from `first` on, and where that is 0, all others are forgotten.
    """

    without_ir: CompiledGrammar
    start: str
    notes: tuple[str, ...]
    rules: Sequence[tuple[str, int]]
    first: int
    bodies: Sequence[Node]


class GrammarSender:
    """What the other end has."""

    def __init__(self) -> None:
        self._there: ByteCache[bool] = ByteCache(KEPT)
        self._rules: dict[Node, int] = {}  # bodies, by number

    def pack(self, grammar: CompiledGrammar) -> PackedGrammar:
        """What is packed must be sent, in order. Raises GrammarTooLarge for a grammar that is nested too deeply."""
        digest = grammar.digest
        if self._there.get(digest):
            return PackedGrammar(digest, None)
        try:
            content = grammar if grammar.ir is None else self._content(grammar, grammar.ir)
            data = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
        except RecursionError:
            self._rules.clear()  # what of it was counted does not cross
            raise GrammarTooLarge("the grammar is nested too deeply") from None
        self._there.put(digest, True, 1)
        return PackedGrammar(digest, data)

    def _content(self, grammar: CompiledGrammar, ir: Grammar) -> _Content:
        if len(self._rules) + len(ir.rules) > RULES_KEPT:
            self._rules.clear()
        first = len(self._rules)
        rules: list[tuple[str, int]] = []
        bodies: list[Node] = []
        for name, body in ir.rules.items():
            if (number := self._rules.get(body)) is None:
                number = self._rules[body] = len(self._rules)
                bodies.append(body)
            rules.append((name, number))
        return _Content(replace(grammar, ir=None), ir.start, ir.notes, rules, first, bodies)


class GrammarReceiver:
    """What has come."""

    def __init__(self) -> None:
        self._here: ByteCache[CompiledGrammar] = ByteCache(KEPT)
        self._rules: dict[int, Node] = {}

    def unpack(self, packed: PackedGrammar) -> CompiledGrammar:
        """The grammar, as the other end packed it."""
        if packed.data is None:
            grammar = self._here.get(packed.digest)
            assert grammar is not None, "the other end forgets by the same rule"
            return grammar
        content: _Content | CompiledGrammar = pickle.loads(packed.data)
        received = self._joined(content) if isinstance(content, _Content) else content
        self._here.put(packed.digest, received, 1)
        return received

    def _joined(self, content: _Content) -> CompiledGrammar:
        if not content.first:
            self._rules.clear()
        self._rules.update(enumerate(content.bodies, content.first))
        rules = {name: self._rules[number] for name, number in content.rules}
        return replace(content.without_ir, ir=Grammar(rules, content.start, content.notes))
