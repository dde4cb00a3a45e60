"""A process that has started a guardian and a compiler ends without leaving either to the interpreter."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from portico_engine.grammar.isolated import compile_process, workers
from portico_gateway.upstreams.wire.process_tree import GUARDIAN

GUARDIAN.watch(1 << 30)
GUARDIAN.forget(1 << 30)
workers._idle.append(compile_process.CompileProcess())
print(GUARDIAN._process.pid, workers._idle[0].pid)
"""


def test_nothing_is_still_running_when_the_interpreter_ends() -> None:
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.split()) == 2
    assert done.stderr == ""
