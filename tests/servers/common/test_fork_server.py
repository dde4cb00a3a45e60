"""What a fork server refuses, and how it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from portico_servers.common.fork_server import ForkRequest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
PATIENCE = 60.0
WITH_A_THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
from portico_servers.common.fork_server import main
main()
"""


@contextmanager
def fork_server(*command: str) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    control, theirs = socket.socketpair()
    with control:
        with theirs:
            process = subprocess.Popen([sys.executable, "-P", *command], stdin=theirs.fileno())
        with process:
            try:
                yield process, control
            finally:
                process.kill()


def asked(control: socket.socket, line: bytes) -> tuple[socket.socket, bytes]:
    """The server's streams, and all that is said of it."""
    stdio, its_stdio = socket.socketpair()
    report, its_report = socket.socketpair()
    with its_stdio, its_report:
        report.sendall(line)
        socket.send_fds(control, [b"+"], [its_stdio.fileno(), 2, its_report.fileno()])
    report.settimeout(PATIENCE)
    stdio.shutdown(socket.SHUT_WR)
    with report, report.makefile("rb") as lines:
        return stdio, lines.read()


REQUEST = ForkRequest("docs", ["--help"], {"PATH": os.environ["PATH"]}, "/")


def test_it_says_the_id_and_the_exit_code_and_ends_when_the_asker_hangs_up() -> None:
    with fork_server("-m", "portico_servers.common.fork_server") as (process, control):
        for _ in range(2):
            stdio, said = asked(control, REQUEST.encode())
            with stdio, stdio.makefile("rb") as output:
                assert b"Documentation for MCP hosts" in output.read()
            assert said.split()[1:] == [b"0"]
            assert int(said.split()[0]) != process.pid
        control.close()
        assert process.wait(PATIENCE) == 0


def test_a_process_with_threads_is_not_forked() -> None:
    with fork_server("-c", WITH_A_THREAD) as (_, control):
        stdio, said = asked(control, REQUEST.encode())
        stdio.close()
        assert said == b""


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"[1]\n", b'{"name": "docs"}\n'])
def test_what_is_no_request_ends_nothing(line: bytes) -> None:
    with fork_server("-m", "portico_servers.common.fork_server") as (_, control):
        stdio, said = asked(control, line)
        stdio.close()
        assert said == b""
        stdio, said = asked(control, REQUEST.encode())
        stdio.close()
        assert said.split()[1:] == [b"0"]


def test_a_folder_that_is_gone_is_said_where_the_server_would_speak(capfd: pytest.CaptureFixture[str]) -> None:
    with fork_server("-m", "portico_servers.common.fork_server") as (_, control):
        stdio, said = asked(control, ForkRequest("docs", [], {}, "/gone").encode())
        stdio.close()
    assert said.split()[1:] == [b"127"]
    assert "/gone" in capfd.readouterr().err


TAKES_OVER = """
import os, subprocess
from portico_servers.common.fork_server import ForkRequest, _take_over
_take_over(ForkRequest("docs", [], {"ONLY": "this"}, "/"), os.dup(1), os.dup(2))
subprocess.run(["/usr/bin/env"])
"""


def test_what_a_fork_starts_has_the_environment_that_was_asked_for() -> None:
    command = [sys.executable, "-c", TAKES_OVER]
    done = subprocess.run(
        command, env={**os.environ, "SECRET": "x"}, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert done.stdout == "ONLY=this\n"
