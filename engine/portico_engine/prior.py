"""A prior over phrases for constrained decoding: what a caller believes about names, enum values and words of a JSON text.

It owns the arithmetic on text; it knows neither schemas nor retrieval (the caller has made weights out of those) nor the
model's logits. Very small models name the first option whatever is asked: adding retrieval's opinion to their logits, at the
points where the grammar leaves a choice, is a product of experts (Hinton 1999) and leaves validity to the grammar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

OPEN_STRING = 256  # more allowed tokens than this: free text, not a choice between names


def open_string(text: str) -> str | None:
    """The partial content of the JSON string that `text` ends in, or None where it ends outside of one."""
    at = -1
    escaped = False
    for i, c in enumerate(text):
        if at < 0:
            if c == '"':
                at = i + 1
        elif escaped:
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == '"':
            at = -1
    return None if at < 0 else text[at:]


@dataclass(slots=True)
class PhrasePrior:
    """Adds `phrases[p]` (nats) to whatever leads to the JSON string p; in free strings prefers `copy` tokens and an early end.

    Where several phrases begin alike, a token gets the best of those it still leads to, less the best of those that were open
    before it: over a whole phrase the additions sum up to its weight.
    """

    token_texts: Sequence[str]
    phrases: Mapping[str, float]
    copy: frozenset[int] = frozenset()
    copy_weight: float = 0.0
    patience: int = 48  # characters of a free string after which its end is drawn nearer
    _ordered: list[str] = field(init=False, repr=False)
    _copy: npt.NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ordered = sorted(self.phrases)
        self._copy = np.fromiter(self.copy, np.int64, len(self.copy))

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """See `TokenPrior`. None where the prior has no opinion."""
        partial = open_string(text)
        if partial is not None and len(allowed) > OPEN_STRING:
            return self._free(partial, allowed)
        if len(allowed) > OPEN_STRING:
            return None
        before = 0.0 if partial is None else (self._best(partial, whole=False) or 0.0)
        out = np.zeros(len(allowed), np.float32)
        for i, token in enumerate(allowed.tolist()):
            found = self._weight(partial, self.token_texts[token])
            if found is not None:
                out[i] = found - before
        return out

    def _weight(self, partial: str | None, piece: str) -> float | None:
        """The best weight that `piece` still leads to, or None where it touches no string."""
        if partial is None:
            _, quote, piece = piece.partition('"')
            if not quote:
                return None
            partial = ""
        inside, quote, _ = piece.partition('"')
        return self._best(partial + inside, whole=bool(quote))

    def _best(self, start: str, *, whole: bool) -> float | None:
        if whole:
            return self.phrases.get(start)
        weights = [self.phrases[p] for p in self._ordered if p.startswith(start)]
        return max(weights, default=None)

    def _free(self, partial: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        if not self.copy_weight:
            return None
        out = np.zeros(len(allowed), np.float32)
        out[np.isin(allowed, self._copy)] = self.copy_weight
        ends = [i for i, token in enumerate(allowed.tolist()) if self.token_texts[token].startswith('"')]
        out[ends] += self.copy_weight if partial else -1e9
        out[ends] += max(0, len(partial) - self.patience) * 0.2
        return out
