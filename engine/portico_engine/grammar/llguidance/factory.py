"""The factory of matchers on llguidance: compiles and caches for one vocabulary, and fills many masks at once.

It owns what llguidance is told of a vocabulary and of limits. Where a request stands in its grammar is `matcher`'s.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from portico_engine.errors import GrammarError
from portico_engine.grammar.cache import ByteCache
from portico_engine.grammar.closing.token_table import TokenTable
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.ir import TokenRef
from portico_engine.grammar.llguidance.matcher import LLGuidanceMatcher
from portico_engine.grammar.llguidance.replicas import ReplicatedGrammar
from portico_engine.grammar.protocol import Bitmask, Matcher, Vocabulary

if TYPE_CHECKING:
    from llguidance import LLExecutor, LLMatcher, LLTokenizer

# Tokens that a mask allows all at once where a lexeme has room for any of them: pieces of strings, and of names and words. The
# line separators are left out, as ECMAScript's `.` leaves them out.
_SLICES = [
    *(rf'[^"\\\x00-\x1F\x7F\u{{2028}}\u{{2029}}]{{1,{length}}}' for length in (10, 18, 30)),
    "[a-zA-Z0-9]{1,18}",
    "[a-zA-Z0-9._-]{1,18}",
]
_MOST_REPLICAS = 8
# What may stand next in Earley's sense: an object takes four for each property that may be left out. llguidance's own limit,
# 2,000, ends an answer in an object of 500; its 20,000 items a millisecond bound the time.
_MOST_ITEMS = 50_000
# Of making one mask: new states of the lexer, some 100 ns each. With its own limit, 200,000, an intersection of patterns of
# names ends an answer that would have gone on.
_LEXER_FUEL = 2_000_000
_KEPT_RUNS = 1 << 14  # tokenized: some hundred bytes each


class _TokenizerAdapter:
    """What llguidance asks of a tokenizer, from our Vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = list(vocabulary.token_bytes)
        self.eos_token_id = vocabulary.eos_token_id
        self.bos_token_id = None
        self.special_token_ids = [i for i, data in enumerate(self.tokens) if len(data) > 1 and data[:1] == b"\xff"]
        # Each mask has what is forced tokenized, and of a tool called again that is the same.
        self.encode = lru_cache(_KEPT_RUNS)(vocabulary.encode_bytes)

    def __call__(self, data: bytes | str) -> list[int]:
        return self.encode(data.encode() if isinstance(data, str) else data)


class LLGuidanceFactory:
    """Compiles grammars for one vocabulary; implements protocol.MatcherFactory.

    `cache_bytes` bounds what compiled grammars may hold together; the least recently used go first. `replicas` is how many
    masks of one grammar can be filled at once.
    """

    def __init__(self, vocabulary: Vocabulary, *, cache_bytes: int = 64 * 1024 * 1024, replicas: int | None = None) -> None:
        import llguidance

        self.vocabulary = vocabulary
        self.replicas = replicas or min(os.cpu_count() or 1, _MOST_REPLICAS)
        tokens = _TokenizerAdapter(vocabulary)
        self.encode = tokens.encode
        ends = {vocabulary.eos_token_id, *getattr(vocabulary, "end_token_ids", ())}
        self.end_tokens = np.array(sorted(ends), dtype=np.int64)
        self.vocab_size = len(tokens.tokens)
        self.words = (self.vocab_size + 31) // 32
        self._tokenizer: LLTokenizer = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(tokens), eos_token=sorted(ends), slices=_SLICES
        )
        self.table = TokenTable(vocabulary)
        self.ends = frozenset(ends)
        self._control = {text.strip("<>"): token for text, token in self.table.control.items()}
        self.longest_token = max(map(len, tokens.tokens))
        self.cache: ByteCache[ReplicatedGrammar] = ByteCache(cache_bytes)
        self._executors: dict[int | None, LLExecutor] = {}
        self.end_row = np.zeros(self.words, dtype=np.int32)
        for token in self.end_tokens:
            self.end_row.view(np.uint32)[token >> 5] |= np.uint32(1 << (int(token) & 31))

    def matcher(self, grammar: CompiledGrammar) -> LLGuidanceMatcher:
        """A matcher at the grammar's start. Raises GrammarError where llguidance can't take it."""
        compiled = self.cache.get(grammar.digest) or ReplicatedGrammar(self, grammar)
        made = LLGuidanceMatcher(self, compiled, compiled.replica())
        self._keep(grammar, compiled)  # anew, since it may have grown
        return made

    def is_end(self, token: TokenRef) -> bool:
        """Is it one of the tokens that end a text?"""
        named = token.token
        return (named if isinstance(named, int) else self._control.get(named.strip("<>"))) in self.ends

    def prepare(self, grammar: CompiledGrammar) -> None:
        """What `matcher` asks once for a grammar, beforehand, on a thread that no answer waits for. Raises GrammarError."""
        if self.cache.get(grammar.digest) is None:
            compiled = ReplicatedGrammar(self, grammar)
            if compiled.planner is not None:
                compiled.planner.prepare()
            self._keep(grammar, compiled)

    def _keep(self, grammar: CompiledGrammar, compiled: ReplicatedGrammar) -> None:
        """The largest are kept, too, if alone: nothing is compiled in the middle of a step."""
        self.cache.put(grammar.digest, compiled, min(compiled.bytes, self.cache.bound))

    def prepared(self, grammar: CompiledGrammar) -> bool:
        return self.cache.get(grammar.digest) is not None

    def prototype(self, lark: str) -> LLMatcher:
        """llguidance's matcher at the start of a grammar. Raises GrammarError."""
        import llguidance

        limits = llguidance.LLParserLimits(
            max_items_in_row=_MOST_ITEMS, step_max_items=10 * _MOST_ITEMS, step_lexer_fuel=_LEXER_FUEL
        )
        grammar = llguidance.LLMatcher.grammar_from_lark(lark)
        made = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0, limits=limits)
        if made.is_error():
            raise GrammarError(f"the matcher can't take this grammar: {made.get_error().splitlines()[0]}")
        return made

    def fill_bitmasks(
        self, bitmask: Bitmask, rows: Sequence[tuple[int, Matcher, int | None]], *, threads: int | None = None
    ) -> None:
        """Masks of many matchers, on `threads` threads without the GIL; then the budgets of those that near their end."""
        running: list[tuple[Any, int]] = []
        left: list[tuple[int, LLGuidanceMatcher, int | None]] = []
        for row, matcher, remaining in rows:
            assert isinstance(matcher, LLGuidanceMatcher)
            if (prepared := matcher.prepared_mask(remaining)) is not None:
                bitmask[row, :] = 0
                bitmask[row, : self.words] = prepared
                continue
            left.append((row, matcher, remaining))
            if matcher.is_terminated():
                bitmask[row, :] = 0
                bitmask[row, : self.words] = self.end_row
            else:
                running.append((matcher.ll, row))
        if len(running) == 1:
            _fill(running[0][0], bitmask, running[0][1])
        elif running:
            executor = self._executors.get(threads)
            if executor is None:
                from llguidance import LLExecutor

                executor = self._executors[threads] = LLExecutor(threads)
            assert bitmask.flags.c_contiguous
            executor.unsafe_compute_mask_ptr(running, bitmask.ctypes.data, bitmask.shape[1] * 4, bitmask.shape[0])
        for row, matcher, remaining in left:
            while matcher.recover():
                _fill(matcher.ll, bitmask, row)
            if remaining is not None:
                matcher.restrict(bitmask, row, remaining)


def _fill(ll: LLMatcher, bitmask: Bitmask, row: int) -> None:
    target = bitmask[row]
    assert target.flags.c_contiguous
    assert target.dtype == np.int32
    ll.unsafe_compute_mask_ptr(target.ctypes.data, target.size * 4)
