"""Closing within a budget of tokens: no answer under a grammar is ever cut.

Every state of a grammar has a shortest ending (derivatives.py). A cursor follows one request's tokens and holds a *plan*:
tokens that end the text from here. While the budget is larger than any ending that the grammar can ask for, nothing is
looked at. Below that, the mask keeps only tokens after which an ending fits, and always the plan's next token: so the plan
never outgrows what is left.

Where the budget is tight, a token that ends inside a character is kept only where the plan has it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from portico_engine.grammar.closing import derivatives
from portico_engine.grammar.closing.derivatives import DEAD, MIXED, DerivativeAutomaton
from portico_engine.grammar.closing.longest_ending import NO_BOUND, longest_ending
from portico_engine.grammar.closing.shortest_strings import OutOfWork, ShortestEnding, parts_of
from portico_engine.grammar.closing.token_table import MAX_TOKEN, PLAIN_COLUMNS, TokenTable
from portico_engine.grammar.compiled import ClosingKnowledge
from portico_engine.grammar.ir import Grammar
from portico_engine.grammar.work_slice import SliceOver, WorkSlice

# Of work, as derivatives.py counts it, that a mask may cost here, since others' answers wait for the same step: for the first
# plan, for a shorter one, and for the tokens beside it.
_FIRST_PLAN, _PLAN, _STEP = 50_000, 12_000, 6_000
_KEPT_MOVES = 1 << 13  # of a grammar: some 200 bytes each
APPROACH = 64  # tokens before a budget gets tight, from which on the text is caught up with


class ClosingPlan(NamedTuple):
    """How to end: tokens, and whether an end token must follow because the text could go on."""

    tokens: tuple[int, ...]
    open: bool

    @property
    def cost(self) -> int:
        return len(self.tokens) + self.open


class Configuration(NamedTuple):
    """Where a text stands in the automaton: a state, and the bytes of a character of which more are to come."""

    state: int
    begun: bytes


class ClosingPlanner:
    """How one grammar ends, for one vocabulary. Its cursors may live on different threads: they take `lock`."""

    def __init__(self, grammar: Grammar, table: TokenTable, known: ClosingKnowledge | None = None) -> None:
        self.grammar = grammar
        self._known = known
        self.tokens = table
        self.lock = threading.RLock()
        self._costs: dict[int, int] = {}
        self._enough: dict[int, int] = {}  # by state; NO_BOUND where it was not found out
        self._moves: dict[tuple[Configuration, int], tuple[Configuration, int]] = {}  # and what work finding it was
        self._alike: dict[int, int] = {}  # where every plain character leads alike, or DEAD
        self._plans: dict[int, ClosingPlan | None] = {}

    @cached_property
    def automaton(self) -> DerivativeAutomaton:
        with self.lock:
            return DerivativeAutomaton(self.grammar, self.tokens.control, self._known and self._known.searched)

    @property
    def held_bytes(self) -> int:
        """What following it has come to hold."""
        return self.automaton.held_bytes if "automaton" in self.__dict__ else 0

    @cached_property
    def sufficient_budget(self) -> int:
        """A budget that every ending fits, from any state that one more token may lead to; NO_BOUND where none is known."""
        with self.lock:
            bound = longest_ending(self.grammar, self.automaton) if self._known is None else self._known.longest
        return bound if bound == NO_BOUND else bound + 5  # the token that leads there, the rest of a character, the end token

    def prepare(self) -> None:
        """What a request asks at its start, beforehand: how long endings can get, and the ending of the start."""
        with self.lock:
            if self.sufficient_budget:
                self.start_plan  # noqa: B018 - it is kept

    @cached_property
    def start_plan(self) -> ClosingPlan | None:
        """The plan at the start, however much finding it takes."""
        with self.lock:
            self.automaton.allow(None)
            return self.plan(Configuration(self.automaton.start, b""))

    def plan(self, configuration: Configuration) -> ClosingPlan | None:
        """Tokens of a shortest ending; None where there is none."""
        if configuration.state == DEAD:
            return None
        if configuration.begun:
            return self._finish_character(configuration)
        ending = self.automaton.ending(configuration.state)  # paid for, whether or not its tokens are known
        if configuration.state not in self._plans:
            self._plans[configuration.state] = self._make_plan(ending)
        return self._plans[configuration.state]

    def _make_plan(self, ending: ShortestEnding | None) -> ClosingPlan | None:
        if ending is None:
            return None
        tokens: list[int] = []
        for part in parts_of(ending.data):
            tokens += [part] if isinstance(part, int) else self.tokens.vocabulary.encode_bytes(part)
        return ClosingPlan(tuple(tokens), ending.open)

    def _finish_character(self, configuration: Configuration) -> ClosingPlan | None:
        """Within a character: its other bytes first, by tokens that the vocabulary has; one token if that can be."""
        best: ClosingPlan | None = None
        further: list[tuple[int, Configuration]] = []
        for token, data in self.tokens.trailing:
            after = self.after(configuration, data)
            if after.state == DEAD:
                continue
            if after.begun:
                further.append((token, after))
                continue
            rest = self.plan(after)
            if rest is not None and (best is None or rest.cost + 1 < best.cost):
                best = ClosingPlan((token, *rest.tokens), rest.open)
        if best is None:
            for token, after in further:
                rest = self._finish_character(after)
                if rest is not None:
                    return ClosingPlan((token, *rest.tokens), rest.open)
        return best

    def after(self, configuration: Configuration, data: bytes) -> Configuration:
        """Where `data` leads."""
        data = configuration.begun + data
        try:
            return Configuration(self.automaton.advance(configuration.state, data.decode("utf-8")), b"")
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                return Configuration(DEAD, b"")
            state = self.automaton.advance(configuration.state, data[: error.start].decode("utf-8"))
            return Configuration(state, data[error.start :])

    def after_token(self, configuration: Configuration, token: int) -> Configuration:
        """Where a token leads. From memory at the same price: the same few moves are made by all who call the same tools."""
        known = self._moves.get((configuration, token))
        if known is not None:
            self.automaton.spend(known[1], known=True)
            return known[0]
        before = self.automaton.work
        after = self._move(configuration, token)
        if len(self._moves) >= _KEPT_MOVES:
            self._moves.clear()
        self._moves[configuration, token] = after, self.automaton.work - before
        return after

    def _move(self, configuration: Configuration, token: int) -> Configuration:
        if configuration.state == DEAD:
            return configuration
        if self.tokens.special[token]:
            return Configuration(DEAD if configuration.begun else self.automaton.special(configuration.state, token), b"")
        return self.after(configuration, self.tokens.vocabulary.token_bytes[token])

    def cost(self, state: int, at_most: int) -> int:
        """Tokens that the ending takes, its end token included; a state whose ending has few bytes costs at most those."""
        ending = self.automaton.ending(state)  # paid for, whether or not its tokens are counted
        known = self._costs.get(state)
        if known is None:
            if ending is not None and len(ending.data) + ending.open <= at_most:
                return len(ending.data) + ending.open
            plan = self.plan(Configuration(state, b""))
            known = self._costs[state] = NO_BOUND if plan is None else plan.cost
        return known

    def enough(self, state: int) -> int:
        """A budget after which an ending fits whatever token comes next; NO_BOUND where `learn_enough` didn't find it out."""
        return self._enough.get(state, NO_BOUND)

    def learn_enough(self, state: int, allowed: npt.NDArray[np.int64]) -> None:
        """Find it out, once for all who come there, from the tokens that are allowed in the state. No request pays for it."""
        if state in self._enough:
            return
        self._enough[state] = NO_BOUND
        self.automaton.allow(_STEP)
        try:
            after = np.unique(self.follow(state, allowed)).tolist()
            if DEAD not in after:
                self._enough[state] = max(self.cost(each, 0) for each in after)
        except OutOfWork:
            pass
        except BaseException:
            del self._enough[state]
            raise
        finally:
            self.automaton.allow(None)

    def _plain_chain(self, state: int) -> npt.NDArray[np.int32]:
        """The states after 0, 1, 2.. plain characters, as far as it doesn't matter which: inside a string, mostly."""
        chain = [state]
        while len(chain) <= MAX_TOKEN:
            last = chain[-1]
            self.automaton.fill(last)
            if last not in self._alike:
                after = self.automaton.table[last][PLAIN_COLUMNS]
                self._alike[last] = int(after[0]) if after[0] >= 0 and (after == after[0]).all() else DEAD
            if self._alike[last] == DEAD:
                break
            chain.append(self._alike[last])
        return np.array(chain, dtype=np.int32)

    def follow(self, state: int, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """The states after each of some tokens; DEAD where one can't follow or is no text of its own."""
        automaton, table = self.automaton, self.tokens
        lengths = table.lengths[ids]
        out = np.full(len(ids), DEAD, dtype=np.int32)
        chain = self._plain_chain(state)
        alike = table.plain[ids] & (lengths < len(chain))
        out[alike] = chain[lengths[alike]]
        live = np.flatnonzero((lengths > 0) & ~alike)
        states = np.full(len(live), state, dtype=np.int32)
        for position in range(MAX_TOKEN):
            if not len(live):
                break
            columns = table.columns[ids[live], position]
            try:
                for number in np.flatnonzero(np.bincount(states)).tolist():
                    automaton.fill(number)
            except OutOfWork:
                return out  # the rest counts as dead
            after = automaton.table[states, columns]
            for at in np.flatnonzero(after == MIXED).tolist():
                after[at] = automaton.step(int(states[at]), int(table.codes[ids[live[at]], position]))
            done = lengths[live] == position + 1
            out[live[done]] = after[done]
            on = ~done & (after != DEAD)
            live, states = live[on], after[on]
        return out


class ClosingCursor:
    """Where one request stands: its place, and the plan that ends it."""

    def __init__(self, planner: ClosingPlanner) -> None:
        self.planner = planner
        self._path = [Configuration(planner.automaton.start, b"")]  # the configuration after each token, as far as it is known
        self._plan: dict[int, ClosingPlan] = {}  # the plan after so many tokens, where one was made
        self._carried = 0  # tokens that plans were carried over
        self._work = 0  # that this request has cost
        if planner.start_plan is not None:
            self._plan[0] = planner.start_plan

    def copy(self) -> ClosingCursor:
        other = ClosingCursor(self.planner)
        other._path = list(self._path)
        other._plan = dict(self._plan)
        other._carried, other._work = self._carried, self._work
        return other

    @contextmanager
    def _allowance(self, work: int) -> Iterator[None]:
        """What of `work` this request may still do; OutOfWork beyond it."""
        automaton = self.planner.automaton
        automaton.allow(max(0, min(work, derivatives.MOST_WORK - self._work)))
        before = automaton.work
        try:
            yield
        finally:
            self._work += automaton.work - before
            automaton.allow(None)

    @contextmanager
    def within(self, slice: WorkSlice) -> Iterator[None]:
        """What is asked in the block is found out within a slice. Raises SliceOver beyond it: then it is as if nothing had been
        asked, but that most of it is known to the grammar the next time."""
        known = len(self._path), dict(self._plan), self._carried, self._work
        try:
            with self.planner.automaton.within(slice):
                yield
        except SliceOver:
            length, self._plan, self._carried, self._work = known
            del self._path[length:]
            raise

    def sync(self, tokens: Sequence[int]) -> Configuration:
        """Catch up with the accepted tokens. What was reached stays, where it raises OutOfWork."""
        self._carry(tokens)
        return self._advance(tokens)

    def _advance(self, tokens: Sequence[int]) -> Configuration:
        for token in tokens[len(self._path) - 1 :]:
            self._path.append(self.planner.after_token(self._path[-1], token))
        return self._path[-1]

    @property
    def n_followed(self) -> int:
        """How many of the accepted tokens it has caught up with."""
        return len(self._path) - 1

    def approach(self, tokens: Sequence[int]) -> None:
        """Catch up as far as a step allows, so that there is little left to do where the budget is tight."""
        with suppress(OutOfWork), self._allowance(_STEP):
            self.sync(tokens)

    def _carry(self, tokens: Sequence[int]) -> None:
        """Plans go along with the text."""
        for at in range(self._carried, len(tokens)):
            plan = self._plan.get(at)
            if plan is not None and (rest := self._after(plan, tokens[at])) is not None:
                self._plan.setdefault(at + 1, rest)
        self._carried = len(tokens)

    def _after(self, plan: ClosingPlan, token: int) -> ClosingPlan | None:
        """What is left of a plan after a token that writes its beginning, be it in other pieces than the plan's own."""
        if plan.tokens[:1] == (token,):
            return ClosingPlan(plan.tokens[1:], plan.open)
        vocabulary, special = self.planner.tokens.vocabulary, self.planner.tokens.special
        data = vocabulary.token_bytes[token]
        if not data or special[token] or special[list(plan.tokens)].any():
            return None
        text = b"".join(vocabulary.token_bytes[each] for each in plan.tokens)
        return ClosingPlan(tuple(vocabulary.encode_bytes(text[len(data) :])), plan.open) if text.startswith(data) else None

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        del self._path[length + 1 :]
        self._carried = min(self._carried, length)
        for at in [at for at in self._plan if at > length]:
            del self._plan[at]

    def plan(self, tokens: Sequence[int], *, limited: bool = True) -> ClosingPlan | None:
        """How to end the text from here; None where the grammar can't say, or not with the work of a step."""
        self._carry(tokens)
        held = self._plan.get(len(tokens))
        try:
            with self._allowance(_FIRST_PLAN if held is None else _PLAN) if limited else nullcontext():
                fresh = self.planner.plan(self.sync(tokens))
        except OutOfWork:
            fresh = None
        if fresh is not None and (held is None or fresh.cost < held.cost):
            self._plan[len(tokens)] = held = fresh
        return held

    def is_roomy(self, tokens: Sequence[int], remaining: int) -> bool:
        """Is it known that an ending fits `remaining` - 1 after any token that is allowed here? Then no mask is looked at."""
        here = self._here(tokens)
        return here is not None and remaining - 1 >= self.planner.enough(here)

    def learn(self, tokens: Sequence[int], allowed: npt.NDArray[np.int64]) -> None:
        """Let that be known here from now on; `allowed` are all tokens that are."""
        here = self._here(tokens)
        if here is not None:
            self.planner.learn_enough(here, allowed)

    def _here(self, tokens: Sequence[int]) -> int | None:
        """The state after the tokens; None within a character, or where a step's work doesn't suffice."""
        with suppress(OutOfWork), self._allowance(_STEP):
            configuration = self._advance(tokens)
            if not configuration.begun and configuration.state != DEAD:
                return configuration.state
        return None

    def fits(self, tokens: Sequence[int], run: Sequence[int], limit: int) -> bool:
        """Does an ending fit a budget of `limit` tokens after `run` is taken from it?"""
        try:
            with self._allowance(_STEP):
                configuration = self.sync(tokens)
                for token in run:
                    configuration = self.planner.after_token(configuration, token)
                if configuration.state == DEAD or configuration.begun:
                    return False
                left = limit - len(run)
                return self.planner.cost(configuration.state, left) <= left
        except OutOfWork:
            return False

    def keep(self, tokens: Sequence[int], allowed: npt.NDArray[np.int64], remaining: int) -> npt.NDArray[np.bool_] | None:
        """Which of the `allowed` tokens leave an ending that fits `remaining` - 1; None where the grammar can't say."""
        plan = self.plan(tokens)
        if plan is None:
            return None
        left = remaining - 1
        kept = np.zeros(len(allowed), dtype=np.bool_)
        with suppress(OutOfWork), self._allowance(_STEP):
            configuration = self.sync(tokens)
            if configuration.begun:
                kept |= np.isin(allowed, list(self._finishing(configuration, left)))
            else:
                kept |= self._fitting(configuration.state, allowed, left)
        if plan.tokens:
            kept |= allowed == plan.tokens[0]
        return kept

    def _fitting(self, state: int, allowed: npt.NDArray[np.int64], left: int) -> npt.NDArray[np.bool_]:
        """Which tokens lead to a state with an ending that fits. Where finding out becomes too dear (an unanchored pattern that
        counts to hundreds), those for which it was found out: the plan is kept anyway, so that the text still ends."""
        after = self.planner.follow(state, allowed)
        states, counts = np.unique(after, return_counts=True)
        fits = []
        for one in states[np.argsort(-counts, kind="stable")].tolist():
            try:
                if one != DEAD and self.planner.cost(one, left) <= left:
                    fits.append(one)
            except OutOfWork:
                break
        return np.isin(after, fits)

    def _finishing(self, configuration: Configuration, left: int) -> Iterable[int]:
        for token, data in self.planner.tokens.trailing:
            after = self.planner.after(configuration, data)
            if after.state != DEAD and not after.begun and self.planner.cost(after.state, left) <= left:
                yield token
