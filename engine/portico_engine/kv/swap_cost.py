"""What is cheaper for a block that has to go: to bring it back over the link, or to compute it anew.

It owns both measured rates and their comparison. Whether a block goes, and where to, is others' business.
"""

from __future__ import annotations

_PREFILL = 64  # tokens of a step from which on its time tells the prefill rate, not a decode's
_WEIGHT = 0.2  # of the newest step in the mean


class SwapCost:
    """Bytes over the measured link against tokens over the measured prefill rate, each in seconds a block."""

    def __init__(self, swap_seconds: float, block_tokens: int) -> None:
        """`swap_seconds`: to the host and back, of one block."""
        self.swap_seconds = swap_seconds
        self._block_tokens = block_tokens
        self._token_seconds: float | None = None

    @property
    def compute_seconds(self) -> float | None:
        """Of computing a block anew; None before the first prefill."""
        return None if self._token_seconds is None else self._token_seconds * self._block_tokens

    @property
    def pays(self) -> bool:
        """Is swapping cheaper? As long as nothing was computed, a link is taken to be faster than a model."""
        return self._token_seconds is None or self.swap_seconds < self._token_seconds * self._block_tokens

    def note_step(self, n_tokens: int, seconds: float) -> None:
        """A step of so many tokens took so long. Small ones tell nothing: their time is the weights'."""
        if n_tokens >= _PREFILL:
            newest = seconds / n_tokens
            mean = newest if self._token_seconds is None else self._token_seconds
            self._token_seconds = mean + _WEIGHT * (newest - mean)
