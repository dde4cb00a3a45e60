"""A model of random weights in the free loop: what it says makes no sense, and is whole, valid and ended all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.tiny_model import write_tiny_llama
from tests.gateway.agent.free.scripted import HERMES, PLAIN, THINKING, TOOLS, Host, end_of

from portico_engine import AsyncEngine, SamplingParams, load_engine
from portico_engine.grammar import check_arguments
from portico_gateway.agent.free.limits import FreeLimits
from portico_gateway.agent.free.local.local_model import LocalModel
from portico_gateway.agent.free.loop import FreeAgent
from portico_gateway.agent.select import is_guided

SCHEMAS = {tool.name: tool.parameters for tool in TOOLS}
LIMITS = FreeLimits(steps=2, turn_tokens=120, tokens=400, answer_tokens=40, thought_characters=60, calls_a_turn=3)
pytestmark = pytest.mark.anyio


@asynccontextmanager
async def random_model(folder: Path, template: str) -> AsyncIterator[AsyncEngine]:
    engine = load_engine(write_tiny_llama(folder / "tiny.gguf", context=4096, chat_template=template), executor="torch-cpu")
    engine.info = replace(engine.info, parameters=7_000_000_000)
    async with AsyncEngine(engine) as client:
        yield client


@pytest.mark.parametrize("template", [PLAIN, HERMES, THINKING], ids=["plain", "hermes", "thinking"])
@pytest.mark.parametrize("seed", range(3))
async def test_every_call_is_valid_and_every_question_ends(tmp_path: Path, template: str, seed: int) -> None:
    host = Host()
    async with random_model(tmp_path, template) as engine:
        assert not is_guided(engine.info.parameters, "auto")
        agent = FreeAgent(LocalModel(engine, sampling=SamplingParams(temperature=1.0, seed=seed)), host, limits=LIMITS)
        events = [event async for event in agent.ask("Where is it freed?")]
    end = end_of(events)
    for call in end.tool_calls:
        assert not check_arguments(SCHEMAS[call.tool], call.arguments)
        assert call.error is None
    assert end.metrics.completion_tokens <= LIMITS.tokens


async def test_a_random_model_that_must_call_calls(tmp_path: Path) -> None:
    """Its grammar left nothing else: the first character of every text that is none of a call is forbidden."""
    host = Host()
    async with random_model(tmp_path, PLAIN) as engine:
        bias = tuple((token, -100.0) for token, text in enumerate(engine.tokens.token_bytes) if text[:1] not in (b"[", b'"'))
        agent = FreeAgent(LocalModel(engine, sampling=SamplingParams(temperature=0.0, logit_bias=bias)), host, limits=LIMITS)
        end = end_of([event async for event in agent.ask("Where is it freed?")])
    assert host.called
    assert end.limit in ("steps", "tokens", "repeats")
    assert end.metrics.cached_tokens > 200, "the second turn finds the first in the prefix cache"
