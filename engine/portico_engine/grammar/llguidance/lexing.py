"""Cuts a grammar into lexemes so that greedy lexing leaves its language as it is.

llguidance reads the longest run that any lexeme allowed here can go on with, and never goes back. That is wrong wherever a
lexeme has matched, the grammar lets character c follow, and some lexeme allowed beside it (or itself) could take c too. This
module starts from large lexemes, finds every such place, and makes the lexemes there larger (the whole regular part, which
has nothing after it to lose) or smaller (down to one character each, where nothing can run on). It knows nothing of Lark's
syntax.

The places are found on an over-approximation, so that a doubt costs speed and never the language: rules return to all their
callers, bounded repetitions lose their counts, and lexemes that match a common text are taken to be read together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portico_engine.errors import GrammarError, GrammarTooLarge
from portico_engine.grammar import ir
from portico_engine.grammar.bounds import Meter
from portico_engine.grammar.llguidance.expansions import (
    Alternation,
    Concatenation,
    Expansion,
    Nonterminal,
    Repetition,
    Terminal,
)
from portico_engine.grammar.llguidance.lazy_lexemes import as_up_to
from portico_engine.grammar.llguidance.lexing_conflicts import find_conflicts
from portico_engine.grammar.notation import show
from portico_engine.grammar.regular.automata import determinize, inline, nullable

WIDE = 64
LONG_REPEAT = 16  # repetitions from here on get a lexeme of their own, which all their uses share
MAX_DFA_STATES = 2_000


@dataclass(frozen=True, slots=True)
class LexedGrammar:
    """The grammar in lexemes: each rule's expansion, and what had to be cut smaller than one would like, by rule."""

    expansions: Mapping[str, Expansion]
    start: str
    notes: tuple[str, ...]


def cut_into_lexemes(grammar: ir.Grammar, regular: frozenset[str], meter: Meter) -> LexedGrammar:
    """Expansions of all rules that the start reaches. `regular`: names of the rules that are regular expressions.

    Raises GrammarTooLarge where an intersection or complement would need too many states to be cut, or where finding the
    cuts takes longer than `meter` allows.
    """
    return _Cutter(grammar, regular, meter).run()


class _Cutter:
    """Owns the decisions that are revised between analyses: which nodes are kept whole, which must be opened."""

    def __init__(self, grammar: ir.Grammar, regular: frozenset[str], meter: Meter) -> None:
        self.meter = meter
        self.rules = dict(grammar.rules)
        self.start = grammar.start
        self.regular = set(regular)
        self.whole: set[ir.Node] = set()
        self.opened: set[ir.Node] = set()
        self.heavy_memo: dict[ir.Node, bool] = {}
        self.inlined: dict[str, ir.Node] = {}
        self.dfa_names: dict[ir.Node, str] = {}
        self.pieces: dict[str, None] = {}  # shown: what is read in smaller pieces
        self.terminals: list[Terminal] = []

    def run(self) -> LexedGrammar:
        while True:
            expansions = self._expansions()
            conflicts = find_conflicts(expansions, self.start, self.terminals, self._inline, self.meter)
            if not conflicts.pairs:
                return LexedGrammar(expansions, self.start, self._notes(conflicts.text_beside_tokens))
            for left, taker in conflicts.pairs:
                self._resolve(left, taker)

    def _notes(self, text_beside_tokens: bool) -> tuple[str, ...]:
        notes: list[str] = []
        if self.pieces:
            some = ", ".join(f"`{piece}`" for piece in list(self.pieces)[:5])
            more = f" and {len(self.pieces) - 5} more" if len(self.pieces) > 5 else ""
            notes.append(
                f"read in small pieces, which is slower, since reading on greedily would change the language: {some}{more}"
            )
        if text_beside_tokens:
            notes.append(
                "where text and a negated token reference may both come next, a token that fits the text is read as text"
            )
        return tuple(notes)

    # decisions

    def _resolve(self, left: Terminal, taker: Terminal) -> None:
        """A text of `left` ended where `taker` could go on."""
        if left.path and taker.path and left.path[0] == taker.path[0]:
            common = [a for a, b in zip(left.path, taker.path, strict=False) if a == b]
            self.whole.add(common[-1])
        elif left.path or taker.path:
            self.whole.update(terminal.path[0] for terminal in (left, taker) if terminal.path)
        else:
            self._open(taker.node)

    def _open(self, node: ir.Node) -> None:
        if node in self.opened:
            return
        self.opened.add(node)
        if isinstance(node, ir.Ref):
            self._open(self.rules[node.name])
            return
        if isinstance(node, ir.And | ir.Not):
            self.rules |= self._left_linear(node)
        self.pieces[show(node)] = None

    def _left_linear(self, node: ir.Node) -> dict[str, ir.Node]:
        """Rules for an intersection or complement, one a state, for the texts that lead there: cheap for an Earley parser."""
        dfa = determinize(self._inline(node), MAX_DFA_STATES)
        if dfa is None:
            raise GrammarTooLarge(
                f"an intersection or complement needs more than {MAX_DFA_STATES} states where it must be read a character at a "
                f"time: {show(node)}"
            )
        name = self._dfa_name(node)
        into: list[list[ir.Node]] = [[] for _ in dfa.transitions]
        for state, out in enumerate(dfa.transitions):
            for ranges, target in out:
                into[target].append(ir.seq(ir.Ref(f"{name}-{state}"), ir.Chars(ranges)))
        rules = {f"{name}-{state}": ir.alt(*([ir.EMPTY] if state == 0 else []), *options) for state, options in enumerate(into)}
        rules[name] = ir.alt(*(ir.Ref(f"{name}-{state}") for state, accepts in enumerate(dfa.accepting) if accepts))
        return rules

    def _dfa_name(self, node: ir.Node) -> str:
        return self.dfa_names.setdefault(node, f"dfa_{len(self.dfa_names)}")  # no rule of a grammar has an underscore

    def _inline(self, node: ir.Node) -> ir.Node:
        return inline(node, self.rules, self.inlined)

    # expansions

    def _expansions(self) -> dict[str, Expansion]:
        self.terminals = []
        expansions: dict[str, Expansion] = {}
        queue = [self.start]
        while queue:
            name = queue.pop()
            if name not in expansions:
                expansions[name] = self._expansion(self.rules[name], (), queue)
        return expansions

    def _expansion(self, node: ir.Node, path: tuple[ir.Node, ...], queue: list[str]) -> Expansion:
        forced = node in self.opened
        regular = self._is_regular(node)
        if regular and not forced:
            if node in self.whole or not self._worth_opening(node):
                return self._terminal(node, path)
            path = (*path, node)
        match node:
            case ir.Empty():
                return Concatenation(())
            case ir.Ref(name):
                queue.append(name)
                return Nonterminal(name)
            case ir.TokenRef():
                return self._terminal(node, path)
            case ir.And() if not forced and as_up_to(node):
                return self._terminal(node, path)
            case ir.Text(value):
                return Concatenation(tuple(self._terminal(ir.Text(c), path) for c in value))
            case ir.Seq(parts):
                parts = parts if forced else self._joined(node, regular=regular)
                return Concatenation(tuple(self._expansion(part, path, queue) for part in parts))
            case ir.Alt(options):
                options = options if forced else self._joined(node, regular=regular)
                return Alternation(tuple(self._expansion(option, path, queue) for option in options))
            case ir.Repeat(item, low, high):
                return Repetition(self._expansion(item, path, queue), low, high)
            case ir.And() | ir.Not() if forced:
                name = self._dfa_name(node)
                queue.append(name)
                return Nonterminal(name)
            case _:
                raise GrammarError(f"an intersection or complement of something that is not regular: {show(node)}")

    def _terminal(self, node: ir.Node, path: tuple[ir.Node, ...]) -> Expansion:
        if isinstance(node, ir.Empty):
            return Concatenation(())
        terminal = Terminal(node, len(self.terminals), path)
        self.terminals.append(terminal)
        return terminal

    def _joined(self, node: ir.Seq | ir.Alt, *, regular: bool) -> tuple[ir.Node, ...]:
        """The parts or options, with neighbours joined that one lexeme can hold: all regular ones, or (in a regular node that
        is opened) the light ones around at most one long repetition. There, optional parts at a run's end stay apart: others
        like them may follow.
        """
        in_order = isinstance(node, ir.Seq)
        join = ir.seq if in_order else ir.alt
        out: list[ir.Node] = []
        run: list[ir.Node] = []

        def end_run() -> None:
            apart: list[ir.Node] = []
            while regular and in_order and run and self._nullable(run[-1]):
                apart.append(run.pop())
            if run:
                out.append(join(*run))
            out.extend(reversed(apart))
            run.clear()

        for part in node.parts if isinstance(node, ir.Seq) else node.options:
            fits = self._is_regular(part)
            if fits and regular and self._heavy(part):
                fits = in_order and not isinstance(part, ir.Ref) and not self._worth_opening(part)
                if any(map(self._heavy, run)):
                    end_run()
            if fits and part not in self.opened:
                run.append(part)
            else:
                end_run()
                out.append(part)
        end_run()
        return tuple(out)

    def _nullable(self, node: ir.Node) -> bool:
        return nullable(self._inline(node))

    def _is_regular(self, node: ir.Node) -> bool:
        """Can it be part of a larger lexeme? Text up to a marker is one by itself."""
        match node:
            case ir.Ref(name):
                return name in self.regular
            case ir.TokenRef():
                return False
            case ir.Seq(parts) | ir.Alt(parts):
                return all(map(self._is_regular, parts))
            case ir.And(parts):
                return all(map(self._is_regular, parts)) and as_up_to(node) is None
            case ir.Repeat(item) | ir.Not(item):
                return self._is_regular(item)
            case _:
                return True

    # which regular nodes are worth several lexemes: those with long repetitions, whose masks are slow inside a large expression

    def _heavy(self, node: ir.Node) -> bool:
        """Does the node hold a long repetition of many characters (a string's text, say)?"""
        match node:
            case ir.Text() | ir.Chars() | ir.Empty() | ir.Never() | ir.TokenRef():
                return False
            case _:
                known = self.heavy_memo.get(node)
                if known is None:
                    known = self.heavy_memo[node] = self._find_heavy(node)
                return known

    def _find_heavy(self, node: ir.Node) -> bool:
        match node:
            case ir.Ref(name):
                return name not in self.regular or self._heavy(self.rules[name])
            case ir.Seq(parts) | ir.Alt(parts) | ir.And(parts):
                return any(map(self._heavy, parts))
            case ir.Repeat(item, _, high):
                return self._heavy(item) or ((high is None or high >= LONG_REPEAT) and _is_wide(item))
            case _:
                return isinstance(node, ir.Not)

    def _worth_opening(self, node: ir.Node) -> bool:
        match node:
            case ir.Ref(name):
                return self.rules[name] not in self.whole and self._worth_opening(self.rules[name])
            case ir.Seq(parts):
                heavy = [part for part in parts if self._heavy(part)]
                return len(heavy) > 1 or any(isinstance(part, ir.Ref) or self._worth_opening(part) for part in heavy)
            case ir.Alt(options):
                return any(
                    self._heavy(option) and (isinstance(option, ir.Ref) or self._worth_opening(option)) for option in options
                )
            case ir.Repeat(item):
                return self._heavy(item)
            case _:
                return False


def _is_wide(node: ir.Node) -> bool:
    """May one repetition of this begin with many different characters?"""
    match node:
        case ir.Chars(ranges):
            return sum(high - low + 1 for low, high in ranges) >= WIDE
        case ir.Seq(parts):
            return _is_wide(parts[0])
        case ir.Alt(options):
            return any(map(_is_wide, options))
        case _:
            return True
