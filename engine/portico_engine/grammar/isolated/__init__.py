"""Compiling what anybody may have written, so that it costs its bound and no more.

    estimate.py   is a schema, a grammar or a tool so small that it can be compiled where one stands?
    child.py      a process that compiles, under limits of the system on memory and processor time
    workers.py    who starts such processes, asks them, ends them with their client, and does without where there are none

What is compiled is compile.py's and calls/'s affair; the engine compiles nothing.
"""

from __future__ import annotations

from portico_engine.grammar.isolated.workers import (
    compile_gbnf_isolated,
    compile_schema_isolated,
    compile_tool_calls_here,
    compile_tool_calls_isolated,
)

__all__ = ["compile_gbnf_isolated", "compile_schema_isolated", "compile_tool_calls_here", "compile_tool_calls_isolated"]
