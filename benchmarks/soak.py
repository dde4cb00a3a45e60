"""Do the servers hold out? Mixed calls with random cancels over stdio, files edited meanwhile, a kill -9, and a restart.

usage: python benchmarks/soak.py [--calls 10000] [--seconds 900] [--only code docs db]

Four fifths of the calls go to a server's first life, which ends by SIGKILL with calls in flight and files just rewritten; the
rest to the second. A reply is lost if a call that nobody cancelled isn't answered within 60 s. Memory is what the server and
its children have for themselves (USS): the medians after the first fifth of the calls and at the end of the first life are
compared. The index is intact if SQLite says so and if the probes' answers are the same as before the kill. Exit code 1: not so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from report import percentile, table, write
from soak_workload import Ask, Workload, workloads

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
AT_ONCE = 8
CANCELLED, EDITED = 0.08, 0.01  # shares of the calls
PATIENCE, GRACE, READY = 60.0, 2.0, 60.0
MAX_GROWTH = 0.10
_LINE = 1 << 26


@dataclass(slots=True)
class Tally:
    """What happened to the calls of one server."""

    calls: int = 0
    cancelled: int = 0
    answered_anyway: int = 0
    lost: int = 0
    twice: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Life:
    """One process of a server, its pipes, and the calls that it has not answered yet."""

    def __init__(self, process: asyncio.subprocess.Process, tally: Tally) -> None:
        self._process, self._tally = process, tally
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._done: set[int] = set()
        self._ids = 0
        self._reader = asyncio.create_task(self._read())
        self.memory: list[int] = []

    async def ask(self, ask: Ask, cancel_after: float | None = None) -> dict[str, Any] | None:
        """The reply; None where the call was cancelled and not answered. Raises TimeoutError where it is lost."""
        self._ids += 1
        number, answer = self._ids, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._send({"id": number, "method": ask.method, "params": {**ask.params, "_meta": META}})
        if cancel_after is not None:
            await asyncio.wait([answer], timeout=cancel_after)
            if not answer.done():
                self._send({"method": "notifications/cancelled", "params": {"requestId": number, "_meta": META}})
                await asyncio.wait([answer], timeout=GRACE)
            return answer.result() if answer.done() else None
        return await asyncio.wait_for(answer, PATIENCE)

    def send_only(self, ask: Ask) -> None:
        """Ask and don't wait."""
        self._ids += 1
        self._send({"id": self._ids, "method": ask.method, "params": {**ask.params, "_meta": META}})

    def measure(self) -> None:
        """Note the memory of the server and its children, in bytes."""
        total = 0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().uss
        self.memory.append(total)

    def tree(self) -> list[psutil.Process]:
        try:
            own = psutil.Process(self._process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    async def kill(self) -> list[psutil.Process]:
        """SIGKILL; the children that are still there after a while."""
        children = self.tree()[1:]
        self._process.kill()
        await self._end()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=10)
        return alive

    async def close(self) -> None:
        """Hang up, as a host does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 15)
        except TimeoutError:
            self._tally.wrong.append("did not end within 15 s of the end of its input")
            self._process.kill()
        await self._end()

    async def _end(self) -> None:
        await self._process.wait()
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            reply = json.loads(line)
            number = reply.get("id")
            if number is None:
                continue
            self._tally.twice += number in self._done
            self._done.add(number)
            waiting = self._waiting.pop(number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(reply)


@contextlib.asynccontextmanager
async def life(kind: str, load: Workload, home: Path, tally: Tally) -> AsyncIterator[Life]:
    with (home / f"{kind}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"portico_servers.{kind}", *load.arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, limit=_LINE,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)},
        )  # fmt: skip
        try:
            yield Life(process, tally)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def burst(alive: Life, load: Workload, rng: random.Random, calls: int, until: float, tally: Tally) -> int:
    """Up to `calls` calls, a few at a time; how many were made."""
    made = 0

    async def work() -> None:
        nonlocal made
        while made < calls and time.monotonic() < until:
            made += 1
            if made % 100 == 1:
                await asyncio.to_thread(alive.measure)
            if rng.random() < EDITED:
                load.edit(rng)
            await one(alive, load.draw(rng), rng.uniform(0, 0.02) if rng.random() < CANCELLED else None, tally)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return made


async def one(alive: Life, ask: Ask, cancel_after: float | None, tally: Tally) -> None:
    tally.calls += 1
    start = time.perf_counter()
    try:
        reply = await alive.ask(ask, cancel_after)
    except TimeoutError:
        tally.lost += 1
        return
    if cancel_after is not None:
        tally.cancelled += 1
        tally.answered_anyway += reply is not None
        return
    assert reply is not None
    tally.seconds.append(time.perf_counter() - start)
    refused = "error" in reply or bool(reply["result"].get("isError"))
    if refused != (ask.outcome == "error"):
        tally.wrong.append(f"{ask.method} {json.dumps(ask.params)[:160]}: {json.dumps(reply)[:240]}")


async def probe(alive: Life, load: Workload) -> list[Any]:
    """The probes' answers once none of them is partial; without scores and notes."""
    until = time.monotonic() + READY
    while True:
        results = [(await alive.ask(ask) or {}).get("result", {}) for ask in load.probes]
        found = [result.get("structuredContent") or {} for result in results]
        if all(part and part.get("complete", True) and part.get("hits", True) and not part.get("note") for part in found):
            return [_stable(part) for part in found]
        if time.monotonic() > until:
            raise SystemExit(f"soak: the index is not complete after {READY:.0f} s: {json.dumps(results)[:400]}")
        await asyncio.sleep(0.05)


async def soak(kind: str, load: Workload, home: Path, calls: int, seconds: float) -> dict[str, Any]:
    """Both lives of one server."""
    tally, rng, start = Tally(), random.Random(f"soak {kind}"), time.monotonic()
    async with life(kind, load, home, tally) as first:
        before = await probe(first, load)
        made = await burst(first, load, rng, calls * 4 // 5, start + seconds * 0.8, tally)
        for _ in range(40):
            load.edit(rng)
        for _ in range(AT_ONCE):
            first.send_only(load.draw(rng))
        orphans = await first.kill()
    restarted = time.monotonic()
    async with life(kind, load, home, tally) as second:
        intact = await probe(second, load) == before
        restart = time.monotonic() - restarted
        made += await burst(second, load, rng, calls - made, start + seconds, tally)
        intact = intact and await probe(second, load) == before
        await second.close()
    part = max(1, len(first.memory) // 10)
    warm, end = median(first.memory[2 * part : 3 * part] or first.memory), median(first.memory[-part:])
    return {
        "server": kind, "calls": made, "cancelled": tally.cancelled, "answered_anyway": tally.answered_anyway,
        "lost": tally.lost, "answered_twice": tally.twice, "wrong": len(tally.wrong), "examples": tally.wrong[:5],
        "p50_ms": round(percentile(tally.seconds, 0.5) * 1e3, 2), "p99_ms": round(percentile(tally.seconds, 0.99) * 1e3, 2),
        "warm_mb": round(warm / 2**20, 1), "end_mb": round(end / 2**20, 1), "growth": round(end / warm - 1, 4),
        "restart_s": round(restart, 2), "index_intact": intact and not damaged(home), "orphans": len(orphans),
        "seconds": round(time.monotonic() - start, 1),
    }  # fmt: skip


def damaged(home: Path) -> list[str]:
    """SQLite files below `home` that do not pass their own integrity check."""
    found = []
    for path in [*home.rglob("*.sqlite"), *home.rglob("*.sqlite3")]:
        with contextlib.closing(sqlite3.connect(path)) as database:
            if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                found.append(path.name)
    return found


def passed(row: dict[str, Any]) -> bool:
    clean = not (row["lost"] or row["answered_twice"] or row["wrong"] or row["orphans"])
    return clean and row["index_intact"] and row["growth"] < MAX_GROWTH


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000, help="calls to each server (10,000)")
    parser.add_argument("--seconds", type=float, default=900, help="at most this long for each server (900)")
    parser.add_argument("--only", choices=["code", "docs", "db"], nargs="+", default=["code", "docs", "db"])
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="portico-soak-") as folder:
        for kind, load in workloads(Path(folder)).items():
            if kind in chosen.only:
                home = Path(folder, f"home-{kind}")
                home.mkdir()
                rows.append(asyncio.run(soak(kind, load, home, chosen.calls, chosen.seconds)))
                print(f"{kind}: {rows[-1]['calls']} calls in {rows[-1]['seconds']} s", file=sys.stderr, flush=True)
    shown = [key for key in rows[0] if key != "examples"]
    table(shown, [[row[key] for key in shown] for row in rows])
    for row in rows:
        for example in row["examples"]:
            print(f"{row['server']}: {example}")
    write("soak", {"command": f"python benchmarks/soak.py --calls {chosen.calls}", "servers": rows})
    return 0 if all(map(passed, rows)) else 1


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(part) for key, part in value.items() if key not in ("score", "note", "indexed_at", "text")}
    return [_stable(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    raise SystemExit(main())
