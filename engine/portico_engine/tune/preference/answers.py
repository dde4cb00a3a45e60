"""Pairs of answers and rated answers, as tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from portico_engine.tune.rendering import TokenRow


class TokenPair(NamedTuple):
    """Two answers to one question, one better than the other."""

    chosen: TokenRow
    rejected: TokenRow

    @property
    def length(self) -> int:
        """Tokens that it takes in a batch."""
        return 2 * max(len(self.chosen.ids), len(self.rejected.ids))


class RatedAnswer(NamedTuple):
    """An answer, whether it is good, and the same question with another question's answer."""

    row: TokenRow
    good: bool
    mismatched: TokenRow

    @property
    def length(self) -> int:
        """Tokens that it takes in a batch."""
        return 2 * max(len(self.row.ids), len(self.mismatched.ids))


def rated(answers: Sequence[tuple[TokenRow, bool]], seed: int) -> list[RatedAnswer]:
    """Each with an answer that was given to another question."""
    others = list(range(len(answers)))
    random.Random(seed).shuffle(others)
    after = dict(zip(others, [*others[1:], *others[:1]], strict=True))
    return [RatedAnswer(row, good, _with_answer(row, answers[after[at]][0])) for at, (row, good) in enumerate(answers)]


def rated_pairs(pairs: Sequence[TokenPair], seed: int) -> list[RatedAnswer]:
    """The two answers of each pair by themselves."""
    return rated([(row, good) for pair in pairs for row, good in ((pair.chosen, True), (pair.rejected, False))], seed)


def _with_answer(row: TokenRow, other: TokenRow) -> TokenRow:
    return TokenRow((*row.ids[: row.learned], *other.ids[other.learned :]), row.learned)
