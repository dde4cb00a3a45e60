"""Shared by the gateway's tests: async tests run on asyncio, logs go to a temporary folder; a spec for the sample server."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portico_gateway.config.server_spec import UpstreamSpec

SAMPLE = Path(__file__).with_name("sample_server.py")
ASKING = Path(__file__).with_name("asking_server.py")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs_go_to_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("PORTICO_AUDIT_FILE", str(tmp_path / "audit.db"))
    monkeypatch.setenv("PORTICO_CHOICES_FILE", str(tmp_path / "choices.json"))
    monkeypatch.setenv("PORTICO_PINS_FILE", str(tmp_path / "pins.json"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def sample() -> Callable[..., UpstreamSpec]:
    """`sample(name, *args, **fields)`: the spec of a sample server as a subprocess."""

    def make(name: str, *args: str, **fields: Any) -> UpstreamSpec:
        return UpstreamSpec(name, command=sys.executable, args=(str(SAMPLE), name, *args), **fields)

    return make


@pytest.fixture(scope="session")
def asking() -> Callable[..., UpstreamSpec]:
    """`asking(era)`: the spec of a server named "asks" whose tools ask back."""

    def make(era: str, *args: str, **fields: Any) -> UpstreamSpec:
        return UpstreamSpec("asks", command=sys.executable, args=(str(ASKING), *args), era=era, **fields)  # type: ignore[arg-type]

    return make


@pytest.fixture
def asking_http() -> Iterator[Callable[[], UpstreamSpec]]:
    """A server like `asking`'s over Streamable HTTP, as a subprocess that ends with the test; call it for its spec."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(ASKING), "--http", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("Uvicorn running" in line for line in process.stderr)
        yield lambda: UpstreamSpec("asks", transport="http", url=f"http://127.0.0.1:{port}/mcp")
        process.kill()
