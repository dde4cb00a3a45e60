from __future__ import annotations

from pathlib import Path

import anyio
import jsonschema
import mcp_types as types
import pytest

from portico_gateway.agent.citations import ConfirmedCitation
from portico_gateway.agent.events import RunFinished, RunMetrics, ToolCallFinished
from portico_gateway.agent.judgement import Judgement, Verdict
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.cli.main import run
from portico_gateway.config.sections import ModelConfig
from portico_gateway.errors import GatewayError
from portico_gateway.mcp.ask_tool import TOOL, _result, ask_tool
from portico_gateway.model.lazy_engine import LazyEngine
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

FIGURES = RunMetrics(0.1, 60.0, 0.5, 0.01, 1.0, 10, 0, 4, 2)


def finished(answer: str, call: ToolCallFinished, *sources: ConfirmedCitation) -> RunFinished:
    verdict = Verdict.ANSWERED if answer else Verdict.NOT_FOUND
    return RunFinished("q", answer, call.result.found, (call,), sources, FIGURES, Judgement(verdict))


def text(result: types.CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, types.TextContent)
    return block.text


def test_an_answer_carries_its_evidence_and_sources_as_text_and_as_data() -> None:
    call = ToolCallFinished("code__search", {}, RenderedResult("a.py:3\ndef free", True), 0.1)
    result = _result(finished("In a.py.", call, ConfirmedCitation("code", "a.py:3", "code://r/a.py")))
    assert text(result) == "In a.py.\n\na.py:3\ndef free\n\nSources: a.py:3 (code)"
    assert result.structured_content is not None
    assert TOOL.output_schema is not None
    jsonschema.validate(result.structured_content, TOOL.output_schema)


def test_not_found_says_what_was_searched_and_what_failed() -> None:
    call = ToolCallFinished("db__rows", {}, RenderedResult("", False), 0.1, "server 'db' ended")
    assert text(_result(finished("", call))) == "Not found. Searched with: db__rows. Errors: server 'db' ended"


def test_a_model_that_is_not_there_is_an_error_of_the_tool(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.gguf")
    with pytest.raises(GatewayError, match=r"none\.gguf"):
        anyio.run(LazyEngine(ModelConfig(name=missing)).get)


def test_an_empty_question_is_refused_before_anything_is_loaded() -> None:
    own = ask_tool(ToolCalls(Upstreams([])), LazyEngine(ModelConfig()).get)
    with pytest.raises(GatewayError, match="question"):
        anyio.run(own.call, {"question": "  "}, None)


def test_without_the_engine_ask_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("portico_gateway.model.installed.missing_libraries", lambda: ["torch", "jinja2"])
    assert run(["ask", "hello"]) == 3
    assert "pip install 'portico-mcp[engine]'" in capsys.readouterr().err
