"""A prior over whole texts for constrained decoding: what a caller believes of each of a few answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portico_engine.priors.protocol import TokenPrior
from portico_engine.priors.token_texts import TokenTexts


@dataclass(frozen=True, slots=True)
class TextPrior:
    """Implements `Prior` for a choice among whole texts, of which `weights` (nats) says how likely each one is."""

    weights: Mapping[str, float]
    strength: float = 1.0

    def bind(self, vocabulary: TokenTexts) -> TokenPrior:
        """See `Prior`."""
        return _TextBias(self, vocabulary.texts)


class _TextBias:
    def __init__(self, prior: TextPrior, token_texts: Sequence[str]) -> None:
        self._texts = token_texts
        self._weights = prior.weights
        self._strength = prior.strength

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        """See `TokenPrior`. A token that ends the text weighs what the text so far does."""
        before = self._best(text)
        if before is None:
            return None
        pieces = (self._texts[token] for token in allowed.tolist())
        found = [self._best(text + piece) if piece else None for piece in pieces]  # control tokens have no text
        whole = self._weights.get(text, before)
        return np.asarray([self._strength * ((whole if f is None else f) - before) for f in found], np.float32)

    def _best(self, start: str) -> float | None:
        return max((weight for text, weight in self._weights.items() if text.startswith(start)), default=None)
