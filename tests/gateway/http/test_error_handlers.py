"""Bad input over HTTP: OpenAI's error shape, the status, the field, and no stack trace."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from portico_engine import ChatTemplateError, ModelError

pytestmark = pytest.mark.anyio

USER = [{"role": "user", "content": "Hi"}]
IMPOSSIBLE = {"type": "string", "minLength": 5, "maxLength": 2}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("change", "param", "said"),
    [
        ({"messages": None}, "messages", "should be a valid list"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role", "wizard"),
        ({"messages": [{"role": "user"}]}, "messages.0", "content is missing"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content", "text only"),
        ({"temperature": 101}, "temperature", "less than or equal to 100 (is 101)"),
        ({"temperature": "hot"}, "temperature", 'valid number, unable to parse string as a number (is "hot")'),
        ({"top_p": -0.1}, "top_p", "greater than or equal to 0"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"n": 17}, "n", "less than or equal to 16"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"tempurature": 1}, "tempurature", "did you mean 'temperature'?"),
        ({"stop": [""]}, "stop", "empty stop string"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name", "required"),
        ({"tools": [TOOL, TOOL]}, "tools", "two tools are named 'f'"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice", "should be 'none', 'auto' or 'required'"),
        ({"tool_choice": "required"}, None, "needs tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, None, "not among the tools (f)"),
        ({"response_format": {"type": "xml"}}, "response_format", "xml"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "required"),
        ({"grammar": 'root ::= "a"', "response_format": {"type": "json_object"}}, None, "can't shape one answer together"),
        ({"top_logprobs": 2}, None, "needs logprobs"),
        ({"stream_options": {"include_usage": True}}, None, "needs stream"),
    ],
)
async def test_a_malformed_body_is_a_400_that_names_the_field(
    serve: Any, change: dict[str, Any], param: str | None, said: str
) -> None:
    async with serve() as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, **change})
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert said in error["message"]


@pytest.mark.parametrize(
    ("content", "said"), [(b"{oops", "not valid JSON"), (b"", "body is missing"), (b"[]", "must be a JSON object")]
)
async def test_a_body_that_is_no_json_object_is_a_400(serve: Any, content: bytes, said: str) -> None:
    async with serve() as client:
        headers = {"content-type": "application/json"}
        response = await client.post("/v1/chat/completions", content=content, headers=headers)
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]


async def test_an_unknown_model_is_a_404_with_openais_code(serve: Any) -> None:
    async with serve() as client:
        response = await client.post("/v1/chat/completions", json={"model": "gpt-5", "messages": USER})
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"
        assert "this server has 'fake'" in response.json()["error"]["message"]
        assert (await client.get("/v1/models/gpt-5")).json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_longer_than_the_context_is_a_400_with_both_numbers(serve: Any, stream: bool) -> None:
    async with serve() as client:
        body = {"model": "fake", "messages": [{"role": "user", "content": "x" * 3000}], "stream": stream}
        response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert error["param"] == "messages"
    assert "3006" in error["message"]
    assert "2000" in error["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("change", "param", "said"),
    [
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"type": "string", "minLength": 5, "maxLength": 2}},
                }
            },
            "response_format",
            "nothing satisfies the schema",
        ),
        ({"grammar": "root ::= ("}, "grammar", "line 1"),
    ],
)
async def test_a_grammar_that_cannot_be_compiled_is_a_400_that_says_where(
    serve: Any, stream: bool, change: dict[str, Any], param: str, said: str
) -> None:
    async with serve() as client:
        body = {"model": "fake", "messages": USER, "stream": stream, **change}
        response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert response.json()["error"]["code"] == "invalid_grammar"
    assert said in response.json()["error"]["message"]


async def test_while_the_model_loads_health_answers_and_requests_wait_or_are_told_to_come_back(serve: Any, fakes: Any) -> None:
    may_load = threading.Event()

    def load(progress: Any) -> Any:
        progress("weights", 0.5)
        may_load.wait(60)
        return fakes.FakeEngine()

    async with serve(load=load, load_timeout=0.05) as client:
        try:
            response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
            assert response.status_code == 503
            assert response.headers["retry-after"] == "5"
            assert response.json()["error"]["code"] == "model_loading"
            health = (await client.get("/healthz")).json()
            assert health["status"] == "loading"
            assert (health["model"]["stage"], health["model"]["fraction"]) == ("weights", 0.5)
            assert (await client.get("/v1/models")).json()["data"][0]["id"] == "fake"
        finally:
            may_load.set()
    async with serve(load=load) as client:
        assert (await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})).status_code == 200
        assert (await client.get("/healthz")).json()["status"] == "ok"


async def test_a_model_that_cannot_be_loaded_is_a_503_with_the_reason(serve: Any) -> None:
    def load(progress: Any) -> Any:
        raise ModelError("model.gguf is not a GGUF file")

    async with serve(load=load) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
        assert response.status_code == 503
        assert response.json()["error"] == {
            "message": "model.gguf is not a GGUF file",
            "type": "server_error",
            "param": None,
            "code": "model_unavailable",
        }
        assert (await client.get("/healthz")).json()["status"] == "failed"


async def test_without_the_engines_libraries_the_answer_says_what_to_install(serve: Any) -> None:
    def load(progress: Any) -> Any:
        raise ImportError("No module named 'torch'")

    async with serve(load=load) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
    assert response.status_code == 503
    assert "pip install 'portico-mcp[engine]'" in response.json()["error"]["message"]


async def test_without_a_model_the_rest_goes_on(serve: Any) -> None:
    async with serve(load=None) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
        assert response.status_code == 404
        assert "without a model" in response.json()["error"]["message"]
        assert (await client.get("/v1/models")).json() == {"object": "list", "data": []}
        assert (await client.get("/healthz")).json() == {"status": "ok", "servers": [], "model": None}


async def test_unknown_paths_and_methods_have_the_same_shape(serve: Any) -> None:
    async with serve() as client:
        missing = await client.get("/v2/nope")
        wrong = await client.get("/v1/chat/completions")
    assert (missing.status_code, missing.json()["error"]["message"]) == (404, "there is no GET /v2/nope")
    assert wrong.status_code == 405
    assert "not allowed" in wrong.json()["error"]["message"]


class Panic(BaseException):
    """As pyo3's PanicException: no Exception."""


@pytest.mark.parametrize("fault", [ZeroDivisionError("secret detail"), Panic("secret detail")])
async def test_an_internal_fault_is_a_500_without_a_stack_trace(serve: Any, fakes: Any, fault: BaseException) -> None:
    class Broken(fakes.FakeEngine):  # type: ignore[name-defined, misc]
        def render_chat(self, *_: Any) -> Any:
            raise fault

    async with serve(Broken()) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "internal error; the server's log has more"
    assert "secret" not in response.text


async def test_a_model_without_a_chat_template_is_a_400_that_says_so(serve: Any, fakes: Any) -> None:
    class Untaught(fakes.FakeEngine):  # type: ignore[name-defined, misc]
        def __getattribute__(self, name: str) -> Any:
            if name == "chat_template":
                raise ChatTemplateError("the model fake carries no chat template")
            return super().__getattribute__(name)

    async with serve(Untaught()) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "chat_template_error"
    assert "carries no chat template" in response.json()["error"]["message"]


async def test_the_engine_is_closed_at_the_end(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
    assert engine.closed
