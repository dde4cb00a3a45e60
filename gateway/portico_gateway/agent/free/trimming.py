"""What is left out where the context is full: seldom, much at once, and said.

Each time something is left out, the KV behind it is computed anew; so a conversation that is too long is brought down to about
half of the context, and has room for a while. What was found first goes first; instructions, tools and the question stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from portico_gateway.agent.free.prompts import LEFT_OUT
from portico_gateway.agent.free.turns import ResultTurn, Turn, UserTurn

STUB_TOKENS = 40  # of what stands for a result that was left out; a smaller result stays
LEAST_CHARACTERS = 200  # of a newest result that is cut


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The turns that are left, and what of them is gone."""

    turns: list[Turn]
    results: int = 0  # left out
    past: int = 0  # turns of an earlier conversation, left out
    cut: int = 0  # newest results, shortened

    @property
    def changed(self) -> bool:
        return bool(self.results or self.past or self.cut)

    def plus(self, later: Trimmed) -> Trimmed:
        """Both, one after the other."""
        return Trimmed(later.turns, self.results + later.results, self.past + later.past, max(self.cut, later.cut))


def trim(turns: Sequence[Turn], sizes: Sequence[int], excess: int) -> Trimmed:
    """Free `excess` tokens, where that can be: `sizes` are the turns' tokens.

    Results before the newest turn's go first, the oldest before others; then the earlier conversation; then the newest results
    are shortened, each by the same share.
    """
    trimming = _Trimming(list(turns), sizes, excess)
    newest = _newest_results(turns)
    results = sum(trimming.leave_out_result(at) for at in range(newest))
    past = sum(trimming.leave_out_past(at) for at in range(newest))
    cut = trimming.shorten(range(newest, len(turns)))
    return Trimmed([turn for turn in trimming.left if turn is not None], results, past, cut)


@dataclass(slots=True)
class _Trimming:
    """A conversation that is being trimmed: what is left, and how many tokens are still too many."""

    left: list[Turn | None]
    sizes: Sequence[int]
    excess: int

    def leave_out_result(self, at: int) -> bool:
        turn = self.left[at]
        if self.excess <= 0 or not isinstance(turn, ResultTurn) or turn.left_out or self.sizes[at] <= STUB_TOKENS:
            return False
        self.left[at] = replace(turn, text=LEFT_OUT.format(characters=len(turn.text)), left_out=True)
        self.excess -= self.sizes[at] - STUB_TOKENS
        return True

    def leave_out_past(self, at: int) -> bool:
        turn = self.left[at]
        if turn is None or not turn.past:
            return False
        answers_nothing = at > 0 and not isinstance(turn, UserTurn) and self.left[at - 1] is None  # its question went
        if isinstance(turn, ResultTurn) and not answers_nothing:  # a call keeps its result
            return False
        if self.excess <= 0 and not answers_nothing:
            return False
        self.left[at] = None
        self.excess -= self.sizes[at]
        return True

    def shorten(self, newest: range) -> int:
        """How many of the newest results lost their ends."""
        whole = sum(self.sizes[at] for at in newest)
        if self.excess <= 0 or not whole:
            return 0
        share = max(0.0, 1 - self.excess / whole)
        return sum(_shorten(self.left, at, share) for at in newest)


def _newest_results(turns: Sequence[Turn]) -> int:
    """Where the results of the newest turn begin; the end where it has none."""
    at = len(turns)
    while at and isinstance(turns[at - 1], ResultTurn):
        at -= 1
    return at


def _shorten(turns: list[Turn | None], at: int, share: float) -> bool:
    turn = turns[at]
    assert isinstance(turn, ResultTurn)
    kept = max(LEAST_CHARACTERS, int(len(turn.text) * share))
    if kept >= len(turn.text):
        return False
    turns[at] = replace(turn, text=turn.text[:kept].rstrip() + "\n[…]")
    return True
