"""Prints an `ir.Grammar` in llguidance's Lark dialect: the text that is enforced.

It owns the syntax: rules, terminals (lexemes), escapes. Which parts become one lexeme is decided by `lexing`. Everything
between lexemes is as the grammar says: no implicit whitespace. It knows no tokens of a model and nothing of JSON Schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from portico_engine.errors import GrammarError, GrammarTooLarge, LexemesTooLarge
from portico_engine.grammar import ir
from portico_engine.grammar.bounds import DEFAULT_LIMITS, MAX_TEXT, Meter
from portico_engine.grammar.compiled import EnforcedText, OpenStrings
from portico_engine.grammar.llguidance.compile_order import compiled_first
from portico_engine.grammar.llguidance.expansions import (
    Alternation,
    Concatenation,
    Expansion,
    Nonterminal,
    Repetition,
    Terminal,
)
from portico_engine.grammar.llguidance.lazy_lexemes import UpTo, as_up_to
from portico_engine.grammar.llguidance.lexeme_forms import forms, opened
from portico_engine.grammar.llguidance.lexing import LexedGrammar, cut_into_lexemes
from portico_engine.grammar.llguidance.lexing_json import json_expansions
from portico_engine.grammar.notation import quantifier

MAX_REGULAR_SIZE = 4000  # nodes, references written out
MAX_GROUP_DEPTH = 12  # llguidance refuses 30 nested groups; deeper ones get a name
MAX_SYMBOLS = 65_525  # llguidance's: rules, lexemes, and the groups inside of rules
_PLACE = "\0"  # of a rule's name: no text of this language has one
NO_TEXT = r"/[^\s\S]/"


def to_lark(grammar: ir.Grammar, *, json_rules: Sequence[str] = (), meter: Meter | None = None) -> EnforcedText:
    """The grammar in llguidance's Lark. Raises GrammarError where a rule is missing, GrammarTooLarge where `meter`'s limits or
    the matcher's are met.

    `json_rules` names rules whose texts are JSON, such that no other text of the grammar can be read beside one: they are cut
    along JSON's tokens whatever stands around them.
    """
    try:
        return _Printer(grammar, tuple(json_rules), meter or Meter(DEFAULT_LIMITS)).run()
    except RecursionError:
        raise GrammarTooLarge("the grammar nests too deeply: more than some 150 rules that lead one to the next") from None


def _names(grammar: ir.Grammar) -> dict[str, str]:
    """A Lark rule name for each: Lark tells rules and terminals apart by case, so names may not differ by case alone."""
    taken: dict[str, int] = {"start": 1}
    names: dict[str, str] = {}
    for name in grammar.rules:
        base = name.lower() if name[:1].isalpha() else f"r{name.lower()}"
        count = taken.get(base, 0)
        taken[base] = count + 1
        names[name] = f"{base}_{count}" if count else base
    return names


class _Printer:
    def __init__(self, grammar: ir.Grammar, json_rules: tuple[str, ...], meter: Meter) -> None:
        self.grammar = grammar
        self.json_rules = json_rules
        self.meter = meter
        self.is_json = False
        self.names = _names(grammar)
        self.lines: dict[str, str] = {}
        self.terminals: dict[ir.Node, str] = {}
        self.hoisted = 0
        self.calls: dict[str, list[str]] = {}  # the rules that a rule refers to
        self.groups = 0  # of rules
        self.open_lines: dict[str, str] = {}  # of `lines`, what differs where strings are open
        self.lengths: list[int] = []

    def run(self) -> EnforcedText:
        if self.grammar.start not in self.grammar.rules:
            raise GrammarError(f"the grammar has no rule {self.grammar.start!r} to start with")
        cut = self._cut()
        self.names |= {name: name for name in cut.expansions if name not in self.names}
        for name, expansion in cut.expansions.items():
            self.meter.step()
            printed = self.names[name]
            if (plain := _plainly(expansion)) is not None:
                self.groups += plain.groups
                self.calls[printed] = called = [self.names[rule] for rule in plain.rules]
                self.lines[printed] = plain.write(called)
                continue
            self._called = self.calls[printed] = []
            self.lines[printed] = self._expansion(expansion, 0)
        begin = self._start(self.names[cut.start])
        text = _text({**begin, **self.lines})
        if len(text) > MAX_TEXT:
            raise GrammarTooLarge(
                f"the grammar comes to {len(text):,} characters of the matcher's language; the limit is {MAX_TEXT:,}: "
                "list fewer values or properties, or shorter ones"
            )
        if len(self.lines) + self.groups > MAX_SYMBOLS // 2:  # a few more each, in llguidance
            _check_size(text)
        if not self.open_lines:
            return EnforcedText(text, cut.notes)
        return EnforcedText(text, cut.notes, OpenStrings(_text({**begin, **self.lines, **self.open_lines}), min(self.lengths)))

    def _start(self, root: str) -> dict[str, str]:
        first = compiled_first(self.calls, root)
        if not first:
            return {"start": root}
        return {"start": f"_NOTHING {' '.join(first)} | {root}", "_NOTHING": NO_TEXT}

    def _cut(self) -> LexedGrammar:
        expansions = json_expansions(self.grammar, self.meter)
        self.is_json = expansions is not None
        if expansions is not None:
            return LexedGrammar(expansions, self.grammar.start, ())
        objects = self._json_parts()
        self.is_json = objects is not None
        around = self.grammar if objects is None else self._around(self.grammar, self.json_rules)
        try:
            cut = cut_into_lexemes(around, regular_rules(around), self.meter)
        except GrammarTooLarge as error:
            raise LexemesTooLarge(str(error)) from None
        return cut if objects is None else replace(cut, expansions={**cut.expansions, **objects})

    def _json_parts(self) -> dict[str, Expansion] | None:
        """Expansions of all that `json_rules` reach; None where there are none, or one is not cut along JSON's tokens."""
        found: dict[str, Expansion] = {}
        for rule in self.json_rules:
            part = json_expansions(replace(self.grammar, start=rule), self.meter)
            if part is None:
                return None
            found.update(part)
        return found or None

    @staticmethod
    def _around(grammar: ir.Grammar, json_rules: tuple[str, ...]) -> ir.Grammar:
        """The grammar with the plainest object for each of `json_rules`: recursive, so that it is no part of a lexeme."""
        plain = {rule: ir.seq(ir.text("{"), ir.optional(ir.Ref(rule)), ir.text("}")) for rule in json_rules}
        rules = {**grammar.rules, **plain}
        return replace(grammar, rules=ir.reachable(rules, grammar.start))

    # rules: what stands between lexemes

    def _expansion(self, expansion: Expansion, depth: int) -> str:
        match expansion:
            case Terminal(node=node):
                return self._lexeme(node)
            case Nonterminal(rule):
                self._called.append(self.names[rule])
                return self.names[rule]
            case Concatenation(parts):
                return " ".join(self._group(part, depth) for part in parts) or '""'
            case Alternation(options):
                return " | ".join(self._group(option, depth) for option in options)
            case Repetition(item, low, high):
                return self._group(item, depth) + quantifier(low, high)

    def _group(self, expansion: Expansion, depth: int) -> str:
        if isinstance(expansion, Terminal | Nonterminal):
            return self._expansion(expansion, depth)
        self.groups += 1
        if depth < MAX_GROUP_DEPTH:
            return f"({self._expansion(expansion, depth + 1)})"
        return self._hoist(self._expansion(expansion, 0), terminal=False)

    def _hoist(self, body: str, *, terminal: bool) -> str:
        self.hoisted += 1
        name = f"_G{self.hoisted}" if terminal else f"_g{self.hoisted}"  # no rule begins with an underscore
        self.lines[name] = body
        return name

    def _lexeme(self, node: ir.Node) -> str:
        match node:
            case ir.TokenRef():
                return token_ref(node)
            case ir.Text() | ir.Chars():
                return self._regex(node, 0)
            case ir.Ref(name):
                return self._terminal(name)
            case _:
                if node not in self.terminals:
                    up_to = as_up_to(node)
                    self.terminals[node] = self._lazy(up_to) if up_to else self._forms(node)
                return self.terminals[node]

    def _forms(self, node: ir.Node) -> str:
        made = []
        for form in forms(node):
            made.append(self._hoist(self._regex(form, 0), terminal=True))
            if self.is_json:  # then a string ends at its first unescaped quote
                self._open(made[-1], form)
        return made[0] if len(made) == 1 else f"({' | '.join(made)})"

    def _open(self, terminal: str, node: ir.Node) -> None:
        for_any_length, length = opened(node)
        if length is not None:
            self.lengths.append(length)
            self.open_lines[terminal] = self._regex(for_any_length, 0)

    def _lazy(self, up_to: UpTo) -> str:
        """A lexeme that ends at its first match."""
        name = self._hoist(
            f"/(?s:.{quantifier(0, up_to.most) if up_to.most != 1 else '?'})/ {quote(up_to.marker)}", terminal=False
        )
        self.lines[f"{name}[lazy]"] = self.lines.pop(name)
        return name

    def _terminal(self, name: str) -> str:
        body = self.grammar.rules[name]
        if body not in self.terminals:  # rules with the same body share a terminal
            printed = self.terminals[body] = self.names[name].upper()
            self.lines[printed] = ""  # takes its place before those that it uses
            self.lines[printed] = self._regex(body, 0)
        return self.terminals[body]

    # terminals: one lexeme each

    def _regex(self, node: ir.Node, depth: int) -> str:
        match node:
            case ir.Empty():
                return '""'
            case ir.Never():
                return NO_TEXT
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
                return self._intersection(parts, depth)
            case ir.Repeat(item, low, high):
                return self._regex_group(item, depth) + quantifier(low, high)
            case ir.Not(item):
                # a complement is over bytes: keep it to valid UTF-8
                return f"(~{self._regex_group(item, depth)} & /(?s:.*)/)"
            case _:
                raise GrammarError("a token reference inside a regular part")

    def _intersection(self, parts: tuple[ir.Node, ...], depth: int) -> str:
        """Beside a positive part a complement needs no word about UTF-8, and llguidance then knows the form."""
        if all(isinstance(part, ir.Not) for part in parts):
            return " & ".join(self._regex_group(part, depth) for part in parts)
        return " & ".join(
            f"~{self._regex_group(part.item, depth)}" if isinstance(part, ir.Not) else self._regex_group(part, depth)
            for part in parts
        )

    def _regex_group(self, node: ir.Node, depth: int) -> str:
        body = self._regex(node, depth + 1)
        if isinstance(node, ir.Seq | ir.Alt | ir.And | ir.Repeat):
            return f"({body})" if depth < MAX_GROUP_DEPTH else self._hoist(body, terminal=True)
        return body


class _Plain(NamedTuple):
    """An expansion that names no lexeme: what stands between the rules that it refers to, these, and its groups."""

    between: tuple[str, ...]
    rules: tuple[str, ...]
    groups: int

    def write(self, names: Sequence[str]) -> str:
        """With its rules under these names."""
        if not names:
            return self.between[0]
        return "".join([text for pair in zip(self.between, names, strict=False) for text in pair]) + self.between[-1]


class _NotPlain(Exception):
    """It takes a name; never leaves this module."""


@lru_cache(maxsize=1 << 12)
def _plainly(expansion: Expansion) -> _Plain | None:
    """How an expansion is printed, whatever grammar it is in; None where one of its lexemes, or a deep group, takes a name
    there. Grammars of one catalog have most of theirs in common.
    """
    printer = _PlainPrinter(ir.Grammar({}), (), Meter(DEFAULT_LIMITS))
    try:
        text = printer.plain(expansion)
    except _NotPlain:
        return None
    return _Plain(tuple(text.split(_PLACE)), tuple(printer.rules), printer.groups)


class _PlainPrinter(_Printer):
    """Prints one expansion, a mark in place of each rule."""

    def plain(self, expansion: Expansion) -> str:
        """Raises _NotPlain."""
        self.rules: list[str] = []
        return self._expansion(expansion, 0)

    def _expansion(self, expansion: Expansion, depth: int) -> str:
        if isinstance(expansion, Nonterminal):
            self.rules.append(expansion.rule)
            return _PLACE
        return super()._expansion(expansion, depth)

    def _lexeme(self, node: ir.Node) -> str:
        if not isinstance(node, ir.TokenRef | ir.Text | ir.Chars):
            raise _NotPlain
        return super()._lexeme(node)

    def _hoist(self, body: str, *, terminal: bool) -> str:
        raise _NotPlain


def _text(lines: Mapping[str, str]) -> str:
    return "".join(f"{name}: {body}\n" for name, body in lines.items())


def _check_size(lark: str) -> None:
    """Raises GrammarTooLarge for what llguidance has not symbols enough for (that alone makes it refuse our text)."""
    from llguidance import LLMatcher, LLTokenizer

    if LLMatcher(LLTokenizer("byte"), LLMatcher.grammar_from_lark(lark), log_level=0).is_error():
        raise GrammarTooLarge(f"the grammar needs more than {MAX_SYMBOLS:,} symbols; make the schema or grammar smaller")


def refusal(lark: str) -> str | None:
    """Why llguidance can't take a text; None where it can, or is not installed."""
    try:
        from llguidance import LLMatcher
    except ImportError:
        return None
    error: str = LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(lark))
    return error.splitlines()[0] if error else None


def regular_rules(grammar: ir.Grammar) -> frozenset[str]:
    """Names of the rules that reach neither themselves nor a token reference: each is one regular expression.

    A rule that is very large once its references are written out (any JSON value, eight levels deep) is left a rule.
    """
    state: dict[str, bool | None] = {}  # None: being visited
    sizes: dict[str, int] = {}

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
        size = 0
        stack: list[ir.Node] = [grammar.rules[name]]
        while stack:
            node = stack.pop()
            size += 1
            if isinstance(node, ir.TokenRef) or as_up_to(node):
                result = False
            elif isinstance(node, ir.Ref):
                if node.name not in grammar.rules:
                    raise GrammarError(f"rule {name!r} refers to {node.name!r}, which is not defined")
                result = visit(node.name) and result
                size += sizes.get(node.name, 0)
            else:
                stack.extend(references(node))
        state[name] = result = result and size <= MAX_REGULAR_SIZE
        sizes[name] = size
        return result

    for name in grammar.rules:
        visit(name)
    return frozenset(name for name, regular in state.items() if regular)


@lru_cache(maxsize=1 << 14)
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
