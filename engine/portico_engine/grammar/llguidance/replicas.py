"""A grammar compiled for one vocabulary: matchers of llguidance at its start, ready to be copied.

It owns how many there are and what is done when the lexer of one has failed. It knows no tokens and no request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import WeakSet

from portico_engine.grammar.cache import ByteCache
from portico_engine.grammar.closing.closing_plan import ClosingPlanner
from portico_engine.grammar.closing.token_table import TokenTable
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.ir import TokenRef
from portico_engine.grammar.llguidance.end_tokens import without_end_tokens
from portico_engine.grammar.llguidance.lark import to_lark

if TYPE_CHECKING:
    from llguidance import LLMatcher

_ENTRY_BYTES = 96 * 1024  # what a compiled grammar costs beside its text
_BYTES_PER_CHARACTER = 64  # of the enforced text, once compiled: measured on catalogs of 1 to 260 tools, rounded up


_KEPT_RUNS, _RUN_BYTES = 1024, 1024  # forced runs of one grammar, and what one holds at most, about


class Forced(NamedTuple):
    """What a grammar forces somewhere: as text, and as the tokens of it that are settled."""

    data: bytes
    tokens: tuple[int, ...]


class ReplicaFactory(Protocol):
    """What compiling asks of the factory of matchers."""

    replicas: int
    longest_token: int
    table: TokenTable
    cache: ByteCache[ReplicatedGrammar]

    def is_end(self, token: TokenRef) -> bool:
        """Is it one of the tokens that end a text?"""
        ...

    def prototype(self, lark: str) -> LLMatcher:
        """llguidance's matcher at the start of a grammar. Raises GrammarError."""
        ...


class Replica:
    """A matcher at the grammar's start that is only ever copied, and who uses its copies.

    Copies share their lexer and its lock (llguidance's `deep_copy`): masks of one replica are filled one after another, and
    where the lexer has met its limit in one, it has in all.
    """

    def __init__(self, prototype: LLMatcher) -> None:
        self._prototype = prototype
        self.users: WeakSet[object] = WeakSet()

    def copy(self, user: object) -> LLMatcher:
        """A matcher at the start, for `user`."""
        self.users.add(user)
        return self._prototype.deep_copy()


class ReplicatedGrammar:
    """A grammar for one vocabulary, in as many replicas as matchers were in use at once, up to the factory's; how to close it.

    `open_until` is the length of a string, in bytes, from which the grammar that counts has to take over; None where it counts
    from the start.
    """

    def __init__(self, factory: ReplicaFactory, grammar: CompiledGrammar) -> None:
        self._factory = factory
        text, open_strings, rules = grammar.text, grammar.open_strings, grammar.ir
        if rules is not None and (ended := without_end_tokens(rules, factory.is_end)) is not rules:
            printed = to_lark(ended)
            text, open_strings, rules = printed.text, printed.open_strings, ended
        self._exact = self._text = text
        self.open_until: int | None = None
        if open_strings is not None and open_strings.length > factory.longest_token:
            self._text, length = open_strings
            self.open_until = length - factory.longest_token
        self._replica_bytes = _ENTRY_BYTES + _BYTES_PER_CHARACTER * len(self._text)
        self._replicas = [Replica(factory.prototype(self._text))]
        self.forced: dict[tuple[int, ...], Forced] = {}  # by the tokens before it
        self._counting_replica: Replica | None = None  # one for all, since long strings are rare
        known = grammar.closing if rules is grammar.ir else None
        self.planner = None if rules is None else ClosingPlanner(rules, factory.table, known)

    @property
    def bytes(self) -> int:
        following = 0 if self.planner is None else self.planner.held_bytes
        return self._replica_bytes * len(self._replicas) + following + _RUN_BYTES * len(self.forced)

    def note_forced(self, tokens: tuple[int, ...], forced: Forced) -> None:
        """Keep what is forced behind these tokens, unless it is long: who calls the same tool comes there again."""
        if len(forced.data) > _RUN_BYTES:
            return
        if len(self.forced) >= _KEPT_RUNS:
            self.forced.clear()
        self.forced[tokens] = forced

    def replica(self) -> Replica:
        """The least used, or one more where all are in use."""
        least_used = min(self._replicas, key=lambda replica: len(replica.users), default=None)
        room = self.bytes + self._replica_bytes <= self._factory.cache.bound
        if least_used is None or (least_used.users and room and len(self._replicas) < self._factory.replicas):
            least_used = Replica(self._factory.prototype(self._text))
            self._replicas.append(least_used)
        return least_used

    def counting_replica(self) -> Replica:
        """That of the grammar that counts."""
        if self._counting_replica is None:
            self._counting_replica = Replica(self._factory.prototype(self._exact))
        return self._counting_replica

    def drop(self, failed: Replica) -> None:
        """Its lexer has met a limit: nobody gets a copy of it again. Whoever still uses one comes back here in turn."""
        if failed is self._counting_replica:
            self._counting_replica = None
        elif failed in self._replicas:
            self._replicas.remove(failed)
