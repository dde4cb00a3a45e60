"""Log-probabilities of given continuations, for one caller: computed in its turn among others', and found by it alone.

The engine scores outside of its queues. So a long prompt is computed first, as a request of its caller's; the score behind it
then takes one short step. It knows no API.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portico_engine import FinishReason, Request, Usage
from portico_engine.errors import ContextOverflow, EngineError
from portico_gateway.caller import salt_of

if TYPE_CHECKING:
    from portico_engine import EngineClient


@dataclass(frozen=True, slots=True)
class CallerScores:
    """Of one caller's texts."""

    engine: EngineClient
    caller: str

    async def compute(self, prompt: Sequence[int], behind: int = 0) -> Usage:
        """Have the prompt's keys and values there, `behind` of whose context's tokens are to be free. Raises EngineError."""
        context = self.engine.info.context_length
        if len(prompt) + max(behind, 1) > context:
            raise ContextOverflow(len(prompt) + max(behind, 1), context)
        salt = salt_of(self.caller)
        request = Request(uuid.uuid4().hex, tuple(prompt), max_tokens=1, caller=self.caller, salt=salt)
        usage = Usage()
        async with aclosing(self.engine.generate(request)) as deltas:
            async for delta in deltas:
                usage = delta.usage or usage
                if delta.finish_reason is FinishReason.ERROR:
                    raise EngineError(delta.error or "a text could not be computed")
        return usage

    async def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """log p of every token of every continuation. Raises EngineError."""
        return await self.engine.score(prompt, continuations, salt_of(self.caller))
