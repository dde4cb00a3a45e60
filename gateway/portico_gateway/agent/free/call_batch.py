"""The calls of one turn: beside each other where that is safe, their results in the order that they were written in.

Whether a call may run is the policy's affair, behind `ToolHost`. What was denied once is not asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import anyio

from portico_engine.grammar import check_arguments_isolated
from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.free import prompts
from portico_gateway.agent.free.repeated_calls import call_key
from portico_gateway.agent.free.turns import WrittenCall
from portico_gateway.agent.host_calls import CallOutcome, HostCalls
from portico_gateway.agent.rendered_results import MAX_RESULT_CHARACTERS, RenderedResult
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.errors import ToolDenied

OUT_OF_TIME = "the time for this question was over before the call ended"
CHARACTERS_A_TOKEN = 1  # of the context, that one result may have for the model: about a quarter of its tokens
MOST_CHARACTERS = 24_000
MOST_HITS = 10


@dataclass(frozen=True, slots=True)
class BatchedCall:
    """A call, what a person is shown of it, and what the model reads."""

    call: WrittenCall
    finished: ToolCallFinished
    text: str
    denied: bool = False


@dataclass(slots=True)
class CallBatches:
    """Runs the calls of one question, turn by turn."""

    host: ToolHost
    context_length: int
    denied_tools: set[str] = field(default_factory=set)  # by the policy, whatever the arguments
    _denied: dict[str, str] = field(default_factory=dict)  # calls that were denied: why

    async def run(self, calls: Sequence[WrittenCall], seconds: float) -> list[BatchedCall]:
        """One outcome a call, in order. What doesn't end within `seconds` is given up. Equal calls are made once."""
        done: dict[str, BatchedCall] = {}
        with anyio.move_on_after(seconds):
            for group in self._groups(list({call_key(call): call for call in calls}.values())):
                async with anyio.create_task_group() as tasks:
                    for call in group:
                        tasks.start_soon(self._one, call, done)
        return [self._outcome_of(call, done.get(call_key(call))) for call in calls]

    def _groups(self, calls: Sequence[WrittenCall]) -> Iterator[list[WrittenCall]]:
        """What may run together: calls that only read, next to each other. Any other has its place in the order."""
        for reads, group in groupby(calls, key=lambda call: self.host.may_run_concurrently(call.name)):
            members = list(group)
            yield from [members] if reads else ([call] for call in members)

    @staticmethod
    def _outcome_of(call: WrittenCall, outcome: BatchedCall | None) -> BatchedCall:
        if outcome is None:
            return _not_made(call, OUT_OF_TIME)
        return BatchedCall(call, outcome.finished, outcome.text, outcome.denied)

    async def _one(self, call: WrittenCall, done: dict[str, BatchedCall]) -> None:
        done[call_key(call)] = await self._call(call)

    async def _call(self, call: WrittenCall) -> BatchedCall:
        if call.problem:
            return _not_made(call, call.problem)
        key = call_key(call)
        if why := self._denied.get(key):
            return _not_made(call, why, denied=True)
        tool = next((tool for tool in self.host.tools() if tool.name == call.name), None)
        if tool is None:
            return _not_made(call, f"no tool is named {call.name!r}")
        if violations := await check_arguments_isolated(tool.parameters, call.arguments):
            return _not_made(call, f"its arguments are not valid: {violations[0].pointer or '/'}: {violations[0].message}")
        outcome = await HostCalls(self.host).execute(call.name, call.arguments)
        if outcome.refusal is not None:
            self._denied[key] = str(outcome.refusal)
            if isinstance(outcome.refusal, ToolDenied):
                self.denied_tools.add(call.name)
        return BatchedCall(call, outcome.finished, read_by_model(outcome, self.context_length), outcome.refusal is not None)


def read_by_model(outcome: CallOutcome, context_length: int) -> str:
    """The outcome as the model reads it: more of it than a person is shown."""
    if outcome.refusal is not None:
        return prompts.denied(str(outcome.refusal))
    if outcome.finished.error is not None:
        return prompts.failed(outcome.finished.error)
    limit = max(MAX_RESULT_CHARACTERS, min(MOST_CHARACTERS, context_length * CHARACTERS_A_TOKEN))
    return outcome.text(limit, MOST_HITS) or prompts.NOTHING


def _not_made(call: WrittenCall, why: str, *, denied: bool = False) -> BatchedCall:
    finished = ToolCallFinished(call.name, call.arguments, RenderedResult("", False), 0.0, why, denied)
    return BatchedCall(call, finished, prompts.denied(why) if denied else prompts.failed(why), denied)
