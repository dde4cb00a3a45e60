"""Grammars that cross to the child once, though many requests have them: afterwards their digest is enough.

Sender and receiver forget by the same rule in the order of the messages, so that the sender knows what the other has.
"""

from __future__ import annotations

import pickle
from typing import NamedTuple

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.cache import ByteCache
from portico_engine.grammar.compiled import CompiledGrammar

KEPT = 128  # grammars: each counts as one, whatever its size


class PackedGrammar(NamedTuple):
    """A grammar as it crosses: `data` is None where the other end has it."""

    digest: str
    data: bytes | None


class GrammarSender:
    """What the other end has."""

    def __init__(self) -> None:
        self._there: ByteCache[bool] = ByteCache(KEPT)

    def pack(self, grammar: CompiledGrammar) -> PackedGrammar:
        """What is packed must be sent, in order. Raises GrammarTooLarge for a grammar that is nested too deeply."""
        digest = grammar.digest
        if self._there.get(digest):
            return PackedGrammar(digest, None)
        try:
            data = pickle.dumps(grammar, pickle.HIGHEST_PROTOCOL)
        except RecursionError:
            raise GrammarTooLarge("the grammar is nested too deeply") from None
        self._there.put(digest, True, 1)
        return PackedGrammar(digest, data)


class GrammarReceiver:
    """What has come."""

    def __init__(self) -> None:
        self._here: ByteCache[CompiledGrammar] = ByteCache(KEPT)

    def unpack(self, packed: PackedGrammar) -> CompiledGrammar:
        """The grammar, as the other end packed it."""
        if packed.data is None:
            grammar = self._here.get(packed.digest)
            assert grammar is not None, "the other end forgets by the same rule"
            return grammar
        received: CompiledGrammar = pickle.loads(packed.data)
        self._here.put(packed.digest, received, 1)
        return received
