"""What is known of one connection to an upstream: its process, and when and why it ended.

Whoever carries the connection writes it; supervision and error messages read it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from portico_gateway.safe_output.redaction import redacted
from portico_gateway.upstreams.wire.stderr_log import StderrLog

if TYPE_CHECKING:
    from portico_gateway.upstreams.wire.mended_streams import AnswerMender
    from portico_gateway.upstreams.wire.pipe_requests import PipeRequests

_MAX_LAST_LINE = 500  # characters that are told of what a server said last


class UpstreamConnection:
    """One connection. It is written once, and ends once."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.pid: int | None = None
        self.output_ended = False  # its output ended by itself
        self.left = False  # the gateway ended it, not the server
        self.exit_code: int | None = None
        self.stderr: StderrLog | None = None
        self.requests: PipeRequests | None = None  # where it has pipes
        self.mender: AnswerMender | None = None
        self.lists_changed: Callable[[], None] = lambda: None  # the server says that they have

    def describe_end(self) -> str:
        """`exited with code 2: no such file`: the exit and the last line that the server wrote to stderr, as far as known."""
        if self.pid is None:
            return "closed the connection"
        code = self.exit_code
        if code is None:
            how = "closed its output"
        elif code < 0:
            with suppress(ValueError):
                return self._with_last_line(f"was killed by {signal.Signals(-code).name}")
            how = f"was killed by signal {-code}"
        else:
            how = f"exited with code {code}"
        return self._with_last_line(how)

    def _with_last_line(self, how: str) -> str:
        last = self.last_stderr_line()
        return f"{how}: {last}" if last else how

    def last_stderr_line(self) -> str:
        """The last non-empty line of this process's stderr, without secrets."""
        return "" if self.stderr is None else redacted(self.stderr.last_line()[:_MAX_LAST_LINE])
