"""How much of a core the gateway takes while 64 clients read streams, and what HTTP adds to an engine in process.

    python benchmarks/streaming_clients.py [--clients 64] [--rates 10 20] [--seconds 10] [--no-write]

The engine's process is the real one and its model says one word a step, so many steps a second (paced_engine.py): what is
measured is the gateway, which takes its child's messages and makes, checks and sends events. Its CPU time is read from /proc,
of that process alone, neither the engine's nor the clients'. Then one short answer at a time is asked of the gateway, over a
kept connection, and of the same engine in this process, in turns: what HTTP adds is the median of the differences within a
turn, the engine's own process included. The CPU time of the gateway's process tells more where the machine is busy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from local_server import serving
from paced_engine import load_paced
from portico_engine import AsyncEngine, EngineProcess, LoadProgress, Request, SamplingParams
from portico_gateway.http.app import create_app
from portico_gateway.http.server.server import HttpServer
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import bind, security
from report import percentile, table, write

BOUND = 0.25  # of one core
ADDED_BOUND = 3.0  # ms, p50
WARM_SECONDS = 2.0
STREAM_TOKENS = 400
SHORT_TOKENS = 8
WARM = 20  # requests of each way
MESSAGES = [{"role": "user", "content": "Say it again."}]
PATH = "/v1/chat/completions"


async def serve(seconds: float) -> None:
    """A gateway without servers over an engine of that pace, until it is told to end."""
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]

    async def start(progress: LoadProgress) -> EngineProcess:
        return await EngineProcess.open(partial(load_paced, seconds), progress)

    upstreams = Upstreams([])
    calls = ToolCalls(upstreams, takes_approvals=True)
    model = ModelHost("paced", start, on_end=lambda status: print(f"http://127.0.0.1:{port} {status}", flush=True))
    app = create_app(
        upstreams, GatewayServer(upstreams, tool_calls=calls), model, security=security("127.0.0.1", port), tool_calls=calls
    )
    await HttpServer(app).serve(sockets=[sock])


async def read_streams(port: int, clients: int, until: float) -> int:
    """How many events the clients have read by then."""
    body = json.dumps({"model": "paced", "messages": MESSAGES, "stream": True, "max_tokens": STREAM_TOKENS}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    events = 0

    async def client() -> None:
        nonlocal events
        while time.monotonic() < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            while time.monotonic() < until and (part := await reader.read(1 << 16)):
                events += part.count(b"data: ")
            writer.transport.abort()

    await asyncio.gather(*(client() for _ in range(clients)))
    return events


def cpu_share(clients: int, rate: float, seconds: float) -> dict[str, float]:
    """Of one core, by the gateway's own process, while the streams flow."""
    with tempfile.TemporaryDirectory() as folder, serving(_command(1 / rate), Path(folder)) as port:
        gateway = _gateway()

        async def measure() -> tuple[float, int]:
            began = time.monotonic()
            reading = asyncio.create_task(read_streams(port, clients, began + WARM_SECONDS + seconds))
            await asyncio.sleep(WARM_SECONDS)
            before = gateway.cpu_times()
            await asyncio.sleep(seconds - 0.1)
            after = gateway.cpu_times()
            spent = after.user + after.system - before.user - before.system
            return spent / (seconds - 0.1), await reading

        share, events = asyncio.run(measure())
    per_second = events / (WARM_SECONDS + seconds)
    return {
        "rate": rate,
        "share": round(share, 3),
        "events/s": round(per_second),
        "us an event": round(1e6 * share / per_second),
    }


def _gateway() -> psutil.Process:
    return next(each for each in psutil.Process().children() if "--serve" in each.cmdline())


def _command(seconds: float) -> list[str]:
    return [sys.executable, os.path.abspath(__file__), "--serve", str(seconds)]


def added_by_http(count: int) -> dict[str, Any]:
    """Milliseconds of a short answer by way, and the difference."""
    body = json.dumps({"model": "paced", "messages": MESSAGES, "max_tokens": SHORT_TOKENS}).encode()
    spent: dict[str, list[float]] = {"in process": [], "HTTP": []}

    async def measure(port: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)

        def over_http() -> None:
            connection.request("POST", PATH, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 200, said

        async with AsyncEngine(load_paced(0.0, lambda _stage, _fraction: None)) as engine:

            async def in_process() -> None:
                prompt = await engine.render_chat(MESSAGES)
                request = Request(uuid.uuid4().hex, prompt, SamplingParams(temperature=0.0), max_tokens=SHORT_TOKENS)
                async for _ in engine.generate(request):
                    pass

            for turn in range(count + WARM):
                for way in spent:
                    began = time.perf_counter()
                    if way == "HTTP":
                        await asyncio.to_thread(over_http)
                    else:
                        await in_process()
                    if turn >= WARM:
                        spent[way].append(1000 * (time.perf_counter() - began))
        connection.close()

    with tempfile.TemporaryDirectory() as folder, serving(_command(0.0), Path(folder)) as port:
        before = _gateway().cpu_times()
        asyncio.run(measure(port))
        after = _gateway().cpu_times()
    taken = after.user + after.system - before.user - before.system
    added = statistics.median(map(float.__sub__, spent["HTTP"], spent["in process"]))
    p50 = {way: round(statistics.median(times), 3) for way, times in spent.items()}
    p99 = {way: round(percentile(times, 0.99), 3) for way, times in spent.items()}
    cpu = round(1000 * taken / (count + WARM), 3)
    return {"p50_ms": p50, "p99_ms": p99, "added_ms": round(added, 3), "gateway_cpu_ms": cpu}


def main(options: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rates", type=float, nargs="*", default=[10.0, 20.0], help="tokens a second of each stream")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--requests", type=int, default=500, help="of each way, for what HTTP adds; 0: not measured")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args(options)
    if args.serve is not None:
        asyncio.run(serve(args.serve))
        return
    shares = [cpu_share(args.clients, rate, args.seconds) for rate in args.rates]
    table(
        (f"{args.clients} clients, tokens/s of each", "of one core", "events/s", "us an event"),
        [[*each.values()] for each in shares],
    )
    added = added_by_http(args.requests) if args.requests else None
    if added is not None:
        print(f"an answer of {SHORT_TOKENS} tokens, p50: {added['p50_ms']} ms; HTTP adds {added['added_ms']} ms")
        print(f"CPU time of the gateway's process for one: {added['gateway_cpu_ms']} ms")
    print(f"goals: under {BOUND:.0%} of one core, at most {ADDED_BOUND} ms added")
    if not args.no_write:
        write("streaming_clients", {"clients": args.clients, "shares": shares, "http": added})


if __name__ == "__main__":
    main()
