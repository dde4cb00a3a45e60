"""Log-probabilities of given continuations: one batch over their shared prompt, outside of the request queues.

It owns the plan of such a batch. The prompt's blocks come from, and stay in, the prefix index, so that a request with the same
beginning finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portico_engine.errors import ContextOverflow, EngineError, RequestError
from portico_engine.executors.protocol import Capabilities
from portico_engine.kv.block_table import BlockTable
from portico_engine.kv.cache import KVCache
from portico_engine.kv.hashing import Salt
from portico_engine.plan import Row, StepPlan, StepResult
from portico_engine.request_checks import check_vocabulary
from portico_engine.step_runner import StepRunner


class Scorer:
    """`make_room` preempts a running sequence, and says whether there was one."""

    def __init__(self, runner: StepRunner, caps: Capabilities, kv: KVCache, make_room: Callable[[], bool]) -> None:
        self._runner = runner
        self._caps = caps
        self._kv = kv
        self._make_room = make_room

    def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], salt: bytes) -> list[list[float]]:
        """log p(token | prompt and the continuation's tokens before it), for every token of every continuation, which `check`
        was asked about. `salt`: see `Request`.
        """
        if not any(continuations):
            return [[] for _ in continuations]
        table = self._allocate(prompt, salt)
        try:
            self._prefill(table, prompt)
            return self._score_all(table, prompt, continuations)
        finally:
            self._kv.free(table, prompt)

    def check(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> None:
        """Raises RequestError for an empty prompt or what is no token of the vocabulary, ContextOverflow where the longest
        doesn't fit.
        """
        caps = self._caps
        if not prompt:
            raise RequestError("the prompt is empty; a continuation needs at least one token before it")
        longest = len(prompt) + max((len(c) for c in continuations), default=0)
        if longest > caps.context_length:
            raise ContextOverflow(longest, caps.context_length)
        for tokens in (prompt, *continuations):
            check_vocabulary(tokens, caps, "the prompt or a continuation")

    def _allocate(self, prompt: Sequence[int], salt: bytes) -> BlockTable:
        names = self._kv.block_keys(Salt(salt, 0) if salt else None)
        while not self._kv.can_allocate(prompt, names) and self._make_room():
            pass
        return self._kv.allocate(prompt, names)

    def _prefill(self, table: BlockTable, prompt: Sequence[int]) -> None:
        """All but the last token, which every continuation computes for itself."""
        while table.computed < len(prompt) - 1:
            count = min(len(prompt) - 1 - table.computed, self._caps.step_tokens)
            end = table.computed + count
            self._reserve(table, end)
            row = Row(0, tuple(prompt[table.computed : end]), table.computed, table.numbers)
            self._run((row,), table)
            self._kv.commit(table, prompt, end)

    def _score_all(self, table: BlockTable, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        out: list[list[float]] = [[] for _ in continuations]
        waiting = [i for i, continuation in enumerate(continuations) if continuation]
        while waiting:
            batch = self._take_batch(waiting, continuations, len(prompt) - 1)
            forks: list[BlockTable] = []
            rows: list[Row] = []
            try:
                for slot, i in enumerate(batch):
                    tokens = (prompt[-1], *continuations[i][:-1])
                    fork = self._fork(table, len(prompt) - 1, len(tokens))
                    forks.append(fork)
                    every = tuple(range(len(tokens)))
                    rows.append(Row(slot, tokens, len(prompt) - 1, fork.numbers, every, targets=tuple(continuations[i])))
                result = self._run(tuple(rows), table)
                for i, logprobs in zip(batch, result.logprobs, strict=True):
                    out[i] = list(logprobs)
            finally:
                for fork in forks:
                    self._kv.release(fork)
        return out

    def _take_batch(self, waiting: list[int], continuations: Sequence[Sequence[int]], length: int) -> list[int]:
        """The next continuations behind `length` positions that fit one step together; at least one."""
        caps = self._caps
        batch = [waiting.pop(0)]
        tokens = len(continuations[batch[0]])
        blocks = self._kv.fork_blocks(length, tokens)
        while waiting and len(batch) < caps.rows:
            more = len(continuations[waiting[0]])
            if tokens + more > caps.step_tokens or blocks + self._kv.fork_blocks(length, more) > self._kv.pool.available:
                break
            tokens += more
            blocks += self._kv.fork_blocks(length, more)
            batch.append(waiting.pop(0))
        return batch

    def _fork(self, table: BlockTable, length: int, more: int) -> BlockTable:
        while (fork := self._kv.fork(table, length)) is None:
            self._need_room()
        self._reserve(fork, length + more)
        return fork

    def _reserve(self, table: BlockTable, n_tokens: int) -> None:
        while not self._kv.reserve(table, n_tokens):
            self._need_room()

    def _run(self, rows: tuple[Row, ...], table: BlockTable) -> StepResult:
        """All of it, or EngineError."""
        outcome = self._runner.run(StepPlan(rows, self._kv.take_ops()))
        for block in outcome.damaged:
            self._kv.distrust(block)
        if outcome.faults:
            raise EngineError(f"the score can't be computed: {next(iter(outcome.faults.values()))}")
        if outcome.unread:
            raise EngineError("the score's cached prefix can't be read")
        if outcome.result.failed_rows:
            self._kv.discard(table)
            raise EngineError("the model's output is not a number")
        return outcome.result

    def _need_room(self) -> None:
        if not self._make_room():
            raise EngineError("there is no memory for KV left to compute scores in; give more kv_tokens")
