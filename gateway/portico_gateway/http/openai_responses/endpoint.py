"""POST /v1/responses: an answer as OpenAI's response, or as the events of one; kept ones are read and deleted by their id."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import count
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from portico_engine import Usage
from portico_gateway.http.errors import ApiError, explained
from portico_gateway.http.generation.stream import Answering, Asked, Pieces, begun, whole
from portico_gateway.http.openai_chat.body import FunctionCall, Message, ToolCall
from portico_gateway.http.openai_chat.objects import Answer
from portico_gateway.http.openai_responses.body import ResponsesRequest, add_call
from portico_gateway.http.openai_responses.objects import Output, items_of
from portico_gateway.http.openai_responses.response_store import KeptResponses
from portico_gateway.http.sse import event, event_stream

Json = dict[str, Any]


class ResponsesEndpoint:
    """The endpoints over one model."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._kept = KeptResponses()

    async def create(self, body: ResponsesRequest, request: Request) -> Response:
        before: Sequence[Message] = ()
        if body.previous_response_id is not None:
            before = self._kept.get(body.previous_response_id, param="previous_response_id").turns

        async def make(asked: Asked) -> Response:
            if body.stream:
                answer, pieces = await begun(asked)
                return event_stream(self._events(body, before, answer, pieces))
            answer = await whole(asked)
            return JSONResponse(self._finished(body, before, answer, items_of(answer)))

        with explained(body):
            chat = body.chat(before)
        return await self._answering.respond(chat, request, make)

    def read(self, name: str) -> Json:
        return self._kept.get(name).response

    def delete(self, name: str) -> Json:
        self._kept.drop(name)
        return {"id": name, "object": "response", "deleted": True}

    def _finished(self, body: ResponsesRequest, before: Sequence[Message], answer: Answer, items: list[Json]) -> Json:
        status = "incomplete" if answer.finish_reason == "length" else "completed"
        made = {**response(body, answer, status), "output": items, "usage": usage_object(answer.usage)}
        if body.store is not False:
            self._kept.keep(made, [*before, *body.turns(), *_said(items)])
        return made

    async def _events(
        self, body: ResponsesRequest, before: Sequence[Message], answer: Answer, pieces: Pieces
    ) -> AsyncGenerator[str, None]:
        """A stream's events. An error after the first one is an event too: the status is sent by then."""
        numbers = count()

        def tell(data: Json) -> str:
            return event({**data, "sequence_number": next(numbers)}, name=data["type"])

        try:
            async with aclosing(pieces):
                for kind in ("response.created", "response.in_progress"):
                    yield tell({"type": kind, "response": response(body, answer, "in_progress")})
                output = Output(answer)
                async for piece in pieces:
                    for each in output.feed(piece):
                        yield tell(each)
                for each in output.end():
                    yield tell(each)
            made = self._finished(body, before, answer, output.items)
            yield tell({"type": f"response.{made['status']}", "response": made})
        except ApiError as error:
            failed = {**response(body, answer, "failed"), "error": {"code": "server_error", "message": str(error)}}
            yield tell({"type": "response.failed", "response": failed})


def response(body: ResponsesRequest, answer: Answer, status: str) -> Json:
    """The response object, without output yet."""
    return {
        "id": answer.id.replace("chatcmpl-", "resp_"),
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "store": body.store is not False,
        "temperature": answer.prepared.request.sampling.temperature,
        "text": {"format": _format(body)},
        "tool_choice": body.model_dump(include={"tool_choice"})["tool_choice"] or "auto",
        "tools": [{"strict": None, **tool.model_dump()} for tool in body.tools or []],
        "top_p": answer.prepared.request.sampling.top_p,
        "truncation": "disabled",
        "usage": None,
    }


def _format(body: ResponsesRequest) -> Json:
    wanted = body.text.format if body.text is not None else None
    return wanted.model_dump(by_alias=True) if wanted is not None else {"type": "text"}


def usage_object(usage: Usage | None) -> Json:
    usage = usage or Usage()
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _said(items: Sequence[Json]) -> list[Message]:
    """The output as turns of a conversation."""
    turns: list[Message] = []
    for item in items:
        if item["type"] == "message":
            turns.append(Message(role="assistant", content=item["content"][0]["text"]))
        elif item["type"] == "function_call":
            function = FunctionCall(name=item["name"], arguments=item["arguments"])
            add_call(turns, ToolCall(id=item["call_id"], function=function))
    return turns
