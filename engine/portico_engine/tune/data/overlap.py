"""Is a question of an evaluation among the training questions? By runs of words that both have.

It owns what counts as the same: letters and digits alone, without case. Short questions count where they are the whole of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LENGTH = 8  # words in a row; names of tools and stock phrases are shorter


def words(text: str) -> tuple[str, ...]:
    """What is compared."""
    return tuple(re.findall(r"\w+", text.lower()))


class Overlap:
    """Against the questions of evaluations."""

    def __init__(self, questions: Iterable[str]) -> None:
        self._runs: dict[tuple[str, ...], str] = {}
        for question in questions:
            said = words(question)
            for run in _runs(said):
                self._runs.setdefault(run, question)

    def found(self, question: str) -> str | None:
        """The evaluation's question that this one shares a run of words with."""
        return next((self._runs[run] for run in _runs(words(question)) if run in self._runs), None)


def _runs(said: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    if len(said) < LENGTH:
        return (said,) if len(said) > 3 else ()
    return (said[at : at + LENGTH] for at in range(len(said) - LENGTH + 1))
