"""A grammar as an automaton over characters: derivatives of its rules, and a shortest way to end from every state.

States are IR nodes (what is still to come), made lazily and numbered; a table of transitions lets many texts be followed at
once. Only a rule that calls itself before reading anything can't be followed: compilers refuse those. It knows no tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from portico_engine.grammar.closing.shortest_strings import OutOfWork, ShortestEnding, ShortestStrings, parts_of
from portico_engine.grammar.ir import (
    EMPTY,
    MAX_CODE_POINT,
    NEVER,
    Alt,
    And,
    Chars,
    Empty,
    Grammar,
    Never,
    Node,
    Not,
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
from portico_engine.grammar.work_slice import SLICE, SliceOver, WorkSlice

DEAD, UNKNOWN, MIXED = -1, -2, -3
OTHER = 128  # the column for every character beyond ASCII; MIXED where they lead to different states
_BEYOND = merge_ranges([(OTHER, MAX_CODE_POINT)])
_FOLLOWED = 4096  # bytes of an ending; after a longer one the end token has its place kept, needed or not
# Work is counted, so that the same request ends alike on every machine and whatever ran before it: a unit is joining one
# alternative, one or two microseconds, and what is known already costs what finding it out has cost.
MOST_WORK = 1_000_000  # of deriving, for one answer
_ROW_WORK = 30  # of writing a row, beside what is in it
_HEAD_WORK = 4  # of finding one of the ways on
_MOST_BEGUN = 64  # states whose ways on are half found
_NODE_BYTES = 600  # that a node whose shortest string is known holds, beside the table: measured on 124,000 states


class _Begun:
    """A state's ways on while they are found: steps that say what each costs, what they have cost, and what they found."""

    __slots__ = ("found", "spent", "steps")

    def __init__(self) -> None:
        self.found: list[tuple[int, int, Node]] = []
        self.spent = 0
        self.steps: Iterator[int] = iter(())


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
        self._left: int | None = None  # of the work that a mask may do
        self._slice: WorkSlice | None = None  # of the step that it is done in
        self._made = 0  # things so far
        self._progress = (0, 0)  # at the end of the last slice
        self._patience = 0  # units beyond a slice, where what it was used up by can't be cut
        self._paid: set[tuple[str, Node | int]] = set()  # what this step has paid for
        self._prices: dict[tuple[str, Node | int], int] = {}
        self.rules: Mapping[str, Node] = grammar.rules
        self.bottom_up = bottom_up(grammar)
        self._strings = ShortestStrings(self.rules, self.bottom_up, control_tokens or {}, searched)
        self._strings.spend = self.spend
        self.searched_in_rules = self._strings.searched_in_rules
        self.work = 0  # that was counted since the automaton was made
        self._transitions: dict[Node, automata.Transitions] = {}
        self._begun: dict[Node, _Begun] = {}
        self._nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self._endings: dict[int, ShortestEnding | None] = {}
        self.table: npt.NDArray[np.int32] = np.full((64, OTHER + 1), UNKNOWN, dtype=np.int32)
        self.start = self._live(self.rules[grammar.start])

    @property
    def too_costly(self) -> bool:
        """Has this step cost so much that only what must be known should be found out?"""
        return self._left is not None and self._left < 0

    def allow(self, work: int | None) -> None:
        """From here on it is `too_costly` after so much work, and what goes on raises OutOfWork: a step's mask waits for it."""
        self._left = work
        self._paid.clear()

    @contextmanager
    def within(self, slice: WorkSlice) -> Iterator[None]:
        """What is done in the block is of this slice. What goes on beyond it raises SliceOver; what was found out stays."""
        self._slice = slice
        try:
            yield
        except SliceOver:
            before, self._progress = self._progress, (self._made, self._strings.broken_off)
            self._patience = max(2 * self._patience, SLICE) if before == self._progress else 0
            raise
        finally:
            self._slice = None

    def spend(self, work: int, *, known: bool = False) -> None:
        """Count work, of this mask's if it has an allowance. Raises OutOfWork beyond that, SliceOver where it is to be done and
        not `known`, and this step's share of it is used up."""
        self.work += work
        if self._left is not None:
            self._left -= work
            if self._left < 0:
                raise OutOfWork
        if self._slice is not None and not known:
            self._slice.left -= work
            if self._slice.left < -self._patience:
                raise SliceOver

    def _pay(self, what: str, of: Node | int, known: bool, make: Callable[[], None]) -> None:
        """Have something made that isn't `known`, at the price that it has however much of it is known: once a step."""
        item = what, of
        if item in self._paid:
            return
        if known:
            self.spend(self._prices[item], known=True)
        else:
            paid, self._paid = self._paid, set()
            before = self.work
            try:
                make()
            finally:
                self._paid = paid
            self._prices[item] = self.work - before
            self._made += 1
        self._paid.add(item)

    # --- states ------------------------------------------------------------------------------------------------------------

    def shortest(self, node: Node) -> bytes | None:
        """A shortest string of `node` in UTF-8; None where it has none."""
        return self._strings.of(node)

    def _live(self, node: Node) -> int:
        """The number of a state; DEAD where nothing can end from it."""
        self._pay("state", node, node in self._numbers, lambda: self._number(node))
        return self._numbers[node]

    def _number(self, node: Node) -> None:
        if self.shortest(node) is None:
            self._numbers[node] = DEAD
            return
        number = self._numbers[node] = len(self._nodes)
        self._nodes.append(node)
        if number >= len(self.table):
            self.table = np.concatenate([self.table, np.full_like(self.table, UNKNOWN)])

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
        self.fill(state)
        after = int(self.table[state, min(code, OTHER)])
        if after != MIXED:
            return after
        return next((self._live(to) for low, high, to in self.transitions(self._nodes[state]) if low <= code <= high), DEAD)

    def fill(self, state: int) -> None:
        """See that a state's row of the table is written."""
        self._pay("row", state, self.table[state, 0] != UNKNOWN, lambda: self._write_row(state))

    def _write_row(self, state: int) -> None:
        self.spend(_ROW_WORK)
        row = np.full(OTHER + 1, DEAD, dtype=np.int32)
        beyond: list[tuple[int, int, int]] = []
        for low, high, to in self.transitions(self._nodes[state]):
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
        self._pay("leads", node, node in self._transitions, lambda: self._make_transitions(node))
        return self._transitions[node]

    def _make_transitions(self, node: Node) -> None:
        """Where a slice ends amid of it the next one goes on, at the price of the whole."""
        begun = self._begun.pop(node, None)
        if begun is None:
            begun = _Begun()
            begun.steps = self._find_ways(node, begun.found)

        def join(nodes: Iterable[Node]) -> Node:
            joined = tuple(nodes)
            self.spend(len(joined))
            return alt(*joined)

        spent = begun.spent
        try:
            self.spend(spent, known=True)
            for cost in begun.steps:
                begun.spent += cost
                self.spend(cost)
            self._transitions[node] = automata.union(begun.found, join)
        except (SliceOver, OutOfWork):
            if len(self._begun) < _MOST_BEGUN:
                self._begun[node] = begun
                self._made += begun.spent > spent
            raise

    def _find_ways(self, node: Node, found: list[tuple[int, int, Node]]) -> Iterator[int]:
        """Each character that begins its texts with what then follows; yields what the next step costs."""
        heads: dict[tuple[Node, Node], None] = {}
        yield from self._find_heads(node, heads)
        for leaf, rest in heads:
            leads = () if isinstance(leaf, TokenRef) else automata.transitions(leaf)
            yield _HEAD_WORK + len(leads) + sum(_size(after) for _, _, after in leads) // 8
            for low, high, after in leads:
                found.append((low, high, seq(after, rest)))

    def _heads(self, node: Node) -> Iterable[tuple[Node, Node]]:
        """What its texts begin with: characters, texts, regular parts and control tokens, each with what then follows."""
        heads: dict[tuple[Node, Node], None] = {}
        for cost in self._find_heads(node, heads):
            self.spend(cost)
        return heads

    def _find_heads(self, node: Node, heads: dict[tuple[Node, Node], None]) -> Iterator[int]:
        """Yields what the next step costs. There may be exponentially many: of rules that may be empty, each with what follows
        it.
        """
        todo: list[tuple[Node, Node]] = [(node, EMPTY)]
        seen: set[tuple[Node, Node]] = set()
        while todo:
            if (found := todo.pop()) in seen:
                continue
            seen.add(found)
            yield 1
            part, rest = found
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

    def nullable(self, node: Node) -> bool:
        return self._strings.nullable(node)

    # --- the shortest end --------------------------------------------------------------------------------------------------

    def ending(self, state: int) -> ShortestEnding | None:
        """A shortest way to end from a state; None for DEAD."""
        if state == DEAD:
            return None
        self._pay("ending", state, state in self._endings, lambda: self._make_ending(state))
        return self._endings[state]

    def _make_ending(self, state: int) -> None:
        node = self._nodes[state]
        data = self.shortest(node)
        self._endings[state] = None if data is None else ShortestEnding(data, self._goes_on(node, data))

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


@lru_cache(maxsize=1 << 16)
def _size(node: Node) -> int:
    """How much of a regular node is looked at to tell it from others."""
    match node:
        case Chars(ranges):
            return len(ranges)
        case Seq(parts) | Alt(parts) | And(parts):
            return sum(map(_size, parts))
        case Repeat(item) | Not(item):
            return _size(item)
        case _:
            return 1
