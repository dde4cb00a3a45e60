"""A grammar as a machine over characters: derivatives of its rules, and the shortest way to end from every state.

States are IR nodes (what is still to come), made lazily and numbered; a table of transitions lets many texts be followed at
once. Only a rule that calls itself before reading anything can't be followed: compilers refuse those. It knows no tokens.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
    Text,
    TokenRef,
    alt,
    merge_ranges,
    references,
    repeat,
    seq,
)
from portico_engine.grammar.regular import automata
from portico_engine.grammar.rule_order import bottom_up

DEAD, UNKNOWN, MIXED = -1, -2, -3
OTHER = 128  # the column for every character beyond ASCII; MIXED where they lead to different states
CONTROL = b"\xfe"  # in an ending: the next four bytes are a control token's id (no text has this byte)
_BEYOND = merge_ranges([(OTHER, MAX_CODE_POINT)])
_SEARCHED = 12_000  # states of an intersection that are searched for its shortest string
MOST_WORK = 2_000_000  # of deriving, for one grammar: about a second
_NODE_BYTES = 600  # that a node whose shortest string is known holds, beside the table: measured on 124,000 states
_STATE_WORK = 250  # that looking at one of them is, in pairs of alternatives


class ShortestEnding(NamedTuple):
    """A shortest way to end: its bytes (control tokens as CONTROL and their id), and whether the grammar could go on after
    them."""

    data: bytes
    open: bool


class DerivativeAutomaton:
    """The machine of one grammar. Not safe for several threads at once: callers hold a lock."""

    def __init__(self, grammar: Grammar, control_tokens: Mapping[str, int] | None = None) -> None:
        """`control_tokens`: ids of the vocabulary's control tokens by text, for grammars that name them."""
        self.rules: Mapping[str, Node] = grammar.rules
        self._control = {text.strip("<>"): token for text, token in (control_tokens or {}).items()}
        self._shortest: dict[Node, bytes | None] = {}
        self._searched: dict[Node, bytes | None] = {}
        self.work = 0  # pairs of alternatives that were compared: what deriving has cost so far
        self._settled = False  # are the rules' shortest strings known?
        self.bottom_up = bottom_up(grammar)
        self._rule_texts = self._knuth()
        self._settled = True
        self._transitions: dict[Node, automata.Transitions] = {}
        self._nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self._endings: dict[int, ShortestEnding | None] = {}
        self.table: npt.NDArray[np.int32] = np.full((64, OTHER + 1), UNKNOWN, dtype=np.int32)
        self.start = self._live(self.rules[grammar.start])

    @property
    def too_costly(self) -> bool:
        """Has deriving cost so much that only what must be known should be found out?"""
        return self.work > MOST_WORK

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
        return self.table.nbytes + _NODE_BYTES * len(self._shortest)

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
            if isinstance(leaf, TokenRef) and (self._token_id(leaf) == token) is not leaf.negated
        ]
        return alt(*after)

    def _token_id(self, node: TokenRef) -> int | None:
        return node.token if isinstance(node.token, int) else self._control.get(node.token.strip("<>"))

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
            for low, high, after in () if isinstance(leaf, TokenRef) else automata.transitions(leaf):
                found.append((low, high, seq(after, rest)))
        self.work += len(found) ** 2
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
        return self.shortest(node) == b""

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
        for part in parts_of(data):
            if isinstance(part, int):
                node = self._after_token(node, part)
                continue
            for character in part.decode():
                node = next((after for low, high, after in self.transitions(node) if low <= ord(character) <= high), NEVER)
        return not isinstance(node, Empty)

    def shortest(self, node: Node) -> bytes | None:
        """A shortest string of `node` in UTF-8; None where it has none."""
        if node in self._shortest:
            return self._shortest[node]
        made = self._shortest_of(node, self._rule_texts)
        self._shortest[node] = made
        return made

    def _shortest_of(self, node: Node, rules: Mapping[str, bytes]) -> bytes | None:
        match node:
            case Empty():
                return b""
            case TokenRef():
                token = self._token_id(node)
                return None if token is None or node.negated else CONTROL + token.to_bytes(4, "big")
            case Text(value):
                return value.encode("utf-8", errors="surrogatepass")
            case Chars(ranges):
                return _character(ranges).encode() if ranges else None
            case Ref(name):
                return rules.get(name)
            case Seq(parts):
                texts = [self._part(part, rules) for part in parts]
                return None if any(text is None for text in texts) else b"".join(text for text in texts if text is not None)
            case Alt(options):
                found = [text for option in options if (text := self._part(option, rules)) is not None]
                return min(found, key=len) if found else None
            case Repeat(item, low):
                if low == 0:
                    return b""
                one = self._part(item, rules)
                return None if one is None else one * low
            case And() | Not():
                return self._search(node)
        return None

    def _search(self, node: Node) -> bytes | None:
        """The shortest string of an intersection or complement: that of a larger language with far fewer states, where it is
        in this one too; nothing, where that one is empty."""
        if node not in self._searched:
            larger = automata.loose(node)
            if larger != node:
                text = self._search(larger)
                if text is None or automata.matches(node, text.decode()):
                    self._searched[node] = text
                    return text
            self.work += _STATE_WORK * _search(node, self._searched)
        return self._searched[node]

    def _part(self, node: Node, rules: Mapping[str, bytes]) -> bytes | None:
        return self.shortest(node) if self._settled else self._shortest_of(node, rules)

    def _knuth(self) -> dict[str, bytes]:
        """The shortest string of every rule (D. E. Knuth, A generalization of Dijkstra's algorithm, 1977), by sweeps: one, from
        the lowest rule up, where none is recursive."""
        found: dict[str, bytes] = {}
        users: dict[str, list[str]] = {}
        for name, node in self.rules.items():
            for used in references(node):
                users.setdefault(used, []).append(name)
        todo = dict.fromkeys([*self.bottom_up, *self.rules])
        while todo:
            name = next(iter(todo))
            del todo[name]
            text = self._shortest_of(self.rules[name], found)
            if text is not None and (name not in found or len(text) < len(found[name])):
                found[name] = text
                todo.update(dict.fromkeys(users.get(name, ())))
        return found


def parts_of(data: bytes) -> list[bytes | int]:
    """An ending as stretches of text and control tokens."""
    out: list[bytes | int] = []
    at = 0
    while at < len(data):
        mark = data.find(CONTROL, at)
        end = len(data) if mark < 0 else mark
        if end > at:
            out.append(data[at:end])
        if mark >= 0:
            out.append(int.from_bytes(data[mark + 1 : mark + 5], "big"))
            end = mark + 5
        at = end
    return out


def _search(node: Node, known: dict[Node, bytes | None]) -> int:
    """Dijkstra over the automaton of an intersection or complement, by bytes; how many states it looked at.

    `known` gets the shortest string of `node` and of every state on the way (None: there is none, or it is too far), and is
    what another search need not find again.
    """
    best: dict[Node, int] = {node: 0}
    came: dict[Node, tuple[Node, str]] = {}
    queue: list[tuple[int, int, Node, bytes | None]] = [(0, 0, node, None)]  # with the rest of the string, once it is known
    serial = 0
    while queue:
        cost, _, state, rest = heapq.heappop(queue)
        if rest is not None:
            known[state] = rest
            while state in came:
                state, character = came[state]
                rest = character.encode() + rest
                known[state] = rest
            return len(best)
        if cost > best[state]:
            continue
        if len(best) > _SEARCHED:
            known[node] = None
            return len(best)
        serial += 1
        if state in known or automata.nullable(state):
            end = known.get(state, b"")
            if end is not None:
                heapq.heappush(queue, (cost + len(end), serial, state, end))
            continue
        for low, high, after in automata.transitions(state):
            character = _character(((low, high),))
            further = cost + len(character.encode())
            if further < best.get(after, 1 << 30):
                best[after] = further
                came[after] = state, character
                serial += 1
                heapq.heappush(queue, (further, serial, after, None))
    known.update(dict.fromkeys(best))  # nothing is reached from any of them
    return len(best)


def _character(ranges: tuple[tuple[int, int], ...]) -> str:
    """One of the shortest characters of a class: a letter or digit where there is one."""
    for low, high in ((0x61, 0x7A), (0x30, 0x39), (0x41, 0x5A), (0x20, 0x7E)):
        for first, last in ranges:
            if first <= high and last >= low:
                return chr(max(first, low))
    return chr(ranges[0][0])
