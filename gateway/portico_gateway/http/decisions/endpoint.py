"""POST /v1/decisions and POST /v1/systemone: questions about a state, answered with probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.decisions.decide import Decider, PriorCache
from portico_gateway.http.decisions.openai_body import DecisionRequest
from portico_gateway.http.decisions.openai_objects import decision_object
from portico_gateway.http.decisions.system_one import SystemOneRequest
from portico_gateway.http.generation.service import GenerationService, add_warnings
from portico_gateway.http.identity import caller_name
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.openai_shared.errors import openai_error_body

if TYPE_CHECKING:
    from portico_engine import EngineClient

_DECISIONS, _SYSTEM_ONE = "/v1/decisions", "/v1/systemone"


def _decisions_router(service: GenerationService) -> APIRouter:
    router, priors = APIRouter(route_class=BodyRoute), PriorCache()

    @router.post(_DECISIONS, response_model=None)
    async def decisions(body: DecisionRequest, request: Request) -> Response:
        async def work(engine: EngineClient) -> Response:
            names = [f"questions.{index}" for index in range(len(body.questions))]
            decider = Decider(engine, caller_name(request.scope), priors, state="input", questions=names)
            decided = await decider.decide(body.state, [each.question() for each in body.questions])
            response = StrictJsonResponse(decision_object(body, decided, body.passed_over()))
            add_warnings(response, body.passed_over())
            return response

        return await service.with_own_engine(service.only(body.model), request, work)

    return router


def _system_one_router(service: GenerationService) -> APIRouter:
    router, priors = APIRouter(route_class=BodyRoute), PriorCache()

    @router.post(_SYSTEM_ONE, response_model=None)
    async def system_one(body: SystemOneRequest, request: Request) -> Response:
        model = service.only(body.model)

        async def work(engine: EngineClient) -> Response:
            names = [f"questions.{name[:80]}" for name in body.questions]
            decider = Decider(engine, caller_name(request.scope), priors, state="state", questions=names)
            decided = await decider.decide(body.state_text, [each.question() for each in body.questions.values()])
            response = StrictJsonResponse(body.answer(model.name, decided, body.passed_over()))
            add_warnings(response, body.passed_over())
            return response

        return await service.with_own_engine(model, request, work)

    return router


DECISIONS_API = Api(_DECISIONS, _decisions_router, openai_error_body)
SYSTEM_ONE_API = Api(_SYSTEM_ONE, _system_one_router, openai_error_body)
