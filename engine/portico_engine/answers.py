"""How answers grow and end: sampled tokens, the runs that grammars force behind them, guesses that were right, stop checks.

It owns that a fault in it is the request's own, and what it counts. Which step computed a token, and who is told of it, is the
engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from portico_engine.adapters.adapter_registry import AdapterRegistry
from portico_engine.faults import describe_fault
from portico_engine.grammar.protocol import Matcher, MatcherFactory
from portico_engine.grammar.work_slice import WorkSlice
from portico_engine.plan import Row
from portico_engine.request import FinishReason
from portico_engine.sampling import SampledToken, TopLogprobs
from portico_engine.scheduler import Scheduler
from portico_engine.sequence import Sequence, SequenceState
from portico_engine.settlement import Settlement

_WHOLE = (FinishReason.STOP, FinishReason.LENGTH)
_NEAR_TIE = 0.1  # nats: what bfloat16 in steps of different sizes was seen to round is some 0.06


class Answers:
    """Those under way. `grammars` makes the factory of matchers when it is first needed."""

    def __init__(
        self, scheduler: Scheduler, adapters: AdapterRegistry, grammars: Callable[[], MatcherFactory], vocab_size: int
    ) -> None:
        self._scheduler = scheduler
        self._adapters = adapters
        self._grammars = grammars
        self._vocab_size = vocab_size
        self._settlement = Settlement()
        self._slice = WorkSlice()
        self._generated = 0
        self._forced = 0
        self._drafted = 0
        self._accepted = 0

    def settle_in_turn(self) -> Iterator[Sequence]:
        """A step begins: go on with what grammars have yet to find out, as far as its share of work goes. Whose."""
        self._slice = WorkSlice()
        for seq in self._settlement.in_turn():
            if self._slice.is_over:
                return
            self._settle(seq)
            yield seq

    def stats(self) -> dict[str, float]:
        """Counters of tokens since the model was loaded."""
        return {
            "generated_tokens": self._generated,
            "forced_tokens": self._forced,
            "drafted_tokens": self._drafted,
            "accepted_drafts": self._accepted,
        }

    def accept(self, seq: Sequence, sampled: SampledToken | None = None) -> None:
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
            self.end(seq, FinishReason.ERROR, fault)

    def _take_forced(self, seq: Sequence, matcher: Matcher) -> bool:
        """The run that the grammar forces here. Does the answer go on?"""
        run = matcher.forced_tokens(seq.remaining)
        if seq.request.stop or not seq.ends.isdisjoint(run):
            return all(self._take(seq, SampledToken(token, 0.0, ((token, 0.0),)), forced=True) for token in run)
        return not run or self._take_run(seq, matcher, run)

    def _take_run(self, seq: Sequence, matcher: Matcher, run: list[int]) -> bool:
        """As `_take`, all tokens of a forced run in which no text and no token ends the answer."""
        n_taken = matcher.accept_tokens(run)
        seq.append_run(run[:n_taken])
        self._generated += n_taken
        self._forced += n_taken
        if n_taken < len(run) and not matcher.is_terminated():
            self._refuse(seq, matcher, run[n_taken])
            return False
        return self._goes_on(seq)

    def _take(self, seq: Sequence, sampled: SampledToken, *, forced: bool) -> bool:
        """One token, however it came: grammar, text, stop checks, length. Does the answer go on?"""
        if seq.matcher is not None and not seq.matcher.accept_token(sampled.token):
            self._refuse(seq, seq.matcher, sampled.token)
            return False
        seq.append(sampled, forced=forced)
        self._generated += 1
        self._forced += forced
        if sampled.token in seq.ends:
            self.end(seq, FinishReason.STOP)
            return False
        seq.append_text(seq.detokenizer.add(sampled.token))
        return self._goes_on(seq)

    def _refuse(self, seq: Sequence, matcher: Matcher, token: int) -> None:
        refused = f"the grammar refused the token {token}, which its own mask allowed"
        self.end(seq, FinishReason.ERROR, matcher.error() or refused)

    def _goes_on(self, seq: Sequence) -> bool:
        """Ends an answer that its text, its grammar or its length ends here. Does it go on?"""
        if seq.stops.met is not None or (seq.matcher is not None and seq.matcher.is_terminated()):
            self.end(seq, FinishReason.STOP)
        elif seq.remaining <= 0:
            seq.unfinished = seq.matcher is not None and not seq.matcher.is_accepting()
            self.end(seq, FinishReason.LENGTH)
        return seq.finish is None

    def end(self, seq: Sequence, reason: FinishReason, error: str | None = None, *, trusted: bool = True) -> None:
        """`trusted` False: its keys and values are forgotten, wherever they are."""
        assert seq.finish is None
        if reason in _WHOLE:
            try:
                seq.flush_text()
            except BaseException as fault:  # noqa: BLE001 - the request's own
                reason, error = FinishReason.ERROR, describe_fault("its text", fault)
        awaits = reason in _WHOLE and seq.request.pin_where in seq.text
        self._scheduler.finish(seq, pin=seq.request.pin if awaits else 0.0, trusted=trusted)
        assert seq.state is SequenceState.FINISHED
        seq.finish = reason
        seq.error = error
        if seq.adapter is not None:
            self._adapters.release(seq.adapter)

    def verify(self, seq: Sequence, row: Row, sampled: tuple[int, ...], tops: tuple[TopLogprobs, ...]) -> None:
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
                self.accept(seq, SampledToken(token, 0.0, ()))

    def _allows(self, seq: Sequence, token: int) -> bool:
        """Does its grammar allow this token here, as its mask would have?"""
        if seq.matcher is None:
            return True
        bitmask = np.full((1, -(-self._vocab_size // 32)), -1, dtype=np.int32)
        try:
            self._grammars().fill_bitmasks(bitmask, [(0, seq.matcher, seq.remaining)])
        except BaseException as error:  # noqa: BLE001 - the request's own: its next step says so
            describe_fault("its grammar", error)
            return False
        return bool(bitmask[0].view(np.uint32)[token // 32] >> np.uint32(token % 32) & 1)
