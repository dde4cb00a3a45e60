"""POST /v1/responses: an answer as OpenAI's response, or as the events of one; stored ones are read and deleted by their id."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import count
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from portico_engine import Usage
from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.answer import GeneratedAnswer
from portico_gateway.http.generation.prepare import PreparedRequest
from portico_gateway.http.generation.request import Turn
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.generation.stream import PieceStream, collect, start_stream
from portico_gateway.http.identity import caller_name
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.openai_responses.body import ResponsesRequest
from portico_gateway.http.openai_responses.items import McpApprovalResponse
from portico_gateway.http.openai_responses.loop_output import APPROVAL, LoopOutput
from portico_gateway.http.openai_responses.objects import (
    OutputItems,
    input_items,
    output_items,
    output_turns,
    response_object,
    responses_usage_object,
)
from portico_gateway.http.openai_responses.response_store import ResponseStore, StoredResponse
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.openai_shared.objects import warnings_object
from portico_gateway.http.server_tools.loop import Decided, LoopEvent, LoopEvents, ToolLoop, TurnBegun
from portico_gateway.http.server_tools.respond import decide_approval, respond_with_tools
from portico_gateway.http.sse import EventStream, event
from portico_gateway.http.wire import Json

_PATH = "/v1/responses"
MAX_PAGE = 100  # items


class ItemPage(NamedTuple):
    """Which items are wanted: at most `limit` of those behind the item `after`."""

    after: str | None
    limit: int
    order: Literal["asc", "desc"]


class ResponsesEndpoint:
    """The endpoints over one model, and what is stored there."""

    def __init__(self, service: GenerationService) -> None:
        self._service = service
        self._store = ResponseStore()

    async def create(self, body: ResponsesRequest, request: Request) -> Response:
        caller = caller_name(request.scope)
        before: Sequence[Turn] = ()
        if body.previous_response_id is not None:
            before = self._store.get(caller, body.previous_response_id, param="previous_response_id").turns

        async def make(prepared: PreparedRequest) -> Response:
            if body.stream:
                answer, pieces = await start_stream(prepared)
                return EventStream(self._events(caller, body, before, answer, pieces))
            answer = await collect(prepared)
            made = Made(answer, output_items(answer, body.called_tools()), output_turns(answer), answer.usage)
            return StrictJsonResponse(self._finished(caller, body, before, made))

        if wanted := body.wanted_servers():
            decided = [self._decided(each, request) for each in body.approval_responses()]
            make_of_loop = partial(self._of_loop, caller, body, before)
            generation = body.to_generation(before)
            return await respond_with_tools(
                self._service,
                generation,
                wanted,
                request,
                make_of_loop,
                waits=False,
                decided=decided,
                most_calls=body.max_tool_calls,
            )
        if body.approval_responses():
            raise ApiError(400, "tools: an approval needs the tool of type 'mcp' that it is for", param="tools")
        return await self._service.respond(body.to_generation(before), request, make)

    def _decided(self, said: McpApprovalResponse, request: Request) -> Decided:
        approval = said.approval_request_id.removeprefix(APPROVAL)
        return decide_approval(self._service, request, approval, approve=said.approve)

    async def _of_loop(
        self, caller: str, body: ResponsesRequest, before: Sequence[Turn], loop: ToolLoop, events: LoopEvents
    ) -> Response:
        """What comes of calls that are made here, and of the turns between them."""
        if body.stream:
            return EventStream(self._loop_events(caller, body, before, loop, events))
        output = LoopOutput(body.called_tools(), lists=body.previous_response_id is None)
        async for each in events:
            for _ in output.feed(each):
                pass
        return StrictJsonResponse(self._finished(caller, body, before, Made.of_loop(loop, output)))

    def read(self, caller: str, name: str) -> Json:
        return self._store.get(caller, name).response

    def input_items(self, caller: str, name: str, page: ItemPage) -> Json:
        """A page of what a stored response was made from. Raises ApiError."""
        items = input_items(self._store.get(caller, name))
        if page.order == "desc":
            items.reverse()
        if page.after is not None:
            at = next((index for index, item in enumerate(items) if item["id"] == page.after), None)
            if at is None:
                raise ApiError(400, f"after: there is no item {page.after[:80]!r} in this response", param="after")
            items = items[at + 1 :]
        shown = items[: page.limit]
        ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": None, "last_id": None}
        return {"object": "list", "data": shown, **ends, "has_more": len(items) > len(shown)}

    def delete(self, caller: str, name: str) -> Json:
        self._store.delete(caller, name)
        return {"id": name, "object": "response", "deleted": True}

    def _finished(self, caller: str, body: ResponsesRequest, before: Sequence[Turn], made: Made) -> Json:
        status = "incomplete" if made.answer.finish_reason == "length" else "completed"
        response = {**response_object(body, made.answer, status), "output": made.items}
        response |= {"usage": responses_usage_object(made.usage), **warnings_object(made.answer)}
        if body.store is not False:
            asked = [*before, *body.turns()]
            turns = [*asked, *made.turns]
            self._store.put(caller, StoredResponse(response, turns, asked=len(asked), tools=body.called_tools()))
        return response

    async def _events(
        self, caller: str, body: ResponsesRequest, before: Sequence[Turn], answer: GeneratedAnswer, pieces: PieceStream
    ) -> AsyncGenerator[str, None]:
        """A stream's events. An error after the first one is an event too: the status is sent by then."""
        tell = _numbered()
        try:
            async with aclosing(pieces):
                for kind in ("response.created", "response.in_progress"):
                    yield tell({"type": kind, "response": response_object(body, answer, "in_progress")})
                output = OutputItems(answer, body.called_tools())
                async for piece in pieces:
                    for each in output.feed(piece):
                        yield tell(each)
                for each in output.end():
                    yield tell(each)
            made = Made(answer, output.items, output_turns(answer), answer.usage)
            response = self._finished(caller, body, before, made)
            yield tell({"type": f"response.{response['status']}", "response": response})
        except ApiError as error:
            failed = {**response_object(body, answer, "failed"), "error": {"code": "server_error", "message": str(error)}}
            yield tell({"type": "response.failed", "response": failed})

    async def _loop_events(
        self, caller: str, body: ResponsesRequest, before: Sequence[Turn], loop: ToolLoop, events: LoopEvents
    ) -> AsyncGenerator[str, None]:
        """As `_events`. What happens before the model's first turn is told behind the response's beginning, which is the
        turn's."""
        tell, output = _numbered(), LoopOutput(body.called_tools(), lists=body.previous_response_id is None)
        early: list[LoopEvent] = []
        began = False
        try:
            async with aclosing(events):
                async for each in events:
                    early.append(each)
                    if not began and not isinstance(each, TurnBegun):
                        continue
                    if not began:
                        for kind in ("response.created", "response.in_progress"):
                            yield tell({"type": kind, "response": response_object(body, loop.answer, "in_progress")})
                    began = True
                    for told in early:
                        for made in output.feed(told):
                            yield tell(made)
                    early.clear()
            response = self._finished(caller, body, before, Made.of_loop(loop, output))
            yield tell({"type": f"response.{response['status']}", "response": response})
        except ApiError as error:
            if not began:
                yield tell({"type": "error", "code": error.code or "server_error", "message": str(error), "param": error.param})
                return
            failed = {**response_object(body, loop.answer, "failed"), "error": {"code": "server_error", "message": str(error)}}
            yield tell({"type": "response.failed", "response": failed})


class Made(NamedTuple):
    """What an answer came to: its last turn, the items and turns of all, and what they took."""

    answer: GeneratedAnswer
    items: list[Json]
    turns: list[Turn]
    usage: Usage

    @classmethod
    def of_loop(cls, loop: ToolLoop, output: LoopOutput) -> Made:
        return cls(loop.answer, output.items, loop.turns, loop.usage)


def _numbered() -> Callable[[Json], str]:
    """Events of one stream, in their order."""
    numbers = count()
    return lambda data: event({**data, "sequence_number": next(numbers)}, name=data["type"])


def _router(service: GenerationService) -> APIRouter:
    endpoint = ResponsesEndpoint(service)
    router = APIRouter(route_class=BodyRoute)

    @router.post(_PATH, response_model=None)
    async def responses(body: ResponsesRequest, request: Request) -> Response:
        return await endpoint.create(body, request)

    @router.get(f"{_PATH}/{{name}}")
    async def one_response(name: str, request: Request) -> Json:
        return endpoint.read(caller_name(request.scope), name)

    @router.get(f"{_PATH}/{{name}}/input_items")
    async def response_input_items(
        name: str,
        request: Request,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
        order: Literal["asc", "desc"] = "desc",
    ) -> Json:
        return endpoint.input_items(caller_name(request.scope), name, ItemPage(after, limit, order))

    @router.delete(f"{_PATH}/{{name}}")
    async def delete_response(name: str, request: Request) -> Json:
        return endpoint.delete(caller_name(request.scope), name)

    return router


RESPONSES_API = Api(_PATH, _router, openai_error_body)
