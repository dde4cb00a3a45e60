"""The matcher on llguidance: one request's state.

It owns canonical forced runs, the guarantee to close within a budget (with `closing`), and going on where a lexer has met its
limit. It knows neither schemas nor sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from portico_engine.grammar.closing.closing_plan import APPROACH, ClosingCursor, ClosingPlanner
from portico_engine.grammar.llguidance.replicas import Forced, Replica, ReplicatedGrammar
from portico_engine.grammar.protocol import Bitmask, Prepared
from portico_engine.grammar.work_slice import SliceOver, WorkSlice

if TYPE_CHECKING:
    from llguidance import LLMatcher

    from portico_engine.grammar.llguidance.factory import LLGuidanceFactory

_CATCH_UP = 8  # tokens that closing is behind the text by, while the budget is not tight
_REMEMBERED = 64  # tokens of an answer up to which its forced runs are kept for others
_WINDOW = 8  # tokens before a forced run that its canonical tokenization is checked against


class _Prepared(NamedTuple):
    """What `prepare` found out, and for what: a run or a mask, after so many tokens, with so many remaining."""

    here: tuple[Prepared, int, int]
    run: Sequence[int] = ()
    mask: npt.NDArray[np.int32] | None = None


class LLGuidanceMatcher:
    """Implements protocol.Matcher."""

    def __init__(
        self,
        factory: LLGuidanceFactory,
        compiled: ReplicatedGrammar,
        replica: Replica,
        ll: LLMatcher | None = None,
        tokens: Sequence[int] = (),
    ) -> None:
        """At the start, or where `ll`, of the same replica, has come to with `tokens`."""
        self.factory = factory
        self.compiled = compiled
        self._replica = replica
        own = replica.copy(self)
        self.ll = own if ll is None else ll
        self._tokens = list(tokens)
        self._ended = False
        self._cursor: ClosingCursor | None = None
        self._open_until = compiled.open_until
        self._counted = False  # the grammar that counts has taken over
        self._since_quote = 0  # bytes since the last quote that no backslash stands before: at least as many as a string has
        self._renewed_at = -1  # how many tokens there were when the lexer was last renewed
        self._prepared: _Prepared | None = None
        self._unrestricted: tuple[int, Bitmask] | None = None  # after so many tokens

    def accept_token(self, token: int) -> bool:
        if self._ended or not 0 <= token < self.factory.vocab_size:
            return False
        if token in self.factory.ends and self.ll.is_accepting():
            self._ended = True
        elif not self._consume(token):
            return False
        self._tokens.append(token)
        if self._open_until is not None and not self._ended:
            quote = self._quote_in(-1)
            size = len(self.factory.vocabulary.token_bytes[token])
            self._since_quote = size - quote - 1 if quote >= 0 else self._since_quote + size
            if self._since_quote >= self._open_until:
                self._be_exact()
        return True

    def accept_tokens(self, tokens: list[int]) -> int:
        """See protocol.Matcher."""
        n_taken = 0
        if self._open_until is None and self.factory.ends.isdisjoint(tokens) and not self.is_terminated():
            n_taken = self.ll.try_consume_tokens(tokens)
            self._tokens += tokens[:n_taken]
        while n_taken < len(tokens) and self.accept_token(tokens[n_taken]):
            n_taken += 1
        return n_taken

    def _consume(self, token: int) -> bool:
        if self.is_terminated():
            return False
        while self.ll.try_consume_tokens([token]) != 1:
            if not self.recover():
                return False
        return True

    def _quote_in(self, index: int) -> int:
        """Where in a token the last quote is, if no backslash stands before it; else -1."""
        table = self.factory.vocabulary.token_bytes
        data = table[self._tokens[index]]
        quote = data.rfind(b'"')
        before = data[:quote] or (table[self._tokens[index - 1]] if -index < len(self._tokens) else b"")
        return -1 if before.endswith(b"\\") else quote

    def _count_back(self) -> int:
        """The bytes since the last such quote, counted anew."""
        total = 0
        for index in range(-1, -len(self._tokens) - 1, -1):
            size = len(self.factory.vocabulary.token_bytes[self._tokens[index]])
            quote = self._quote_in(index)
            if quote >= 0:
                return total + size - quote - 1
            total += size
        return total

    def _be_exact(self) -> None:
        """A string nears its bound: the grammar that counts takes over, unless counting is too much for llguidance. So far both
        mean the same."""
        self._open_until = None
        replica = self.compiled.counting_replica()
        exact = replica.copy(self)
        if exact.try_consume_tokens(self._tokens) == len(self._tokens):
            self.ll, self._replica, self._counted = exact, replica, True
        elif exact.is_error():
            self.compiled.drop(replica)

    def recover(self) -> bool:
        """Where the lexer has met its limit, which all that were said through it have used up, go on with a new one; where
        that does too, without counting: then the call's check is the bound. False: nothing has failed, or nothing helps."""
        if not self.ll.is_error():
            return False
        self.compiled.drop(self._replica)
        if self._renewed_at == len(self._tokens):
            if not self._counted:
                return False
            self._counted = False
        self._renewed_at = len(self._tokens)
        self._replica = self.compiled.counting_replica() if self._counted else self.compiled.replica()
        self.ll = self._replica.copy(self)
        return self.ll.try_consume_tokens(self._tokens) == len(self._tokens) or self.recover()

    def error(self) -> str | None:
        if not self.ll.is_error():
            return None
        return f"the grammar is too much for the matcher: {self.ll.get_error().splitlines()[0]}"

    def prepare(self, what: Prepared, remaining: int, slice: WorkSlice) -> bool:
        """See protocol.Matcher."""
        planner = self.compiled.planner
        if planner is None or remaining > planner.sufficient_budget + APPROACH or self.is_terminated():
            return True
        if remaining > planner.sufficient_budget:
            self._approach(planner, slice)
            return True
        here = what, len(self._tokens), remaining
        if self._prepared is not None and self._prepared.here == here:
            return True
        if slice.is_over:
            return False
        cursor = self._cursor_here()
        assert cursor is not None
        try:
            with planner.lock, cursor.within(slice):
                if what == "run":
                    self._prepared = _Prepared(here, run=self.forced_tokens(remaining))
                else:
                    bitmask = self._mask_here()
                    self.restrict(bitmask, 0, remaining)
                    self._prepared = _Prepared(here, mask=bitmask[0])
        except SliceOver:
            return False
        self._unrestricted = None
        return True

    def _approach(self, planner: ClosingPlanner, slice: WorkSlice) -> None:
        """A budget that nears where it is tight: catch up with the text now and then, so that it is known by then. What this
        step has no time for is for later: nothing depends on it yet."""
        cursor = self._cursor_here()
        assert cursor is not None
        if len(self._tokens) - cursor.n_followed >= _CATCH_UP and not slice.is_over:
            with suppress(SliceOver), planner.lock, cursor.within(slice):
                cursor.approach(self._tokens)

    def _mask_here(self) -> Bitmask:
        """The mask by the grammar alone, one row; kept while it is being restricted."""
        if self._unrestricted is None or self._unrestricted[0] != len(self._tokens):
            bitmask = np.zeros((1, self.factory.words), dtype=np.int32)
            self.factory.fill_bitmasks(bitmask, [(0, self, None)])
            self._unrestricted = len(self._tokens), bitmask
        return self._unrestricted[1].copy()

    def prepared_mask(self, remaining: int | None) -> npt.NDArray[np.int32] | None:
        """The mask that `prepare` made for here, `factory.words` long; None where it made none."""
        made = self._prepared
        return made.mask if made is not None and made.here == ("mask", len(self._tokens), remaining) else None

    def fill_bitmask(self, bitmask: Bitmask, row: int, remaining: int | None = None) -> None:
        self.factory.fill_bitmasks(bitmask, [(row, self, remaining)])

    def restrict(self, bitmask: Bitmask, row: int, remaining: int) -> None:
        """Leave in a filled row only tokens after which `remaining` - 1 tokens, the end among them, still suffice."""
        cursor = self._cursor_if_tight(remaining)
        if cursor is None or self.is_terminated():
            return
        with cursor.planner.lock:
            if cursor.is_roomy(self._tokens, remaining):
                return
        bits = np.unpackbits(bitmask[row].view(np.uint8), bitorder="little")
        allowed = np.flatnonzero(bits[: self.factory.vocab_size])
        with cursor.planner.lock:
            if len(allowed) == 1:
                allowed = self._with_planned(cursor, allowed)
            kept = cursor.keep(self._tokens, allowed, remaining)
            cursor.learn(self._tokens, allowed)
        if kept is None:
            return
        if self.ll.is_accepting():
            kept |= np.isin(allowed, self.factory.end_tokens)
        if not kept.any():  # nothing was found in time: better an answer that may be cut than none
            return
        bits[allowed] = kept
        bitmask[row] = np.packbits(bits, bitorder="little").view(np.int32)

    def _with_planned(self, cursor: ClosingCursor, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where text is forced llguidance allows one spelling of it, and the plan for ending may have a shorter one."""
        plan = cursor.plan(self._tokens)
        if plan is None or not plan.tokens or self.ll.validate_tokens([plan.tokens[0]]) != 1:
            return allowed
        return np.union1d(allowed, plan.tokens[:1])

    def _cursor_if_tight(self, remaining: int) -> ClosingCursor | None:
        """The cursor, where so small a budget has to be looked after."""
        planner = self.compiled.planner
        if planner is None or remaining > planner.sufficient_budget:
            return None
        return self._cursor_here()

    def _cursor_here(self) -> ClosingCursor | None:
        if self._cursor is None and self.compiled.planner is not None:
            self._cursor = ClosingCursor(self.compiled.planner)
        return self._cursor

    def forced_tokens(self, limit: int | None = None) -> list[int]:
        if self._ended:
            return []
        made = self._prepared
        if made is not None and made.here == ("run", len(self._tokens), limit):
            return list(made.run)
        forced, tokens = self._forced_here()
        if not tokens:
            return []
        return list(tokens) if limit is None else self._within(list(tokens), forced, limit)

    def _forced_here(self) -> Forced:
        """What the grammar forces here, and its tokens: from memory where another answer has come here by the same tokens."""
        if self._counted or len(self._tokens) > _REMEMBERED:
            return self._find_forced()
        here = tuple(self._tokens)
        if (found := self.compiled.forced.get(here)) is None:
            found = self._find_forced()
            if not self.ll.is_error():
                self.compiled.note_forced(here, found)
        return found

    def _find_forced(self) -> Forced:
        forced = bytes(self.ll.compute_ff_bytes())
        return Forced(forced, tuple(self._canonical(forced)) if forced else ())

    def _within(self, tokens: list[int], forced: bytes, limit: int) -> list[int]:
        """The forced run where an ending still fits after it; else as much of it as the plan for ending writes, in its
        tokens."""
        cursor = self._cursor_if_tight(limit)
        if cursor is None:
            return tokens[:limit]
        with cursor.planner.lock:
            if cursor.fits(self._tokens, tokens, limit) or (plan := cursor.plan(self._tokens)) is None:
                return tokens[:limit]
        table, length, kept = self.factory.vocabulary.token_bytes, 0, 0
        for token in plan.tokens:
            length += len(table[token])
            if length > len(forced):
                break
            kept += 1
        return list(plan.tokens[: min(kept, limit)])

    def _canonical(self, forced: bytes) -> list[int]:
        """The tokens of `forced` that the model itself would write, whatever comes after it.

        Text is tokenized together with what stands before it. Where the model's own tokenization would run across the
        border, the part that it covers is left to sampling; likewise the end, where a longer token could go on past the
        forced text.
        """
        table = self.factory.vocabulary.token_bytes
        recent = self._tokens[-_WINDOW:]
        while recent and table[recent[0]][:1] == b"\xff":
            recent.pop(0)
        before = b"".join(table[token] for token in recent)
        at, tokens = 0, self.factory.encode(before + forced)
        start = 0
        while at < len(before):
            at += len(table[tokens[start]])
            start += 1
        if at != len(before):
            return []
        return self._settled(tokens[start:], forced)

    def _settled(self, tokens: list[int], forced: bytes) -> list[int]:
        """Without the last tokens, where one that the grammar allows there reaches past the end of `forced`."""
        table = self.factory.vocabulary.token_bytes
        if self.ll.validate_tokens(tokens) != len(tokens):
            tokens = tokens[: self.ll.validate_tokens(tokens)]
        probe = self.ll.deep_copy()
        probe.try_consume_tokens(tokens)
        if probe.is_accepting() and probe.is_stopped():
            return tokens
        own = self.ll.compute_ff_tokens()
        settled = sum(len(table[token]) for token in own)
        kept, length = [], 0
        for token in tokens:
            length += len(table[token])
            if length > settled:
                break
            kept.append(token)
        return kept

    def closing_tokens(self, limit: int) -> list[int] | None:
        if self.is_terminated():
            return []
        cursor = self._cursor_here()
        if cursor is None:
            return [] if self.ll.is_accepting() else None
        with cursor.planner.lock:
            plan = cursor.plan(self._tokens, limited=False)
            if plan is None:
                return None
            closing = [*plan.tokens, self.factory.vocabulary.eos_token_id] if plan.open else list(plan.tokens)
        return closing if len(closing) <= limit else None

    def is_accepting(self) -> bool:
        return self._ended or bool(self.ll.is_accepting())

    def is_terminated(self) -> bool:
        return self._ended or (self.ll.is_stopped() and not self.ll.is_error())

    def rollback(self, n_tokens: int) -> None:
        assert 0 <= n_tokens <= len(self._tokens)
        if n_tokens == 0:
            return
        del self._tokens[len(self._tokens) - n_tokens :]
        self._prepared = self._unrestricted = None
        if self._cursor is not None:
            self._cursor.rollback(len(self._tokens))
        if self._ended:
            self._ended = False
            n_tokens -= 1
        if n_tokens:
            self.ll.rollback(n_tokens)
        if self._open_until is not None:
            self._since_quote = self._count_back()

    def clone(self) -> LLGuidanceMatcher:
        copy = LLGuidanceMatcher(self.factory, self.compiled, self._replica, self.ll.deep_copy(), self._tokens)
        copy._ended = self._ended
        copy._open_until, copy._counted, copy._since_quote = self._open_until, self._counted, self._since_quote
        copy._renewed_at = self._renewed_at
        copy._cursor = None if self._cursor is None else self._cursor.copy()
        return copy
