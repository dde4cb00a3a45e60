"""An error points to the field that the client wrote: each API's own name for it, whoever finds the mistake."""

from __future__ import annotations

from typing import Any

import pytest

from portico_engine import ChatTemplateError, Request
from portico_engine.request_checks import check_budget

pytestmark = pytest.mark.anyio

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
USER = [{"role": "user", "content": "Hi"}]
LONG = "x" * 3000
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "fake", "messages": USER},
    RESPONSES: {"model": "fake", "input": "Hi"},
    MESSAGES: {"model": "fake", "messages": USER, "max_tokens": 50},
}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
RESPONSES_FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CUSTOM = {"name": "f", "input_schema": {"type": "object"}}
IMPOSSIBLE = {"type": "string", "minLength": 5, "maxLength": 2}


def chat_format(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def responses_format(schema: Any) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_schema", "name": "x", "schema": schema}}}


def messages_format(schema: Any) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


async def refusal(client: Any, path: str, change: dict[str, Any]) -> Any:
    response = await client.post(path, json={**BODIES[path], **change})
    assert response.status_code == 400, response.text
    return response.json()["error"]


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        (CHAT, {"max_tokens": 0}, "max_tokens"),
        (CHAT, {"max_completion_tokens": 0}, "max_completion_tokens"),
        (RESPONSES, {"max_output_tokens": 0}, "max_output_tokens"),
        (MESSAGES, {"max_tokens": 0}, "max_tokens"),
        (CHAT, {"stop": [""]}, "stop"),
        (CHAT, {"stop": ["x"] * 17}, "stop"),
        (MESSAGES, {"stop_sequences": [""]}, "stop_sequences"),
        (MESSAGES, {"stop_sequences": ["x"] * 17}, "stop_sequences"),
        (CHAT, {"messages": []}, "messages"),
        (RESPONSES, {"input": [{"type": "reasoning"}]}, "input"),
        (MESSAGES, {"messages": []}, "messages"),
        (CHAT, {"tools": [FUNCTION, FUNCTION]}, "tools"),
        (RESPONSES, {"tools": [RESPONSES_FUNCTION, RESPONSES_FUNCTION]}, "tools"),
        (MESSAGES, {"tools": [CUSTOM, CUSTOM]}, "tools"),
        (CHAT, {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
        (RESPONSES, {"tools": [RESPONSES_FUNCTION], "tool_choice": {"type": "function"}}, "tool_choice.name"),
        (CHAT, {"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.schema"),
        (RESPONSES, {"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        (MESSAGES, {"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        (CHAT, {"logit_bias": {"256": 1}}, "logit_bias"),
        (CHAT, {"str": 1}, "str"),
    ],
)
async def test_the_message_begins_with_the_field_and_openais_param_is_it(
    serve: Any, path: str, change: dict[str, Any], field: str
) -> None:
    async with serve() as client:
        error = await refusal(client, path, change)
    assert error["message"].startswith(field)
    assert error.get("param", field) == field


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        (CHAT, {"tools": [FUNCTION], "grammar": 'root ::= "a"'}, "tools and grammar"),
        (CHAT, {"grammar": 'root ::= "a"', **chat_format({})}, "response_format and grammar"),
        (CHAT, {"tool_choice": "required"}, "tool_choice 'required' needs tools"),
        (RESPONSES, {"tool_choice": "required"}, "tool_choice 'required' needs tools"),
        (MESSAGES, {"tool_choice": {"type": "any"}}, "tool_choice 'any' needs tools"),
    ],
)
async def test_what_does_not_fit_together_is_said_in_the_apis_own_words(
    serve: Any, path: str, change: dict[str, Any], words: str
) -> None:
    async with serve() as client:
        error = await refusal(client, path, change)
    assert error["message"].startswith(words)
    assert error.get("param") is None


@pytest.mark.parametrize(
    ("path", "change", "param", "code"),
    [
        (CHAT, {"messages": [{"role": "user", "content": LONG}]}, "messages", "context_length_exceeded"),
        (RESPONSES, {"input": LONG}, "input", "context_length_exceeded"),
        (CHAT, chat_format(IMPOSSIBLE), "response_format", "invalid_grammar"),
        (RESPONSES, responses_format(IMPOSSIBLE), "text.format", "invalid_grammar"),
        (CHAT, {"grammar": "root ::= ("}, "grammar", "invalid_grammar"),
    ],
)
async def test_what_the_engine_minds_points_to_the_apis_field(
    serve: Any, path: str, change: dict[str, Any], param: str, code: str
) -> None:
    async with serve() as client:
        error = await refusal(client, path, change)
    assert (error["param"], error["code"]) == (param, code)


@pytest.mark.parametrize(("path", "param"), [(CHAT, "messages"), (RESPONSES, "input")])
async def test_a_template_that_refuses_points_to_the_turns(serve: Any, fakes: Any, path: str, param: str) -> None:
    class Untaught(fakes.FakeEngine):  # type: ignore[name-defined, misc]
        def render_chat(self, *_: Any) -> Any:
            raise ChatTemplateError("the template takes no such turn")

    async with serve(Untaught()) as client:
        error = await refusal(client, path, {})
    assert (error["param"], error["code"]) == (param, "chat_template_error")


class LongGrammar:
    """A matcher whose shortest text has five tokens."""

    def closing_tokens(self, limit: int) -> list[int]:
        return [0] * 5


@pytest.mark.parametrize(
    ("path", "change", "field", "param"),
    [
        (CHAT, {"max_tokens": 2, **chat_format({})}, "max_tokens", "response_format"),
        (CHAT, {"max_completion_tokens": 2, "tools": [FUNCTION]}, "max_completion_tokens", "tools"),
        (RESPONSES, {"max_output_tokens": 2, **responses_format({})}, "max_output_tokens", "text.format"),
        (MESSAGES, {"max_tokens": 2, "tools": [CUSTOM]}, "max_tokens", None),
    ],
)
async def test_an_answer_too_short_for_its_grammar_names_the_limit_as_the_client_did(
    serve: Any, fakes: Any, path: str, change: dict[str, Any], field: str, param: str | None
) -> None:
    class Strict(fakes.FakeEngine):  # type: ignore[name-defined, misc]
        def submit(self, request: Request) -> None:
            check_budget(LongGrammar(), request.max_tokens)  # type: ignore[arg-type]

    async with serve(Strict()) as client:
        error = await refusal(client, path, change)
    assert f"the answer may have 2 tokens ({field}, as far as the context goes)" in error["message"]
    assert error.get("param") == param
