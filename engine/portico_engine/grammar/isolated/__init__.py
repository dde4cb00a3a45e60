"""Compiling what anybody may have written, and checking values by it, so that it costs its bound and no more.

    estimate.py   is a schema, a grammar or a tool so small that it can be compiled where one stands? or a value checked?
    child.py      a process that compiles and checks, under limits of the system on memory and processor time
    compile_process.py    one such process, as who asks it sees it
    workers.py    who has which of them do what, ends them with their client, and does without where there are none

What is compiled is compile.py's and calls/'s affair; the engine compiles nothing.
"""

from __future__ import annotations

from portico_engine.grammar.isolated.workers import (
    check_arguments_isolated,
    compile_gbnf_isolated,
    compile_schema_isolated,
    compile_tool_calls_here,
    compile_tool_calls_isolated,
)

__all__ = [
    "check_arguments_isolated",
    "compile_gbnf_isolated",
    "compile_schema_isolated",
    "compile_tool_calls_here",
    "compile_tool_calls_isolated",
]
