"""2,000 requests over HTTP of which many are hung up on or not read: is one lost, and does the KV come back to its start?

usage: python benchmarks/http_soak.py [--requests 2000] [--at-once 24] [--no-write]

`portico serve` with a small random model, so that tokens are cheap and blocks, batches, streams and pauses are the real ones.
Clients read a streamed answer to its end, ask for tool calls under a grammar, hang up before the answer, in the middle of it or
after half of their own body, or stop reading for seconds and then read on or hang up. An answer is lost where whoever read it
to the end saw no finish, or nothing more of it for PATIENCE seconds: how long a whole one takes is the machine's to say. When
all are through, no request may be left in the engine and no KV block held; blocks that are free, cached or pinned for a
conversation's next turn are all there were. Memory is that of the server and its engine (USS), taken at each twentieth of the
requests and compared over the second half, when all caches are full.
Exit code 1: not so, or grown by more than 10%.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

from local_server import portico_serve
from portico_engine import find_model
from portico_engine.weights.gguf_file import GGUFFile
from random_model import SMOLLM2_135M, write_random
from report import table, write
from tool_call_load import TOOLS

SMALL = replace(SMOLLM2_135M, n_layers=2, hidden=64, feed_forward=128, n_heads=2, n_kv_heads=1, head_dim=32)
KINDS = {  # shares of the requests
    "read to the end": 0.40,
    "a tool call": 0.15,
    "gone before the answer": 0.10,
    "gone in mid-answer": 0.15,
    "gone in mid-body": 0.05,
    "stalled, then read on": 0.10,
    "stalled, then gone": 0.05,
}
PATIENCE = 120.0  # seconds of silence
STALL = (1.0, 4.0)  # seconds
RECEIVE_BUFFER = 4096  # bytes: what is not read is soon noticed
MAX_GROWTH = 0.10
SETTLE_SECONDS = 30.0
STATES = ("running", "waiting", "paused")  # of requests in the engine
_SERIES = re.compile(r'^portico_(engine_requests|kv_blocks)\{.*?\bstate="(\w+)".*?\} (\S+)$', re.MULTILINE)
_FINISH = re.compile(rb'"finish_reason":\s*"(\w+)"')


def body(kind: str, model: str, rng: random.Random) -> bytes:
    words = " ".join(rng.choice(("red", "green", "blue", "seven", "paper", "stone")) for _ in range(rng.randrange(4, 60)))
    asked: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": words}],
        "stream": True,
        "temperature": 0.8,
    }
    asked["max_tokens"] = 400 if kind.startswith("stalled") else rng.randrange(4, 80)
    if kind == "a tool call":
        asked |= {"tools": TOOLS[:3], "tool_choice": "required", "max_tokens": 96}
    if kind.startswith("stalled"):
        asked |= {"logprobs": True, "top_logprobs": 20}  # so that there is much to read
    return json.dumps(asked).encode()


async def request(port: int, kind: str, model: str, rng: random.Random) -> str:
    """How it ended, as its client saw it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=RECEIVE_BUFFER)
    try:
        return await _exchange(reader, writer, kind, body(kind, model, rng), rng)
    except TimeoutError:
        return f"lost: silent for {PATIENCE:g} s"
    except ConnectionError as error:
        return f"lost: {type(error).__name__}"
    finally:
        writer.transport.abort()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, content: bytes, rng: random.Random
) -> str:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{writer.get_extra_info('peername')[1]}\r\n"
    head += f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + (content[: len(content) // 2] if kind == "gone in mid-body" else content))
    await writer.drain()
    if kind == "gone in mid-body":
        return "gone"
    if kind == "gone before the answer":
        await asyncio.sleep(rng.uniform(0, 0.05))
        return "gone"
    said = b""
    if kind != "read to the end" and kind != "a tool call":
        said = await _read(reader, rng.randrange(200, 2000))
        if kind.startswith("stalled"):
            await asyncio.sleep(rng.uniform(*STALL))
        if kind.endswith("gone") or kind == "gone in mid-answer":
            return "gone"
    while piece := await _read(reader, RECEIVE_BUFFER):
        said += piece
    status = said.split(b" ", 2)[1:2]
    if status != [b"200"]:
        return f"status {status[0].decode()}" if status else "lost: no answer"
    finish = _FINISH.findall(said)
    if not finish or b"data: [DONE]" not in said:
        return "lost: no finish"
    return f"finished ({finish[-1].decode()})"


async def _read(reader: asyncio.StreamReader, size: int) -> bytes:
    """Raises TimeoutError where nothing comes for PATIENCE seconds."""
    async with asyncio.timeout(PATIENCE):
        return await reader.read(size)


async def soak(port: int, model: str, server: psutil.Process, count: int, at_once: int) -> dict[str, Any]:
    rng = random.Random("http soak")
    ends: Counter[str] = Counter()
    kinds = rng.choices([*KINDS], weights=[*KINDS.values()], k=count)
    numbers = iter(range(count))
    memory: list[tuple[float, ...]] = []

    async def client() -> None:
        for number in numbers:
            if number % (count // 20) == 0:
                memory.append(await asyncio.to_thread(uss_mib, server))
            end = await request(port, kinds[number], model, random.Random(number))
            ends[f"{kinds[number]}: {end}"] += 1

    await asyncio.gather(*(client() for _ in range(at_once)))
    return {"ends": dict(sorted(ends.items())), "memory_mib": memory}


def uss_mib(server: psutil.Process) -> tuple[float, ...]:
    """Of the gateway, and of its engine."""
    return tuple(round(each.memory_full_info().uss / 2**20, 1) for each in (server, *server.children(recursive=True)))


def engine_stats(port: int) -> dict[str, int]:
    """Requests and KV blocks by state."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/metrics")
    said = connection.getresponse().read().decode()
    connection.close()
    found: Counter[str] = Counter()
    for name, state, value in _SERIES.findall(said):
        found[f"{name} {state}"] += round(float(value))
    return dict(found)


def settled(port: int) -> dict[str, int]:
    """The engine's stats once nothing is left to do, or after SETTLE_SECONDS."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        found = engine_stats(port)
        open_ = sum(value for name, value in found.items() if name.startswith("engine_requests") or name.endswith("held"))
        if not open_ or time.monotonic() > until:
            return found
        time.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=24)
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_random(folder / "small.gguf", SMALL, GGUFFile(find_model()))
        with portico_serve(folder, "--model", str(model)) as (port, served):
            (server,) = [each for each in psutil.Process().children() if "serve" in each.cmdline()]
            start = settled(port)
            began = time.perf_counter()
            found = asyncio.run(soak(port, served, server, args.requests, args.at_once))
            seconds = round(time.perf_counter() - began, 1)
            end = settled(port)
    lost = sum(number for what, number in found["ends"].items() if "lost" in what)
    whole_mib = [sum(each) for each in found["memory_mib"]]
    growth = round(whole_mib[-1] / whole_mib[len(whole_mib) // 2] - 1, 4)
    table(["requests", "how they ended"], [[str(number), what] for what, number in found["ends"].items()])
    table(["engine", "at the start", "at the end"], [[key, f"{start[key]:.0f}", f"{end[key]:.0f}"] for key in start])
    print(f"{lost} lost; memory {growth:+.1%} over the second half; {seconds} s")
    print(f"MiB of the gateway and of its engine: {found['memory_mib']}")
    free = [sum(each[f"kv_blocks {state}"] for state in ("free", "cached", "pinned")) for each in (start, end)]
    whole = end["kv_blocks held"] == 0 and free[0] == free[1] and not sum(end[f"engine_requests {s}"] for s in STATES)
    if not args.no_write:
        figures = {"requests": args.requests, "at_once": args.at_once, "lost": lost, "memory_growth": growth, **found}
        write("http_soak", {**figures, "start": start, "end": end, "kv_back": whole, "seconds": seconds})
    return 0 if whole and not lost and growth <= MAX_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
