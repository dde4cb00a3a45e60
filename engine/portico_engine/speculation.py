"""Prompt lookup: what followed the last few tokens when they stood in the text before is guessed to follow again (Saxena 2023).

It owns the search and the choice when guessing pays. A guess costs a place in a step and changes no answer: the engine takes it
only where the model would have.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_DRAFTS = 16
_SIZES = (3, 2)  # tokens that must stand there again: the longer first
_TRIED, _SHARE = 32, 0.25  # after so many guesses of which less than this share was right there are no more


class PromptLookup:
    """For one growing text."""

    def __init__(self) -> None:
        self.drafted = 0
        self.accepted = 0
        self._followed: dict[tuple[int, ...], int] = {}  # what stood somewhere -> where it ended last
        self._indexed = 0  # tokens whose endings are known

    def propose(self, tokens: Sequence[int], most: int) -> tuple[int, ...]:
        """Up to `most` tokens that may follow; none where nothing is known or guessing has not paid."""
        self._index(tokens)
        if most < 1 or (self.drafted >= _TRIED and self.accepted < _SHARE * self.drafted):
            return ()
        for size in _SIZES:
            end = self._followed.get(tuple(tokens[-size:])) if len(tokens) > size else None
            if end is not None:
                return _continued(tokens, end, most)
        return ()

    def _index(self, tokens: Sequence[int]) -> None:
        """All endings but the text's own."""
        for end in range(max(self._indexed, 1), len(tokens)):
            for size in _SIZES:
                if end >= size:
                    self._followed[tuple(tokens[end - size : end])] = end
        self._indexed = len(tokens)


def _continued(tokens: Sequence[int], first: int, count: int) -> tuple[int, ...]:
    """`count` tokens from place `first` on; where the text ends before that, it goes on as it went from there."""
    found = list(tokens[first : first + count])
    while len(found) < count:
        found.append(found[len(found) - (len(tokens) - first)])
    return tuple(found)
