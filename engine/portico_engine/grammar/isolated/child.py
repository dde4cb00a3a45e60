"""A process that compiles one source after another, or checks one value, each under its own limits of the system.

It reads jobs from its standard input and writes what they come to, pickled, each behind its length. Processor time over the
limit ends it at once, wherever it is (SIGPROF), memory over the limit by MemoryError or by its end; whoever asked sees that by
how it ended. The end of its input is its own.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from portico_engine.errors import EngineError, GrammarError, GrammarTooLarge
from portico_engine.grammar.bounds import DEFAULT_LIMITS, Limits
from portico_engine.grammar.compiled import ClosingKnowledge, CompiledGrammar
from portico_engine.grammar.ir import names_tokens

if TYPE_CHECKING:
    from portico_engine.grammar.check import Violation
    from portico_engine.grammar.closing.derivatives import DerivativeAutomaton

    JobResult: TypeAlias = CompiledGrammar | list[Violation] | EngineError

CHECK = "check"  # the job that compiles nothing
HEADER = struct.Struct("!Q")
SECONDS = 2.0  # of the processor, for one job: compiling, the matcher's first look, and how to close
BYTES = DEFAULT_LIMITS.bytes  # more than were held when the job began
GROWN = 128 * 1024 * 1024  # bytes by which a process has grown that is not used again
_MOST_VIOLATIONS = 20
_WALKED = 32  # states
_STATE_WORK = 10_000  # as `closing` counts it, 10 ms and more: for one state of the automaton that plans endings
IN_COMPILING = Limits(seconds=1.2)  # of SECONDS, so that what takes too long is told by its name
MEMORY = f"the grammar needs more than {BYTES >> 20} MB (its limit on memory); make the schema or grammar smaller"
TIME = f"compiling took longer than {SECONDS:g} s (its limit on time); make the schema or grammar smaller"


def run(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> CompiledGrammar:
    """One job, and what an engine will ask of its result. Raises as the compilers do."""
    if name != "gbnf":
        options = {"limits": IN_COMPILING, **options}
    compiled = compile_here(name, arguments, options)
    return rehearse(compiled)


def compile_here(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> CompiledGrammar:
    """One job in the process that one is in. Raises as the compilers do."""
    from portico_engine.grammar.calls.compile import compile_tool_calls
    from portico_engine.grammar.compile import compile_gbnf, compile_schema

    compilers: dict[str, Callable[..., CompiledGrammar]] = {
        "schema": compile_schema,
        "gbnf": compile_gbnf,
        "tool_calls": compile_tool_calls,
    }
    return compilers[name](*arguments, **options)


def _check(schema: Any, value: Any) -> list[Violation]:
    """Some of the ways in which the value fails the schema, whatever steps that takes."""
    from portico_engine.grammar.check import check_arguments

    return check_arguments(schema, value, most_steps=math.inf)[:_MOST_VIOLATIONS]


def rehearse(compiled: CompiledGrammar) -> CompiledGrammar:
    """Do what the engine will do with a grammar when a request begins, over single bytes; with it what was found out, where
    that doesn't depend on a vocabulary. Raises GrammarError."""
    from portico_engine.grammar.backend import why_refused
    from portico_engine.grammar.closing.derivatives import DerivativeAutomaton
    from portico_engine.grammar.closing.longest_ending import longest_ending

    if reason := why_refused(compiled.text):
        raise GrammarError(f"the matcher can't take this grammar: {reason}")
    if compiled.ir is None:
        return compiled
    automaton = DerivativeAutomaton(compiled.ir)
    automaton.ending(automaton.start)
    longest = longest_ending(compiled.ir, automaton)
    if names_tokens(compiled.ir):
        return compiled
    if _dearest_state(automaton) > _STATE_WORK:
        note = "its patterns are too dear to be closed within a budget: where the answer's length ends, it is cut"
        return replace(compiled, ir=None, report=replace(compiled.report, notes=(*compiled.report.notes, note)))
    return replace(compiled, closing=ClosingKnowledge(longest, automaton.searched_in_rules()))


def _dearest_state(automaton: DerivativeAutomaton) -> int:
    """The work that the dearest of some states takes, on the way of a text that is as long as it can be."""
    dearest, state = 0, automaton.start
    for _ in range(_WALKED):
        before = automaton.work
        automaton.fill(state)
        dearest = max(dearest, automaton.work - before)
        after = automaton.table[state]
        open_ = [column for column in range(0x20, 0x7F) if after[column] >= 0 and column != ord('"')]
        following = open_ or [column for column in range(0x80) if after[column] >= 0]
        if not following:
            break
        state = int(after[ord("a") if ord("a") in following else following[0]])
    return dearest


def main() -> None:
    """Entry: jobs from standard input until it ends."""
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a native library prints is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    run("schema", ({"type": "object", "properties": {"a": {"type": "string", "pattern": "^a$"}}},), {})  # loads what is needed
    limits = _SystemLimits()
    while (job := _read(jobs)) is not None:
        limits.begin()
        answer = pickle.dumps(_outcome(*job), pickle.HIGHEST_PROTOCOL)
        limits.end()
        answers.write(HEADER.pack(len(answer)) + answer)
        answers.flush()
        if limits.outgrown:
            return


def _outcome(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> JobResult:
    try:
        result = _check(*arguments) if name == CHECK else run(name, arguments, options)
        pickle.dumps(result, pickle.HIGHEST_PROTOCOL)  # what can't cross is too large, too
        return result
    except EngineError as error:
        return error
    except MemoryError:
        return GrammarTooLarge(MEMORY)
    except RecursionError:
        return GrammarTooLarge("the schema or grammar nests too deeply to be compiled")


def _read(stream: BinaryIO) -> Any:
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    return pickle.loads(stream.read(HEADER.unpack(header)[0]))


class _SystemLimits:
    """Memory and processor time of one job, as far as the system knows of such limits."""

    def __init__(self) -> None:
        self._first = _data_bytes()

    def begin(self) -> None:
        self._limit_memory(_data_bytes() + BYTES)
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, SECONDS)

    def end(self) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)

    @property
    def outgrown(self) -> bool:
        return _data_bytes() > self._first + GROWN

    @staticmethod
    def _limit_memory(data: int) -> None:
        with suppress(ImportError, ValueError, OSError):
            import resource

            if data > BYTES:  # else what is held isn't known
                resource.setrlimit(resource.RLIMIT_DATA, (data, resource.getrlimit(resource.RLIMIT_DATA)[1]))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _data_bytes() -> int:
    """Private memory that this process has asked for; 0 where the system doesn't tell."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/status") as file:
        return int(file.read().split("VmData:")[1].split()[0]) * 1024
    return 0


if __name__ == "__main__":
    main()
