"""GBNF text -> `ir.Grammar`. It owns the syntax, as llama.cpp reads it, and its errors; what is enforced is `lark`'s affair.

The dialect: rules `name ::= ...`, alternatives, sequences, groups, `* + ? {m} {m,} {m,n}`, strings, classes with ranges and
`^`, `.` (any character, a newline too), escapes `\\x41 \\u00e9 \\U0001f600 \\n \\r \\t \\\\ \\" \\[ \\] \\-`, token references
`<think>`, `<[1000]>`, `!<think>`, comments. A rule ends at a newline outside parentheses that does not follow `|` or `::=`, nor
stand before `|`. More than llama.cpp takes: a `|` that begins a line, names with underscores, a byte order mark.
"""

from __future__ import annotations

import difflib
import re
from typing import NoReturn

from portico_engine.errors import GBNFSyntaxError
from portico_engine.grammar import ir
from portico_engine.grammar.gbnf.left_recursion import left_recursion

MAX_NESTING = 150
MAX_REPEAT = 1_000_000
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_DIGITS = re.compile(r"[0-9]+")
_BLANK = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_HEX = {"x": 2, "u": 4, "U": 8}
_PLAIN_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}


def parse_gbnf(text: str) -> ir.Grammar:
    """The grammar that starts at `root`. Raises GBNFSyntaxError, whose line and column start at 1."""
    return _Parser(text).grammar()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff")  # a byte order mark
        self.at = 0
        self.rules: dict[str, ir.Node] = {}
        self.defined_at: dict[str, int] = {}
        self.used_at: dict[str, int] = {}
        self.notes: list[str] = []
        self.nesting = 0

    def grammar(self) -> ir.Grammar:
        self._skip(_BLANK_LINES)
        while self.at < len(self.text):
            self._rule()
        for name, at in self.used_at.items():
            if name not in self.rules:
                self._fail(f"rule {name!r} is not defined{self._suggestion(name)}", at)
        if "root" not in self.rules:
            self._fail("there is no rule `root`, which a grammar starts with", 0)
        for rule, path in left_recursion(self.rules):
            self._fail(
                f"rule {rule!r} is left-recursive ({' -> '.join(path)}): it would begin with itself; put something before it, "
                f"or write a repetition",
                self.defined_at[rule],
            )
        return ir.Grammar(_without_underscores(self.rules), "root", tuple(self.notes))

    def _suggestion(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.rules, 1)
        return f"; did you mean {near[0]!r}?" if near else ""

    def _rule(self) -> None:
        at = self.at
        name = self._match(_NAME) or self._no_name()
        self._skip(_BLANK)
        if not self.text.startswith("::=", self.at):
            self._fail(f"`::=` was due after the rule's name {name!r}")
        self.at += 3
        self._skip(_BLANK_LINES)
        body = self._alternatives()
        if self.at < len(self.text) and self.text[self.at] not in "\r\n":
            self._unexpected()
        self._skip(_BLANK_LINES)
        if name in self.rules:
            self.notes.append(f"rule {name} is defined more than once: the last definition counts, as in llama.cpp")
        self.rules[name] = body
        self.defined_at[name] = at

    def _no_name(self) -> NoReturn:
        c = self.text[self.at]
        if c == "|":
            self._fail("`|` goes on with a rule, but no rule is before it")
        if c.isalpha():
            self._fail(f"a rule's name has ASCII letters, digits, dashes and underscores only, not {c!r}")
        self._fail(f"a rule's name was due (letters, digits, dashes and underscores), not {c!r}")

    def _unexpected(self) -> NoReturn:
        c = self.text[self.at]
        if c == ")":
            self._fail("`)` without `(`")
        if self.text.startswith("::=", self.at):
            self._fail("`::=` inside a rule; a new rule begins on a new line, and after a `|` the same rule goes on")
        if c == "'":
            self._fail("a string is written with double quotes")
        if c.isalpha():
            self._fail(f"a rule's name has ASCII letters, digits, dashes and underscores only, not {c!r}")
        self._fail(f"{c!r} does not begin anything here; a new rule begins on a new line")

    def _alternatives(self) -> ir.Node:
        options = [self._sequence()]
        while self._bar():
            self._skip(_BLANK_LINES)
            options.append(self._sequence())
        return ir.alt(*options)

    def _bar(self) -> bool:
        """A `|`, be it at the beginning of a later line: no rule can begin with one."""
        blank = _BLANK_LINES.match(self.text, self.at)
        assert blank is not None
        if not self.text.startswith("|", blank.end()):
            return False
        self.at = blank.end() + 1
        return True

    def _sequence(self) -> ir.Node:
        parts: list[ir.Node] = []
        while self.at < len(self.text):
            item = self._item()
            if item is None:
                break
            self._blank()
            parts.append(self._repeated(item))
        return ir.seq(*parts)

    def _blank(self) -> None:
        self._skip(_BLANK_LINES if self.nesting else _BLANK)

    def _item(self) -> ir.Node | None:
        c = self.text[self.at]
        if c == '"':
            return self._string()
        if c == "[":
            return self._class()
        if c == "(":
            return self._group()
        if c == ".":
            self.at += 1
            return ir.chars((0, ir.MAX_CODE_POINT))
        if c in "<!":
            return self._token()
        if c in "*+?{":
            self._fail(f"`{c}` repeats nothing; it follows what it repeats")
        at = self.at
        name = self._match(_NAME)
        if name is None:
            return None
        self.used_at.setdefault(name, at)
        return ir.Ref(name)

    def _group(self) -> ir.Node:
        opened = self.at
        if self.nesting >= MAX_NESTING:
            self._fail(f"more than {MAX_NESTING} groups inside each other; give the inner ones a rule of their own")
        self.at += 1
        self.nesting += 1
        self._skip(_BLANK_LINES)
        body = self._alternatives()
        self.nesting -= 1
        if not self._take(")"):
            if self.at < len(self.text):
                self._unexpected()
            self._fail("`(` is never closed", opened)
        return body

    # repetition

    def _repeated(self, item: ir.Node) -> ir.Node:
        while self.at < len(self.text) and self.text[self.at] in "*+?{":
            operator = self.text[self.at]
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(operator) or self._bounds()
            if operator != "{":
                self.at += 1
            self._blank()
            item = ir.repeat(item, low, high)
        return item

    def _bounds(self) -> tuple[int, int | None]:
        opened = self.at
        self.at += 1
        self._blank()
        low = self._number("a number was due: {m}, {m,} or {m,n} (write {0,n} for at most n)")
        self._blank()
        high: int | None = low
        if self._take(","):
            self._blank()
            high = None
            if self.at < len(self.text) and self.text[self.at].isdigit():
                high = self._number("a number was due")
                self._blank()
        if not self._take("}"):
            self._fail("`}` was due: {m}, {m,} or {m,n}")
        if high is not None and high < low:
            self._fail(f"{{{low},{high}}} asks for at least {low} and at most {high}", opened)
        return low, high

    def _number(self, due: str) -> int:
        at = self.at
        digits = self._match(_DIGITS) or self._fail(due)
        if len(digits) > 9 or int(digits) > MAX_REPEAT:
            self._fail(f"a repetition may count to {MAX_REPEAT:,}, not to {digits[:20]}", at)
        return int(digits)

    # characters

    def _string(self) -> ir.Node:
        opened = self.at
        self.at += 1
        out: list[str] = []
        while True:
            if self.at >= len(self.text):
                self._fail("this string is never closed", opened)
            if self._take('"'):
                return ir.text("".join(out))
            at = self.at
            code = self._character()
            if 0xD800 <= code <= 0xDFFF:
                self._fail(f"U+{code:04X} is half of a surrogate pair, which no text holds; write the whole character", at)
            out.append(chr(code))

    def _class(self) -> ir.Node:
        opened = self.at
        self.at += 1
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            if self.at >= len(self.text):
                self._fail("this class is never closed by `]`", opened)
            at = self.at
            low = high = self._character()
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                if self.at >= len(self.text):
                    self._fail("this class is never closed by `]`", opened)
                high = self._character()
                if high < low:
                    self._fail(f"the range {self.text[at : self.at]} runs backwards", at)
            ranges.append((low, high))
        if not ranges:
            self._fail('an empty class; `.` is any character, and "" is nothing', opened)
        merged = ir.merge_ranges(ranges)
        return ir.chars(*(ir.complement(merged) if negated else merged))

    def _character(self) -> int:
        """One character of a string or class, escaped or not."""
        c = self.text[self.at]
        if c != "\\":
            self.at += 1
            return ord(c)
        kind = self.text[self.at + 1 : self.at + 2]
        if kind in _HEX:
            digits = self.text[self.at + 2 : self.at + 2 + _HEX[kind]]
            if len(digits) < _HEX[kind] or not all(d in "0123456789abcdefABCDEF" for d in digits):
                self._fail(f"\\{kind} takes {_HEX[kind]} hexadecimal digits")
            code = int(digits, 16)
            if code > ir.MAX_CODE_POINT:
                self._fail(f"\\{kind}{digits} is above U+10FFFF, the last character")
            self.at += 2 + _HEX[kind]
            return code
        if kind not in _PLAIN_ESCAPES:
            self._fail(
                f'unknown escape \\{kind}; there are \\n \\r \\t \\\\ \\" \\[ \\] \\- \\x41 \\u0041 \\U00000041'
                if kind
                else "the text ends after a backslash"
            )
        self.at += 2
        return ord(_PLAIN_ESCAPES[kind])

    # tokens

    def _token(self) -> ir.Node:
        at = self.at
        negated = self._take("!")
        if not self._take("<"):
            self._fail("`!` negates a token reference, as in !<think>", at)
        if self._take("["):
            number = self._number_token(at)
            return ir.TokenRef(number, negated)
        end = self.text.find(">", self.at)
        name = self.text[self.at : end]
        if end < 0 or not name or any(c.isspace() for c in name):
            self._fail("a token reference is <text> or <[id]>, closed by `>` and without spaces", at)
        self.at = end + 1
        return ir.TokenRef(f"<{name}>", negated)

    def _number_token(self, at: int) -> int:
        digits = self._match(_DIGITS)
        if digits is None or len(digits) > 9 or not self._take("]") or not self._take(">"):
            self._fail("a token id is written <[1000]>", at)
        return int(digits)

    # reading

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._match(pattern)

    def _take(self, what: str) -> bool:
        if self.text.startswith(what, self.at):
            self.at += len(what)
            return True
        return False

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        at = self.at if at is None else at
        line = self.text.count("\n", 0, at) + 1
        raise GBNFSyntaxError(message, line, at - (self.text.rfind("\n", 0, at) + 1) + 1)


def _without_underscores(rules: dict[str, ir.Node]) -> dict[str, ir.Node]:
    """The rules by names of GBNF's alphabet, which has no underscore."""
    if not any("_" in name for name in rules):
        return rules
    names: dict[str, str] = {name: name for name in rules if "_" not in name}
    taken = set(names)
    for name in rules:
        if name in names:
            continue
        base = own = name.replace("_", "-").strip("-") or "rule"
        number = 1
        while own in taken:
            number += 1
            own = f"{base}-{number}"
        taken.add(own)
        names[name] = own

    def renamed(node: ir.Node) -> ir.Node:
        match node:
            case ir.Ref(name):
                return ir.Ref(names[name])
            case ir.Seq(parts):
                return ir.Seq(tuple(map(renamed, parts)))
            case ir.Alt(options):
                return ir.Alt(tuple(map(renamed, options)))
            case ir.Repeat(item, low, high):
                return ir.Repeat(renamed(item), low, high)
            case _:
                return node

    return {names[name]: renamed(body) for name, body in rules.items()}
