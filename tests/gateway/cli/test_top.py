"""`portico top`: what is read of a running server, what is made of two readings, and how it is shown."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from rich.console import Console

from portico_gateway.cli import top_snapshot
from portico_gateway.cli.main import run
from portico_gateway.cli.top_snapshot import ServeReader, ServeUnreachable
from portico_gateway.cli.top_view import top_view

URL = "http://127.0.0.1:8630"
METRICS = """
# TYPE portico_model_ready gauge
portico_model_ready{{model="smollm2"}} 1.0
portico_model_ready{{model="embed"}} 1.0
portico_model_ready{{model="large"}} 0.0
# TYPE portico_engine_requests gauge
portico_engine_requests{{model="smollm2",state="running"}} 2.0
portico_engine_requests{{model="smollm2",state="waiting"}} 1.0
portico_engine_requests{{model="embed",state="running"}} 7.0
# TYPE portico_kv_blocks gauge
portico_kv_blocks{{model="smollm2",owner="",state="free"}} 45.0
portico_kv_blocks{{model="smollm2",owner="catalog",state="held"}} 30.0
portico_kv_blocks{{model="smollm2",owner="caller",state="held"}} 20.0
portico_kv_blocks{{model="smollm2",owner="catalog",state="pinned"}} 2.0
portico_kv_blocks{{model="smollm2",owner="caller",state="pinned"}} 3.0
portico_kv_blocks{{model="embed",owner="",state="free"}} 9.0
# TYPE portico_engine_fallbacks gauge
portico_engine_fallbacks{{model="smollm2",kind="device"}} 1.0
# TYPE portico_engine_steps counter
portico_engine_steps_total{{model="smollm2"}} {steps}
portico_engine_steps_total{{model="embed"}} 3.0
# TYPE portico_engine_step_seconds counter
portico_engine_step_seconds_total{{model="smollm2",part="launch"}} {launch}
portico_engine_step_seconds_total{{model="smollm2",part="wait"}} 0.5
portico_engine_step_seconds_total{{model="embed",part="wait"}} 0.3
# TYPE portico_tokens_generated counter
portico_tokens_generated_total{{model="smollm2"}} {generated}
portico_tokens_generated_total{{model="embed"}} 1000.0
# TYPE portico_tokens_forced counter
portico_tokens_forced_total{{model="smollm2"}} 10.0
# TYPE portico_prompt_tokens counter
portico_prompt_tokens_total{{model="smollm2"}} 200.0
# TYPE portico_prompt_tokens_cached counter
portico_prompt_tokens_cached_total{{model="smollm2",tier="memory"}} 90.0
portico_prompt_tokens_cached_total{{model="smollm2",tier="disk"}} 10.0
"""
HEALTH = {
    "status": "ok",
    "model": {
        "id": "smollm2",
        "executor": "torch",
        "memory": "weights 0.3 GiB, KV 1.0 GiB",
        "fallbacks": {"device": "the CPU instead of a GPU: torch finds no NVIDIA GPU"},
    },
    "models": [
        {"id": "embed", "state": "ready", "executor": "llama_cpp", "memory": None, "fallbacks": {}},
        {"id": "large", "state": "unloaded"},
    ],
}
FIRST = {"steps": 100.0, "launch": 2.0, "generated": 40.0}
SECOND = {"steps": 110.0, "launch": 2.4, "generated": 140.0}


def served(*readings: dict[str, float], health: Any = HEALTH) -> httpx2.MockTransport:
    left = iter(readings)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.headers.get("Authorization") != "Bearer key":
            return httpx2.Response(401)
        if request.url.path == "/metrics":
            return httpx2.Response(200, text=METRICS.format(**next(left)))
        return httpx2.Response(200, json=health) if isinstance(health, dict) else httpx2.Response(200, text=health)

    return httpx2.MockTransport(answer)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the readings' clock shows next."""
    times = [1000.0, 1002.0, 1004.0]
    monkeypatch.setattr(top_snapshot.time, "monotonic", lambda: times.pop(0))
    return times


@pytest.mark.usefixtures("clock")
def test_rates_and_times_of_steps_are_of_what_happened_between_two_readings() -> None:
    reader = ServeReader(URL, "key", transport=served(FIRST, SECOND))
    (first, _, _), (second, embed, large) = reader.read().models, reader.read().models
    assert first.tokens_per_second is None
    assert second.tokens_per_second == pytest.approx(50.0)
    assert second.steps_per_second == pytest.approx(5.0)
    assert second.step_ms == {"launch": pytest.approx(40.0), "wait": 0.0}
    assert (second.requests["running"], second.blocks["held"]) == (2.0, {"catalog": 30.0, "caller": 20.0})
    assert (second.memory, second.executor) == ("weights 0.3 GiB, KV 1.0 GiB", "torch")
    assert (embed.tokens_per_second, embed.requests, embed.step_ms) == (0.0, {"running": 7.0}, {"wait": pytest.approx(100.0)})
    assert (large.name, large.state, large.requests) == ("large", "unloaded", {})


@pytest.mark.usefixtures("clock")
def test_where_nothing_happened_since_shares_and_times_are_since_the_engine_was_loaded() -> None:
    reader = ServeReader(URL, "key", transport=served(SECOND, SECOND))
    reader.read()
    idle = reader.read().models[0]
    assert idle.tokens_per_second == 0.0
    assert idle.hit_rate == 0.5
    assert idle.step_ms["launch"] == pytest.approx(2400 / 110)


@pytest.mark.usefixtures("clock")
def test_an_engine_that_was_started_again_is_not_compared_with_the_one_before() -> None:
    reader = ServeReader(URL, "key", transport=served(SECOND, FIRST))
    reader.read()
    assert reader.read().models[0].tokens_per_second is None


@pytest.mark.parametrize(
    ("transport", "said"),
    [
        (httpx2.MockTransport(lambda _: httpx2.Response(401)), "needs a key with the scope metrics"),
        (httpx2.MockTransport(lambda _: httpx2.Response(403)), "needs a key with the scope metrics"),
        (httpx2.MockTransport(lambda _: httpx2.Response(404)), "it is not portico serve"),
        (httpx2.MockTransport(lambda _: httpx2.Response(200, text="<html>")), "is not"),
        (served(FIRST, health="<html>"), "is not portico serve"),
    ],
)
def test_what_is_no_portico_serve_or_wants_a_key_says_so(transport: httpx2.MockTransport, said: str) -> None:
    with pytest.raises(ServeUnreachable, match=said):
        ServeReader(URL, "key", transport=transport).read()


def test_nobody_there_is_said_with_the_address() -> None:
    def refused(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused", request=request)

    with pytest.raises(ServeUnreachable, match=r"no portico serve answers at http://127\.0\.0\.1:8630"):
        ServeReader(URL, transport=httpx2.MockTransport(refused)).read()


@pytest.mark.usefixtures("clock")
def test_a_screen_shows_all_of_it() -> None:
    reader = ServeReader(URL, "key", transport=served(FIRST, SECOND))
    reader.read()
    out = io.StringIO()
    Console(file=out, width=120).print(top_view(reader.read(), URL))
    for said in (
        "smollm2 at http://127.0.0.1:8630: ok",
        "2 running, 1 waiting",
        "50.0 tokens/s",
        "45 free, 50 held, 5 pinned",
        "30 of the catalog, 20 of the caller",
        "40.00 ms, 5.0 a second: launch 40.00, wait 0.00",
        "weights 0.3 GiB, KV 1.0 GiB",
        "the CPU instead of a GPU: torch finds no NVIDIA GPU",
        "embed: ready",
        "7 running",
        "large: unloaded",
    ):
        assert said in out.getvalue()


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[httpx2.MockTransport], None]:
    """Has `portico top` read this transport, and wait for nothing."""

    def use(transport: httpx2.MockTransport) -> None:
        monkeypatch.setattr(top_snapshot, "ServeReader", lambda url, key: ServeReader(url, key, transport=transport))
        monkeypatch.setattr("time.sleep", lambda _: None)

    return use


@pytest.mark.usefixtures("clock")
def test_once_as_json_is_one_object_for_scripts(
    reading: Callable[[httpx2.MockTransport], None], capsys: pytest.CaptureFixture[str]
) -> None:
    reading(served(FIRST, SECOND))
    assert run(["top", "--once", "--json", "--key", "key"]) == 0
    found = json.loads(capsys.readouterr().out)
    default = found["models"][0]
    assert default["tokens_per_second"] == pytest.approx(50.0)
    assert default["totals"]["steps"] == 110.0
    assert default["blocks"]["held"] == {"catalog": 30.0, "caller": 20.0}
    assert default["fallbacks"] == HEALTH["model"]["fallbacks"]  # type: ignore[index]


def test_a_server_that_does_not_answer_is_exit_code_4(
    reading: Callable[[httpx2.MockTransport], None], capsys: pytest.CaptureFixture[str]
) -> None:
    reading(served(FIRST))
    assert run(["top", "--once"]) == 4
    assert "PORTICO_KEY" in capsys.readouterr().err
