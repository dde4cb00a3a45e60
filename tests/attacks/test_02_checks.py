"""A check after the answer costs its bound, too, and never the event loop's time, on which everybody's streams are told."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from tests.attacks.bombs import SCHEMAS
from tests.attacks.http_server import BODIES, CHAT, running
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine.grammar import check_arguments, check_arguments_isolated
from portico_engine.grammar.isolated import child

pytestmark = pytest.mark.attack("2 a schema or grammar costs its bound")

_ONCE = 0.1  # seconds of the processor that the event loop may take at once: 0.02 on an idle machine
_SECONDS = 90.0  # for an answer, on a machine where two seconds of the processor take so long
_DOUBLING = [f"$defs doubling by {how}" for how in ("allOf", "anyOf", "not")]
_MANY_OBJECTS = json.dumps([{"a": number} for number in range(4000)])
_UNIQUE = {"type": "array", "items": {"type": "object"}, "uniqueItems": True}
ASKED: dict[str, tuple[dict[str, Any], str]] = {  # a body's fields, and what the model answers
    "a tool whose definitions double": (
        {
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"type": "object", **SCHEMAS[_DOUBLING[2]]()}}}
            ],
            "tool_choice": "required",
        },
        '{"name":"f","arguments":{"a":1}}',
    ),
    "4,000 objects that must differ": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _UNIQUE}}},
        _MANY_OBJECTS,
    ),
}


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the processor of each callback of every event loop."""
    taken: list[float] = []
    run = asyncio.events.Handle._run  # type: ignore[attr-defined]

    def timed(handle: Any) -> None:
        before = time.thread_time()
        run(handle)
        taken.append(time.thread_time() - before)

    monkeypatch.setattr(asyncio.events.Handle, "_run", timed)
    return taken


@pytest.mark.parametrize("name", ASKED)
def test_an_answer_that_is_dear_to_check_holds_nobody_up(name: str, callbacks: list[float]) -> None:
    fields, answer = ASKED[name]
    with running(FakeEngine(script=lambda request: [answer], context_length=100_000)) as server:
        callbacks.clear()
        said = server.client.post(CHAT, json={**BODIES[CHAT], **fields}, timeout=_SECONDS)
    assert said.status_code == 200 or "could not be checked" in said.json()["error"]["message"]
    assert max(callbacks) < _ONCE


@pytest.mark.parametrize("name", _DOUBLING)
def test_a_check_ends_whatever_the_schema(name: str) -> None:
    before = time.thread_time()
    (violation,) = check_arguments(SCHEMAS[name](), {})
    assert violation.message == "the value could not be checked: it takes too many steps"
    assert time.thread_time() - before < 10 * child.SECONDS


@pytest.mark.anyio
async def test_what_takes_longer_than_its_bound_is_not_valid() -> None:
    before = time.thread_time()
    (violation,) = await check_arguments_isolated(SCHEMAS["$defs doubling by allOf"](), {})
    assert "could not be checked within 2 s" in violation.message
    assert time.thread_time() - before < _ONCE


@pytest.mark.anyio
async def test_a_check_apart_says_what_a_check_here_says() -> None:
    schema = {"type": "array", "items": {"type": "integer", "maximum": 5}, "uniqueItems": True}
    values = [[*range(1000)], [1] * 1000, ["a"], [], [1, 1]]
    apart = [await check_arguments_isolated(schema, value) for value in values]
    assert apart == [check_arguments(schema, value)[:20] for value in values]
    assert [bool(each) for each in apart] == [True, True, True, False, True]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
