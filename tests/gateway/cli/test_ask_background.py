"""When `portico ask` leaves the answer to a process that stays, and what it starts for that."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portico_gateway.cli import ask_background
from portico_gateway.cli.asking import AskOptions
from portico_gateway.cli.process_start import process_start
from portico_gateway.config.config_file import ConfigFile


@pytest.mark.parametrize(
    ("text", "variable", "enabled"),
    [
        ("", None, True),
        ("[background]\nenabled = false\n", None, False),
        ("[background]\nenabled = true\n", "0", False),
        ("[background]\nenabled = false\n", "1", True),
        ("[background\n", None, True),
        ("background = 1\n", None, True),
    ],
)
def test_it_may_be_switched_off_by_the_file_or_the_environment(
    text: str, variable: str | None, enabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PORTICO_BACKGROUND_ENABLED", raising=False)
    if variable is not None:
        monkeypatch.setenv("PORTICO_BACKGROUND_ENABLED", variable)
    assert ask_background.is_enabled(ConfigFile(Path("portico.toml"), text)) is enabled


def test_the_process_is_started_with_the_same_options_out_of_the_reach_of_the_workspace() -> None:
    options = AskOptions(None, Path("r"), (Path("d"), Path("-e")), ("f.db",), "m.gguf")
    command = ask_background._command(options, Path("c.toml"))
    assert command == [
        *(sys.executable, "-P", "-m", "portico_gateway", "background", "run"),
        *("--root=r", "--docs=d", "--docs=-e", "--db=f.db", "--config=c.toml", "--model=m.gguf"),
    ]


def test_the_client_imports_nothing_that_takes_long() -> None:
    probe = "import sys, portico_gateway.cli.commands.ask, portico_gateway.cli.ask_background; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"pydantic", "mcp", "mcp_types", "rich", "anyio", "asyncio", "numpy", "torch", "fastapi", "httpx2"}
    assert not heavy & set(done.stdout.split())


def test_a_process_knows_when_it_began() -> None:
    before = time.time()
    probe = "from portico_gateway.cli.process_start import process_start; print(process_start())"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert before - 1 < float(done.stdout) < time.time()
    assert process_start() < time.time()
    assert os.getpid()
