"""Our own servers, forked from one process: what a server that is started by itself has, and one import for all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import psutil
import pytest
from benchmarks.data.db_samples import write_sqlite

from portico_gateway.config.server_spec import UpstreamSpec, default_specs, own_spec
from portico_gateway.upstreams.upstream import UpstreamStatus
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire import fork_server

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every server is started by itself"),
]
PATIENCE = 60.0
FORK_SERVER = "portico_servers.common.fork_server"


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[UpstreamSpec, ...]:
    """The three over a small workspace, with caches of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-gateway-alone")
    root = tmp_path / "root"
    root.mkdir()
    (root / "page.md").write_text("# Page\n\nWords.\n")
    (root / "part.py").write_text("def function() -> int:\n    return 1\n")
    return default_specs(root, db=[write_sqlite(tmp_path, "shop")])


@asynccontextmanager
async def running(specs: tuple[UpstreamSpec, ...], folder: Path) -> AsyncIterator[Upstreams]:
    async with Upstreams(specs, log_dir=folder / "logs") as upstreams:
        await upstreams.ready(PATIENCE)
        assert [status.error for status in upstreams.status()] == [None] * len(specs)
        yield upstreams


def of_kind(name: str) -> list[psutil.Process]:
    """The running processes that call themselves so, of this one and of what forks for it: other gateways have their own."""
    parents = [psutil.Process(), *forking()]
    return [each for parent in parents for each in parent.children() if alive(each) and each.name() == name]


def forking() -> list[psutil.Process]:
    """The processes that fork servers for this one, without the forks."""
    return [each for each in psutil.Process().children() if alive(each) and FORK_SERVER in each.cmdline()]


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - processes tell nobody
            await anyio.sleep(0.05)


async def test_one_process_imports_for_all_three(specs: tuple[UpstreamSpec, ...], tmp_path: Path) -> None:
    async with running(specs, tmp_path):
        (parent,) = forking()
        servers = [process for name in ("portico-code", "portico-docs", "portico-db") for process in of_kind(name)]
        assert [process.ppid() for process in servers] == [parent.pid] * 3
    assert not forking()
    assert not any(alive(process) for process in (parent, *servers))


async def test_a_fork_has_what_a_process_of_its_own_has(specs: tuple[UpstreamSpec, ...], tmp_path: Path) -> None:
    async with running(specs, tmp_path):
        (parent,) = forking()
        pipes: list[set[str]] = []
        for name in ("portico-code", "portico-docs", "portico-db"):
            (server,) = of_kind(name)
            assert os.getsid(server.pid) == os.getpgid(server.pid) == server.pid
            assert server.cwd() == "/"
            assert "sk-of-the-gateway-alone" not in str(server.environ())
            files = [os.readlink(path) for path in Path(f"/proc/{server.pid}/fd").iterdir()]
            pipes.append({file for file in files if file.startswith(("socket:", "pipe:"))})
        assert not pipes[0] & pipes[1] | pipes[0] & pipes[2] | pipes[1] & pipes[2]
        assert "sk-of-the-gateway-alone" not in str(parent.environ())


async def test_it_lists_the_same_tools(
    specs: tuple[UpstreamSpec, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(specs, tmp_path) as upstreams:
        assert forking()
        forked = upstreams.catalog.tools
    monkeypatch.setattr(sys, "platform", "another")
    async with running(specs, tmp_path) as upstreams:
        assert not forking()
        assert upstreams.catalog.tools == forked


async def test_how_a_fork_ended_is_said_and_the_next_one_is_forked_too(specs: tuple[UpstreamSpec, ...], tmp_path: Path) -> None:
    async with running(specs, tmp_path) as upstreams:
        (parent,), (docs,) = forking(), of_kind("portico-docs")
        errors = []
        docs.kill()
        await until(lambda: errors.append(str(status(upstreams, "docs").error)) or "SIGKILL" in errors[-1])
        await until(lambda: status(upstreams, "docs").error is None and bool(of_kind("portico-docs")))
        (again,) = of_kind("portico-docs")
        assert again.pid != docs.pid
        assert again.ppid() == parent.pid


async def test_servers_outlive_what_forked_them_and_the_next_has_another(
    specs: tuple[UpstreamSpec, ...], tmp_path: Path
) -> None:
    async with running(specs, tmp_path) as upstreams:
        ((parent,), (docs,), (code,)) = forking(), of_kind("portico-docs"), of_kind("portico-code")
        parent.kill()
        await until(lambda: not alive(parent))
        assert alive(docs)
        docs.kill()
        await until(lambda: bool(of_kind("portico-docs") or started_by_itself("docs")))
        await until(lambda: status(upstreams, "docs").error is None)
        assert alive(code)
    assert not alive(code)


def started_by_itself(kind: str) -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if alive(each) and f"portico_servers.{kind}" in each.cmdline()]


async def test_without_it_each_is_started_by_itself(
    specs: tuple[UpstreamSpec, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "python_module", lambda module: [sys.executable, "-c", "raise SystemExit(1)"])
    async with running(specs, tmp_path):
        assert len([each for kind in ("code", "docs", "db") for each in started_by_itself(kind)]) == 3


async def test_a_server_that_can_t_start_says_why(tmp_path: Path) -> None:
    spec = own_spec("code", [str(tmp_path / "gone")])
    async with Upstreams([spec], log_dir=tmp_path) as upstreams:
        await upstreams.ready(PATIENCE)
        said = str(upstreams.status()[0].error)
    assert "exited with code 2" in said
    assert "gone does not exist; give directories of source code" in said
    assert not forking()


def status(upstreams: Upstreams, name: str) -> UpstreamStatus:
    return next(each for each in upstreams.status() if each.name == name)


GATEWAY = """
import sys, anyio
from pathlib import Path
from portico_gateway.config.server_spec import default_specs
from portico_gateway.upstreams.upstreams import Upstreams

async def main():
    root = Path(sys.argv[1])
    async with Upstreams(default_specs(root), log_dir=root / "logs") as up:
        await up.ready(60)
        print("ready", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.mark.attack("17 a server's whole tree ends")
def test_nothing_is_left_of_a_gateway_that_is_killed(specs: tuple[UpstreamSpec, ...], tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", GATEWAY, str(tmp_path)], stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        try:
            assert gateway.stdout.readline() == "ready\n"
            processes = psutil.Process(gateway.pid).children(recursive=True)
            assert {"portico-code", "portico-docs"} <= {process.name() for process in processes}
            gateway.send_signal(signal.SIGKILL)
            gateway.wait(60)
        finally:
            gateway.kill()
    _, left = psutil.wait_procs(processes, 15)
    assert [process for process in left if alive(process)] == []
