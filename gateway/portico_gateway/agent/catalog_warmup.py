"""What every question's prompt begins with, instructions and tools, computed before anybody asks.

It owns which beginning that is, for whichever loop the model gets. When it is done, and how long it may take, is its caller's.
"""

from __future__ import annotations

import uuid
from contextlib import aclosing

from portico_engine import EngineClient, Request, SamplingParams
from portico_gateway.agent.free.local.prompt_builder import PromptBuilder, told_tools
from portico_gateway.agent.free.local.tool_form import tool_form, usable_form
from portico_gateway.agent.free.turns import UserTurn
from portico_gateway.agent.request_builder import RequestBuilder
from portico_gateway.agent.select import Guidance, is_guided
from portico_gateway.agent.tool_host import ToolHost

GREEDY = SamplingParams(temperature=0.0)
_QUESTION = "?"  # any: what depends on it is not computed


async def warm_catalog(engine: EngineClient, host: ToolHost, guidance: Guidance = "auto") -> int:
    """Compute the beginning, or find it on disk; how many tokens it has, 0 where there are no tools to tell of.

    Raises EngineError where the engine fails.
    """
    if not host.tools():
        return 0
    tokens, kept = await _beginning(engine, host, guidance)
    if not kept:
        return 0
    request = Request(uuid.uuid4().hex, tokens[:kept], GREEDY, max_tokens=1, keep=kept, shared_prefix_tokens=kept)
    async with aclosing(engine.generate(request)) as deltas:
        async for _ in deltas:
            pass
    return kept


async def _beginning(engine: EngineClient, host: ToolHost, guidance: Guidance) -> tuple[tuple[int, ...], int]:
    """A prompt, and how many of its tokens are every question's."""
    if is_guided(engine.info.parameters, guidance):
        builder = RequestBuilder(engine, host, GREEDY)
        request = await builder.request(await builder.catalog(()), [{"role": "user", "content": _QUESTION}])
        return request.prompt, request.keep
    told = await told_tools(engine, await usable_form(engine, tool_form(engine)), host.tools())
    prompt = await PromptBuilder(engine, told).prompt([UserTurn(_QUESTION)])
    return prompt.tokens, prompt.kept
