"""Whatever a server has started ends with the server, and with the gateway, however that ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import psutil
import pytest

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire.process_tree import MARK_VARIABLE

pytestmark = [pytest.mark.anyio, pytest.mark.attack("17 a server's whole tree ends")]
DAEMON_SERVER = Path(__file__).with_name("daemon_server.py")
KINDS = ["plain", "child", "setsid", "double_fork", "no_environment", "stubborn"]
PATIENCE = 30.0
GATEWAY = """
import signal, sys, anyio
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where nohup runs the tests
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.upstreams import Upstreams

async def main():
    spec = UpstreamSpec("d", command=sys.executable, args=tuple(sys.argv[2:]))
    async with Upstreams([spec], log_dir=Path(sys.argv[1])) as up:
        await up.ready()
        await anyio.sleep(1.5)
        print("ready", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def of_server(pidfile: Path) -> list[psutil.Process]:
    """The server, and all that carries its mark or is known of it."""
    (server, *started) = json.loads(pidfile.read_text())
    mark = psutil.Process(server).environ()[MARK_VARIABLE]
    found = {server, *started}
    for process in psutil.process_iter():
        try:
            if mark in process.environ().get(MARK_VARIABLE, ""):
                found.add(process.pid)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return [psutil.Process(pid) for pid in found]


def running(processes: list[psutil.Process]) -> list[int]:
    def runs(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return [process.pid for process in processes if runs(process)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP], ids=["SIGKILL", "SIGHUP"])
def test_nothing_is_left_of_a_gateway_that_is_killed(kind: str, number: signal.Signals, tmp_path: Path) -> None:
    pidfile = tmp_path / "pids"
    command = [sys.executable, "-c", GATEWAY, str(tmp_path), str(DAEMON_SERVER), str(pidfile), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        try:
            assert gateway.stdout.readline() == "ready\n"
            processes = of_server(pidfile)
            assert len(processes) == (1 if kind in ("plain", "stubborn") else 2)
            gateway.send_signal(number)
            gateway.wait(60)
        finally:
            gateway.kill()
        deadline = time.monotonic() + 5.0
        while running(processes) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert running(processes) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no_environment"])
async def test_nothing_is_left_of_a_server_that_is_stopped(kind: str, tmp_path: Path) -> None:
    pidfile = tmp_path / "pids"
    spec = UpstreamSpec("d", command=sys.executable, args=(str(DAEMON_SERVER), str(pidfile), kind))
    async with Upstreams([spec], log_dir=tmp_path) as upstreams:
        await upstreams.ready(PATIENCE)
        processes = of_server(pidfile)
    assert running(processes) == []


async def test_nothing_is_left_of_a_server_that_is_killed(tmp_path: Path) -> None:
    pidfile = tmp_path / "pids"
    spec = UpstreamSpec("d", command=sys.executable, args=(str(DAEMON_SERVER), str(pidfile), "setsid"))
    async with Upstreams([spec], log_dir=tmp_path) as upstreams:
        await upstreams.ready(PATIENCE)
        processes = of_server(pidfile)
        processes[[p.pid for p in processes].index(json.loads(pidfile.read_text())[0])].kill()
        deadline = time.monotonic() + 10.0
        while running(processes) and time.monotonic() < deadline:  # noqa: ASYNC110 - processes tell nobody
            await anyio.sleep(0.05)
        assert running(processes) == []
