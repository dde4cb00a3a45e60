"""What one key feels of another's flood: the time of a short chat beside 50 streams that nobody reads and 1,000 requests that
wait, and beside the requests alone, against its time without them; and /healthz while bodies of 20,000 tools come in.

    python benchmarks/fairness.py [--chats 30] [--streams 50] [--requests 1000] [--check]

It starts `portico serve` with the default model and two keys. The flood comes from a process of its own, under the first key:
streams that are never read (opened again where they are cut), and requests that, when refused with 429, come again after
Retry-After, doubled each time. The second key's chats ("hi", 16 tokens, not streamed) are timed one after the other, from the
request to the whole answer. Both share this machine's cores with the engine, so a part of what is measured is the clients'.
`--check` ends with exit code 1 past the bounds below, and writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from local_server import serving
from report import percentile, table, write

MOST_TIMES = 3.0  # the p95 beside the flood over the p95 alone
HEALTH_BOUND = 50.0  # ms, p99
START_SECONDS = 120.0
WARM = 3
CHAT = "/v1/chat/completions"
TOOLS = 20_000
CONFIG = """
[keys.flood]
sha256 = "{flood}"
[keys.quiet]
sha256 = "{quiet}"
[keys.watch]
sha256 = "{watch}"
scopes = ["metrics"]
"""


@contextmanager
def serving_keys(folder: Path) -> Iterator[int]:
    """The port of a gateway with the keys `flood`, `quiet` and `watch`."""
    config = folder / "portico.toml"
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("flood", "quiet", "watch")}
    config.write_text(CONFIG.format(**hashes))
    command = [sys.executable, "-P", "-m", "portico_gateway", "serve", "--port", "0", "--config", str(config)]
    with serving(command, folder) as port:
        yield port


def chat(port: int) -> float:
    """Milliseconds of one short chat of the quiet key."""
    body = {"model": "smollm2", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 16, "temperature": 0}
    began = time.perf_counter()
    with closing(HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)) as connection:
        connection.request(
            "POST", CHAT, json.dumps(body), {"Content-Type": "application/json", "Authorization": "Bearer quiet"}
        )
        answer = connection.getresponse()
        content = answer.read()
    assert answer.status == 200, content[:500]
    return 1_000 * (time.perf_counter() - began)


def chats(port: int, count: int) -> list[float]:
    return [chat(port) for _ in range(count + WARM)][WARM:]


def engine_figures(port: int) -> dict[str, float]:
    """The engine's own counters, from /metrics."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)) as connection:
        connection.request("GET", "/metrics", headers={"Authorization": "Bearer watch"})
        text = connection.getresponse().read().decode()
    wanted = r"(?:engine_requests|engine_steps|preemptions|tokens_generated)\w*"
    found = re.findall(rf"^portico_({wanted})\{{model=\"[^\"]*\",?([^}}]*)\}} (\S+)$", text, re.MULTILINE)
    return {name.replace("_total", "") + (f"{{{labels}}}" if labels else ""): float(value) for name, labels, value in found}


def health(port: int, seconds: float) -> list[float]:
    """Milliseconds of GET /healthz, again and again on one connection."""
    taken: list[float] = []
    with closing(HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)) as connection:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            taken.append(1_000 * (time.perf_counter() - began))
            time.sleep(0.005)
    return taken


def health_beside_large_bodies(port: int, seconds: float) -> tuple[list[float], int]:
    """The times, and how many of the bodies were answered meanwhile."""
    tools = [{"type": "function", "function": {"name": f"tool_{i}", "parameters": {"type": "object"}}} for i in range(TOOLS)]
    body = json.dumps({"model": "smollm2", "messages": [{"role": "user", "content": "hi"}], "tools": tools}).encode()
    ended = threading.Event()
    answered = 0

    def send() -> None:
        nonlocal answered
        while not ended.is_set():
            with closing(HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)) as connection:
                headers = {"Content-Type": "application/json", "Authorization": "Bearer flood"}
                connection.request("POST", CHAT, body, headers)
                answer = connection.getresponse()
                said = answer.read()
                assert answer.status in (400, 413), said[:500]
                answered += 1

    sender = threading.Thread(target=send)
    sender.start()
    taken = health(port, seconds)
    ended.set()
    sender.join()
    return taken, answered


class Flood:
    """The first key's clients, in a process of their own; what became of its requests is printed at its end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._statuses: Counter[str] = Counter()

    async def run(self, streams: int, requests: int) -> None:
        tasks = [asyncio.create_task(self._stall(i)) for i in range(streams)]
        tasks += [asyncio.create_task(self._insist(i)) for i in range(requests)]
        print("flooding", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        print(json.dumps(self._statuses))

    def _head(self, body: dict[str, Any]) -> bytes:
        data = json.dumps(body).encode()
        return (
            f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer flood\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        ).encode() + data

    async def _stall(self, number: int) -> None:
        """A stream with all that makes it large, never read."""
        loop = asyncio.get_running_loop()
        story = [{"role": "user", "content": f"Tell me the long story number {number}."}]
        body = {
            **{"model": "smollm2", "messages": story, "max_tokens": 4000, "stream": True, "logprobs": True, "top_logprobs": 20},
            "logit_bias": {"2": -100},  # it doesn't end by itself
        }
        while True:
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.setblocking(False)
                await loop.sock_connect(sock, ("127.0.0.1", self._port))
                await loop.sock_sendall(sock, self._head(body))
                self._statuses["streams opened"] += 1
                first = await loop.sock_recv(sock, 12)
                if first != b"HTTP/1.1 200":
                    self._statuses["streams refused"] += 1
                    await asyncio.sleep(5)
                    continue
                await asyncio.sleep(40)  # longer than the gateway waits for a reader

    async def _insist(self, number: int) -> None:
        body = {
            "model": "smollm2",
            "messages": [{"role": "user", "content": f"{number}: " + "What is the weather like where you are? " * 20}],
            "max_tokens": 64,
        }
        pause = 0.0
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(self._head(body))
                    answer = await reader.read()
                finally:
                    writer.close()
            except ConnectionError:
                answer = b"HTTP/1.1 000"
            status = answer[9:12].decode()
            self._statuses[status] += 1
            again = re.search(rb"(?i)\r\nretry-after: (\d+)", answer)
            pause = min(max(2 * pause, float(again[1]) if again else 1.0), 60.0) if status != "200" else 0.0
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # as clients' libraries do


@contextmanager
def flooding(port: int, streams: int, requests: int, result: dict[str, int]) -> Iterator[None]:
    command = [sys.executable, __file__, "--flood", str(port), "--streams", str(streams), "--requests", str(requests)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "flooding\n"
        try:
            yield
        finally:
            said, _ = process.communicate(timeout=60)
            result.update(json.loads(said))


def measure(streams: int, requests: int, count: int) -> dict[str, Any]:
    """Milliseconds by situation, and what happened in the flood."""
    spent: dict[str, list[float]] = {}
    floods: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="fairness-") as folder, serving_keys(Path(folder)) as port:
        chat(port)  # it waits for the model
        spent["hi, alone"] = chats(port, count)
        spent["/healthz, alone"] = health(port, 3)
        spent["/healthz, beside bodies of 20,000 tools"], bodies = health_beside_large_bodies(port, 8)
        for name, unread in {"streams and requests": streams, "requests": 0}.items():  # the second is all prompts
            became: dict[str, int] = {}
            with flooding(port, unread, requests, became):
                time.sleep(5)  # it has filled what it can fill
                before, began = engine_figures(port), time.perf_counter()
                spent[f"hi, beside {name}"] = chats(port, count)
                spent[f"/healthz, beside {name}"] = health(port, 3)
                after, seconds = engine_figures(port), time.perf_counter() - began
            floods[name] = {
                "answers": became,
                "seconds": round(seconds, 2),
                **{key: round(after[key] - (0 if "state" in key else before[key]), 2) for key in after},
            }
            time.sleep(2)
            spent["hi, alone"] += chats(port, count)  # before, between and after: the machine may do other work
    return {"spent": spent, "bodies": bodies, "floods": floods}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chats", type=int, default=30, help="of the second key, in each situation (default: 30)")
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--check", action="store_true", help="exit code 1 past the bounds; nothing is written")
    parser.add_argument("--flood", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.flood:
        asyncio.run(Flood(arguments.flood).run(arguments.streams, arguments.requests))
        return
    load = os.getloadavg()[0]
    found = measure(arguments.streams, arguments.requests, arguments.chats)
    spent = found.pop("spent")
    figures = {
        name: {
            "p50_ms": round(statistics.median(times), 1),
            **{f"p{share}_ms": round(percentile(times, share / 100), 1) for share in (95, 99)},
            "count": len(times),
        }
        for name, times in spent.items()
    }
    table(["", "p50 ms", "p95 ms", "p99 ms"], [(n, f["p50_ms"], f["p95_ms"], f["p99_ms"]) for n, f in figures.items()])
    alone = figures["hi, alone"]
    times = {
        name.removeprefix("hi, "): {p: round(figure[f"{p}_ms"] / alone[f"{p}_ms"], 2) for p in ("p50", "p95")}
        for name, figure in figures.items()
        if name.startswith("hi, beside")
    }
    slow_health = figures["/healthz, beside bodies of 20,000 tools"]["p99_ms"]
    for name, ratio in times.items():
        print(f"hi {name}: {ratio['p95']} times its p95 alone (bound {MOST_TIMES}), {ratio['p50']} times its p50")
    print(f"/healthz beside {found['bodies']} bodies of 20,000 tools: p99 {slow_health} ms (bound {HEALTH_BOUND})")
    print(f"the floods: {found['floods']}; load before: {load:.1f}")
    if not arguments.check:
        write("fairness", {"command": "python benchmarks/fairness.py", "times": times, "load": load, "ways": figures, **found})
    elif max(ratio["p95"] for ratio in times.values()) > MOST_TIMES or slow_health > HEALTH_BOUND:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
