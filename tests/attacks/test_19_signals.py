"""A command that a shell starts in the background (`portico serve &`) starts with SIGINT ignored, and hears of it still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PORTICO = [sys.executable, "-P", "-m", "portico_gateway"]
PATIENCE = 60.0
pytestmark = pytest.mark.attack("19 signals of a background job")


def _as_a_background_job() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["serve", "--no-model", "--port", "0"], "without a model"),
        (["ask", "How do I install the pump?"], "docs:"),
        (["stdio"], ""),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_sigint_ends_it_with_130(tmp_path: Path, args: list[str], said: str) -> None:
    (tmp_path / "guide.md").write_text("# Guide\n\nTo install the pump, turn the blue valve first.\n")
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PORTICO_LOG_DIR": str(tmp_path / "logs")}
    env["PORTICO_BACKGROUND_ENABLED"] = "0"  # `ask` answers in the process that is interrupted
    process = subprocess.Popen(
        [*PORTICO, *args, "--root", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=env,
        preexec_fn=_as_a_background_job,
    )
    with process:
        assert process.stderr is not None
        assert process.stdin is not None
        assert process.stdout is not None
        if args[0] == "stdio":
            process.stdin.write(
                '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
                '"clientInfo":{"name":"t","version":"1"}}}\n'
            )
            process.stdin.flush()
            process.stdout.readline()
        elif not any(said in line for line in process.stderr):
            pytest.skip("the default model is not installed")
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
