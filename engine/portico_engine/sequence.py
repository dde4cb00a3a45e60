"""A request under way: its tokens, its blocks, where its grammar stands, and the text that came out.

It owns the state of one sequence and no decisions: the scheduler moves it between queues, the engine feeds it tokens.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from time import perf_counter

from portico_engine.adapters.adapter_registry import LoadedAdapter
from portico_engine.grammar.protocol import Matcher, Prepared
from portico_engine.kv.block_table import BlockTable
from portico_engine.kv.hashing import BlockKeys, Salt
from portico_engine.plan import BLOCK_TOKENS
from portico_engine.priors.protocol import TokenPrior
from portico_engine.request import Delta, FinishReason, Request, SamplingParams, Usage
from portico_engine.sampling import SampledToken, SamplingState, TopLogprobs
from portico_engine.speculation import PromptLookup
from portico_engine.text.detokenizer import IncrementalDetokenizer, StopStrings

_new = tuple.__new__  # a named tuple at once: one is made of every sequence in every step
FIRST_RANK = -(1 << 62)  # before any priority


class SequenceState(enum.Enum):
    """WAITING <-> RUNNING -> FINISHED; WAITING -> FINISHED where it was cancelled or forced to its end. Both go to PAUSED while
    nobody reads the answer, and come back from there to WAITING.
    """

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


@dataclass(slots=True, eq=False)
class Sequence:
    """One request's life. `tokens` are the prompt's and the answer's; those behind the table's `computed` wait for a step."""

    request: Request
    arrival: int
    max_new: int
    seed: int
    detokenizer: IncrementalDetokenizer
    stops: StopStrings
    matcher: Matcher | None = None
    prior: TokenPrior | None = None
    adapter: LoadedAdapter | None = None
    ends: frozenset[int] = frozenset()  # tokens that end the answer
    lookup: PromptLookup | None = None  # where guesses come from
    breakers: frozenset[int] = frozenset()  # tokens that no repetition goes past
    tokens: list[int] = field(default_factory=list)
    # these are set by the scheduler
    state: SequenceState = SequenceState.WAITING
    slot: int | None = None
    table: BlockTable | None = None
    block_keys: BlockKeys | None = None
    state_points: tuple[int, ...] = ()  # lengths at which a step of its prompt ends, see `KVCache.state_points`
    cached_tokens: int | None = None
    preemptions: int = 0
    yielded: int = 0  # of the preemptions, those for another who goes first
    restarts: int = 0  # because a block could not be filled
    planned: int = 0  # the last step that it had a part in
    promoted: bool = False  # it has waited so long that it goes before all others
    alike: int = 1  # `Capabilities.alike_tokens`
    known: int = 0  # while it runs: the table's `computed`, and what is under way while the step behind that is planned
    awaited: int = 0  # tokens that are sampled under way, none where they end it
    # these are set by the engine
    text: str = ""  # all of it, what a stop string may still take back among it
    forced: int = 0
    sampled: int = 0
    unsettled: Prepared | None = None  # what its grammar has yet to find out; until then it has no part in a step
    finish: FinishReason | None = None
    error: str | None = None
    unfinished: bool = False  # cut by its length, where its grammar wants more
    submitted: float = field(default_factory=perf_counter)
    first_token: float | None = None
    barred: frozenset[int] = frozenset()  # tokens that its `logit_bias` never allows
    _params: SamplingParams = field(default_factory=SamplingParams)
    _n_prompt: int = 0
    greedy: SamplingState | None = None  # `sampling_state` at every place, where that plays no part
    _is_plain: bool = False  # see `may_be_followed`
    _counts: Counter[int] = field(default_factory=Counter)
    _seen: set[int] = field(default_factory=set)
    _unsent: list[tuple[int, float, TopLogprobs]] = field(default_factory=list)
    _unsent_text: str = ""

    def __post_init__(self) -> None:
        self.tokens = list(self.request.prompt)
        self._n_prompt = len(self.tokens)
        params = self._params = self.request.sampling
        if params.is_greedy:
            self.greedy = SamplingState(params, self.seed, 0, self._counts, self._seen)
        if params.repetition_penalty != 1.0:
            self._seen.update(self.tokens)
        penalized = params.repetition_penalty != 1.0 or params.frequency_penalty or params.presence_penalty
        self.barred = frozenset(token for token, bias in params.logit_bias if bias == -inf)
        self._is_plain = self.matcher is None and self.lookup is None and not penalized and not params.dry_multiplier

    @property
    def salt(self) -> Salt | None:
        """Whose its blocks are, from the first one on that holds a caller's text."""
        request = self.request
        return Salt(request.salt, request.shared_prefix_tokens // BLOCK_TOKENS) if request.salt else None

    @property
    def place(self) -> int | None:
        """Where its adapter is."""
        return None if self.adapter is None else self.adapter.place

    @property
    def rank(self) -> int:
        """Who goes first: the lower number."""
        return FIRST_RANK if self.promoted else self.request.priority

    @property
    def n_new(self) -> int:
        """Tokens of the answer so far."""
        return len(self.tokens) - self._n_prompt

    @property
    def too_short(self) -> bool:
        """May the answer not end yet?"""
        return self.n_new < self.request.sampling.min_tokens

    @property
    def remaining(self) -> int:
        """Tokens that the answer may still get."""
        return self.max_new - self.n_new

    @property
    def pending(self) -> int:
        """Tokens that wait for a step."""
        return len(self.tokens) + self.awaited - self.known

    @property
    def at_once(self) -> int:
        """The most of its pending tokens that one step may compute: all, but with a seed the prompt's last token is read by
        itself, unless they are so few that it has the same bits beside them.

        It is by itself where the rest of the prompt is known already, and products of other shapes round otherwise: a seed
        would say something else from a warm prefix than from a cold one.
        """
        whole = self.pending
        if self.state_points and whole > 1:
            return next((point - self.known for point in self.state_points if point > self.known), whole)
        apart = whole > self.alike and self.sampled == 0 and self.request.sampling.is_seeded
        return whole - 1 if apart else whole

    @property
    def may_draft(self) -> bool:
        """Is a token behind a guess sampled as it would be in its turn: by the logits alone, and the likeliest?"""
        params = self.request.sampling
        plain = params.repetition_penalty == 1.0 and not (params.frequency_penalty or params.presence_penalty)
        plain = plain and not params.dry_multiplier and params.logprobs is None and not params.logit_bias
        return self.lookup is not None and plain and params.is_greedy and self.prior is None and not self.too_short

    @property
    def may_be_followed(self) -> bool:
        """May its next token be computed with before anybody has seen it? Not where a grammar, guesses, or what is added to its
        logits depend on that token.
        """
        return self._is_plain and not self.too_short

    def sampling_state(self) -> SamplingState:
        """How to sample the next token that is not awaited yet. Where that is the likeliest one, its position plays no part."""
        if self.greedy is not None:
            return self.greedy
        position = len(self.tokens) + self.awaited - self._n_prompt
        return _new(SamplingState, (self._params, self.seed, position, self._counts, self._seen))

    def append(self, sampled: SampledToken, *, forced: bool) -> None:
        """One more token of the answer."""
        self.tokens.append(sampled.token)
        if forced:
            self.forced += 1
        else:
            self.sampled += 1
        params = self.request.sampling
        if params.repetition_penalty != 1.0:
            self._seen.add(sampled.token)
        if params.frequency_penalty or params.presence_penalty:
            self._counts[sampled.token] += 1
        self._unsent.append((sampled.token, sampled.logprob, sampled.top_logprobs))

    def append_run(self, run: list[int]) -> None:
        """Tokens that a grammar forced, with their text."""
        self.tokens += run
        self.forced += len(run)
        params = self.request.sampling
        if params.repetition_penalty != 1.0:
            self._seen.update(run)
        if params.frequency_penalty or params.presence_penalty:
            self._counts.update(run)
        self._unsent += [(token, 0.0, ((token, 0.0),)) for token in run]
        self.append_text("".join(map(self.detokenizer.add, run)))

    def append_text(self, text: str) -> None:
        """Text of the next token. What may be the beginning of a stop string is held back."""
        self.text += text
        self._unsent_text += self.stops.add(text)

    def flush_text(self) -> None:
        """Show what was held back: nothing follows."""
        self._unsent_text += self.stops.flush()

    def pop_delta(self) -> Delta | None:
        """What happened since the last one; None where nothing did, or where it is told as a whole."""
        if not self._unsent and not self._unsent_text and self.finish is None:
            return None
        if self._unsent and self.first_token is None:
            self.first_token = perf_counter()
        if self.request.whole and self.finish is None:
            return None
        wants_logprobs = self.request.sampling.logprobs is not None
        delta = Delta(
            request_id=self.request.id,
            text=self._unsent_text,
            tokens=tuple(token for token, _, _ in self._unsent),
            logprobs=tuple(logprob for _, logprob, _ in self._unsent) if wants_logprobs else (),
            top_logprobs=tuple(top for _, _, top in self._unsent) if wants_logprobs else (),
            finish_reason=self.finish,
            stop=self.stops.met if self.finish else None,
            unfinished=self.unfinished,
            usage=self._usage() if self.finish else None,
            error=self.error,
        )
        self._unsent.clear()
        self._unsent_text = ""
        return delta

    def _usage(self) -> Usage:
        now = perf_counter()
        first = now if self.first_token is None else self.first_token
        return Usage(
            prompt_tokens=len(self.request.prompt),
            cached_tokens=self.cached_tokens or 0,
            completion_tokens=self.n_new,
            forced_tokens=self.forced,
            sampled_steps=self.sampled,
            time_to_first_token=first - self.submitted,
            decode_seconds=now - first,
        )
