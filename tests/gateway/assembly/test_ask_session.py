"""Who waits for what before a question: the model, and the servers that are quick."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import anyio
import pytest

from portico_gateway.agent.events import RunFinished
from portico_gateway.assembly import ask_session
from portico_gateway.assembly.ask_session import AskSession, _quick_servers, open_ask_session
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ModelServerError
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio

HANGING = UpstreamSpec("hangs", command=sys.executable, args=("-c", "import time; time.sleep(600)"), start_timeout=300.0)


def session(upstreams: Upstreams) -> AskSession:
    return AskSession(None, None, upstreams, None, None, "")  # type: ignore[arg-type]


async def test_a_server_that_hangs_is_not_waited_for_once_the_model_and_another_are_there(
    sample: Callable[..., UpstreamSpec],
) -> None:
    loaded = anyio.Event()
    loaded.set()
    with anyio.fail_after(60):
        async with Upstreams([HANGING, sample("quick")]) as upstreams:
            hanging, quick = await _quick_servers(upstreams, loaded)
            assert (hanging.state, quick.state) == (UpstreamState.STARTING, UpstreamState.READY)
            assert session(upstreams).failures() == {"hangs": "it is still starting"}


async def test_where_no_server_is_there_the_first_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_session, "READY_TIMEOUT", 0.1)
    monkeypatch.setattr(ask_session, "LATE_GRACE", 0.0)
    loaded = anyio.Event()
    loaded.set()
    with anyio.fail_after(60):
        async with Upstreams([HANGING]) as upstreams:
            (status,) = await _quick_servers(upstreams, loaded)
            assert status.state is UpstreamState.STARTING


async def test_servers_that_failed_are_named_with_their_reason() -> None:
    loaded = anyio.Event()
    with anyio.fail_after(60):
        async with Upstreams([UpstreamSpec("gone", command="/nowhere/at/all")]) as upstreams:
            await _quick_servers(upstreams, loaded)
            assert "there is no '/nowhere/at/all'" in session(upstreams).failures()["gone"]


async def test_a_model_server_answers_in_the_place_of_our_engine_and_its_calls_are_made(
    sample: Callable[..., UpstreamSpec], model_server: ModelServer
) -> None:
    config = PorticoConfig.model_validate({"engine": {"url": model_server.url}, "audit": {"enabled": False}})
    said: dict[str, str] = {}
    with anyio.fail_after(60):
        async with open_ask_session(config, [sample("sample")], said.__setitem__) as session:
            events = [event async for event in session.agent.ask("What is one and two?")]
    assert (session.model, said["model"]) == ("a-model", "a-model ready")
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert [(call.tool, call.error) for call in end.tool_calls] == [("sample__add", None)]
    assert end.answer == "It is 3."


async def test_a_model_server_that_is_not_there_ends_the_session_with_its_name(sample: Callable[..., UpstreamSpec]) -> None:
    config = PorticoConfig.model_validate({"engine": {"url": "http://127.0.0.1:9/v1"}, "audit": {"enabled": False}})
    with anyio.fail_after(60), pytest.raises(ModelServerError, match=r"127\.0\.0\.1:9.* can't be reached"):
        async with open_ask_session(config, [sample("sample")], lambda *_: None):
            pass


class ModelServer(ThreadingHTTPServer):
    """Calls a tool once, then answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Completions)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class _Completions(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": "a-model", "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        called = any(message["role"] == "tool" for message in asked["messages"])
        function = {"name": "sample__add", "arguments": json.dumps({"a": 1, "b": 2})}
        message = {"content": "It is 3."} if called else {"tool_calls": [{"id": "1", "type": "function", "function": function}]}
        self._answer({"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]})

    def _answer(self, body: object) -> None:
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
