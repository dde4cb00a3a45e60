"""What thousands of hostile calls leave behind in a gateway: memory, handles, processes; and does each of them end?

    python benchmarks/hostile_soak.py [--calls 20000]

`portico stdio` with a server that answers wrongly in every way of tests/attacks/odd_server.py, three that die in the middle of
an answer, never answer, and flood (tests/attacks/failing_server.py), and one that has started a process in a session of its
own. A host calls with bad names and bad arguments, and gives calls up. Every other call has to end within BOUND seconds, by a
result or by an error with a code. Memory and handles are read after a tenth of the calls and at the end; then the gateway gets
SIGKILL, and what is left after 5 seconds is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import mcp_types
import psutil
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError

from report import table, write

ATTACKS = Path(__file__).parents[1] / "tests" / "attacks"
MODES = (
    "err32000", "err32001", "err_string", "latin1_result", "batch_result", "deep_result", "broken_json", "null_result",
    "list_result", "float_id", "nan_result", "long_number", "surrogate_result", "structured_only", "empty_result",
    "string_content", "new_content_type", "new_field", "untyped_block", "structured_list", "odd_meta_result", "text_is_number",
)  # fmt: skip
KINDS = (
    "wrong", "no such tool", "declined", "no such resource", "odd text", "die", "flood", "wrong", "hang", "given up", "wrong",
)  # fmt: skip
AT_ONCE = 16
FAILURES = ("die", "hang", "flood")
HANG_SECONDS = 0.25  # that the gateway gives the server which never answers
BOUND = 15.0  # seconds
LEFT_AFTER = 5.0  # seconds


@dataclass(slots=True)
class Ends:
    """How calls ended, and how long each took; `late` ended past the bound, or not at all."""

    by_kind: Counter[str] = field(default_factory=Counter)
    longest: dict[str, float] = field(default_factory=dict)
    late: int = 0

    def note(self, kind: str, outcome: str, seconds: float) -> None:
        self.by_kind[f"{kind}: {outcome}"] += 1
        self.longest[kind] = max(self.longest.get(kind, 0.0), round(seconds, 3))
        self.late += outcome == "none" or seconds > BOUND


class Sample(NamedTuple):
    """Of the gateway's process; `processes` counts all under it."""

    mib: float
    handles: int
    threads: int
    processes: int


def sample(gateway: psutil.Process) -> Sample:
    children = len(gateway.children(recursive=True))
    return Sample(gateway.memory_info().rss / 2**20, gateway.num_fds(), gateway.num_threads(), children)


async def refuse(context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
    return mcp_types.ElicitResult(action="decline")


async def hostile_call(client: Client, number: int, ends: Ends) -> None:
    """One of many kinds, to its end."""
    kind = KINDS[number % len(KINDS)]
    began, outcome = time.perf_counter(), "none"
    try:
        with anyio.move_on_after(0.02 if kind == "given up" else 2 * BOUND):
            outcome = "a result" if await _call(client, number, kind) else "an error for the model"
    except MCPError as error:
        outcome = f"error {error.error.code}"
    except (RuntimeError, ValueError) as error:  # the host's own SDK does not take what a server sent
        outcome = type(error).__name__
    ends.note(kind, "given up" if kind == "given up" and outcome == "none" else outcome, time.perf_counter() - began)


async def _call(client: Client, number: int, kind: str) -> bool:
    """Whether it went well."""
    if kind == "no such resource":
        await client.read_resource(f"portico://odd/file://{number}")
        return True
    arguments: dict[str, Any] = {"mode": MODES[number // len(KINDS) % len(MODES)], "junk": ["z" * 2000]}
    name = "odd__odd"
    if kind == "no such tool":
        name, arguments = f"no_such__tool{number}", {"x": "y" * 1000}
    elif kind == "declined":
        name, arguments = "odd__write", {"text": f"{number}" * 500}
    elif kind == "given up":
        name, arguments = "odd__slow", {}
    elif kind == "odd text":
        arguments["junk"] = "\0\u202e"
    elif kind in FAILURES:
        name, arguments = f"{kind}__fail", {}
    return not (await client.call_tool(name, arguments)).is_error


async def calls(client: Client, first: int, last: int, ends: Ends) -> None:
    numbers = iter(range(first, last))

    async def worker() -> None:
        for number in numbers:
            await hostile_call(client, number, ends)

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(worker)


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[tuple[Client, psutil.Process]]:
    servers = {
        "odd": ["odd_server.py", "plain"],
        "daemon": ["daemon_server.py", str(folder / "pids"), "setsid"],
        **{how: ["failing_server.py", how] for how in FAILURES},
    }
    lines = ["[gateway]", "own_servers = []"]
    for name, (script, *arguments) in servers.items():
        lines += [f"[servers.{name}]", f"command = {json.dumps(sys.executable)}"]
        lines += [f"args = {json.dumps([str(ATTACKS / script), *arguments])}"]
        lines += [f"call_timeout = {HANG_SECONDS}"] if name == "hang" else []
    (folder / "portico.toml").write_text("\n".join(lines))
    environment = {
        **os.environ, "PORTICO_LOG_DIR": str(folder / "logs"), "PORTICO_AUDIT_FILE": str(folder / "audit.db"),
    }  # fmt: skip
    arguments = ["-m", "portico_gateway", "stdio", "--config", str(folder / "portico.toml")]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env=environment, cwd=folder)
    async with Client(parameters, mode="legacy", cache=None, elicitation_callback=refuse) as client:
        await client.list_tools()
        (process,) = [child for child in psutil.Process().children() if "portico_gateway" in " ".join(child.cmdline())]
        yield client, process


def left_of(processes: list[psutil.Process]) -> int:
    deadline = time.monotonic() + LEFT_AFTER
    while time.monotonic() < deadline and any(_runs(process) for process in processes):
        time.sleep(0.05)
    return sum(_runs(process) for process in processes)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def soak(folder: Path, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        async with gateway(folder) as (client, process):
            await calls(client, 0, count // 10, Ends())
            warm = sample(process)
            ends, began = Ends(), time.perf_counter()
            await calls(client, count // 10, count, ends)
            await anyio.sleep(1.5)  # what was given up ends at the server
            found = {"warm": warm._asdict(), "end": sample(process)._asdict(), "seconds": time.perf_counter() - began}
            found |= {"ends": dict(sorted(ends.by_kind.items())), "longest_s": ends.longest, "late": ends.late}
            under = process.children(recursive=True)
            under += [psutil.Process(pid) for pid in json.loads((folder / "pids").read_text())]
            process.send_signal(signal.SIGKILL)
            found["under"] = len({child.pid for child in under})
            found["left"] = await anyio.to_thread.run_sync(left_of, under)
    except* (MCPError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # the client's end after the kill
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    count = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        found = anyio.run(soak, Path(folder), count)
    warm, end = found["warm"], found["end"]
    growth = end["mib"] / warm["mib"] - 1
    rows = [[name, f"{warm[name]:.0f}", f"{end[name]:.0f}"] for name in ("mib", "handles", "threads", "processes")]
    table(["the gateway", f"after {count // 10} calls", f"after {count}"], rows)
    print(f"memory {growth:+.1%}; of {found['under']} processes {found['left']} are left {LEFT_AFTER:g} s after SIGKILL")
    for end_, number in found["ends"].items():
        print(f"  {number:6} {end_}")
    print(f"{found['late']} calls ended past {BOUND:g} s or not at all; the longest by kind: {found['longest_s']}")
    write("hostile_soak", {"calls": count, "memory_growth": growth, **found})
    held = growth <= 0.10 and end["handles"] <= warm["handles"] + 2 and not found["left"] and not found["late"]
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
