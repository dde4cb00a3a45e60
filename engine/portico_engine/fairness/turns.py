"""Whose turn it is where several callers share a step, so that none of them feels how much another asks for.

On a CPU a step takes longer with each row: beside fifteen rows of somebody else an answer takes five times as long as alone,
though it waits in no queue. So a caller's part of a shared step is held to what lets the step take half as long again as for a
token alone (`light_tokens` of the executor), or to what the most modest caller wants, whichever is more; its rows take turns
in that. Who wants at most EVEN times as much isn't held back. With one caller, or where the executor's steps are as long
whatever is in them, nobody is. It knows neither blocks nor slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TypeAlias

from portico_engine.fairness.fair_queue import fair_shares
from portico_engine.sequence import Sequence

EVEN = 2
_ONE_ROW = 2  # the cost of a row that samples: everybody gets that far in every step
_Account: TypeAlias = tuple[int, str]  # rank and caller: a lower rank is not held back for a higher one


class Turns:
    """Those of one step."""

    def __init__(self, running: Collection[Sequence], heads: Iterable[Sequence], light_tokens: int, budget: int) -> None:
        """`heads`: who may begin to run in this step. `budget`: its tokens; no caller gets more than an even share of them."""
        self._counts: dict[int, int] = {}  # tokens by arrival, of the running
        self._left: dict[_Account, int] = {}  # empty: nobody is held back
        candidates = (*running, *heads)
        if len({_account(seq) for seq in candidates}) < 2:
            return
        demands: Counter[_Account] = Counter()
        for seq in candidates:
            demands[_account(seq)] += _cost(seq, seq.at_once)
        if sum(demands.values()) <= light_tokens:
            return
        first = min(rank for rank, _ in demands)
        least = min(demand for (rank, _), demand in demands.items() if rank == first)
        even, light = fair_shares(budget, demands), fair_shares(light_tokens, demands)
        self._left = {
            account: max(_ONE_ROW, light[account], min(demand if demand <= EVEN * least else least, even[account]))
            for account, demand in demands.items()
        }
        for seq in sorted(running, key=lambda seq: (seq.planned, seq.arrival)):
            self._counts[seq.arrival] = self._take(seq)

    def tokens(self, seq: Sequence) -> int:
        """How many of its pending tokens a sequence may compute in this step, one that begins to run now among them."""
        if not self._left:
            return seq.at_once
        return self._counts[seq.arrival] if seq.arrival in self._counts else self._take(seq)

    def _take(self, seq: Sequence) -> int:
        left = self._left.get(_account(seq), 0)
        count = min(seq.at_once, left)
        if _cost(seq, count) > left:
            count -= 1
        if count > 0:
            self._left[_account(seq)] -= _cost(seq, count)
        return max(0, count)


def _account(seq: Sequence) -> _Account:
    return seq.rank, seq.request.caller


def _cost(seq: Sequence, count: int) -> int:
    """A row that samples is one more: the vocabulary is as large as many layers."""
    return count + (count == seq.pending)
