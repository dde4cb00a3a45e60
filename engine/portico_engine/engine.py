"""The engine: requests in, deltas out, one step at a time.

It owns the loop: schedule, run, mask, sample, accept, each step behind the one before it where the executor can run ahead. It
knows the parts by their seams (Executor, Matcher) and nothing of MCP, HTTP, threads or torch, nor of who makes one (loading/).
Not thread-safe: front/ puts it on a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Seq
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from portico_engine.adapters.adapter import Adapter, AdapterInfo
from portico_engine.adapters.adapter_registry import AdapterRegistry
from portico_engine.answers import Answers
from portico_engine.constraints import Constraints, constrain
from portico_engine.errors import ChatTemplateError, EngineError, RequestError
from portico_engine.executors.protocol import Executor
from portico_engine.faults import error_text, faults_of, raise_if_end
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.protocol import MatcherFactory
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.cache import KVCache
from portico_engine.kv.disk import DEFAULT_MAX_BYTES
from portico_engine.kv.eviction import CostAware
from portico_engine.kv.hashing import root_key
from portico_engine.kv.host_tier import open_host_tier
from portico_engine.kv.offloader import Offloader, open_tier
from portico_engine.kv.state_cache import StateCache
from portico_engine.plan import Row
from portico_engine.priors.token_texts import TokenTexts
from portico_engine.repetition import DEFAULT_BREAKERS
from portico_engine.request import EXPERT_TOKENS, Delta, Embeddings, FinishReason, ModelInfo, Pooling, Request, SamplingParams
from portico_engine.request_checks import check_budget, check_request, check_tokens
from portico_engine.sampling import SampledToken, resolve_seed
from portico_engine.scheduled_step import ScheduledStep
from portico_engine.scheduler import Scheduler
from portico_engine.scoring import Scorer
from portico_engine.sequence import Sequence
from portico_engine.speculation import PromptLookup
from portico_engine.step_runner import StepOutcome, StepRunner, StepUnderWay
from portico_engine.step_timing import StepTiming
from portico_engine.text.chat_template import ChatTemplate
from portico_engine.text.detokenizer import IncrementalDetokenizer, StopStrings
from portico_engine.text.prompt_encoder import PromptEncoder
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.text.untrusted import clean_text
from portico_engine.tool import Tool

_MOST_RESTARTS = 2
_KEPT_BREAKERS = 16  # lists of texts whose tokens are kept


class _StepUnderWay(NamedTuple):
    """A step that the executor has, and what its rows may say."""

    planned: ScheduledStep
    running: StepUnderWay
    constraints: Callable[[], Constraints]
    begun: float  # seconds of all steps before it


class Engine:
    """One loaded model. Every accepted request ends in exactly one Delta with a finish reason."""

    def __init__(
        self,
        executor: Executor,
        tokenizer: Tokenizer,
        info: ModelInfo,
        *,
        chat_template: str | None = None,
        grammars: MatcherFactory | None = None,
        check: bool = False,
        kv_dir: Path | None = None,
        kv_dir_bytes: int = DEFAULT_MAX_BYTES,
        read_adapter: Callable[[Path], Adapter] | None = None,
        pooling: Pooling | None = None,
        speculation: int = 0,
    ) -> None:
        """`check` asserts all invariants whenever the engine falls idle. `kv_dir` and `kv_dir_bytes`: see `LoadOptions`.
        `read_adapter` makes an adapter for this model of a path; None takes none. `pooling` is of embeddings, where they don't
        say, `speculation` see `LoadOptions`.
        """
        self.info = info
        self.tokenizer = tokenizer
        self._executor = executor
        self._template_source = chat_template
        self._given_grammars = grammars
        self._check = check
        self._pooling = pooling
        root = root_key(info.name, str(info.bytes_on_disk), info.fingerprint, executor.caps.numerics_id)
        tier = open_tier(executor, kv_dir, root, kv_dir_bytes)
        caps = executor.caps
        host = open_host_tier(caps)
        pool = BlockPool(caps.blocks, policy=CostAware(), tier=tier, host=host, most_held=caps.running_blocks)
        if caps.cut == "whole":
            self._kv: KVCache = StateCache(pool, root, caps.states)
        else:
            self._kv = KVCache(pool, root, window=caps.window, step_tokens=caps.step_tokens)
        self._under_way: _StepUnderWay | None = None  # between two calls of `step`: one that the next may follow
        self._offloader = Offloader(executor, self._kv)
        self._speculation = speculation
        self._scheduler = Scheduler(self._kv, executor.caps, drafts=speculation)
        self._runner = StepRunner(executor, self._kv.pool)
        self._scorer = Scorer(self._runner, executor.caps, self._kv, self._scheduler.preempt_last)
        self._adapters = AdapterRegistry(executor, executor.caps.adapters, read_adapter)
        self._live: dict[str, Sequence] = {}
        self._ended: list[Delta] = []  # deltas of requests that ended outside of a step
        vocab_size = executor.caps.vocab_size
        self._answers = Answers(self._scheduler, self._adapters, lambda: self.grammars, vocab_size)
        self._arrivals = 0
        self._steps = 0
        self._steps_ahead = 0
        self._timing = StepTiming()
        self._breakers = lru_cache(_KEPT_BREAKERS)(self._find_breakers)

    @property
    def chat_template(self) -> str:
        """The source of the model's chat template. Raises ChatTemplateError where it has none."""
        if not self._template_source:
            raise ChatTemplateError.missing(self.info.name)
        return self._template_source

    def template_problem(self) -> str | None:
        """Why the model can't answer chats: it has no chat template, or one that refuses even a greeting. None where it can."""
        try:
            self.render_chat([{"role": "user", "content": "Hello"}])
        except ChatTemplateError as error:
            return str(error)
        return None

    @cached_property
    def grammars(self) -> MatcherFactory:
        """Compiles grammars for this vocabulary."""
        if self._given_grammars is not None:
            return self._given_grammars
        from portico_engine.grammar import matcher_factory

        return matcher_factory(self.tokenizer)

    def has_grammar(self, grammar: CompiledGrammar) -> bool:
        """Is it ready for requests, so that accepting one takes no time? Any thread may ask."""
        return self.grammars.prepared(grammar)

    def prepare_grammar(self, grammar: CompiledGrammar) -> None:
        """Make it ready, on any thread: a request with it is then accepted at once. Raises GrammarError."""
        with faults_of("the grammar"):
            self.grammars.prepare(grammar)

    def _find_breakers(self, texts: tuple[str, ...] | None) -> frozenset[int]:
        """Tokens that hold one of these texts."""
        known = DEFAULT_BREAKERS if texts is None else tuple(text for text in texts if text)
        return frozenset(i for i, token in enumerate(self.tokenizer.token_texts) if any(text in token for text in known))

    @cached_property
    def _token_texts(self) -> TokenTexts:
        return TokenTexts(self.tokenizer.token_texts)

    @property
    def has_work(self) -> bool:
        """Is there something to do in a step? Saving prefixes, when nothing else is, counts; what is paused does not."""
        return self._scheduler.has_work or bool(self._ended) or self._under_way is not None or self._offloader.has_work

    def render_chat(
        self,
        messages: Seq[Mapping[str, Any]],
        tools: Seq[Tool] | None = None,
        variables: Mapping[str, Any] | None = None,
        *,
        add_generation_prompt: bool = True,
    ) -> tuple[int, ...]:
        """The prompt's tokens for these turns; `variables` are further ones of the template's. Raises ChatTemplateError."""
        rendered = self._template.render_disguised(
            messages, tools, add_generation_prompt=add_generation_prompt, variables=variables
        )
        return tuple(self._prompts.encode(rendered))

    @cached_property
    def _prompts(self) -> PromptEncoder:
        return PromptEncoder(self.tokenizer, self.chat_template)

    @cached_property
    def _template(self) -> ChatTemplate:
        tokens = self.tokenizer.tokens
        names = {"eos_token": tokens[self.tokenizer.eos_token_id]}
        if self.tokenizer.bos_token_id is not None:
            names["bos_token"] = tokens[self.tokenizer.bos_token_id]
        return ChatTemplate(self.chat_template, names, disguise=self._prompts.disguise)

    def read_adapter(self, path: Path) -> Adapter:
        """The adapter at a path, checked against this model, for `add_adapter`. Any thread may ask. Raises AdapterError."""
        return self._adapters.read(path)

    def add_adapter(self, name: str, adapter: Adapter) -> AdapterInfo:
        """From now on requests may name it. Raises AdapterError where the name is taken, or no room is left."""
        return self._adapters.load(name, adapter)

    def load_adapter(self, name: str, path: Path | str) -> AdapterInfo:
        """Read the adapter at a path (a PEFT folder or a GGUF file) and add it. Raises AdapterError."""
        return self.add_adapter(name, self.read_adapter(Path(path)))

    def unload_adapter(self, name: str) -> None:
        """New requests don't find it any more; those that have it end with it. Raises UnknownAdapter."""
        self._adapters.unload(name)

    def adapters(self) -> tuple[AdapterInfo, ...]:
        """Those that requests may name. Any thread may ask."""
        return self._adapters.infos()

    def submit(self, request: Request) -> None:
        """Accept a request. Raises RequestError (ContextOverflow, UnknownAdapter) or GrammarError at once where it can't be run
        as it is, and EngineError where its own parts fail.
        """
        if request.id in self._live:
            raise RequestError(f"a request with the id {request.id!r} is in flight already")
        max_new = check_request(request, self._executor.caps)
        with faults_of("its grammar"):
            matcher = None if request.grammar is None else self.grammars.matcher(request.grammar)
            if matcher is not None:
                check_budget(matcher, max_new)
        with faults_of("its prior"):
            prior = None if request.prior is None else request.prior.bind(self._token_texts)
        seq = Sequence(
            request=request,
            arrival=self._arrivals,
            max_new=max_new,
            seed=resolve_seed(request.sampling),
            detokenizer=IncrementalDetokenizer(self.tokenizer.token_bytes, request.shown_tokens),
            stops=StopStrings([clean_text(stop) for stop in request.stop]),
            matcher=matcher,
            prior=prior,
            ends=self._ends(request.sampling),
            lookup=PromptLookup() if self._speculation and request.sampling.is_greedy else None,
            breakers=self._breakers(request.sampling.dry_sequence_breakers) if request.sampling.dry_multiplier else frozenset(),
        )
        self._enqueue(seq)
        self._arrivals += 1
        self._live[request.id] = seq
        self._answers.accept(seq)
        self._collect(seq, self._ended, only_finished=True)

    def _enqueue(self, seq: Sequence) -> None:
        """It waits, and holds its adapter until its end."""
        if seq.request.adapter is not None:
            seq.adapter = self._adapters.acquire(seq.request.adapter)
        try:
            with faults_of("its place in the queue"):
                self._scheduler.add(seq)
        except BaseException:
            if seq.adapter is not None:
                self._adapters.release(seq.adapter)
            raise

    def _ends(self, sampling: SamplingParams) -> frozenset[int]:
        """Tokens that end an answer."""
        own = frozenset() if sampling.ignore_eos else frozenset(self.tokenizer.end_token_ids)
        return own | frozenset(sampling.stop_token_ids)

    def abort(self, request_id: str) -> None:
        """End a request with CANCELLED; no effect on one that ended already."""
        seq = self._live.get(request_id)
        if seq is not None and seq.finish is None:
            self._answers.end(seq, FinishReason.CANCELLED)
            self._collect(seq, self._ended)

    def pause(self, request_id: str) -> None:
        """Compute nothing more of a request until `resume`: it keeps neither a row nor blocks. No effect on one that ended."""
        seq = self._live.get(request_id)
        if seq is not None:
            self._scheduler.pause(seq)

    def resume(self, request_id: str) -> None:
        """Go on with a paused request, when its turn comes. No effect on others."""
        seq = self._live.get(request_id)
        if seq is not None:
            self._scheduler.resume(seq)

    def step(self) -> list[Delta]:
        """Run one step of whatever waits; what happened in it. Empty where there is nothing to do.

        Where it raises, an order to end (Ctrl-C) or what is no request's fault, all requests end as `fail_all` says.
        """
        try:
            return self._step()
        except BaseException as error:
            self.fail_all(f"the engine failed in a step ({error_text(error)})")
            raise

    def _step(self) -> list[Delta]:
        deltas, self._ended = self._ended, []
        self._timing.start()
        for seq in self._answers.settle_in_turn():
            self._collect(seq, deltas)
        under_way, self._under_way = self._under_way, None
        planned = self._scheduler.schedule(None if under_way is None else under_way.planned)
        if planned is not None or under_way is not None:  # else nothing is timed: no step was made
            self._timing.lap("schedule")
        begun = None if planned is None else self._begin(planned)
        if under_way is not None and not self._finish(under_way, deltas, begun):
            return deltas
        if begun is not None and self._may_be_followed(begun):
            self._under_way = begun
        elif begun is not None:
            self._finish(begun, deltas)
        elif under_way is None and not deltas and self._offloader.has_work:
            self._offloader.step()
        if self._check and not self._scheduler.has_work:
            self._scheduler.check_integrity()
            self._adapters.check_integrity()
        return deltas

    def _begin(self, planned: ScheduledStep) -> _StepUnderWay:
        @cache
        def constraints() -> Constraints:
            matchers = self.grammars if any(seq.matcher for seq in planned.sequences) else None
            return constrain(planned, matchers, self._executor.caps.vocab_size)

        begun = self._timing.total
        running = self._runner.begin(planned.plan, lambda: constraints()[:2], self._timing.lap)
        return _StepUnderWay(planned, running, constraints, begun)

    def _may_be_followed(self, step: _StepUnderWay) -> bool:
        """May the next step be begun before this one is finished? Where one row has a grammar none runs ahead of it: it would
        have a part in every second step only.
        """
        if not self._executor.caps.runs_ahead or step.running.has_failed:
            return False
        return all(seq.may_be_followed for seq in step.planned.sequences)

    def _finish(self, step: _StepUnderWay, deltas: list[Delta], follower: _StepUnderWay | None = None) -> bool:
        """Take what a step came to. False where it failed, and with it the one that was begun behind it."""
        planned, failed = step.planned, step.running.wait() is not None
        if failed and follower is not None:
            self._restart(self._runner.abandon(follower.running), deltas)
        outcome = self._runner.finish(step.running, planned.rows_again)
        self._kv.note_step(planned.plan.n_tokens, self._timing.total - step.begun)
        self._restart(outcome.damaged, deltas)
        for i, seq, row in planned.rows():
            if i not in outcome.unread:
                self._finish_row(i, seq, row, outcome, step.constraints)
                self._collect(seq, deltas)
        self._steps += 1
        self._steps_ahead += follower is not None and not failed
        self._timing.lap("accept")
        return not failed

    def _finish_row(
        self, i: int, seq: Sequence, row: Row, outcome: StepOutcome, constraints: Callable[[], Constraints]
    ) -> None:
        """What a step's row comes to: more that is computed, a token, or its end."""
        if i in outcome.faults:
            self._answers.end(seq, FinishReason.ERROR, outcome.faults[i])
            return
        failed = i in outcome.result.failed_rows
        if failed and not constraints().allows_nothing(i, self._executor.caps.vocab_size):
            self._answers.end(seq, FinishReason.ERROR, "the model's output is not a number", trusted=False)
            return
        self._scheduler.computed(seq, len(row.tokens) - row.drafts)
        if not row.logits_indices:
            return
        if failed:
            left = "its grammar allows nothing" if seq.matcher is not None else "its biases allow nothing"
            self._answers.end(seq, FinishReason.ERROR, left)
        elif i in constraints().faults:
            self._answers.end(seq, FinishReason.ERROR, constraints().faults[i])
        else:
            result = outcome.result
            tokens, logprobs, tops = result.tokens[i], result.logprobs[i], result.top_logprobs[i]
            self._answers.accept(seq, SampledToken(tokens[0], logprobs[0], tops[0]))
            if row.drafts:
                self._answers.verify(seq, row, tokens, tops)

    def _restart(self, damaged: Iterable[int], deltas: list[Delta]) -> None:
        """Blocks that could not be filled: who holds one computes it, but nobody for ever."""
        for seq in self._scheduler.restart(damaged):
            if seq.restarts > _MOST_RESTARTS:
                self._answers.end(seq, FinishReason.ERROR, "its cached prefix can't be read")
                self._collect(seq, deltas)

    def generate(self, request: Request) -> Iterator[Delta]:
        """Submit a request and step until it ends; closing the iterator aborts it. For callers without other requests in
        flight.
        """
        self.submit(request)
        try:
            while request.id in self._live or self._ended:
                for delta in self.step():
                    if delta.request_id == request.id:
                        yield delta
        finally:
            self.abort(request.id)

    def score(self, prompt: Seq[int], continuations: Seq[Seq[int]], salt: bytes = b"") -> list[list[float]]:
        """The log-probability of every token of every continuation after the prompt, one batch over the shared prefix, between
        two steps: who asks for a long prompt's scores lets a request compute it first, in its turn. `salt`: see `Request`.
        Raises EngineError (RequestError, ContextOverflow).
        """
        self._scorer.check(prompt, continuations)
        try:
            if self._under_way is not None:
                step, self._under_way = self._under_way, None
                self._finish(step, self._ended)
            return self._scorer.score(prompt, continuations, salt)
        except EngineError:
            raise
        except BaseException as error:
            message = f"the executor failed while scoring ({error_text(error)})"
            self.fail_all(message)
            raise_if_end(error)
            raise EngineError(message) from error

    def embed(self, texts: Seq[str | Seq[int]], pooling: Pooling | None = None) -> Embeddings:
        """One vector a text, or tokens that are one, between two steps. Text gets the tokens around it that the model was made
        for. Raises RequestError (ContextOverflow) for one that is empty, too long or no text of this vocabulary, and where the
        model makes no embeddings; EngineError where the executor fails at them, or what it makes is no number.
        """
        caps = self._executor.caps
        if not caps.embedding_size:
            raise RequestError(f"{self.info.name} makes no embeddings")
        tokens = [self.tokenizer.encode_whole(text) if isinstance(text, str) else list(text) for text in texts]
        for each in tokens:
            check_tokens(each, caps)
        with faults_of("the embedding"):
            vectors = self._executor.embed(tokens, pooling or self._pooling)
        if not np.isfinite(vectors).all():
            raise EngineError("the model's output is not a number")
        return Embeddings(vectors, tuple(map(len, tokens)))

    def fail_all(self, message: str) -> None:
        """End every request with ERROR; the deltas come from the next `step`. Cached blocks are forgotten: a step may have died
        half-way.
        """
        self._under_way = None
        for seq in self._scheduler.sequences():
            self._answers.end(seq, FinishReason.ERROR, message)
            self._collect(seq, self._ended)
        self._kv.reset()

    def stats(self) -> dict[str, float]:
        """Counters since the model was loaded, and what is going on; of a mixture of experts, how many tokens each expert took.
        Changes nothing: any thread may ask.
        """
        return {
            "waiting": self._scheduler.n_waiting,
            "running": self._scheduler.n_running,
            "paused": self._scheduler.n_paused,
            "steps": self._steps,
            "steps_ahead": self._steps_ahead,
            **self._timing.stats(),
            **self._answers.stats(),
            "preemptions": self._scheduler.preemptions,
            **self._kv.stats(),
            **{
                f"{EXPERT_TOKENS}{layer}.{expert}": n
                for layer, tokens in self._executor.expert_tokens().items()
                for expert, n in enumerate(tokens)
            },
        }

    def close(self) -> None:
        """Cancel what is in flight, save what is to be kept, and let go of the executor."""
        for request_id in list(self._live):
            self.abort(request_id)
        try:
            self._offloader.close()
        finally:
            self._executor.close()

    def _collect(self, seq: Sequence, deltas: list[Delta], *, only_finished: bool = False) -> None:
        if only_finished and seq.finish is None:
            return
        delta = seq.pop_delta()
        if delta is not None:
            deltas.append(delta)
        if seq.finish is not None:
            self._live.pop(seq.request.id, None)
