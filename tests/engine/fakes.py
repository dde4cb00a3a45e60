"""Engines over the fake executor, and a matcher that follows a fixed list of choices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests.engine.fake_executor import FakeExecutor, next_token, seen_by
from tests.engine.tiny_model import CHAT_TEMPLATE, MERGES, SPECIAL, vocabulary

from portico_engine import Delta, Engine, ModelInfo, Request
from portico_engine.adapters.adapter import Adapter, LowRank
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.protocol import Bitmask, Matcher, Prepared
from portico_engine.grammar.work_slice import WorkSlice
from portico_engine.text.bpe import byte_level_merger
from portico_engine.text.tokenizer import Tokenizer

EOS = 2
INFO = ModelInfo("fake", "fake", 256, 269, 0, "none", 0, "fake", "fake")


def tiny_tokenizer() -> Tokenizer:
    tokens = vocabulary()
    merges = [(a, b) for a, b in (merge.split() for merge in MERGES)]
    return Tokenizer(
        tokens,
        [3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)),
        byte_level_merger({token: i for i, token in enumerate(tokens)}, merges, (r"\p{N}", r" ?\p{L}+|[^\p{L}]+")),
        byte_level=True,
        eos_token_id=EOS,
    )


class ScriptMatcher:
    """Each place of the script is a set of tokens; a set of one is forced. The end token ends it."""

    def __init__(self, script: Sequence[frozenset[int]]) -> None:
        self.script = [*script, frozenset((EOS,))]
        self.at = 0
        self.remaining: list[int | None] = []

    def accept_token(self, token: int) -> bool:
        if self.at >= len(self.script) or token not in self.script[self.at]:
            return False
        self.at += 1
        return True

    def accept_tokens(self, tokens: list[int]) -> int:
        return next((n for n, token in enumerate(tokens) if not self.accept_token(token)), len(tokens))

    def prepare(self, what: Prepared, remaining: int, slice: WorkSlice) -> bool:
        return True

    def fill_bitmask(self, bitmask: Bitmask, row: int, remaining: int | None = None) -> None:
        self.remaining.append(remaining)
        bitmask[row] = 0
        for token in self.script[self.at]:
            bitmask.view("u4")[row, token // 32] |= 1 << (token % 32)

    def forced_tokens(self, limit: int | None = None) -> list[int]:
        out: list[int] = []
        for choices in self.script[self.at :]:
            if len(choices) > 1 or choices == {EOS} or (limit is not None and len(out) >= limit):
                break
            out += choices
        return out

    def closing_tokens(self, limit: int) -> list[int] | None:
        rest = [min(choices) for choices in self.script[self.at :]]
        return rest if len(rest) <= limit else None

    def is_accepting(self) -> bool:
        return self.at >= len(self.script) - 1

    def error(self) -> str | None:
        return None

    def is_terminated(self) -> bool:
        return self.is_accepting()

    def rollback(self, n_tokens: int) -> None:
        self.at -= n_tokens

    def clone(self) -> ScriptMatcher:
        copy = ScriptMatcher(self.script[:-1])
        copy.at = self.at
        return copy


class ScriptGrammars:
    """A factory: the grammar's text is the script, `5 6|7 8` for 5, then 6 or 7, then 8."""

    def __init__(self) -> None:
        self.made: list[ScriptMatcher] = []

    def prepared(self, grammar: CompiledGrammar) -> bool:
        return True

    def prepare(self, grammar: CompiledGrammar) -> None:
        pass

    def matcher(self, grammar: CompiledGrammar) -> ScriptMatcher:
        self.made.append(ScriptMatcher([frozenset(int(t) for t in place.split("|")) for place in grammar.text.split()]))
        return self.made[-1]

    def fill_bitmasks(
        self, bitmask: Bitmask, rows: Sequence[tuple[int, Matcher, int | None]], *, threads: int | None = None
    ) -> None:
        for row, matcher, remaining in rows:
            matcher.fill_bitmask(bitmask, row, remaining)


def fake_engine(
    executor: FakeExecutor | None = None,
    *,
    kv_dir: Path | None = None,
    info: ModelInfo = INFO,
    speculation: int = 0,
    check: bool = True,
    **options: Any,
) -> Engine:
    executor = executor or FakeExecutor(vocab_size=INFO.vocab_size, **options)
    return Engine(
        executor,
        tiny_tokenizer(),
        info,
        chat_template=CHAT_TEMPLATE,
        grammars=ScriptGrammars(),
        check=check,
        kv_dir=kv_dir,
        read_adapter=fake_adapter,
        speculation=speculation,
    )


def fake_adapter(path: Path) -> Adapter:
    """An adapter whose only matrix is made of its path: other paths are other adapters."""
    values = np.frombuffer(hashlib.sha256(str(path).encode()).digest(), np.uint8).astype(np.float32)
    return Adapter(path, "fake base", {"blk.0.attn_v": LowRank(values[:16].reshape(2, 8), values[16:].reshape(8, 2))})


def solitary(request: Request, vocab_size: int = INFO.vocab_size, adapter: Adapter | None = None) -> list[int]:
    """What the fake model answers to a request without a grammar, alone on the machine, under an adapter."""
    tokens = list(request.prompt)
    for _ in range(request.max_tokens):
        tokens.append(next_token([seen_by(adapter, token) for token in tokens], vocab_size))
    return tokens[len(request.prompt) :]


def run(engine: Engine, requests: Iterable[Request] = ()) -> dict[str, list[Delta]]:
    """Submit, step until idle; the deltas of each request."""
    for request in requests:
        engine.submit(request)
    out: dict[str, list[Delta]] = {}
    while engine.has_work:
        for delta in engine.step():
            out.setdefault(delta.request_id, []).append(delta)
    return out


def tokens_of(deltas: Iterable[Delta]) -> list[int]:
    return [token for delta in deltas for token in delta.tokens]


class Shelf:
    """An executor's block store in memory."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {}

    def put(self, key: bytes, content: bytes) -> None:
        self.content[key] = content

    def get(self, key: bytes) -> memoryview:
        return memoryview(self.content[key])


class Clock:
    """Tells the time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def script(text: str) -> CompiledGrammar:
    """A grammar for `ScriptMatcher`."""
    return CompiledGrammar(text=text)
