"""Lark text -> `ir.Grammar`: the part of Lark's language that describes texts; what shapes trees is read and left aside.

Rules and terminals, `| * + ? ~n ~n..m ( ) [ ]`, strings with `i`, ranges "a".."z", regular expressions with flags, aliases,
priorities, `%import common.NAME`, `%ignore`. Templates, `%declare`, `%override`, `%extend` and imports of other files are
errors, whose messages name the line.
"""

from __future__ import annotations

import re
from typing import NoReturn

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir
from portico_engine.grammar.lark.common import COMMON
from portico_engine.grammar.lark.patterns import matched_strings
from portico_engine.grammar.lark.tokens import Token, tokens_of

MAX_TEXT = 100_000  # characters of a definition
MAX_COUNT = 10_000  # of a repetition
MAX_NESTING = 100  # groups
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "b": "\b", "0": "\0"}


def parse_lark(text: str, *, start: str = "start", prefix: str = "") -> ir.Grammar:
    """The grammar that begins at the rule `start`; every rule's name here begins with `prefix`. Raises GrammarError."""
    if len(text) > MAX_TEXT:
        raise GrammarError(f"the Lark grammar has {len(text):,} characters; the limit is {MAX_TEXT:,}")
    reader = _Reader(tokens_of(text.removeprefix("\ufeff")), prefix)
    reader.read()
    return reader.grammar(start)


class _Reader:
    def __init__(self, tokens: list[Token], prefix: str) -> None:
        self.tokens = tokens
        self.at = 0
        self.prefix = prefix
        self.rules: dict[str, ir.Node] = {}
        self.used: dict[str, int] = {}  # by name, the line that uses it first
        self.ignored: list[ir.Node] = []
        self.loosened: list[str] = []
        self.nesting = 0
        self.in_terminal = False
        self.in_common = False

    # statements

    def read(self) -> None:
        while self.at < len(self.tokens):
            token = self._take()
            if token.kind == "newline":
                continue
            if token.kind == "directive":
                self._directive(token)
            elif token.kind == "name":
                self._rule(token)
            else:
                self._fail(token, "a rule or a terminal was due")
            if (end := self._peek()) is not None and end.kind != "newline":
                self._fail(end, "a rule ends at its line's end, unless the next line begins with `|`")

    def grammar(self, start: str) -> ir.Grammar:
        if start not in self.rules:
            raise GrammarError(f"the Lark grammar has no rule {start!r}, which it starts with")
        for name, line in self.used.items():
            if name not in self.rules:
                raise GrammarError(f"Lark grammar, line {line}: {name!r} is not defined")
        rules = {self._ir_name(name): _without_left_recursion(self._ir_name(name), body) for name, body in self.rules.items()}
        skipped = self._skipped()
        begin = self._ir_name(start)
        if not isinstance(skipped, ir.Empty):
            rules = {name: self._skipping(body, skipped, name) for name, body in rules.items()}
            begin = f"{self.prefix}begin"
            rules[begin] = ir.seq(skipped, ir.Ref(self._ir_name(start)))
        return ir.Grammar(ir.reachable(rules, begin), begin, tuple(self.loosened))

    def _directive(self, token: Token) -> None:
        if token.text == "%ignore":
            self.in_terminal = True
            self.ignored.append(self._alternatives())
        elif token.text == "%import":
            self._import(token)
        else:
            self._fail(token, f"{token.text} is not taken here; there are %import common.NAME and %ignore")

    def _import(self, token: Token) -> None:
        while self._is("."):
            self._take()
        library = self._take("name")
        if library.text != "common":
            self._fail(token, "only %import common.NAME is taken here")
        wanted: list[str] = []
        if self._is("("):
            self._take()
            while not self._is(")"):
                wanted.append(self._take("name").text)
                if self._is(","):
                    self._take()
            self._take()
        else:
            self._expect(".")
            wanted.append(self._take("name").text)
        for name in wanted:
            self._import_one(name, token)
        if self._is("->"):
            self._take()
            self.rules[self._take("name").text] = ir.Ref(self._common_name(wanted[-1]))
            return
        for name in wanted:
            self.rules[name] = ir.Ref(self._common_name(name))

    def _import_one(self, name: str, token: Token) -> None:
        """A terminal of the library under a name that no rule of the text's own has, and what it is made of."""
        if name not in COMMON:
            self._fail(token, f"common has no {name}; it has {', '.join(COMMON)}")
        if f"common.{name}" in self.rules:
            return
        self.rules[f"common.{name}"] = ir.EMPTY  # under way
        reader = _Reader(tokens_of(COMMON[name]), self.prefix)
        reader.in_terminal = reader.in_common = True
        self.rules[f"common.{name}"] = reader._alternatives()
        for other in reader.used:
            self._import_one(other.removeprefix("common."), token)

    def _common_name(self, name: str) -> str:
        return self._ir_name(f"common.{name}")

    def _rule(self, token: Token) -> None:
        name = token.text.lstrip("!?")
        if self._is("{"):
            self._fail(token, "templates are not taken here; write the rule out")
        if self._is("."):  # a priority
            self._take()
            self._take("number")
        self._expect(":")
        if name in self.rules:
            self._fail(token, f"{name!r} is defined twice")
        self.in_terminal = name.lstrip("_")[:1].isupper()
        self.rules[name] = self._alternatives()

    # expressions

    def _alternatives(self) -> ir.Node:
        options = [self._sequence()]
        while self._is("|"):
            self._take()
            options.append(self._sequence())
        return ir.alt(*options)

    def _sequence(self) -> ir.Node:
        parts: list[ir.Node] = []
        while (token := self._peek()) is not None and token.kind != "newline" and token.text not in ("|", ")", "]"):
            if token.text == "->":
                self._take()
                self._take("name")
                break
            parts.append(self._repeated(self._item(self._take())))
        return ir.seq(*parts)

    def _item(self, token: Token) -> ir.Node:
        match token.kind, token.text:
            case "string", text:
                return self._string(token, text)
            case "regex", text:
                return self._regex(token, text)
            case "name", text if not text.startswith(("!", "?")):
                name = f"common.{text}" if self.in_common else text
                self.used.setdefault(name, token.line)
                return ir.Ref(self._ir_name(name))
            case _, "(":
                return self._group(token, ")")
            case _, "[":
                return ir.optional(self._group(token, "]"))
        self._fail(token, f"{token.text!r} stands where a name, a string, a regular expression or a group was due")

    def _group(self, token: Token, end: str) -> ir.Node:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            self._fail(token, f"more than {MAX_NESTING} groups lie in each other")
        body = self._alternatives()
        self.nesting -= 1
        self._expect(end)
        return body

    def _repeated(self, item: ir.Node) -> ir.Node:
        while (token := self._peek()) is not None and token.text in ("*", "+", "?", "~"):
            self._take()
            if token.text == "~":
                low = high = self._count()
                if self._is(".."):
                    self._take()
                    high = self._count()
                if high < low:
                    self._fail(token, f"~{low}..{high} asks for at least {low} and at most {high}")
                item = ir.repeat(item, low, high)
            else:
                item = ir.repeat(item, int(token.text == "+"), 1 if token.text == "?" else None)
        return item

    def _count(self) -> int:
        token = self._take("number")
        if len(token.text) > 6 or int(token.text) > MAX_COUNT:
            self._fail(token, f"a repetition may count to {MAX_COUNT:,}")
        return int(token.text)

    def _string(self, token: Token, text: str) -> ir.Node:
        value = _unescaped(text.removesuffix("i")[1:-1])
        if self._is(".."):
            self._take()
            last = _unescaped(self._take("string").text[1:-1])
            if len(value) != 1 or len(last) != 1 or last < value:
                self._fail(token, 'a range is written "a".."z", from one character to a later one')
            return self._terminal(ir.chars((ord(value), ord(last))))
        if text.endswith("i"):
            both = (ir.chars(c + other) if len(other := c.swapcase()) == 1 else ir.text(c) for c in value)
            return self._terminal(ir.seq(*both))
        return self._terminal(ir.text(value))

    def _regex(self, token: Token, text: str) -> ir.Node:
        body, _, flags = text[1:].rpartition("/")
        try:
            language = matched_strings(body, flags)
        except GrammarError as error:
            self._fail(token, str(error))
        self.loosened += language.notes
        return self._terminal(language.node)

    def _terminal(self, node: ir.Node) -> ir.Node:
        """A terminal that stands in a rule gets a name, so that what is ignored may follow it."""
        if self.in_terminal or self.in_common:
            return node
        name = f"text.{len(self.rules)}"
        self.rules[name] = node
        return ir.Ref(self._ir_name(name))

    # what is ignored

    def _skipped(self) -> ir.Node:
        return ir.repeat(ir.alt(*self.ignored)) if self.ignored else ir.EMPTY

    def _skipping(self, body: ir.Node, skipped: ir.Node, name: str) -> ir.Node:
        """A rule's body with what is ignored behind each terminal; a terminal's own body stays."""
        if name in self._terminals:
            return body

        def walk(node: ir.Node) -> ir.Node:
            match node:
                case ir.Ref(other):
                    return ir.seq(node, skipped) if other in self._terminals else node
                case ir.Seq(parts):
                    return ir.seq(*map(walk, parts))
                case ir.Alt(options):
                    return ir.alt(*map(walk, options))
                case ir.Repeat(item, low, high):
                    return ir.repeat(walk(item), low, high)
                case _:
                    return node

        return walk(body)

    @property
    def _terminals(self) -> frozenset[str]:
        return frozenset(self._ir_name(name) for name in self.rules if "." in name or name.lstrip("_")[:1].isupper())

    # reading

    def _ir_name(self, name: str) -> str:
        """In the IR's alphabet; terminals and rules may differ by case alone."""
        kind, _, plain = name.rpartition(".")
        kind = kind or ("terminal" if plain.lstrip("_")[:1].isupper() else "rule")
        return f"{self.prefix}{kind}-{plain.replace('_', '-')}"

    def _peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _is(self, mark: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == "mark" and token.text == mark

    def _take(self, kind: str | None = None) -> Token:
        token = self._peek()
        if token is None or (kind is not None and token.kind != kind):
            self._fail(token, f"a {kind or 'token'} was due")
        self.at += 1
        return token

    def _expect(self, mark: str) -> None:
        if not self._is(mark):
            self._fail(self._peek(), f"`{mark}` was due")
        self._take()

    def _fail(self, token: Token | None, why: str) -> NoReturn:
        where = f"line {token.line}" if token is not None else "at its end"
        raise GrammarError(f"Lark grammar, {where}: {why}")


def _without_left_recursion(name: str, body: ir.Node) -> ir.Node:
    """`a: a x | y` as `y x*`, which is the same language."""
    options = body.options if isinstance(body, ir.Alt) else (body,)
    rests = [ir.seq(*option.parts[1:]) for option in options if isinstance(option, ir.Seq) and option.parts[0] == ir.Ref(name)]
    if not rests:
        return body
    begins = [
        option
        for option in options
        if option != ir.Ref(name) and not (isinstance(option, ir.Seq) and option.parts[0] == ir.Ref(name))
    ]
    return ir.seq(ir.alt(*begins), ir.repeat(ir.alt(*rests)))


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        code = found[1]
        if len(code) > 1:
            return chr(int(code[1:], 16)) if int(code[1:], 16) <= ir.MAX_CODE_POINT else "\ufffd"
        return _CONTROLS.get(code, code)

    return _ESCAPE.sub(character, text)
