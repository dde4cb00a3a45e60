"""The models behind every API, or none: finds the one that is meant, waits for it, prepares the request, and ends the work
where the client hangs up. It knows HTTP as far as a connection that ends; how an answer is written it leaves to the API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from portico_engine.errors import EngineError, ModelError, UnknownAdapter
from portico_gateway.agent.question_looks import QuestionLooks
from portico_gateway.caller import Caller
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.http.draining import Drain
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.answer_ids import AnswerIds
from portico_gateway.http.generation.prepare import Look, PreparedRequest, prepare
from portico_gateway.http.generation.prompt import EXPLAINED
from portico_gateway.http.generation.request import GenerationRequest
from portico_gateway.http.generation.terms import Terms
from portico_gateway.http.identity import caller_name
from portico_gateway.http.limits import CallerLimits
from portico_gateway.http.sse import EventStream, until_hung_up
from portico_gateway.model.host import ModelHost
from portico_gateway.model.pool import ModelPool, NoRoom
from portico_gateway.model.remote.engine import REMOTE
from portico_gateway.policy.tool_calls import ToolCalls

if TYPE_CHECKING:
    from portico_engine import EngineClient

WARNINGS_HEADER = "x-portico-warnings"
_LONGEST_HEADER = 2000  # characters; proxies take 4,000 to 8,000 of all headers together
_HUNG_UP = 499  # as nginx logs it; nobody is there to read it
NO_ADAPTER = "none"  # a request's word for the model by itself, where the configuration has an adapter for all


class GenerationService:
    """Answers for the APIs. `models` are what it answers with; requests wait `load_timeout` seconds for one to load."""

    def __init__(
        self,
        models: ModelPool | ModelHost | None,
        *,
        load_timeout: float,
        limits: CallerLimits | None = None,
        guide: CallGuide | None = None,
        looks: QuestionLooks | None = None,
        tool_calls: ToolCalls | None = None,
        drain: Drain | None = None,
    ) -> None:
        """`limits` holds the requests of one caller back; by default everybody's are one caller's. `guide` helps a small model
        with its calls, and `looks` tell it what the gateway's servers read in a question; None leaves it to itself.
        `tool_calls` is the way to the gateway's own tools, `drain` says when all ends."""
        self.models = models if isinstance(models, ModelPool) else ModelPool(models)
        self.guide = guide
        self.tool_calls = tool_calls
        self.answers = AnswerIds()
        self._looks = looks
        self._drain = drain or Drain()
        self._load_timeout = load_timeout
        self._limits = limits or CallerLimits()

    @property
    def model(self) -> ModelHost | None:
        """The default one."""
        return self.models.default

    async def respond(
        self, generation: GenerationRequest, request: Request, make: Callable[[PreparedRequest], Awaitable[Response]]
    ) -> Response:
        """What `make` makes of the prepared request, when it is its caller's turn; it is cancelled where the client hangs up.
        Raises ApiError."""
        return await self.respond_to_all([generation], request, lambda prepared: make(prepared[0]))

    async def respond_to_all(
        self,
        generations: Sequence[GenerationRequest],
        request: Request,
        make: Callable[[Sequence[PreparedRequest]], Awaitable[Response]],
    ) -> Response:
        """As `respond`, for several requests to one model that are answered as one."""
        caller = caller_name(request.scope)

        async def answer(meant: Sequence[GenerationRequest], engine: EngineClient) -> Response:
            look = self.look_for(Caller(caller, client="http"))
            prepared = [await prepare(each, engine, caller=caller, guide=self.guide, look=look) for each in meant]
            response = await make(prepared)
            add_warnings(response, tuple(dict.fromkeys(warning for each in prepared for warning in each.warnings)))
            return response

        return await self.with_meant(generations, request, answer)

    async def with_meant(
        self,
        generations: Sequence[GenerationRequest],
        request: Request,
        make: Callable[[Sequence[GenerationRequest], EngineClient], Awaitable[Response]],
    ) -> Response:
        """What `make` makes of the requests to one model, their adapter looked up, and of its engine, likewise."""
        model, adapter = self._chosen(generations[0])
        caller = caller_name(request.scope)
        terms = Terms(
            self._limits.seconds(caller),
            partial(self._limits.quotas.count_tokens, caller),
            partial(self.answers.note, caller),
            self._drain,
        )

        async def answer(engine: EngineClient) -> Response:
            chosen = adapter or model.adapter or NO_ADAPTER
            meant = [await _with_adapter(replace(each, terms=terms), chosen, engine) for each in generations]
            if adapter is None:
                meant = list(map(_without_tools_as_it_is, meant))
            return await make(meant, engine)

        return await self.with_engine(model, request, answer)

    async def with_engine(
        self, model: ModelHost, request: Request, make: Callable[[EngineClient], Awaitable[Response]]
    ) -> Response:
        """What `make` makes of the model's engine, likewise."""

        async def work() -> Response:
            async with AsyncExitStack() as held:
                await held.enter_async_context(self._limits.slot(caller_name(request.scope)))
                await held.enter_async_context(self._in_use(model))
                response = await make(await self._engine(model))
                if isinstance(response, EventStream):  # its turn lasts until the last event
                    response.held.push_async_exit(held.pop_all())
                return response

        try:
            return await until_hung_up(request, work())
        except ClientDisconnect:
            return Response(status_code=_HUNG_UP)

    async def with_own_engine(
        self, model: ModelHost, request: Request, make: Callable[[EngineClient], Awaitable[Response]]
    ) -> Response:
        """As `with_engine`, for what needs the model's tokens. Raises ApiError where another server has them."""

        async def of_own(engine: EngineClient) -> Response:
            if engine.info.executor == REMOTE:
                message = (
                    "the model runs on another server, whose tokens and scores are not known here; ask that server for them"
                )
                raise ApiError(400, message, param="model", code="not_of_a_remote_model")
            return await make(engine)

        return await self.with_engine(model, request, of_own)

    def look_for(self, caller: Caller) -> Look | None:
        """How this caller's questions are looked at before the model answers; None where nothing is looked at."""
        return None if self._looks is None else partial(self._looks.of, caller=caller)

    def only(self, name: str | None) -> ModelHost:
        """The model of this name, or the one that there is, where none is named. Raises ApiError."""
        if name is None and self.model is not None:
            return self.model
        model, adapter = self.named(name or "")
        if adapter is not None:
            raise ApiError(400, f"model: an adapter can't be named here; leave out {':' + adapter!r}", param="model")
        return model

    def named(self, name: str) -> tuple[ModelHost, str | None]:
        """The model of this name, and the adapter's name where it is MODEL:ADAPTER. Raises ApiError where there is no such
        model; whether it has that adapter, its engine knows.
        """
        if (model := self.models.find(name)) is not None:
            return model, None
        whole, _, adapter = name.rpartition(":")
        if adapter and (model := self.models.find(whole)) is not None:
            return model, adapter
        names = ", ".join(repr(each.name) for each in self.models.hosts)
        there = f"this server has {names}" if names else "this server runs without a model"
        raise ApiError(404, f"the model {name!r} does not exist; {there}", param="model", code="model_not_found")

    def _chosen(self, generation: GenerationRequest) -> tuple[ModelHost, str | None]:
        """Its model, and the adapter that it names, which may be NO_ADAPTER."""
        model, adapter = self.named(generation.model)
        if None not in (adapter, generation.adapter) and adapter != generation.adapter:
            raise ApiError(400, f"adapter is {generation.adapter!r}, but model names {adapter!r}; give one", param="adapter")
        return model, adapter or generation.adapter

    @asynccontextmanager
    async def _in_use(self, model: ModelHost) -> AsyncIterator[None]:
        """It isn't unloaded meanwhile. Raises ApiError where it can't be loaded beside those that are in use."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.models.using(model, self._load_timeout))
            except ModelError as error:
                busy = {"Retry-After": "5"} if isinstance(error, NoRoom) else {}
                code = "model_busy" if busy else "model_unavailable"
                raise ApiError(503, str(error), kind="server_error", code=code, headers=busy) from error
            yield

    async def _engine(self, model: ModelHost) -> EngineClient:
        try:
            engine = await model.engine(self._load_timeout)
        except ModelError as error:
            raise ApiError(503, str(error), kind="server_error", code="model_unavailable") from error
        if engine is None:
            status = model.status
            doing = "being started again" if status.state == "restarting" else "still loading"
            raise ApiError(
                503,
                f"the model {model.name} is {doing} ({status.stage} {status.fraction:.0%}); try again soon",
                kind="server_error",
                code="model_loading",
                headers={"Retry-After": "5"},
            )
        return engine


def add_warnings(response: Response, warnings: Sequence[str]) -> None:
    """Names them in a header, for APIs whose bodies have no room, and for people who look at requests."""
    if warnings:
        text = "; ".join(warnings).encode("ascii", "backslashreplace").decode()
        plain = "".join(c if " " <= c <= "~" else " " for c in text)
        response.headers[WARNINGS_HEADER] = plain if len(plain) <= _LONGEST_HEADER else f"{plain[: _LONGEST_HEADER - 3]}..."


async def adapter_names(engine: EngineClient) -> list[str]:
    """Those that requests to this engine may name, in order of loading."""
    return [info.name for info in await engine.adapters()]


async def _with_adapter(generation: GenerationRequest, adapter: str, engine: EngineClient) -> GenerationRequest:
    """Raises ApiError naming the adapters that exist where it is none of them: before a prompt is made for nothing."""
    if adapter == NO_ADAPTER:
        return replace(generation, adapter=None)
    try:
        known = {info.name: info for info in await engine.adapters()}
        if adapter not in known:
            raise UnknownAdapter(adapter, list(known))
    except EngineError as error:
        raise generation.api_error(error) from error
    return replace(generation, adapter=adapter, prompts=known[adapter].prompts)


def _without_tools_as_it_is(generation: GenerationRequest) -> GenerationRequest:
    """An adapter that was trained on prompts with tools has forgotten how to talk without: the model answers these itself."""
    return generation if generation.tools or generation.prompts != EXPLAINED else replace(generation, adapter=None, prompts="")
