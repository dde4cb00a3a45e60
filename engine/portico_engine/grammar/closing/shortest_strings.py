"""The shortest string of every part of a grammar, in bytes of UTF-8, control tokens among them.

Of rules by Knuth's generalization of Dijkstra's algorithm, of intersections and complements by a search of their automaton.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from portico_engine.grammar.bounds import MAX_ENDING
from portico_engine.grammar.ir import (
    Alt,
    And,
    Chars,
    Empty,
    Node,
    Not,
    Ref,
    Repeat,
    Seq,
    Text,
    TokenRef,
    references,
)
from portico_engine.grammar.regular import automata

CONTROL = b"\xfe"  # in an ending: the next four bytes are a control token's id (no text has this byte)
_HELD = 32 * 1024 * 1024  # bytes of strings that are kept before all are forgotten
_SEARCHED = 12_000  # states of an intersection that are searched for its shortest string
_SEARCHED_IN_ALL = 40_000  # of all intersections of one grammar: some seconds
_BEGUN = 8  # searches that were broken off and are kept


class ShortestEnding(NamedTuple):
    """A shortest way to end: its bytes (control tokens as CONTROL and their id), and whether the grammar could go on after
    them."""

    data: bytes
    open: bool


class OutOfWork(Exception):
    """A search met the work that a mask allows it; nothing is known for it. Never leaves this room."""


class Spend(Protocol):
    """Called as work goes on, with what it was: may raise, and what is then under way goes on from there when it is asked for
    again. `known`: it is the price of what was found before, and takes no time."""

    def __call__(self, work: int, *, known: bool = False) -> None: ...


def _freely(work: int, *, known: bool = False) -> None:
    """The `Spend` of who may take any time."""


class ShortestStrings:
    """Of one grammar's rules, and of any node made from them."""

    def __init__(
        self,
        rules: Mapping[str, Node],
        bottom_up: Iterable[str],
        control_tokens: Mapping[str, int],
        searched: Mapping[Node, bytes | None] | None = None,
    ) -> None:
        """`bottom_up`: rules, each after those that it refers to. `control_tokens`: ids by text. `searched`: what another has
        found out, as `searched_in_rules` tells it."""
        self.rules = rules
        self.spend: Spend = _freely
        self.states = 0  # that searches have looked at so far
        self.broken_off = 0  # work of searches that were broken off, which is kept
        self._control = {text.strip("<>"): token for text, token in control_tokens.items()}
        self._shortest: dict[Node, bytes | None] = {}
        self._held = 0  # bytes in it
        self._nullable: dict[Node, bool] = {}
        self._searched: dict[Node, bytes | None] = dict(searched or {})
        self._search_work: dict[Node, int] = {}  # what finding them cost
        self._begun: dict[Node, _Search] = {}  # searches that were broken off, by what they are for; the last few
        self._settled = False  # are the rules' shortest strings known?
        self._rule_texts = self._knuth(bottom_up)
        self._settled = True

    def __len__(self) -> int:
        """Nodes whose shortest string is known."""
        return len(self._shortest)

    def token_id(self, node: TokenRef) -> int | None:
        return node.token if isinstance(node.token, int) else self._control.get(node.token.strip("<>"))

    def of(self, node: Node) -> bytes | None:
        """A shortest string of `node` in UTF-8; None where it has none."""
        if node in self._shortest:
            self.spend(self._search_work.get(node, 0), known=True)
            return self._shortest[node]
        made = self._shortest_of(node, self._rule_texts)
        self._held += len(made or b"")
        if self._held > _HELD:
            self._shortest.clear()
            self._held = len(made or b"")
        self._shortest[node] = made
        return made

    def searched_in_rules(self) -> dict[Node, bytes | None]:
        """The shortest strings of the intersections and complements that stand in the rules."""
        found: dict[Node, bytes | None] = {}
        for body in self.rules.values():
            stack = [body]
            while stack:
                node = stack.pop()
                match node:
                    case And() | Not():
                        if node in self._searched:
                            found[node] = self._searched[node]
                    case Seq(parts):
                        stack.extend(parts)
                    case Alt(options):
                        stack.extend(options)
                    case Repeat(item):
                        stack.append(item)
        return found

    def nullable(self, node: Node) -> bool:
        """Does it match the empty string? Without making strings that are long."""
        known = self._nullable.get(node)
        if known is None:
            match node:
                case Text() | Chars() | TokenRef():
                    known = False
                case Seq(parts):
                    known = all(map(self.nullable, parts))
                case Alt(options):
                    known = any(map(self.nullable, options))
                case Repeat(item, low):
                    known = low == 0 or self.nullable(item)
                case And() | Not():
                    known = automata.nullable(node)
                case _:
                    known = self.of(node) == b""
            self._nullable[node] = known
        return known

    def _shortest_of(self, node: Node, rules: Mapping[str, bytes]) -> bytes | None:
        match node:
            case Empty():
                return b""
            case TokenRef():
                token = self.token_id(node)
                return None if token is None or node.negated else CONTROL + token.to_bytes(4, "big")
            case Text(value):
                return value.encode("utf-8", errors="surrogatepass")
            case Chars(ranges):
                return _character(ranges).encode() if ranges else None
            case Ref(name):
                return rules.get(name)
            case Seq(parts):
                return _joined(self._part(part, rules) for part in parts)
            case Alt(options):
                found = [text for option in options if (text := self._part(option, rules)) is not None]
                return min(found, key=len) if found else None
            case Repeat(item, low):
                if low == 0:
                    return b""
                one = self._part(item, rules)
                return None if one is None or len(one) * low > MAX_ENDING else one * low
            case And() | Not():
                return self._search(node)
        return None

    def _search(self, node: Node) -> bytes | None:
        """The shortest string of an intersection or complement: that of a larger language with far fewer states, where it is
        in this one too; nothing, where that one is empty."""
        if node in self._searched:
            self.spend(self._search_work.get(node, 0), known=True)
            return self._searched[node]
        if self.states > _SEARCHED_IN_ALL:
            return None
        larger = automata.loose(node)
        if larger != node:
            text = self._search(larger)
            if text is None or automata.matches(node, text.decode()):
                self._searched[node] = text
                self._search_work[node] = self._search_work.get(larger, 0)
                return text
        search = self._begun.pop(node, None) or _Search(node)
        before = search.work
        try:
            search.run(self._searched, self.spend)
        except BaseException:
            self.broken_off += search.work - before
            self._begun[node] = search
            if len(self._begun) > _BEGUN:
                del self._begun[next(iter(self._begun))]
            raise
        self.states += search.states
        self._search_work[node] = search.work
        return self._searched[node]

    def _part(self, node: Node, rules: Mapping[str, bytes]) -> bytes | None:
        return self.of(node) if self._settled else self._shortest_of(node, rules)

    def _knuth(self, bottom_up: Iterable[str]) -> dict[str, bytes]:
        """The shortest string of every rule (D. E. Knuth, A generalization of Dijkstra's algorithm, 1977), by sweeps: one, from
        the lowest rule up, where none is recursive."""
        found: dict[str, bytes] = {}
        users: dict[str, list[str]] = {}
        for name, node in self.rules.items():
            for used in references(node):
                users.setdefault(used, []).append(name)
        todo = dict.fromkeys([*bottom_up, *self.rules])
        while todo:
            name = next(iter(todo))
            del todo[name]
            text = self._shortest_of(self.rules[name], found)
            if text is not None and (name not in found or len(text) < len(found[name])):
                found[name] = text
                todo.update(dict.fromkeys(users.get(name, ())))
        return found


def _joined(texts: Iterable[bytes | None]) -> bytes | None:
    """All of them; None where one is missing, or where they come to more than MAX_ENDING."""
    found: list[bytes] = []
    size = 0
    for text in texts:
        size += 0 if text is None else len(text)
        if text is None or size > MAX_ENDING:
            return None
        found.append(text)
    return b"".join(found)


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


class _Search:
    """Dijkstra over the automaton of an intersection or complement, by bytes: the shortest string of `node`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._best: dict[Node, int] = {node: 0}
        self._came: dict[Node, tuple[Node, str]] = {}
        self._queue: list[tuple[int, int, Node, bytes | None]] = [
            (0, 0, node, None)
        ]  # with the string's rest, once it is known
        self._serial = 0
        self.work = 0

    @property
    def states(self) -> int:
        """That were looked at."""
        return len(self._best)

    def run(self, known: dict[Node, bytes | None], spend: Spend) -> None:
        """Go on to the end, unless `spend` raises: then a later call goes on from there, at the price of all so far.

        `known` gets the shortest string of the node and of every state on the way (None: there is none, or it is too far), and
        is what another search need not find again.
        """
        if self.work:
            spend(self.work, known=True)
        queue = self._queue
        while queue:
            cost, _, state, rest = queue[0]
            if rest is not None:
                self._tell(state, rest, known)
                return
            if cost > self._best[state]:
                heapq.heappop(queue)
                continue
            if len(self._best) > _SEARCHED:
                known[self._node] = None
                return
            if state in known or automata.nullable(state):
                heapq.heappop(queue)
                end = known.get(state, b"")
                if end is not None:
                    self._push(cost + len(end), state, end)
                continue
            leads = automata.transitions(state)
            work = 60 + 6 * len(leads)
            spend(work)
            self.work += work
            heapq.heappop(queue)
            self._serial += 1
            for low, high, after in leads:
                character = _character(((low, high),))
                further = cost + len(character.encode())
                if further < self._best.get(after, 1 << 30):
                    self._best[after] = further
                    self._came[after] = state, character
                    self._push(further, after, None)
        known.update(dict.fromkeys(self._best))  # nothing is reached from any of them

    def _push(self, cost: int, state: Node, rest: bytes | None) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (cost, self._serial, state, rest))

    def _tell(self, state: Node, rest: bytes, known: dict[Node, bytes | None]) -> None:
        """The way back from a state whose string is `rest`."""
        known[state] = rest
        while state in self._came:
            state, character = self._came[state]
            rest = character.encode() + rest
            known[state] = rest


def _character(ranges: tuple[tuple[int, int], ...]) -> str:
    """One of the shortest characters of a class: a letter or digit where there is one."""
    for low, high in ((0x61, 0x7A), (0x30, 0x39), (0x41, 0x5A), (0x20, 0x7E)):
        for first, last in ranges:
            if first <= high and last >= low:
                return chr(max(first, low))
    return chr(ranges[0][0])
