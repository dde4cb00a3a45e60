"""Who compiles what: small things where one stands, on a thread; all else in a process that can be ended. So are checks.

A refusal is kept like a grammar, so that a bomb that is sent again costs nothing. Where no process can be started, things are
compiled on the thread, under the compilers' own limits.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from portico_engine.errors import EngineError, GrammarError, GrammarTooLarge
from portico_engine.grammar.cache import ByteCache
from portico_engine.grammar.calls.compile import AnswerSchema, kept_tool_calls
from portico_engine.grammar.calls.formats import CallFormat, ToolChoice
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.isolated import child
from portico_engine.grammar.isolated.compile_process import CompileProcess, Job
from portico_engine.grammar.isolated.estimate import is_small_check, is_small_gbnf, is_small_schema, is_small_tool
from portico_engine.tool import Tool

if TYPE_CHECKING:
    from portico_engine.grammar.check import Violation
    from portico_engine.grammar.isolated.child import JobResult

PROCESSES = 2  # that compile at once
_FEW_TOOLS = 100  # whose digest takes no time that anybody would notice
_log = logging.getLogger(__name__)

_threads = ThreadPoolExecutor(PROCESSES, thread_name_prefix="portico-compile")
_results: ByteCache[CompiledGrammar | EngineError] = ByteCache(64 * 1024 * 1024)
_REFUSAL_BYTES = 1024
_BYTES_PER_CHARACTER = 16  # of an enforced text, for the nodes that it was printed from


async def compile_schema_isolated(schema: Any) -> CompiledGrammar:
    """As `compile_schema`, within 2 s and 256 MB. Raises the same."""
    job = Job("schema", (schema,), {})
    return await _compile(job, small=is_small_schema(schema))


async def compile_gbnf_isolated(text: str) -> CompiledGrammar:
    """As `compile_gbnf`, likewise."""
    return await _compile(Job("gbnf", (text,), {}), small=is_small_gbnf(text))


async def compile_tool_calls_isolated(
    tools: Sequence[Tool],
    *,
    choice: ToolChoice = "required",
    answer: AnswerSchema | None = None,
    format: CallFormat = CallFormat.GENERIC,
    parallel: tuple[int, int] = (1, 1),
    thinking: int | None = None,
    special_tokens: Mapping[str, int] | None = None,
) -> CompiledGrammar:
    """As `compile_tool_calls`, likewise. Where all tools together meet a limit, those that may be the reason are degraded to
    "any JSON object", and the report says so."""
    if len(tools) <= _FEW_TOOLS:
        kept = kept_tool_calls(
            tools,
            choice=choice,
            answer=answer,
            format=format,
            parallel=parallel,
            thinking=thinking,
            special_tokens=special_tokens,
        )
        if kept is not None:
            return kept
    options: dict[str, Any] = {
        "choice": choice, "answer": answer, "format": format, "parallel": parallel, "thinking": thinking,
        "special_tokens": special_tokens,
    }  # fmt: skip
    large = [tool.name for tool in tools if not is_small_tool(tool)]
    small_answer = answer is None or is_small_schema(answer.schema)
    if not large and small_answer:
        return await _compile(Job("tool_calls", (tools,), options), small=True)
    plain = [replace(tool, description="") for tool in tools]
    try:
        return await _compile(Job("tool_calls", (plain,), options), small=False)
    except GrammarError as error:
        texts = [tool.name for tool in plain if tool.text_input is not None]
        blamed = large if isinstance(error, GrammarTooLarge) else texts  # the matcher may refuse a client's own grammar
        if not blamed:
            raise
        degraded = Job("tool_calls", (plain,), {**options, "too_large": dict.fromkeys(blamed, str(error))})
        return await _compile(degraded, small=small_answer)


def compile_tool_calls_here(tools: Sequence[Tool], **options: Any) -> CompiledGrammar | None:
    """As `compile_tool_calls`, for who is on a thread of his own, or has little to compile; None where that isn't sure to take
    some milliseconds."""
    answer = options.get("answer")
    if not all(map(is_small_tool, tools)) or not (answer is None or is_small_schema(answer.schema)):
        return None
    return child.compile_here("tool_calls", (tools,), options)


async def check_arguments_isolated(schema: Any, value: Any) -> list[Violation]:
    """As `check_arguments`, of many violations some, within 2 s and 256 MB: what takes more fails."""
    from portico_engine.grammar.check import Violation, check_arguments

    if is_small_check(schema, value):
        return check_arguments(schema, value)
    found = await _done_apart(Job(child.CHECK, (schema, value), {}))
    if isinstance(found, EngineError):
        return [
            Violation("", "schema", f"the value could not be checked within {child.SECONDS:g} s and {child.BYTES >> 20} MB")
        ]
    assert isinstance(found, list)
    return found


async def _done_apart(job: Job) -> JobResult:
    """By a process, which ends with whoever waits for it."""
    ticket = _Ticket()
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, _do_apart, job, ticket)
    except asyncio.CancelledError:
        ticket.cancel()
        raise


async def _compile(job: Job, *, small: bool) -> CompiledGrammar:
    if small and job.name == "tool_calls":  # kept by what they are made from, already
        return await asyncio.to_thread(child.compile_here, *job)
    digest = await asyncio.to_thread(lambda: job.digest)
    known = _results.get(digest)
    if known is None:
        found = await asyncio.to_thread(_do_here, job) if small else await _done_apart(job)
        assert not isinstance(found, list), "that is a check's"
        known = found
        size = _REFUSAL_BYTES if isinstance(known, EngineError) else _BYTES_PER_CHARACTER * len(known.text)
        _results.put(digest, known, size)
    if isinstance(known, EngineError):
        raise known
    return known


class _Ticket:
    """A job's claim on a process, which its client's end takes back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: CompileProcess | None = None
        self.cancelled = False

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = True
            if self._process is not None:
                self._process.kill()

    def hold(self, process: CompileProcess | None) -> bool:
        """False where nobody waits any more."""
        with self._lock:
            self._process = process
            return not self.cancelled


_idle: list[CompileProcess] = []  # used by the threads of the pool, one each at most
_idle_lock = threading.Lock()


@atexit.register
def _close_idle() -> None:
    with _idle_lock:
        while _idle:
            _idle.pop().close()


def _do_here(job: Job) -> JobResult:
    try:
        if job.name == child.CHECK:
            from portico_engine.grammar.check import check_arguments

            return check_arguments(*job.arguments)
        return child.compile_here(*job)
    except EngineError as refused:
        return refused


def _do_apart(job: Job, ticket: _Ticket) -> JobResult:
    """On a thread of the pool: have a process do it; its answer, or the refusal that its end means."""
    if ticket.cancelled:
        return GrammarError("nobody waits for this grammar any more")
    with _idle_lock:
        process = _idle.pop() if _idle else None
    try:
        if process is None or not process.alive:
            process = CompileProcess()
    except OSError as error:
        _log.warning("no process to compile in could be started (%s): compiling here, under the compiler's own limits", error)
        return _do_here(job)
    if not ticket.hold(process):
        process.kill()
        return GrammarError("nobody waits for this grammar any more")
    try:
        answer = process.ask(job)
    finally:
        ticket.hold(None)
    with _idle_lock:
        if process.alive:
            _idle.append(process)
        else:
            process.close()
    return answer
