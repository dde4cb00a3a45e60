"""What `portico doctor` looks at: this Python, the libraries, the CPU, the model, and how fast the servers start.

Each check is a `Check`: what was looked at, whether it is good, what was found, and how to mend it.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from portico_gateway.background.socket_place import BackgroundUnavailable, runtime_folder
from portico_gateway.cli.background_list import running
from portico_gateway.cli.doctor_check import Check
from portico_gateway.cli.doctor_devices import device_checks
from portico_gateway.cli.doctor_kept import kept_checks
from portico_gateway.cli.doctor_places import host_checks, permission_checks, port_check
from portico_gateway.config.config_file import find_config
from portico_gateway.config.isolated_python import python_module
from portico_gateway.config.portico_config import PorticoConfig, parse_config
from portico_gateway.config.trust import WorkspaceConfig
from portico_gateway.errors import ConfigError
from portico_gateway.model.bench_record import find_record, follow_bench
from portico_gateway.model.installed import INSTALL_ENGINE, LIBRARIES, missing_libraries
from portico_gateway.model.machine import gpus
from portico_gateway.model.options import load_options
from portico_gateway.policy.idle_patterns import idle_patterns
from portico_servers.common.version import package_version

START_GOAL = 1.5  # seconds until one of our servers has answered
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "neon", "asimd", "bf16", "i8mm")


def machine_checks() -> Iterator[Check]:
    """Everything that needs no process started."""
    yield Check("Python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield Check("portico", "ok", package_version())
    yield _engine()
    yield Check("CPU", "ok", f"{os.cpu_count()} cores, {' '.join(cpu_flags()) or 'no vector extensions known'}")
    yield _memory()
    yield _model()
    yield _node()


def configuration_checks() -> Iterator[Check]:
    """The configuration that counts in the working directory, and what is wrong with it. Nothing in it is started."""
    left_out: list[WorkspaceConfig] = []

    def note(found: WorkspaceConfig) -> bool:
        left_out.append(found)
        return False

    try:
        file = find_config(ask=note)
        config = parse_config(file)
    except ConfigError as error:
        yield Check("configuration", "fail", str(error), "correct the file, or name another one: --config FILE")
        return
    finally:
        for each in left_out:
            yield Check("configuration", "warn", f"{each.path} is left out: not trusted", f"portico trust {each.path.parent}")
    specs = config.specs()
    found = "defaults: there is no portico.toml" if file is None else f"{file.path}: {len(specs)} servers"
    yield Check("configuration", "ok", found)
    yield from _named_model(config)
    yield _background()
    yield from device_checks(config)
    for spec in specs:
        if spec.problem:
            yield Check(f"server {spec.name}", "warn", spec.problem, "it is left out until then")
    for said in idle_patterns(config, specs):
        yield Check("policy", "warn", said, "correct the pattern, or take it out")
    yield from host_checks(Path.cwd())
    yield port_check(config)
    yield from permission_checks(file, config)
    yield from kept_checks(config)


def _named_model(config: PorticoConfig) -> Iterator[Check]:
    """Whether the model that the configuration names can be run; the default one has lines of its own."""
    from portico_engine import DEFAULT_MODEL, EngineError, find_model, foresee

    if config.model.name == DEFAULT_MODEL or config.engine.url or missing_libraries():
        return
    try:
        path = find_model(config.model.name)
        foresee(path, **load_options(config.model, config.engine))
    except (EngineError, ConfigError) as error:
        yield Check(
            "configured model", "fail", str(error), "correct name under [model]; portico models list shows what is here"
        )
        return
    yield Check("configured model", "ok", str(path))


def _background() -> Check:
    """Which processes answer `portico ask` at once, and whether there can be any."""
    try:
        found = [status for _, status in running()]
        folder = runtime_folder()
    except BackgroundUnavailable as error:
        return Check("background", "warn", str(error), "questions are answered without one, which takes longer")
    if not found:
        return Check("background", "ok", f"nothing runs; sockets in {folder}")
    memory = sum(status.memory or 0 for status in found) / 2**20
    return Check("background", "ok", f"{len(found)} processes, {memory:.0f} MiB; portico background list shows them")


def cpu_flags() -> list[str]:
    """The vector extensions that matter to the engine, as the system names them."""
    text = ""
    if sys.platform == "darwin":
        text = subprocess.run(["sysctl", "-a"], capture_output=True, text=True, check=False).stdout.lower()
    elif (info := Path("/proc/cpuinfo")).is_file():
        lines = info.read_text(encoding="utf-8", errors="replace").lower().splitlines()
        text = next((line for line in lines if line.startswith(("flags", "features"))), "")
    words = set(text.replace(".", " ").replace(":", " ").split())
    return [flag for flag in _FLAGS if flag in words]


def _engine() -> Check:
    versions, missing = [], []
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("engine", "warn", f"not installed: {', '.join(missing)}", INSTALL_ENGINE)
    return Check("engine", "ok", ", ".join(versions))


def _memory() -> Check:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return Check("memory", "warn", "unknown on this system")
    return Check("memory", "ok" if total > 2e9 else "warn", f"{total / 1e9:.1f} GB")


def _model() -> Check:
    from portico_engine import ModelError, find_model

    try:
        path = find_model()
    except ModelError as error:
        return Check("model", "warn", str(error).split(";")[0], "portico model install")
    return Check("model", "ok", f"{path} ({path.stat().st_size / 1e6:.0f} MB)")


def model_checks() -> Iterator[Check]:
    """How the default model would be run here, without loading it: by which executor, in what memory, and instead of what."""
    from portico_engine import EngineError, find_model, foresee, llama_cpp_backend, usable_executors

    if missing_libraries():
        return  # which has its line
    for name, obstacle in usable_executors().items():
        yield Check(f"executor {name}", "ok", "can be used" if obstacle is None else f"can't be used: {obstacle}")
    if (built := llama_cpp_backend()) is not None:
        yield Check("llama.cpp", "ok", built)
    try:
        path = find_model()
        outlook = foresee(path, **follow_bench(path, {}))
    except EngineError:
        return  # the same
    record = find_record(path)
    measured = "portico bench was not run here" if record is None else f"portico bench measured it on {record.time}"
    yield Check("executor", "ok", f"{outlook.executor} on {outlook.device}; {measured}")
    if outlook.memory is not None:
        yield Check("memory plan", "ok", outlook.memory)
    if outlook.weights is not None:
        yield Check("weights", "ok", outlook.weights)
    for kind, what in outlook.fallbacks.items():
        yield Check(f"fallback {kind}", "ok" if kind == "device" and not gpus() else "warn", what)


def _node() -> Check:
    """Only npm's servers need Node; ours don't."""
    beside = Path(sys.executable).with_name("node")
    node = str(beside) if beside.is_file() else shutil.which("node")
    if node is None:
        return Check("Node", "ok", "not found; only servers that are started by npx need it")
    ended = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=20)
    return Check("Node", "ok", f"{ended.stdout.strip()} at {node}")


async def server_checks(timeout: float = 30.0) -> list[Check]:
    """Starts each of our servers over a small workspace, and says how long its first complete answer took."""
    from portico_gateway.config.server_spec import default_specs
    from portico_gateway.upstreams.supervision import UpstreamState
    from portico_gateway.upstreams.upstreams import Upstreams

    checks: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="portico-doctor-") as name:
        folder = Path(name)
        for spec in default_specs(folder, db=[_workspace(folder)]):
            async with Upstreams([spec], log_dir=folder) as upstreams:  # one after the other, so that each figure is its own
                (status,) = await upstreams.ready(timeout)
            if status.state is UpstreamState.READY and status.start_seconds is not None:
                slow = status.start_seconds > START_GOAL
                found = f"{status.tools} tools, up in {status.start_seconds:.2f} s"
                mend = f"slower than {START_GOAL} s: is the machine busy?" if slow else ""
                checks.append(Check(f"server {spec.name}", "warn" if slow else "ok", found, mend))
            else:
                mend = f"try it alone: portico server {spec.name} --help"
                checks.append(Check(f"server {spec.name}", "fail", status.error or "did not start", mend))
    return checks


def gateway_check() -> Check:
    """Starts `portico stdio` as a host does, and says how long its first answer took."""
    hello = (
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        '"clientInfo":{"name":"portico-doctor","version":"1"}}}\n'
    )
    with tempfile.TemporaryDirectory(prefix="portico-doctor-") as folder:
        begun = time.monotonic()
        process = subprocess.Popen(
            python_module("portico_gateway", "stdio", "--root", folder),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(hello)
            process.stdin.flush()
            answered = '"result"' in process.stdout.readline()
            seconds = time.monotonic() - begun
    if not answered:
        return Check("gateway", "fail", "portico stdio gave no answer", "portico stdio --log-level debug")
    return Check("gateway", "ok" if seconds <= 1.0 else "warn", f"portico stdio answers in {seconds:.2f} s")


def _workspace(folder: Path) -> Path:
    (folder / "example.py").write_text("def example() -> int:\n    return 1\n", encoding="utf-8")
    (folder / "example.md").write_text("# Example\n\nA page.\n", encoding="utf-8")
    database = folder / "example.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE example (id INTEGER PRIMARY KEY, name TEXT)")
    return database
