"""A grammar compiled for one vocabulary: matchers of llguidance at its start, ready to be copied.

It owns how many there are (lanes) and what is done when the lexer of one has failed. It knows no tokens and no request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from portico_engine.grammar.cache import ByteCache
from portico_engine.grammar.closing.closing_plan import Completions, TokenTable
from portico_engine.grammar.compiled import CompiledGrammar

if TYPE_CHECKING:
    from llguidance import LLMatcher

_ENTRY_BYTES = 96 * 1024  # what a compiled grammar costs beside its text
_BYTES_PER_CHARACTER = 64  # of the enforced text, once compiled: measured on catalogs of 1 to 260 tools, rounded up


class Factory(Protocol):
    """What compiling asks of the factory of matchers."""

    lanes: int
    longest_token: int
    table: TokenTable
    cache: ByteCache[Compiled]

    def prototype(self, lark: str) -> LLMatcher:
        """llguidance's matcher at the start of a grammar. Raises GrammarError."""
        ...


class Lane:
    """A matcher at the grammar's start that is only ever copied, and who uses its copies.

    Copies share their lexer and its lock (llguidance's `deep_copy`): masks of one lane are filled one after another, and where
    the lexer has met its limit in one, it has in all.
    """

    def __init__(self, prototype: LLMatcher) -> None:
        self._prototype = prototype
        self.users: WeakSet[object] = WeakSet()

    def copy(self, user: object) -> LLMatcher:
        """A matcher at the start, for `user`."""
        self.users.add(user)
        return self._prototype.deep_copy()


class Compiled:
    """A grammar for one vocabulary, in as many lanes as matchers were in use at once, up to the factory's; how to close it.

    `open_until` is the length of a string, in bytes, from which the grammar that counts has to take over; None where it counts
    from the start.
    """

    def __init__(self, factory: Factory, grammar: CompiledGrammar) -> None:
        self._factory = factory
        self._exact = self._text = grammar.text
        self.open_until: int | None = None
        if grammar.open_strings is not None and grammar.open_strings.length > factory.longest_token:
            self._text, length = grammar.open_strings
            self.open_until = length - factory.longest_token
        self._lane_bytes = _ENTRY_BYTES + _BYTES_PER_CHARACTER * len(self._text)
        self._lanes = [Lane(factory.prototype(self._text))]
        self._counting: Lane | None = None  # one for all, since long strings are rare
        self.completions = None if grammar.ir is None else Completions(grammar.ir, factory.table)

    @property
    def bytes(self) -> int:
        following = 0 if self.completions is None else self.completions.held_bytes
        return self._lane_bytes * len(self._lanes) + following

    def lane(self) -> Lane:
        """The emptiest, or one more where all are in use."""
        emptiest = min(self._lanes, key=lambda lane: len(lane.users), default=None)
        room = self.bytes + self._lane_bytes <= self._factory.cache.bound
        if emptiest is None or (emptiest.users and room and len(self._lanes) < self._factory.lanes):
            emptiest = Lane(self._factory.prototype(self._text))
            self._lanes.append(emptiest)
        return emptiest

    def counting(self) -> Lane:
        """That of the grammar that counts."""
        if self._counting is None:
            self._counting = Lane(self._factory.prototype(self._exact))
        return self._counting

    def drop(self, failed: Lane) -> None:
        """Its lexer has met a limit: nobody gets a copy of it again. Whoever still uses one comes back here in turn."""
        if failed is self._counting:
            self._counting = None
        elif failed in self._lanes:
            self._lanes.remove(failed)
