"""Who of the waiting goes first: the lowest rank; in it the caller who got least so far; of that caller's the earliest.

It owns the queue and what each caller got, in computed tokens: a deficit round robin whose quantum is a token (the virtual
token counter of Sheng et al., "Fairness in Serving Large Language Models", 2024). A caller who comes anew starts level with who
got least, so that nobody saves up turns or pays for having been alone. It knows neither rows nor blocks. With one caller it is
first come, first served within a rank.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from portico_engine.sequence import Sequence

K = TypeVar("K")
PATIENCE = 1000  # steps in which none of a caller's sequences of one rank began to run; then the first goes before all ranks


@dataclass(slots=True)
class _Line:
    """What one caller has waiting in one rank, by arrival."""

    moved: int  # the step in which the last one left it to run, or in which it began
    waiting: list[Sequence] = field(default_factory=list)


class FairQueue:
    """Sequences that wait. `enter` and `leave` are said once of each; in between it is added, and admitted, again and again."""

    def __init__(self) -> None:
        self._ranks: dict[int, dict[str, _Line]] = {}
        self._size = 0
        self._step = 0
        self._present: Counter[str] = Counter()  # sequences by caller, waiting or running
        self._served: dict[str, int] = {}  # tokens by caller who is present

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Sequence]:
        for rank in sorted(self._ranks):
            yield from sorted((seq for line in self._ranks[rank].values() for seq in line.waiting), key=_arrival)

    @property
    def n_callers(self) -> int:
        """Callers who have something that waits or runs."""
        return len(self._present)

    def enter(self, seq: Sequence) -> None:
        """A sequence comes into being."""
        caller = seq.request.caller
        if not self._present[caller]:
            self._served[caller] = min(self._served.values(), default=0)
        self._present[caller] += 1

    def leave(self, seq: Sequence) -> None:
        """A sequence has ended. Callers with none are forgotten."""
        caller = seq.request.caller
        self._present[caller] -= 1
        if not self._present[caller]:
            del self._present[caller], self._served[caller]

    def add(self, seq: Sequence) -> None:
        """It waits, new or again."""
        callers = self._ranks.setdefault(seq.rank, {})
        line = callers.setdefault(seq.request.caller, _Line(self._step))
        insort(line.waiting, seq, key=_arrival)
        self._size += 1

    def remove(self, seq: Sequence) -> None:
        """It waits no more."""
        callers = self._ranks[seq.rank]
        line = callers[seq.request.caller]
        line.waiting.remove(seq)
        self._size -= 1
        if not line.waiting:
            del callers[seq.request.caller]
            if not callers:
                del self._ranks[seq.rank]

    def admit(self, seq: Sequence) -> None:
        """It waits no more because it runs."""
        self._ranks[seq.rank][seq.request.caller].moved = self._step
        self.remove(seq)

    def charge(self, seq: Sequence, n_tokens: int) -> None:
        """So many tokens were computed for its caller."""
        self._served[seq.request.caller] += n_tokens

    def first(self) -> Sequence | None:
        """Who goes next; None where nobody waits."""
        heads = self.heads()
        if len(heads) <= 1:
            return next(iter(heads.values()), None)
        return min(heads.values(), key=self._place)

    def _place(self, seq: Sequence) -> tuple[int, int, int]:
        """Level callers: who has less under way, so that a row that was made free for a newcomer is the newcomer's."""
        caller = seq.request.caller
        return self._served[caller], self._present[caller], seq.arrival

    def heads(self) -> Mapping[str, Sequence]:
        """The next of each caller who waits in the lowest rank."""
        return {caller: line.waiting[0] for caller, line in self._ranks[min(self._ranks)].items()} if self._ranks else {}

    def begin_step(self, step: int) -> None:
        """Whose line hasn't moved for PATIENCE steps goes before everybody else: no more than its first, until that runs."""
        self._step = step
        if not self._size:
            return
        lines = [line for callers in self._ranks.values() for line in callers.values()]
        for line in lines:
            seq = line.waiting[0]
            if not seq.promoted and step - line.moved >= PATIENCE:
                line.moved = step
                self.remove(seq)
                seq.promoted = True
                self.add(seq)

    def check_integrity(self) -> None:
        """Assert that queue and accounts agree."""
        assert self._size == sum(1 for _ in self)
        assert self._served.keys() == self._present.keys()
        assert all(self._present.values())
        for rank, callers in self._ranks.items():
            for caller, line in callers.items():
                assert line.waiting == sorted(line.waiting, key=_arrival)
                assert all((seq.rank, seq.request.caller) == (rank, caller) for seq in line.waiting)


def fair_shares(budget: int, demands: Mapping[K, int]) -> dict[K, int]:
    """What of the budget each caller gets: no more than asked for, else as equal as can be (max-min fairness); at least 1."""
    shares: dict[K, int] = {}
    for i, (caller, demand) in enumerate(sorted(demands.items(), key=lambda item: item[1])):
        share = min(demand, budget // (len(demands) - i))
        shares[caller] = max(1, share)
        budget = max(0, budget - share)
    return shares


def _arrival(seq: Sequence) -> int:
    return seq.arrival
