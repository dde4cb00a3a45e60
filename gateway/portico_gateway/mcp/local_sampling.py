"""Answers a server's sampling request with the local model: text in, text out.

It owns the mapping between MCP's messages and a chat prompt. It knows neither who asked nor when that is allowed.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import mcp_types

from portico_gateway.caller import Caller, current_caller, salt_of
from portico_gateway.errors import GatewayError

if TYPE_CHECKING:
    from portico_gateway.model.lazy_engine import GetEngine

MAX_TOKENS = 1024  # of one answer, whatever is asked for
_STOP_REASONS = {"length": "maxTokens"}


class LocalSampler:
    """A `Sampler` over the engine that `get_engine` gives."""

    def __init__(self, get_engine: GetEngine) -> None:
        self._get_engine = get_engine

    async def __call__(self, params: mcp_types.CreateMessageRequestParams) -> mcp_types.CreateMessageResult:
        """Raises GatewayError where the model can't be had, fails, or can't take the messages."""
        from portico_engine import EngineError, FinishReason, Request, SamplingParams

        messages = _messages(params)
        caller = (current_caller.get() or Caller()).name
        engine = await self._get_engine()
        temperature = SamplingParams().temperature if params.temperature is None else params.temperature
        text, stop_reason = "", "endTurn"
        try:
            request = Request(
                uuid.uuid4().hex,
                await engine.render_chat(messages),
                SamplingParams(temperature=temperature),
                max_tokens=max(1, min(params.max_tokens, MAX_TOKENS)),
                stop=tuple(params.stop_sequences or ()),
                caller=caller,
                salt=salt_of(caller),
            )
            async for delta in engine.generate(request):
                text += delta.text
                if delta.finish_reason is FinishReason.ERROR:
                    raise GatewayError(delta.error or "the model engine failed")
                if delta.finish_reason is not None:
                    stop_reason = "stopSequence" if delta.stop else _STOP_REASONS.get(delta.finish_reason, "endTurn")
        except EngineError as error:
            raise GatewayError(str(error)) from None
        content = mcp_types.TextContent(type="text", text=text)
        return mcp_types.CreateMessageResult(role="assistant", content=content, model=engine.info.name, stop_reason=stop_reason)


def _messages(params: mcp_types.CreateMessageRequestParams) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": params.system_prompt}] if params.system_prompt else []
    for message in params.messages:
        blocks = message.content if isinstance(message.content, list) else [message.content]
        texts = [block.text for block in blocks if isinstance(block, mcp_types.TextContent)]
        if len(texts) < len(blocks):
            raise GatewayError("the local model reads text alone, and a message has something else")
        messages.append({"role": message.role, "content": "\n".join(texts)})
    return messages
