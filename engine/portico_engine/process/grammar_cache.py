"""Grammars that cross to the child once, though many requests have them: afterwards their digest is enough.

Sender and receiver forget by the same rule in the order of the messages, so that the sender knows what the other has.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import TypeVar

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.compiled import CompiledGrammar

KEPT = 128
V = TypeVar("V")


class Sender:
    """What the other end has."""

    def __init__(self) -> None:
        self._there: OrderedDict[str, None] = OrderedDict()

    def pack(self, grammar: CompiledGrammar) -> tuple[str, bytes | None]:
        """Its digest, and the grammar itself where the other end doesn't have it. What is packed must be sent, in order.

        Raises GrammarTooLarge for one that is nested too deeply.
        """
        digest = grammar.digest
        try:
            data = None if digest in self._there else pickle.dumps(grammar, pickle.HIGHEST_PROTOCOL)
        except RecursionError:
            raise GrammarTooLarge("the grammar is nested too deeply") from None
        _touch(self._there, digest, None)
        return digest, data


class Receiver:
    """What has come."""

    def __init__(self) -> None:
        self._here: OrderedDict[str, CompiledGrammar] = OrderedDict()

    def unpack(self, packed: tuple[str, bytes | None]) -> CompiledGrammar:
        digest, data = packed
        grammar: CompiledGrammar = self._here[digest] if data is None else pickle.loads(data)
        _touch(self._here, digest, grammar)
        return grammar


def _touch(kept: OrderedDict[str, V], key: str, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > KEPT:
        kept.popitem(last=False)
