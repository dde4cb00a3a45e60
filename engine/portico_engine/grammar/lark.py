"""Prints an `ir.Grammar` in llguidance's Lark dialect: the text that is enforced.

It owns the mapping of nodes to lexemes (Lark terminals) and rules. Everything between the lexemes is as the grammar says: no
implicit whitespace. It knows no tokens of a model and nothing of JSON Schema.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir

MAX_GROUP_DEPTH = 12  # llguidance refuses 30 nested groups; deeper ones get a name


class LarkText(NamedTuple):
    """The text for llguidance, and what a reader of a report should know of its making."""

    text: str
    notes: tuple[str, ...] = ()


def to_lark(grammar: ir.Grammar) -> LarkText:
    """The grammar in llguidance's Lark. Raises GrammarError where a rule is missing or nothing at all matches."""
    return LarkText(_Printer(grammar).text())


@dataclass(frozen=True, slots=True)
class _Names:
    """Lark's rule is the case of a name; IR names differ by case alone, perhaps."""

    rules: dict[str, str]
    terminals: dict[str, str]


def _names(grammar: ir.Grammar) -> _Names:
    taken: dict[str, int] = {"start": 1}
    rules: dict[str, str] = {}
    for name in grammar.rules:
        base = name.lower()
        count = taken.get(base, 0)
        taken[base] = count + 1
        rules[name] = f"{base}_{count}" if count else base
    return _Names(rules, {name: rule.upper() for name, rule in rules.items()})


class _Printer:
    def __init__(self, grammar: ir.Grammar) -> None:
        self.grammar = grammar
        self.names = _names(grammar)
        self.regular = regular_rules(grammar)
        self.lines: dict[str, str] = {}
        self.hoisted = 0

    def text(self) -> str:
        start = self.grammar.start
        if start not in self.grammar.rules:
            raise GrammarError(f"the grammar has no rule {start!r} to start with")
        entry = self._terminal(start) if start in self.regular else self._rule(start)
        return "\n".join([f"start: {entry}", *(f"{name}: {body}" for name, body in self.lines.items())]) + "\n"

    def _rule(self, name: str) -> str:
        printed = self.names.rules[name]
        if printed not in self.lines:
            self.lines[printed] = ""  # a recursive rule finds itself defined
            self.lines[printed] = self._structure(self.grammar.rules[name], 0)
        return printed

    def _terminal(self, name: str) -> str:
        printed = self.names.terminals[name]
        if printed not in self.lines:
            self.lines[printed] = ""
            self.lines[printed] = self._regex(self.grammar.rules[name], 0)
        return printed

    def _hoist(self, body: str, *, terminal: bool) -> str:
        self.hoisted += 1
        name = f"G_{self.hoisted}" if terminal else f"g_{self.hoisted}"
        while name in self.lines or name in self.names.rules.values() or name in self.names.terminals.values():
            name += "_"
        self.lines[name] = body
        return name

    # rules: what stands between lexemes

    def _is_regular(self, node: ir.Node) -> bool:
        match node:
            case ir.Ref(name):
                return name in self.regular
            case ir.TokenRef():
                return False
            case ir.Seq(parts) | ir.Alt(parts):
                return all(self._is_regular(part) for part in parts)
            case ir.Repeat(item):
                return self._is_regular(item)
            case _:
                return True

    def _lexeme(self, node: ir.Node) -> str:
        if isinstance(node, ir.Ref):
            return self._terminal(node.name)
        if isinstance(node, ir.Text | ir.Chars | ir.Empty):
            return self._regex(node, 0)
        return self._hoist(self._regex(node, 0), terminal=True)

    def _structure(self, node: ir.Node, depth: int) -> str:
        if self._is_regular(node):
            return self._lexeme(node)
        match node:
            case ir.Ref(name):
                if name not in self.grammar.rules:
                    raise GrammarError(f"the grammar refers to a rule {name!r} that it does not define")
                return self._rule(name)
            case ir.TokenRef():
                return token_ref(node)
            case ir.Seq(parts):
                return " ".join(self._group(part, depth) for part in self._runs(parts))
            case ir.Alt(options):
                regular = [option for option in options if self._is_regular(option)]
                others = [option for option in options if not self._is_regular(option)]
                printed = [self._structure(ir.alt(*regular), depth + 1)] if regular else []
                return " | ".join(printed + [self._structure(option, depth + 1) for option in others])
            case ir.Repeat(item, low, high):
                return self._group(item, depth) + quantifier(low, high)
            case _:
                raise GrammarError(f"an intersection or complement of rules that are not regular: {node!r}")

    def _runs(self, parts: tuple[ir.Node, ...]) -> list[ir.Node]:
        """Neighbouring regular parts become one."""
        out: list[ir.Node] = []
        run: list[ir.Node] = []
        for part in parts:
            if self._is_regular(part):
                run.append(part)
                continue
            if run:
                out.append(ir.seq(*run))
                run = []
            out.append(part)
        if run:
            out.append(ir.seq(*run))
        return out

    def _group(self, node: ir.Node, depth: int) -> str:
        body = self._structure(node, depth + 1)
        if self._is_regular(node) or isinstance(node, ir.Ref | ir.TokenRef):
            return body
        return self._hoist(body, terminal=False) if depth >= MAX_GROUP_DEPTH else f"({body})"

    # terminals: one lexeme each

    def _regex(self, node: ir.Node, depth: int) -> str:
        match node:
            case ir.Empty():
                return '""'
            case ir.Never():
                return "/[^\\s\\S]/"
            case ir.Text(value):
                return quote(value)
            case ir.Chars(ranges):
                return f"/{char_class(ranges)}/"
            case ir.Ref(name):
                return self._terminal(name)
            case ir.Seq(parts):
                return " ".join(self._regex_group(part, depth) for part in parts)
            case ir.Alt(options):
                return " | ".join(self._regex_group(option, depth) for option in options)
            case ir.And(parts):
                return " & ".join(self._regex_group(part, depth) for part in parts)
            case ir.Repeat(item, low, high):
                return self._regex_group(item, depth) + quantifier(low, high)
            case ir.Not(item):
                # a complement is over bytes: keep it to valid UTF-8
                return f"(~{self._regex_group(item, depth)} & /(?s:.*)/)"
            case _:
                raise GrammarError("a token reference inside a regular part")

    def _regex_group(self, node: ir.Node, depth: int) -> str:
        body = self._regex(node, depth + 1)
        if isinstance(node, ir.Seq | ir.Alt | ir.And | ir.Repeat):
            return self._hoist(body, terminal=True) if depth >= MAX_GROUP_DEPTH else f"({body})"
        return body


def regular_rules(grammar: ir.Grammar) -> frozenset[str]:
    """Names of the rules that reach neither themselves nor a token reference: each is one regular expression."""
    state: dict[str, bool | None] = {}  # None: being visited

    def references(node: ir.Node) -> list[ir.Node]:
        match node:
            case ir.Seq(parts) | ir.Alt(parts) | ir.And(parts):
                return list(parts)
            case ir.Repeat(item) | ir.Not(item):
                return [item]
            case _:
                return []

    def visit(name: str) -> bool:
        known = state.get(name, False) if name in state else None
        if name in state:
            return bool(known)
        state[name] = None
        result = True
        stack: list[ir.Node] = [grammar.rules[name]]
        while stack:
            node = stack.pop()
            if isinstance(node, ir.TokenRef):
                result = False
            elif isinstance(node, ir.Ref):
                if node.name not in grammar.rules:
                    raise GrammarError(f"rule {name!r} refers to {node.name!r}, which is not defined")
                result = visit(node.name) and result
            else:
                stack.extend(references(node))
        state[name] = result
        return result

    for name in grammar.rules:
        visit(name)
    return frozenset(name for name, regular in state.items() if regular)


def quantifier(low: int, high: int | None) -> str:
    """Lark's suffix for a repetition."""
    match (low, high):
        case (0, None):
            return "*"
        case (1, None):
            return "+"
        case (0, 1):
            return "?"
        case (_, None):
            return f"{{{low},}}"
        case _:
            return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


def quote(value: str) -> str:
    """A Lark string literal: JSON's escapes, everything outside ASCII's printable range escaped or kept as itself."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def char_class(ranges: tuple[tuple[int, int], ...]) -> str:
    """A class in the syntax of Rust's regex crate."""
    return "[" + "".join(_char(a) if a == b else f"{_char(a)}-{_char(b)}" for a, b in ranges) + "]"


def _char(code: int) -> str:
    c = chr(code)
    if c.isascii() and c.isalnum():
        return c
    return f"\\u{{{code:x}}}"


def token_ref(node: ir.TokenRef) -> str:
    """A special token by name or id; the negated name has no syntax of its own in Lark."""
    if isinstance(node.token, int):
        return f"<[{'^' if node.negated else ''}{node.token}]>"
    if node.negated:
        raise GrammarError(f"a negated token reference by name ({node.token}) can't be enforced; use its id: !<[id]>")
    return node.token if node.token.startswith("<") else f"<{node.token}>"
