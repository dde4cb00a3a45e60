"""How much of a prompt is the gateway's own text, the same for every question: what is worth keeping between runs.

It knows no template: the tokens that a prompt shares with one over the same instructions and no question are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

Render = Callable[[Sequence[Mapping[str, str]]], Sequence[int]]
_KEPT = 4  # instructions: a catalog that changes makes new ones


class OwnPrefix:
    """Measures prompts that `render` made."""

    def __init__(self, render: Render) -> None:
        def bare(instructions: str) -> tuple[int, ...]:
            return tuple(render([{"role": "system", "content": instructions}, {"role": "user", "content": ""}]))

        self._bare = lru_cache(_KEPT)(bare)

    def length(self, instructions: str, prompt: Sequence[int]) -> int:
        """Tokens at the beginning of `prompt` that every prompt has whose system message begins with `instructions`."""
        bare = self._bare(instructions)
        return next((i for i, (a, b) in enumerate(zip(bare, prompt, strict=False)) if a != b), min(len(bare), len(prompt)))
