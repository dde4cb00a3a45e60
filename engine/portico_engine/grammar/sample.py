"""Random sentences of a grammar: to see what it allows, and to test what claims to accept them.

Every sentence is in the language. It favours printable ASCII and short repetitions, and is no uniform draw.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator

from portico_engine.errors import GrammarError, GrammarTooLarge
from portico_engine.grammar import ir
from portico_engine.grammar.regular.automata import inline, nullable, transitions

MAX_STATES = 20_000
MAX_DEPTH = 40
_ASCII = (0x20, 0x7E)


def sentences(grammar: ir.Grammar, count: int, *, seed: int | None = None, size: int = 80) -> Iterator[str]:
    """`count` random sentences; around `size` characters in, only the shortest ends are still chosen.

    A token reference comes out as its text. Raises GrammarError where the grammar matches nothing, GrammarTooLarge where an
    intersection or complement has too many states to be walked.
    """
    sampler = _Sampler(grammar, random.Random(seed), size)
    for _ in range(count):
        yield sampler.sentence()


class _Sampler:
    def __init__(self, grammar: ir.Grammar, rng: random.Random, size: int) -> None:
        self.grammar = grammar
        self.rng = rng
        self.size = size
        self.costs: dict[str, float] = dict.fromkeys(grammar.rules, math.inf)
        self.inlined: dict[str, ir.Node] = {}
        self.ways_out: dict[ir.Node, str | None] = {}
        self._find_costs()
        if self.costs.get(grammar.start, math.inf) == math.inf:
            raise GrammarError(f"rule {grammar.start!r} matches no text at all")
        self.out: list[str] = []
        self.length = 0

    def sentence(self) -> str:
        self.out, self.length = [], 0
        self._write(ir.Ref(self.grammar.start), 0)
        return "".join(self.out)

    # the cheapest way through each rule, so that every sentence can be ended

    def _find_costs(self) -> None:
        changed = True
        while changed:
            changed = False
            for name, body in self.grammar.rules.items():
                cost = self._cost(body)
                if cost < self.costs[name]:
                    self.costs[name], changed = cost, True

    def _cost(self, node: ir.Node) -> float:
        match node:
            case ir.Empty():
                return 0
            case ir.Never():
                return math.inf
            case ir.Text(value):
                return len(value)
            case ir.Ref(name):
                return 1 + self.costs[name]
            case ir.Seq(parts):
                return sum(map(self._cost, parts))
            case ir.Alt(options):
                return min(map(self._cost, options))
            case ir.Repeat(item, low):
                return low * self._cost(item) if low else 0
            case ir.And() | ir.Not():
                way_out = self._way_out(inline(node, self.grammar.rules, self.inlined))
                return math.inf if way_out is None else len(way_out)
            case _:
                return 1

    # writing

    def _put(self, text: str) -> None:
        self.out.append(text)
        self.length += len(text)

    def _write(self, node: ir.Node, depth: int) -> None:
        short = self.length >= self.size or depth > MAX_DEPTH
        match node:
            case ir.Text(value):
                self._put(value)
            case ir.Chars(ranges):
                self._put(self._character(ranges))
            case ir.Ref(name):
                self._write(self.grammar.rules[name], depth + 1)
            case ir.TokenRef(token, negated):
                self._put(f"{'!' if negated else ''}{token if isinstance(token, str) else f'<[{token}]>'}")
            case ir.Seq(parts):
                for part in parts:
                    self._write(part, depth)
            case ir.Alt(options):
                possible = [option for option in options if self._cost(option) < math.inf]
                self._write(min(possible, key=self._cost) if short else self.rng.choice(possible), depth)
            case ir.Repeat(item, low, high):
                self._repeat(item, low, high, depth)
            case ir.And() | ir.Not():
                self._walk(inline(node, self.grammar.rules, self.inlined))
            case _:
                pass

    def _repeat(self, item: ir.Node, low: int, high: int | None, depth: int) -> None:
        done = 0
        possible = self._cost(item) < math.inf
        while high is None or done < high:
            if done >= low and (not possible or depth > MAX_DEPTH or self.length >= self.size or self.rng.random() < 0.3):
                break
            self._write(item, depth + (done >= low))
            done += 1

    def _character(self, ranges: tuple[tuple[int, int], ...]) -> str:
        ascii_part = [(max(low, _ASCII[0]), min(high, _ASCII[1])) for low, high in ranges]
        ascii_part = [(low, high) for low, high in ascii_part if low <= high]
        chosen = ascii_part if ascii_part and self.rng.random() < 0.9 else ranges
        low, high = self.rng.choices(chosen, [high - low + 1 for low, high in chosen])[0]
        return chr(self.rng.randint(low, high))

    def _walk(self, state: ir.Node) -> None:
        """A random path through the automaton of an intersection or complement."""
        while True:
            if nullable(state) and (self.length >= self.size or self.rng.random() < 0.2):
                return
            if self.length >= self.size:
                self._put(self._way_out(state) or "")
                return
            alive = [step for step in transitions(state) if self._way_out(step[2]) is not None]
            if not alive:
                return
            low, high, state = self.rng.choices(alive, [min(step[1] - step[0] + 1, 64) for step in alive])[0]
            self._put(self._character(((low, high),)))

    def _way_out(self, state: ir.Node) -> str | None:
        """A shortest text from here to an end, None where there is none."""
        if state not in self.ways_out:
            self.ways_out[state] = _shortest(state)
        return self.ways_out[state]


def _shortest(start: ir.Node) -> str | None:
    seen = {start}
    queue: deque[tuple[ir.Node, str]] = deque([(start, "")])
    while queue:
        state, text = queue.popleft()
        if nullable(state):
            return text
        for low, _, target in transitions(state):
            if target not in seen:
                seen.add(target)
                queue.append((target, text + chr(low)))
        if len(seen) > MAX_STATES:
            raise GrammarTooLarge(f"an intersection or complement has more than {MAX_STATES:,} states; it can't be sampled")
    return None
