"""A grammar as an automaton over characters: derivatives of its rules, and a shortest way to end from every state.

States are IR nodes (what is still to come), made lazily and numbered; a table of transitions lets many texts be followed at
once. Only a rule that calls itself before reading anything can't be followed: compilers refuse those. It knows no tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import thread_time

import numpy as np
import numpy.typing as npt

from portico_engine.grammar.closing.shortest_strings import OutOfTime, ShortestEnding, ShortestStrings, parts_of
from portico_engine.grammar.ir import (
    EMPTY,
    MAX_CODE_POINT,
    NEVER,
    Alt,
    Empty,
    Grammar,
    Never,
    Node,
    Ref,
    Repeat,
    Seq,
    TokenRef,
    alt,
    merge_ranges,
    repeat,
    seq,
)
from portico_engine.grammar.regular import automata
from portico_engine.grammar.rule_order import bottom_up

DEAD, UNKNOWN, MIXED = -1, -2, -3
OTHER = 128  # the column for every character beyond ASCII; MIXED where they lead to different states
_BEYOND = merge_ranges([(OTHER, MAX_CODE_POINT)])
_FOLLOWED = 4096  # bytes of an ending; after a longer one the end token has its place kept, needed or not
MOST_WORK = 2_000_000  # of deriving, for one grammar: about a second
_NODE_BYTES = 600  # that a node whose shortest string is known holds, beside the table: measured on 124,000 states


class DerivativeAutomaton:
    """The automaton of one grammar. Not safe for several threads at once: callers hold a lock."""

    def __init__(
        self,
        grammar: Grammar,
        control_tokens: Mapping[str, int] | None = None,
        searched: Mapping[Node, bytes | None] | None = None,
    ) -> None:
        """`control_tokens`: ids of the vocabulary's control tokens by text, for grammars that name them. `searched`: what is
        known already, as `searched_in_rules` tells it."""
        self._until: float | None = None  # of this thread's processor time: when the allowance of a step ends
        self.rules: Mapping[str, Node] = grammar.rules
        self.bottom_up = bottom_up(grammar)
        self._strings = ShortestStrings(self.rules, self.bottom_up, control_tokens or {}, searched)
        self._strings.check = self._check
        self.shortest = self._strings.of
        self.searched_in_rules = self._strings.searched_in_rules
        self._work = 0  # pairs of alternatives that were compared
        self._transitions: dict[Node, automata.Transitions] = {}
        self._nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self._endings: dict[int, ShortestEnding | None] = {}
        self.table: npt.NDArray[np.int32] = np.full((64, OTHER + 1), UNKNOWN, dtype=np.int32)
        self.start = self._live(self.rules[grammar.start])

    @property
    def too_costly(self) -> bool:
        """Has deriving cost so much that only what must be known should be found out?"""
        if self._work + self._strings.work > MOST_WORK:
            return True
        return self._until is not None and thread_time() > self._until

    def allow(self, seconds: float | None) -> None:
        """From here on it is `too_costly` after so many seconds of the processor, and its searches raise OutOfTime: a step's
        mask waits for it."""
        self._until = None if seconds is None else thread_time() + seconds

    def _check(self) -> None:
        if self._until is not None and thread_time() > self._until:
            raise OutOfTime

    # --- states ------------------------------------------------------------------------------------------------------------

    def _live(self, node: Node) -> int:
        """The number of a state; DEAD where nothing can end from it, unless finding that out is too dear."""
        number = self._numbers.get(node)
        if number is None:
            if not self.too_costly and self.shortest(node) is None:
                self._numbers[node] = DEAD
                return DEAD
            number = self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
            if number >= len(self.table):
                self.table = np.concatenate([self.table, np.full_like(self.table, UNKNOWN)])
        return number

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def held_bytes(self) -> int:
        """What it holds, about."""
        return self.table.nbytes + _NODE_BYTES * len(self._strings)

    def advance(self, state: int, text: str) -> int:
        """The state after `text`; DEAD where no text begins so."""
        for character in text:
            if state == DEAD:
                return DEAD
            state = self.step(state, ord(character))
        return state

    def step(self, state: int, code: int) -> int:
        """The state after one character, from the table or newly made."""
        after = int(self.table[state, min(code, OTHER)])
        if after == UNKNOWN:
            self.fill(state)
            after = int(self.table[state, min(code, OTHER)])
        if after != MIXED:
            return after
        return next((self._live(to) for low, high, to in self.transitions(self._nodes[state]) if low <= code <= high), DEAD)

    def fill(self, state: int) -> None:
        """Write a state's row of the table."""
        row = np.full(OTHER + 1, DEAD, dtype=np.int32)
        beyond: list[tuple[int, int, int]] = []
        for low, high, to in self.transitions(self._nodes[state]):
            self._check()
            number = self._live(to)
            if low < OTHER:
                row[low : min(high, OTHER - 1) + 1] = number
            if high >= OTHER:
                beyond.append((max(low, OTHER), high, number))
        if beyond:
            whole = [(low, high) for low, high, number in beyond if number == beyond[0][2]]
            same = merge_ranges(whole) == _BEYOND and len(whole) == len(beyond)
            row[OTHER] = beyond[0][2] if same else MIXED
        self.table[state] = row

    def special(self, state: int, token: int) -> int:
        """The state after a control token that the grammar names."""
        after = self._after_token(self._nodes[state], token)
        return DEAD if isinstance(after, Never) else self._live(after)

    def _after_token(self, node: Node, token: int) -> Node:
        after = [
            rest
            for leaf, rest in self._heads(node)
            if isinstance(leaf, TokenRef) and (self._strings.token_id(leaf) == token) is not leaf.negated
        ]
        return alt(*after)

    # --- derivatives -------------------------------------------------------------------------------------------------------

    def transitions(self, node: Node) -> automata.Transitions:
        """Where each character leads: sorted, disjoint (low, high, node after)."""
        known = self._transitions.get(node)
        if known is None:
            known = self._transitions[node] = self._make_transitions(node)
        return known

    def _make_transitions(self, node: Node) -> automata.Transitions:
        found = []
        for leaf, rest in self._heads(node):
            self._check()
            for low, high, after in () if isinstance(leaf, TokenRef) else automata.transitions(leaf):
                found.append((low, high, seq(after, rest)))
        self._work += len(found) ** 2
        return automata.union(found, lambda nodes: alt(*nodes))

    def _heads(self, node: Node) -> list[tuple[Node, Node]]:
        """What its texts begin with: characters, texts, regular parts and control tokens, each with what then follows."""
        heads: dict[tuple[Node, Node], None] = {}
        todo: list[tuple[Node, Node]] = [(node, EMPTY)]
        while todo:
            part, rest = todo.pop()
            match part:
                case Ref(name):
                    todo.append((self.rules[name], rest))
                case Seq((first, *others)):
                    following = seq(*others)
                    if self.nullable(first):
                        todo.append((following, rest))
                    todo.append((first, seq(following, rest)))
                case Alt(options):
                    todo.extend((option, rest) for option in reversed(options))
                case Repeat(item, low, high):
                    again = repeat(item, max(low - 1, 0), None if high is None else high - 1)
                    todo.append((item, seq(again, rest)))
                case _:
                    heads[part, rest] = None
        return list(heads)

    def nullable(self, node: Node) -> bool:
        return self._strings.nullable(node)

    # --- the shortest end --------------------------------------------------------------------------------------------------

    def ending(self, state: int) -> ShortestEnding | None:
        """A shortest way to end from a state; None for DEAD."""
        if state == DEAD:
            return None
        if state not in self._endings:
            self._endings[state] = self._make_ending(self._nodes[state])
        return self._endings[state]

    def _make_ending(self, node: Node) -> ShortestEnding | None:
        data = self.shortest(node)
        return None if data is None else ShortestEnding(data, self._goes_on(node, data))

    def _goes_on(self, node: Node, data: bytes) -> bool:
        if len(data) > _FOLLOWED:
            return True
        for part in parts_of(data):
            if isinstance(part, int):
                node = self._after_token(node, part)
                continue
            for character in part.decode():
                node = next((after for low, high, after in self.transitions(node) if low <= ord(character) <= high), NEVER)
        return not isinstance(node, Empty)
