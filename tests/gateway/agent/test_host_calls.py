from __future__ import annotations

import anyio
import mcp_types as types
import pytest
from tests.gateway.agent.fakes import HIT, FakeHost, hits

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.host_calls import HostCalls
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.errors import ConsentRefused, ToolDenied, UpstreamDied

BROKEN = types.CallToolResult(content=[types.TextContent(type="text", text="no such table")], is_error=True)


@pytest.mark.parametrize(
    ("answer", "error", "denied", "found"),
    [
        (hits(HIT), None, False, True),
        (hits(), None, False, False),
        (BROKEN, "no such table", False, False),
        (types.CallToolResult(content=[], is_error=True), "the tool failed without saying why", False, False),
        (UpstreamDied("code", "ended"), "server 'code' ended", False, False),
        (ToolDenied("code__search", "why"), "code__search is not allowed here: why", True, False),
        (ConsentRefused("code__search"), "the user did not allow this call of code__search", True, False),
    ],
)
def test_whatever_becomes_of_a_call_is_an_outcome(
    answer: types.CallToolResult | Exception, error: str | None, denied: bool, found: bool
) -> None:
    outcome = anyio.run(HostCalls(FakeHost(answer)).execute, "code__search", {"query": "free"})
    assert (outcome.finished.error, outcome.finished.denied, outcome.finished.result.found) == (error, denied, found)
    assert (outcome.refusal is not None) is denied


def test_more_of_a_result_can_be_read_than_is_shown() -> None:
    many = hits(*({**HIT, "path": f"{i}.py", "text": "x " * 400} for i in range(9)))
    outcome = anyio.run(HostCalls(FakeHost(many)).execute, "code__search", {"query": "free"})
    assert outcome.text(20_000, 9).count(".py:3") == 9
    assert outcome.finished.result.text.count(".py:3") <= 4


def test_sources_that_their_server_no_longer_has_are_left_out() -> None:
    there = Citation({"root": "r", "path": "a.py"}, "a.py:3", 3, "def free(self):")
    gone = Citation({"root": "r", "path": "b.py"}, "b.py:3", 3, "def gone(self):")

    calls = [
        ToolCallFinished(tool, {}, RenderedResult("x", True, (citation,)), 0.0)
        for tool, citation in (("code__search", there), ("code__search", gone), ("docs__list", there))
    ]
    assert [each.label for each in anyio.run(HostCalls(FakeHost()).confirmed, calls)] == ["a.py:3"]
