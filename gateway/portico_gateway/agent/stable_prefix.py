"""How much of a prompt is the gateway's own text, the same for every question: what is worth keeping between runs.

It knows no template: the tokens that a prompt shares with one over the same instructions and no question are its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

Render = Callable[[Sequence[Mapping[str, str]]], Awaitable[Sequence[int]]]
_INSTRUCTIONS_KEPT = 4  # a catalog that changes makes new ones


class StablePrefix:
    """Measures prompts that `render` made."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._rendered: dict[str, Sequence[int]] = {}

    async def length(self, instructions: str, prompt: Sequence[int]) -> int:
        """Tokens at the beginning of `prompt` that every prompt has whose system message begins with `instructions`."""
        bare = self._rendered.pop(instructions, None)
        if bare is None:
            bare = await self._render([{"role": "system", "content": instructions}, {"role": "user", "content": ""}])
        self._rendered[instructions] = bare
        while len(self._rendered) > _INSTRUCTIONS_KEPT:
            del self._rendered[next(iter(self._rendered))]
        return next((i for i, (a, b) in enumerate(zip(bare, prompt, strict=False)) if a != b), min(len(bare), len(prompt)))
