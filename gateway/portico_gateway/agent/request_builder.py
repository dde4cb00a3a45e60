"""From the turns of a conversation to the engine's request: the catalog within its budget, the prompt, what of it is kept.

It knows no grammar and no prior: what is generated under which is `tool_call_generation.py`'s and `answer_generation.py`'s.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from portico_engine import EngineClient, Request, SamplingParams
from portico_gateway.agent.prompts import Message, stable_system, with_system
from portico_gateway.agent.stable_prefix import StablePrefix
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.agent.tool_signatures import TOOLS_SHARE, CatalogText, catalog_text
from portico_gateway.caller import LOCAL, salt_of
from portico_gateway.guidance.tool_retrieval import RankedTool

FULL_SIGNATURES = 5  # tools shown in full where not all fit


class RequestBuilder:
    """Makes requests for one engine and the tools of one host."""

    def __init__(self, engine: EngineClient, host: ToolHost, sampling: SamplingParams, *, caller: str = LOCAL) -> None:
        """The engine knows the requests as `caller`'s."""
        self._caller = caller
        self._engine = engine
        self._host = host
        self._sampling = sampling
        self._stable = StablePrefix(engine.render_chat)

    async def catalog(self, ranked: Sequence[RankedTool]) -> CatalogText:
        """All tools, the best in full where not all fit."""
        budget = self._engine.info.context_length // TOOLS_SHARE

        async def fits(text: str) -> bool:
            return len(await self._engine.tokenize(text)) <= budget

        return await catalog_text(self._host.tools(), fits=fits, best=[r.tool for r in ranked[:FULL_SIGNATURES]])

    async def request(self, catalog: CatalogText, turns: Sequence[Message]) -> Request:
        """The conversation so far. Instructions and tools survive the process, so that the next one reads them for nothing."""
        prompt = await self._engine.render_chat(with_system(catalog, turns))
        kept = await self._stable.length(stable_system(catalog), prompt)
        return Request(
            uuid.uuid4().hex,
            prompt,
            self._sampling,
            keep=kept,
            caller=self._caller,
            salt=salt_of(self._caller),
            shared_prefix_tokens=kept,  # instructions and tools are nobody's
        )
