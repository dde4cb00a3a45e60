"""Two independent judges of a text: llguidance itself over a vocabulary of bytes, and a slow recognizer of the IR."""

from __future__ import annotations

from functools import cache
from typing import Any

import llguidance

from portico_engine.grammar import ir

_TOKENS = [bytes([i]) for i in range(256)] + [b"ab", b"ba", b"abc", b"cc", b'":', b'",', b"\xff<eos>", b"\xff<mark>"]
MARK = _TOKENS.index(b"\xff<mark>")  # a special token, for token references


class _Bytes:
    """The tokenizer that llguidance wants to see: one token a byte."""

    tokens = _TOKENS
    eos_token_id = _TOKENS.index(b"\xff<eos>")
    bos_token_id = None
    special_token_ids = (_TOKENS.index(b"\xff<eos>"), MARK)

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


@cache
def _tokenizer() -> Any:
    return llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Bytes()))


@cache
def matcher(lark: str) -> Any:
    """A fresh llguidance matcher is a copy of this one."""
    made = llguidance.LLMatcher(_tokenizer(), llguidance.LLMatcher.grammar_from_lark(lark))
    assert not made.is_error(), made.get_error()
    return made


def prefix_accepted(lark: str, text: str | list[int]) -> Any:
    """The matcher after `text`, or None where it refuses some of it."""
    state = matcher(lark).deep_copy()
    ids = list(text.encode()) if isinstance(text, str) else text
    return state if state.try_consume_tokens(ids) == len(ids) else None


def accepts(lark: str, text: str | list[int]) -> bool:
    """Does llguidance take the whole text, and may it end there?"""
    state = prefix_accepted(lark, text)
    return state is not None and state.is_accepting()


def forced(lark: str, text: str = "") -> str:
    """What llguidance says must follow `text`."""
    state = prefix_accepted(lark, text)
    assert state is not None, text
    return bytes(state.compute_ff_bytes()).decode()


class Recognizer:
    """Every end of every match, by fixpoint over (rule, position): slow, and nothing to do with automata or lexemes."""

    def __init__(self, grammar: ir.Grammar, text: str) -> None:
        self.rules = grammar.rules
        self.start = grammar.start
        self.text = text
        self.table: dict[tuple[str, int], frozenset[int]] = {(self.start, 0): frozenset()}

    def accepts(self) -> bool:
        """Does the grammar match the whole text?"""
        changed = True
        while changed:
            changed = False
            for key in list(self.table):
                size = len(self.table)
                ends = self.table[key] | self.ends(self.rules[key[0]], key[1])
                if ends != self.table[key] or len(self.table) != size:
                    self.table[key], changed = ends, True
        return len(self.text) in self.table[self.start, 0]

    def ends(self, node: ir.Node, at: int) -> frozenset[int]:
        """Where a match of `node` that begins at `at` may end."""
        match node:
            case ir.Empty():
                return frozenset({at})
            case ir.Text(value):
                return frozenset({at + len(value)} if self.text.startswith(value, at) else ())
            case ir.Chars(ranges):
                fits = at < len(self.text) and any(low <= ord(self.text[at]) <= high for low, high in ranges)
                return frozenset({at + 1} if fits else ())
            case ir.Ref(name):
                return self.table.setdefault((name, at), frozenset())
            case ir.Alt(options):
                return frozenset().union(*(self.ends(option, at) for option in options))
            case ir.And(parts):
                return frozenset.intersection(*(self.ends(part, at) for part in parts))
            case ir.Not(item):
                return frozenset(range(at, len(self.text) + 1)) - self.ends(item, at)
            case ir.Seq(parts):
                current = frozenset({at})
                for part in parts:
                    current = self._after(part, current)
                return current
            case ir.Repeat(item, low, high):
                return self._repeated(item, low, high, at)
            case _:
                return frozenset()

    def _after(self, node: ir.Node, starts: frozenset[int]) -> frozenset[int]:
        return frozenset().union(*(self.ends(node, start) for start in starts))

    def _repeated(self, item: ir.Node, low: int, high: int | None, at: int) -> frozenset[int]:
        current = found = frozenset({at})
        if low > 0:
            found = frozenset()
        for count in range(1, (low + len(self.text) + 1 if high is None else high) + 1):
            current = self._after(item, current)
            if not current:
                break
            if count >= low:
                found |= current
        return found


def recognizes(grammar: ir.Grammar, text: str) -> bool:
    """The slow judge's verdict."""
    return Recognizer(grammar, text).accepts()
