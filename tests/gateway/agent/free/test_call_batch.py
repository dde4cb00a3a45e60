from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import mcp_types as types
import pytest
from tests.gateway.agent.free.scripted import Host, text

from portico_gateway.agent.free.call_batch import OUT_OF_TIME, BatchedCall, CallBatches
from portico_gateway.agent.free.turns import WrittenCall
from portico_gateway.errors import ConsentRefused


def run(batches: CallBatches, *calls: WrittenCall, seconds: float = 5.0) -> list[BatchedCall]:
    async def body() -> list[BatchedCall]:
        with anyio.fail_after(60):
            return await batches.run(calls, seconds)

    return anyio.run(body)


def search(query: Any) -> WrittenCall:
    return WrittenCall("code__search", {"query": query})


class Blocking(Host):
    """Its code__search never ends."""

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        if name == "code__search":
            await anyio.sleep_forever()
        return await super().call_tool(name, arguments)


def test_what_does_not_end_in_time_is_given_up_and_what_ended_counts() -> None:
    outcomes = run(CallBatches(Blocking(), 4096), search("a"), WrittenCall("docs__search", {"query": "b"}), seconds=0.05)
    assert [outcome.finished.error for outcome in outcomes] == [OUT_OF_TIME, None]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (search(3), "its arguments are not valid: /query"),
        (WrittenCall("code__search", {}), "its arguments are not valid"),
        (WrittenCall("code__nothing", {}), "no tool is named 'code__nothing'"),
    ],
)
def test_a_call_that_its_schema_does_not_take_is_not_made(call: WrittenCall, error: str) -> None:
    host = Host()
    [outcome] = run(CallBatches(host, 4096), call)
    assert error in (outcome.finished.error or "")
    assert "The call failed" in outcome.text
    assert host.called == []


def test_a_call_that_was_refused_may_be_made_with_other_arguments() -> None:
    asked: list[str] = []

    def answer(name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        asked.append(arguments["query"])
        if arguments["query"] == "bad":
            raise ConsentRefused(name)
        return text("done")

    batches = CallBatches(Host(answer), 4096)
    assert [outcome.denied for outcome in run(batches, search("bad"), search("good"))] == [True, False]
    assert [outcome.denied for outcome in run(batches, search("bad"))] == [True]
    assert sorted(asked) == ["bad", "good"]


def test_the_model_reads_more_of_a_result_than_a_person_is_shown() -> None:
    [outcome] = run(CallBatches(Host(lambda name, arguments: text("word " * 2000)), 8000), search("a"))
    assert len(outcome.finished.result.text) <= 1600 < len(outcome.text) <= 8000


def test_results_keep_the_order_of_their_calls_whichever_ends_first() -> None:
    calls: Sequence[WrittenCall] = [search(str(i)) for i in range(8)]
    outcomes = run(CallBatches(Host(), 4096), *calls)
    assert [outcome.call for outcome in outcomes] == calls
    assert [outcome.text for outcome in outcomes] == [f"code__search found {i}" for i in range(8)]
