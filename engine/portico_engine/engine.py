"""The engine: requests in, deltas out, one step at a time.

It owns the loop: schedule, run, mask, sample, accept, and how an answer ends. It knows the parts by their seams (Executor,
Matcher) and nothing of MCP, HTTP, threads or torch, nor of who makes one (loading/). Not thread-safe: front/ puts it on a
thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Seq
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from portico_engine.adapters.adapter import Adapter, AdapterInfo
from portico_engine.adapters.adapter_registry import AdapterRegistry
from portico_engine.constraints import Constraints, constrain
from portico_engine.errors import ChatTemplateError, EngineError, RequestError
from portico_engine.executors.protocol import Executor
from portico_engine.faults import describe_fault
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.protocol import Matcher, MatcherFactory
from portico_engine.grammar.work_slice import WorkSlice
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.cache import KVCache
from portico_engine.kv.disk import DEFAULT_MAX_BYTES
from portico_engine.kv.eviction import CostAware
from portico_engine.kv.hashing import root_key
from portico_engine.kv.host_tier import open_host_tier
from portico_engine.kv.offloader import Offloader, open_tier
from portico_engine.plan import Row
from portico_engine.priors.token_texts import TokenTexts
from portico_engine.repetition import DEFAULT_BREAKERS
from portico_engine.request import EXPERT_TOKENS, Delta, Embeddings, FinishReason, ModelInfo, Pooling, Request, SamplingParams
from portico_engine.request_checks import check_budget, check_request, check_tokens
from portico_engine.sampling import SampledToken, TopLogprobs, resolve_seed
from portico_engine.scheduler import Scheduler
from portico_engine.scoring import Scorer
from portico_engine.sequence import Sequence, SequenceState
from portico_engine.settlement import Settlement
from portico_engine.speculation import PromptLookup
from portico_engine.step_runner import StepOutcome, StepRunner
from portico_engine.step_timing import StepTiming
from portico_engine.text.chat_template import ChatTemplate
from portico_engine.text.detokenizer import IncrementalDetokenizer, StopStrings
from portico_engine.text.prompt_encoder import PromptEncoder
from portico_engine.text.tokenizer import Tokenizer
from portico_engine.text.untrusted import clean_text
from portico_engine.tool import Tool

_MOST_RESTARTS = 2
_NEAR_TIE = 0.1  # nats: what bfloat16 in steps of different sizes was seen to round is some 0.06
_KEPT_BREAKERS = 16  # lists of texts whose tokens are kept


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
        pool = BlockPool(caps.blocks, policy=CostAware(), tier=tier, host=open_host_tier(caps))
        self._kv = KVCache(pool, root, window=caps.window, step_tokens=caps.step_tokens)
        self._offloader = Offloader(executor, self._kv)
        self._speculation = speculation
        self._scheduler = Scheduler(self._kv, executor.caps, drafts=speculation)
        self._runner = StepRunner(executor, self._kv.pool)
        self._scorer = Scorer(self._runner, executor.caps, self._kv, self._scheduler.preempt_last)
        self._adapters = AdapterRegistry(executor, executor.caps.adapters, read_adapter)
        self._live: dict[str, Sequence] = {}
        self._ended: list[Delta] = []  # deltas of requests that ended outside of a step
        self._settlement = Settlement()
        self._slice = WorkSlice()
        self._arrivals = 0
        self._steps = 0
        self._timing = StepTiming()
        self._breakers = lru_cache(_KEPT_BREAKERS)(self._find_breakers)
        self._generated = 0
        self._forced = 0
        self._drafted = 0
        self._accepted = 0

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
        return self._scheduler.has_work or bool(self._ended) or self._offloader.has_work

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
        as it is.
        """
        if request.id in self._live:
            raise RequestError(f"a request with the id {request.id!r} is in flight already")
        max_new = check_request(request, self._executor.caps)
        matcher = None if request.grammar is None else self.grammars.matcher(request.grammar)
        if matcher is not None:
            check_budget(matcher, max_new)
        seq = Sequence(
            request=request,
            arrival=self._arrivals,
            max_new=max_new,
            seed=resolve_seed(request.sampling),
            detokenizer=IncrementalDetokenizer(self.tokenizer.token_bytes, request.shown_tokens),
            stops=StopStrings([clean_text(stop) for stop in request.stop]),
            matcher=matcher,
            prior=None if request.prior is None else request.prior.bind(self._token_texts),
            adapter=None if request.adapter is None else self._adapters.acquire(request.adapter),
            ends=self._ends(request.sampling),
            lookup=PromptLookup() if self._speculation and request.sampling.is_greedy else None,
            breakers=self._breakers(request.sampling.dry_sequence_breakers) if request.sampling.dry_multiplier else frozenset(),
        )
        self._arrivals += 1
        self._live[request.id] = seq
        self._scheduler.add(seq)
        self._accept(seq)
        self._collect(seq, self._ended, only_finished=True)

    def _ends(self, sampling: SamplingParams) -> frozenset[int]:
        """Tokens that end an answer."""
        own = frozenset() if sampling.ignore_eos else frozenset(self.tokenizer.end_token_ids)
        return own | frozenset(sampling.stop_token_ids)

    def abort(self, request_id: str) -> None:
        """End a request with CANCELLED; no effect on one that ended already."""
        seq = self._live.get(request_id)
        if seq is not None and seq.finish is None:
            self._end(seq, FinishReason.CANCELLED)
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
        """Run one step of whatever waits; what happened in it. Empty where there is nothing to do."""
        deltas, self._ended = self._ended, []
        self._timing.start()
        self._slice = WorkSlice()
        for seq in self._settlement.in_turn():
            if self._slice.is_over:
                break
            self._settle(seq)
            self._collect(seq, deltas)
        planned = self._scheduler.schedule()
        if planned is None:
            if not deltas and self._offloader.has_work:
                self._offloader.step()
            return deltas
        self._timing.lap("schedule")

        @cache
        def constraints() -> Constraints:
            matchers = self.grammars if any(seq.matcher for seq in planned.sequences) else None
            return constrain(planned, matchers, self._executor.caps.vocab_size)

        before = self._timing.total
        outcome = self._runner.run(planned.plan, lambda: constraints()[:2], self._timing.lap)
        self._kv.note_step(planned.plan.n_tokens, self._timing.total - before)
        self._restart(outcome, deltas)
        for i, (seq, row) in enumerate(zip(planned.sequences, planned.plan.rows, strict=True)):
            if i not in outcome.unread:
                self._finish_row(i, seq, row, outcome, constraints)
                self._collect(seq, deltas)
        self._steps += 1
        self._timing.lap("accept")
        if self._check and not self._scheduler.has_work:
            self._scheduler.check_integrity()
            self._adapters.check_integrity()
        return deltas

    def _finish_row(
        self, i: int, seq: Sequence, row: Row, outcome: StepOutcome, constraints: Callable[[], Constraints]
    ) -> None:
        """What a step's row comes to: more that is computed, a token, or its end."""
        if i in outcome.faults:
            self._end(seq, FinishReason.ERROR, outcome.faults[i])
            return
        failed = i in outcome.result.failed_rows
        if failed and not constraints().allows_nothing(i, self._executor.caps.vocab_size):
            self._end(seq, FinishReason.ERROR, "the model's output is not a number", trusted=False)
            return
        self._scheduler.computed(seq, len(row.tokens) - row.drafts)
        if not row.logits_indices:
            return
        if failed:
            self._end(seq, FinishReason.ERROR, "its grammar allows nothing")
        elif i in constraints().faults:
            self._end(seq, FinishReason.ERROR, constraints().faults[i])
        else:
            result = outcome.result
            tokens, logprobs, tops = result.tokens[i], result.logprobs[i], result.top_logprobs[i]
            self._accept(seq, SampledToken(tokens[0], logprobs[0], tops[0]))
            if row.drafts:
                self._verify(seq, row, tokens, tops)

    def _verify(self, seq: Sequence, row: Row, sampled: tuple[int, ...], tops: tuple[TopLogprobs, ...]) -> None:
        """Go on behind guesses as long as they are what the answer has: each is computed then, and the token sampled behind it
        is the next one, unless the grammar has forced that already. Where the grammar doesn't allow it, or another was nearly
        as likely, so that a step of one token might have rounded otherwise, the next step samples.
        """
        assert seq.lookup is not None
        seq.lookup.drafted += row.drafts
        self._drafted += row.drafts
        for index, token, best in zip(row.logits_indices[1:], sampled[1:], tops[1:], strict=True):
            position = row.start + index
            if seq.finish is not None or len(seq.tokens) <= position or seq.tokens[position] != row.tokens[index]:
                return
            known = len(seq.tokens) > position + 1
            tie = len(best) < 2 or best[0][1] - best[1][1] < _NEAR_TIE
            if not known and (tie or not self._allows(seq, token)):
                return  # the guess was right, but it is to be read again, for what follows
            self._scheduler.computed(seq, 1)
            seq.lookup.accepted += 1
            self._accepted += 1
            if not known:
                self._accept(seq, SampledToken(token, 0.0, ()))

    def _allows(self, seq: Sequence, token: int) -> bool:
        """Does its grammar allow this token here, as its mask would have?"""
        if seq.matcher is None:
            return True
        bitmask = np.full((1, -(-self._executor.caps.vocab_size // 32)), -1, dtype=np.int32)
        try:
            self.grammars.fill_bitmasks(bitmask, [(0, seq.matcher, seq.remaining)])
        except BaseException as error:  # noqa: BLE001 - the request's own: its next step says so
            describe_fault("its grammar", error)
            return False
        return bool(bitmask[0].view(np.uint32)[token // 32] >> np.uint32(token % 32) & 1)

    def _restart(self, outcome: StepOutcome, deltas: list[Delta]) -> None:
        """Blocks that could not be filled: who holds one computes it, but nobody for ever."""
        for seq in self._scheduler.restart(outcome.damaged):
            if seq.restarts > _MOST_RESTARTS:
                self._end(seq, FinishReason.ERROR, "its cached prefix can't be read")
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
        """
        try:
            return self._scorer.score(prompt, continuations, salt)
        except EngineError:
            raise
        except BaseException as error:
            self.fail_all(f"the executor failed while scoring ({type(error).__name__}: {error})")
            raise

    def embed(self, texts: Seq[str | Seq[int]], pooling: Pooling | None = None) -> Embeddings:
        """One vector a text, or tokens that are one, between two steps. Text gets the tokens around it that the model was made
        for. Raises RequestError (ContextOverflow) for one that is empty, too long or no text of this vocabulary, and where the
        model makes no embeddings.
        """
        caps = self._executor.caps
        if not caps.embedding_size:
            raise RequestError(f"{self.info.name} makes no embeddings")
        tokens = [self.tokenizer.encode_whole(text) if isinstance(text, str) else list(text) for text in texts]
        for each in tokens:
            check_tokens(each, caps)
        vectors = self._executor.embed(tokens, pooling or self._pooling)
        return Embeddings(vectors, tuple(map(len, tokens)))

    def fail_all(self, message: str) -> None:
        """End every request with ERROR; the deltas come from the next `step`. Cached blocks are forgotten: a step may have died
        half-way.
        """
        for seq in self._scheduler.sequences():
            self._end(seq, FinishReason.ERROR, message)
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
            **self._timing.stats(),
            "generated_tokens": self._generated,
            "forced_tokens": self._forced,
            "drafted_tokens": self._drafted,
            "accepted_drafts": self._accepted,
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

    def _accept(self, seq: Sequence, sampled: SampledToken | None = None) -> None:
        """A sampled token, if there is one yet, and the run that the grammar forces behind it. What fails in that is the
        request's own, and ends it.
        """
        try:
            if (sampled is None or self._take(seq, sampled, forced=False)) and seq.matcher is not None:
                seq.unsettled = "run"
        except BaseException as error:  # noqa: BLE001 - see `describe_fault`
            self._fail(seq, error)
        self._settle(seq)

    def _settle(self, seq: Sequence) -> None:
        """Have the grammar force what it forces here, and prepare the mask behind it, as far as this step's share of work goes:
        until then the sequence has no part in a step.
        """
        try:
            while (what := seq.unsettled) is not None and seq.finish is None and seq.remaining > 0:
                assert seq.matcher is not None
                if not seq.matcher.prepare(what, seq.remaining, self._slice):
                    break
                seq.unsettled = "mask" if what == "run" and self._take_forced(seq, seq.matcher) else None
        except BaseException as error:  # noqa: BLE001 - see `describe_fault`
            self._fail(seq, error)
        self._settlement.note(seq)

    def _fail(self, seq: Sequence, error: BaseException) -> None:
        """Its grammar, or its text, is what failed."""
        fault = describe_fault("its grammar" if seq.matcher is not None else "its text", error)
        if seq.finish is None:
            self._end(seq, FinishReason.ERROR, fault)

    def _take_forced(self, seq: Sequence, matcher: Matcher) -> bool:
        """The run that the grammar forces here. Does the answer go on?"""
        return all(
            self._take(seq, SampledToken(token, 0.0, ((token, 0.0),)), forced=True)
            for token in matcher.forced_tokens(seq.remaining)
        )

    def _take(self, seq: Sequence, sampled: SampledToken, *, forced: bool) -> bool:
        """One token, however it came: grammar, text, stop checks, length. Does the answer go on?"""
        if seq.matcher is not None and not seq.matcher.accept_token(sampled.token):
            refused = f"the grammar refused the token {sampled.token}, which its own mask allowed"
            self._end(seq, FinishReason.ERROR, seq.matcher.error() or refused)
            return False
        seq.append(sampled, forced=forced)
        self._generated += 1
        self._forced += forced
        if sampled.token in seq.ends:
            self._end(seq, FinishReason.STOP)
            return False
        seq.append_text(seq.detokenizer.add(sampled.token))
        if seq.stops.met is not None or (seq.matcher is not None and seq.matcher.is_terminated()):
            self._end(seq, FinishReason.STOP)
        elif seq.remaining <= 0:
            seq.unfinished = seq.matcher is not None and not seq.matcher.is_accepting()
            self._end(seq, FinishReason.LENGTH)
        return seq.finish is None

    def _end(self, seq: Sequence, reason: FinishReason, error: str | None = None, *, trusted: bool = True) -> None:
        """`trusted` False: its keys and values are forgotten, wherever they are."""
        assert seq.finish is None
        seq.finish = reason
        seq.error = error
        if reason in (FinishReason.STOP, FinishReason.LENGTH):
            seq.flush_text()
        awaits = reason in (FinishReason.STOP, FinishReason.LENGTH) and seq.request.pin_where in seq.text
        self._scheduler.finish(seq, pin=seq.request.pin if awaits else 0.0, trusted=trusted)
        assert seq.state is SequenceState.FINISHED
        if seq.adapter is not None:
            self._adapters.release(seq.adapter)

    def _collect(self, seq: Sequence, deltas: list[Delta], *, only_finished: bool = False) -> None:
        if only_finished and seq.finish is None:
            return
        delta = seq.pop_delta()
        if delta is not None:
            deltas.append(delta)
        if seq.finish is not None:
            self._live.pop(seq.request.id, None)
