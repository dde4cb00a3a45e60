from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.gateway.agent.fakes import FakeEngine, FakeHost, nothing

from portico_gateway.agent.free.loop import FreeAgent
from portico_gateway.agent.guided.loop import Agent
from portico_gateway.agent.select import Guidance, is_guided, select_agent
from portico_gateway.guidance.tool_retrieval import ToolRetriever


@pytest.mark.parametrize(
    ("parameters", "guidance", "guided"),
    [(135_000_000, "auto", True), (999_999_999, "auto", True), (1_000_000_000, "auto", False), (135_000_000, "off", False)],
)
def test_models_below_a_billion_parameters_are_guided_unless_that_is_switched_off(
    parameters: int, guidance: Guidance, guided: bool
) -> None:
    assert is_guided(parameters, guidance) is guided


def test_each_gets_its_loop_and_a_larger_model_needs_no_retriever() -> None:
    host = FakeHost()
    retriever = ToolRetriever(host.tools(), {tool.name: "code" for tool in host.tools()}, {}, nothing)
    small = FakeEngine()
    assert isinstance(select_agent(small, host, retriever=retriever), Agent)  # type: ignore[arg-type]
    large = SimpleNamespace(info=SimpleNamespace(parameters=8_000_000_000))
    assert isinstance(select_agent(large, host), FreeAgent)  # type: ignore[arg-type]
