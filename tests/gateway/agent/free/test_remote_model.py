"""The loop over a model server's answers, from exchanges that were written down (recorded/README.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest
from tests.gateway.agent.free.scripted import TOOLS, Host, end_of, text

from portico_engine.errors import ContextOverflow
from portico_gateway.agent.events import (
    AnswerText,
    ConversationTrimmed,
    Event,
    ThoughtText,
    ToolCallFinished,
    ToolCallStarted,
)
from portico_gateway.agent.free.limits import FreeLimits
from portico_gateway.agent.free.loop import FreeAgent
from portico_gateway.agent.free.remote.remote_model import RemoteModel
from portico_gateway.agent.judgement import Verdict
from portico_gateway.errors import ModelServerError, ToolDenied

RECORDED = Path(__file__).parent / "recorded"
URL = "http://127.0.0.1:8080/v1"


class Server(httpx2.AsyncBaseTransport):
    """Answers with a file's exchanges, in this order, after its models."""

    def __init__(self, file: str, *names: str) -> None:
        exchanges = json.loads((RECORDED / f"{file}.json").read_text(encoding="utf-8"))
        self.answers = [exchanges[name] for name in ("models", *names)]
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers = httpx2.Headers()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.paths.append(request.url.path)
        self.headers = request.headers
        if content := await request.aread():
            self.bodies.append(json.loads(content))
        answer = self.answers.pop(0)
        return httpx2.Response(answer["status"], json=answer["body"])


def ask(
    server: httpx2.AsyncBaseTransport, host: Host | None = None, *, limits: FreeLimits | None = None, **asked: Any
) -> list[Event]:
    async def collect() -> list[Event]:
        with anyio.fail_after(20):
            model = await RemoteModel.open(URL, "secret", transport=server)
            agent = FreeAgent(model, host or Host(), limits=limits or FreeLimits())  # type: ignore[arg-type]
            try:
                return [event async for event in agent.ask("Where is it freed?", **asked)]
            finally:
                await model.aclose()

    return anyio.run(collect)


def errors(events: Sequence[Event]) -> list[str | None]:
    return [event.error for event in events if isinstance(event, ToolCallFinished)]


def test_parallel_calls_are_made_and_answered_by_their_ids() -> None:
    server, host = Server("vllm", "two calls", "answer"), Host()
    events = ask(server, host)
    end = end_of(events)
    assert [type(event) for event in events[:3]] == [ThoughtText, ToolCallStarted, ToolCallStarted]
    assert (host.most_running, sorted(host.called)) == (2, ["code__search(free)", "docs__search(free)"])
    assert (end.answer, end.judgement.verdict) == ("It is freed in pool.py.", Verdict.ANSWERED)
    assert server.paths == ["/v1/models", "/v1/chat/completions", "/v1/chat/completions"]
    assert server.headers["authorization"] == "Bearer secret"
    first, second = server.bodies
    assert (first["model"], first["tool_choice"], first["messages"][-1]["role"]) == ("Qwen/Qwen3-8B", "auto", "user")
    assert [tool["function"]["name"] for tool in first["tools"]] == [tool.name for tool in TOOLS]
    assert second["tools"] == first["tools"], "the prompt's beginning stays"
    assert second["messages"][: len(first["messages"])] == first["messages"]
    called, *results = second["messages"][len(first["messages"]) :]
    assert called["reasoning_content"] == "Both the code and the docs may tell."
    assert [call["id"] for call in called["tool_calls"]] == [result["tool_call_id"] for result in results]
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {"query": "free"}
    assert [result["content"] for result in results] == ["code__search found free", "docs__search found free"]


def test_what_the_server_counts_is_counted() -> None:
    metrics = end_of(ask(Server("vllm", "two calls", "answer"))).metrics
    assert (metrics.prompt_tokens, metrics.cached_tokens, metrics.completion_tokens) == (932, 384, 66)


def test_a_thought_in_the_text_is_no_answer() -> None:
    events = ask(Server("llama_server", "call", "thought in the text"))
    assert [event.text for event in events if isinstance(event, ThoughtText)] == ["I should look.", "The search says pool.py."]
    assert end_of(events).answer == "It is freed in pool.py."


@pytest.mark.parametrize(
    ("exchange", "said"),
    [
        ("malformed arguments", ["its arguments are no JSON"]),
        ("wrong arguments", ["its arguments are not valid", "no tool is named 'code__grep'"]),
    ],
)
def test_a_call_that_is_none_is_not_made_and_the_model_is_told_why(exchange: str, said: list[str]) -> None:
    server, host = Server("vllm", exchange, "answer"), Host()
    events = ask(server, host)
    assert host.called == []
    assert [want in (error or "") for want, error in zip(said, errors(events), strict=True)] == [True] * len(said)
    told = [message for message in server.bodies[1]["messages"] if message["role"] == "tool"]
    assert all(want in message["content"] for want, message in zip(said, told, strict=True))
    assert len({message["tool_call_id"] for message in told}) == len(said), "an id that the server gave twice ties nothing"


def test_the_last_call_of_a_turn_that_was_cut_is_not_made() -> None:
    host = Host()
    ask(Server("llama_server", "cut", "thought in the text"), host)
    assert host.called == ["code__search(free)"]


def test_an_answer_that_was_cut_is_none() -> None:
    end = end_of(ask(Server("llama_server", "call", "answer cut")))
    assert (end.answer, end.judgement.verdict, end.limit) == ("", Verdict.NO_ANSWER, "tokens")


def test_calls_beyond_the_limit_of_a_turn_are_not_made() -> None:
    host = Host()
    events = ask(Server("vllm", "two calls", "answer"), host, limits=replace(FreeLimits(), calls_a_turn=1))
    assert host.called == ["code__search(free)"]
    assert errors(events)[1] == "a turn may make 1 calls at most"


def test_after_the_last_step_calls_are_forbidden_and_the_tools_stay() -> None:
    server = Server("vllm", "two calls", "answer")
    ask(server, max_steps=1)
    assert (server.bodies[1]["tool_choice"], server.bodies[1]["tools"]) == ("none", server.bodies[0]["tools"])


@pytest.mark.parametrize(
    ("file", "call", "too_long", "numbers"),
    [
        ("vllm", "two calls", "too long", (45000, 40960)),
        ("vllm", "two calls", "too long, older", (45000, 40960)),
        ("vllm", "two calls", "too long with its answer", (45000, 40960)),
        ("llama_server", "call", "too long", (20011, 16384)),
    ],
)
def test_a_conversation_that_is_too_long_is_shortened_once(
    file: str, call: str, too_long: str, numbers: tuple[int, int]
) -> None:
    server = Server(file, call, too_long, call)
    server.answers += json.loads(json.dumps(Server("vllm", "answer").answers[1:]))
    host = Host(lambda name, arguments: text("a long line of a result\n" * 2000))
    events = ask(server, host)
    [trimmed] = [event for event in events if isinstance(event, ConversationTrimmed)]
    assert trimmed.tokens_before == numbers[0]
    assert len(str(server.bodies[2]["messages"])) < len(str(server.bodies[1]["messages"]))
    assert end_of(events).answer == "It is freed in pool.py."


def test_a_question_that_does_not_fit_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextOverflow) as error:
        ask(Server("llama_server", "too long"))
    assert (error.value.prompt_tokens, error.value.context_tokens) == (20011, 16384)


@pytest.mark.parametrize(
    ("file", "exchange", "said"),
    [("llama_server", "loading", "503: Loading model"), ("vllm", "no such model", "404: The model `x` does not exist.")],
)
def test_an_error_of_the_server_is_said_in_its_words(file: str, exchange: str, said: str) -> None:
    with pytest.raises(ModelServerError, match=said):
        ask(Server(file, exchange))


@pytest.mark.parametrize("body", [[], {"choices": []}, {"choices": [{"message": "x"}]}, {"data": []}, "text", None])
def test_what_is_no_chat_completion_is_an_error(body: Any) -> None:
    server = Server("vllm")
    server.answers.append({"status": 200, "body": body})
    with pytest.raises(ModelServerError):
        ask(server)


def test_a_server_that_is_not_there_is_named() -> None:
    class Nobody(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("Connection refused")

    with pytest.raises(ModelServerError, match=r"127\.0\.0\.1:8080.* can't be reached: Connection refused"):
        ask(Nobody())


def test_a_server_that_lists_no_model_is_told_what_its_url_should_be() -> None:
    server = Server("vllm")
    server.answers = [{"status": 200, "body": {"data": []}}]
    with pytest.raises(ModelServerError, match="must end as in http://HOST:PORT/v1"):
        ask(server)


def test_a_server_that_hangs_is_given_up_when_the_time_is_over() -> None:
    class Hanging(Server):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "POST":
                await anyio.sleep_forever()
            return await super().handle_async_request(request)

    end = end_of(ask(Hanging("vllm"), limits=replace(FreeLimits(), seconds=0.2, answer_seconds=0.1)))
    assert (end.answer, end.limit) == ("", "seconds")


def test_a_denied_tool_is_told_of_no_more() -> None:
    def answer(name: str, arguments: Any) -> types.CallToolResult:
        if name == "docs__search":
            raise ToolDenied(name, "it is forbidden")
        return text("found")

    server = Server("vllm", "two calls", "answer")
    ask(server, Host(answer))
    assert "docs__search" not in [tool["function"]["name"] for tool in server.bodies[1]["tools"]]


def test_an_answer_comes_as_text_before_the_end() -> None:
    assert [event.text for event in ask(Server("vllm", "answer")) if isinstance(event, AnswerText)] == [
        "It is freed in pool.py."
    ]
