"""`ir.Grammar` -> GBNF text: the form that people read, save and give to others.

It owns the syntax and what GBNF can't say: an intersection or complement becomes right-linear rules, one a state of its
automaton, up to 2,000 states, and beyond that a looser rule marked `# looser`. For llama.cpp it also keeps within its limits
(0.3.36 of its Python binding: a repetition above 2,000 is refused or silently unbounded, and nested ones multiply).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal, TypeAlias

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir
from portico_engine.grammar.notation import char_class, quantifier, quote, show, token_text
from portico_engine.grammar.regular.automata import Dfa, determinize, inline, loose

Target: TypeAlias = Literal["portico", "llama.cpp"]

MAX_STATES = 2_000
LLAMA_MAX_REPEAT = 2_000
WIDTH = 120


def to_gbnf(grammar: ir.Grammar, *, target: Target = "portico") -> str:
    """The grammar as GBNF that starts at `root`. Comments on top repeat its notes, and tell what `target` made looser.

    Raises GrammarError for a reference to a rule that isn't there, or an intersection of what is not regular.
    """
    return _Printer(grammar, target).text()


class _Printer:
    def __init__(self, grammar: ir.Grammar, target: Target) -> None:
        self.grammar = grammar
        self.llama = target == "llama.cpp"
        self.lines: dict[str, str] = {}
        self.comments: dict[str, str] = {}
        self.loosened: list[str] = []
        self.extra: dict[ir.Node, str] = {}  # nodes that got a rule of their own
        self.names = self._names()
        self.repeated = _repeated(grammar)
        self.current = ""

    def text(self) -> str:
        queue = [self.grammar.start]
        seen = set(queue)
        bodies: list[str] = []
        while queue:
            name = queue.pop(0)
            body = self.grammar.rules.get(name)
            if body is None:
                raise GrammarError(f"the grammar refers to a rule {name!r} that it does not define")
            self.current = self.names[name]
            bodies.append(self.names[name])
            self.lines[self.names[name]] = ""  # before the rules that it needs
            self.lines[self.names[name]] = self._body(body)
            for other in ir.references(body):
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        notes = [f"# {line}" for note in (*self.grammar.notes, *self.loosened) for line in note.splitlines()]
        return "\n".join([*notes, *self._rules()]) + "\n"

    def _rules(self) -> Iterator[str]:
        for name, body in self.lines.items():
            if name in self.comments:
                yield f"# {self.comments[name]}"
            yield f"{name} ::= {body}"

    def _names(self) -> dict[str, str]:
        """The start is called root; a rule that had that name, and was not the start, makes way."""
        names = {name: name for name in self.grammar.rules}
        if self.grammar.start != "root":
            if "root" in names:
                names["root"] = next(name for i in range(len(names) + 1) if (name := f"root-{i}") not in names)
            names[self.grammar.start] = "root"
        return names

    def _new_name(self, hint: str) -> str:
        taken = {*self.names.values(), *self.lines, *self.extra.values()}
        if hint not in taken:
            return hint
        return next(name for i in range(2, len(taken) + 3) if (name := f"{hint}-{i}") not in taken)

    # bodies

    def _body(self, node: ir.Node) -> str:
        if not isinstance(node, ir.Alt):
            return self._sequence(node)
        options = [self._sequence(option) for option in _last_empty(node.options)]
        one_line = " | ".join(options)
        return one_line if len(one_line) <= WIDTH else " |\n  ".join(options)

    def _sequence(self, node: ir.Node) -> str:
        return " ".join(map(self._item, node.parts)) if isinstance(node, ir.Seq) else self._item(node)

    def _item(self, node: ir.Node) -> str:
        """Something that a repetition may follow."""
        match node:
            case ir.Empty():
                return '""'
            case ir.Never():
                return "[^\\x00-\\U0010FFFF]"
            case ir.Text(value):
                return quote(value)
            case ir.Chars(ranges):
                return char_class(ranges)
            case ir.Ref(name):
                if name not in self.names:
                    raise GrammarError(f"the grammar refers to a rule {name!r} that it does not define")
                return self.names[name]
            case ir.TokenRef():
                return token_text(node)
            case ir.Alt() if node in self.repeated:
                return self._own_rule(node, "char" if _is_character(node) else "part")
            case ir.Seq() | ir.Alt():
                return f"({self._body(node)})"
            case ir.Repeat(item, low, high):
                return self._repetition(item, low, high)
            case ir.And() | ir.Not():
                return self._automaton(node)

    def _repetition(self, item: ir.Node, low: int, high: int | None) -> str:
        if isinstance(item, ir.Empty):
            return '""'  # nothing, however often; llama.cpp refuses to repeat it
        named = isinstance(item, ir.Chars | ir.Ref | ir.And | ir.Not) or item in self.repeated
        if self.llama and not named and (high or low) > 1:
            item_text = self._own_rule(
                item, f"{self.current}-part"
            )  # llama.cpp multiplies the rules inside a group by the repetition
        elif isinstance(item, ir.Repeat):
            item_text = f"({self._item(item)})"
        else:
            item_text = self._item(item)
        if not self.llama:
            return item_text + quantifier(low, high)
        return self._within_llamas_limits(item_text, low, high)

    def _within_llamas_limits(self, item: str, low: int, high: int | None) -> str:
        if high is not None and high > LLAMA_MAX_REPEAT:
            self.loosened.append(
                f"looser in rule {self.current}: at most {high:,} repetitions became any number (llama.cpp counts to "
                f"{LLAMA_MAX_REPEAT:,})"
            )
            high = None
        pieces: list[str] = []
        while low > LLAMA_MAX_REPEAT:
            pieces.append(f"{item}{{{LLAMA_MAX_REPEAT}}}")
            low -= LLAMA_MAX_REPEAT
        pieces.append(item + quantifier(low, high))
        return pieces[0] if len(pieces) == 1 else f"({' '.join(pieces)})"

    def _own_rule(self, node: ir.Node, hint: str) -> str:
        name = self.extra.get(node)
        if name is None:
            name = self.extra[node] = self._new_name(hint)
            self.lines[name] = ""
            self.lines[name] = self._body(node)
        return name

    # intersections and complements

    def _automaton(self, node: ir.Node) -> str:
        name = self.extra.get(node)
        if name is None:
            name = self.extra[node] = self._new_name(f"{self.current}-automaton")
            self.lines[name] = ""
            plain = self._regular(node)
            dfa = determinize(plain, MAX_STATES)
            if dfa is None:
                dfa = determinize(loose(plain), MAX_STATES)
                self._mark_looser(name, "bounds on repetitions are dropped" if dfa else _looser_words(node))
            if dfa is None:
                self.lines[name] = self._body(_looser(node))
            else:
                self._print_dfa(name, dfa)
        return name

    def _mark_looser(self, name: str, how: str) -> None:
        self.comments[name] = f"looser: {how}"
        self.loosened.append(f"looser in rule {name}: {how} (its automaton has more than {MAX_STATES:,} states)")

    def _print_dfa(self, name: str, dfa: Dfa) -> None:
        """Right-linear rules, as llama.cpp wants recursion: a state is what may still come."""
        if not dfa.transitions:
            self.lines[name] = self._item(ir.NEVER)
            return
        for state, out in enumerate(dfa.transitions):
            options = [
                char_class(ranges) + ("" if _is_final(dfa, target) else f" {_state_name(name, target)}")
                for ranges, target in out
            ]
            if dfa.accepting[state]:
                options.append('""')
            if not _is_final(dfa, state) or state == 0:
                self.lines[_state_name(name, state)] = " | ".join(options)

    def _regular(self, node: ir.Node) -> ir.Node:
        try:
            return inline(node, self.grammar.rules)
        except (KeyError, RecursionError):
            raise GrammarError("an intersection or complement of something that is not regular can't be printed") from None


def _repeated(grammar: ir.Grammar) -> set[ir.Node]:
    """Alternations of some length that stand in several places: they read better as a rule."""
    counts: Counter[ir.Node] = Counter()
    stack = list(grammar.rules.values())
    while stack:
        node = stack.pop()
        match node:
            case ir.Alt(options):
                counts[node] += 1
                if counts[node] == 1:
                    stack.extend(options)
            case ir.Seq(parts):
                stack.extend(parts)
            case ir.Repeat(item):
                stack.append(item)
            case _:
                pass
    bodies = set(grammar.rules.values())
    return {node for node, count in counts.items() if count > 1 and len(show(node, 40)) >= 20 and node not in bodies}


def _is_character(node: ir.Alt) -> bool:
    """Does it begin with a class that holds most characters (a string's text, with its escapes)?"""
    first = node.options[0]
    return isinstance(first, ir.Chars) and first.ranges[-1][1] == ir.MAX_CODE_POINT


def _is_final(dfa: Dfa, state: int) -> bool:
    """Accepting, with nothing to follow."""
    return dfa.accepting[state] and not dfa.transitions[state]


def _state_name(name: str, state: int) -> str:
    return f"{name}-s{state}" if state else name


def _looser(node: ir.Node) -> ir.Node:
    """What is printed of an intersection whose automaton is too large: one of its parts; of a complement: any text."""
    if isinstance(node, ir.And):
        positive = [part for part in node.parts if not isinstance(part, ir.Not) and part != ir.ANY_TEXT]
        return _looser(positive[-1]) if positive else ir.ANY_TEXT
    return ir.ANY_TEXT if isinstance(node, ir.Not) else node


def _looser_words(node: ir.Node) -> str:
    return "a complement became any text" if isinstance(node, ir.Not) else "one part of an intersection alone is kept"


def _last_empty(options: tuple[ir.Node, ...]) -> list[ir.Node]:
    return sorted(options, key=lambda option: isinstance(option, ir.Empty))
