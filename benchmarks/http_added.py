"""What HTTP adds to a constrained tool call by the engine in the asking program's own process.

    python benchmarks/http_added.py [--calls 200] [--model] [--before TREE] [--no-write]

The same request is answered in turns, by one client: by `portico serve` over a kept connection, whose engine is a process of
its own; and in this process, from the same body to the same completion, with the engine in a thread. Both check and prepare it
by the same code, so what is between the two are HTTP, its layers and the engine's pipe. The figure is the median of the
differences within a turn; what the processor took beside it (over HTTP without the client's share) tells more where the machine
is busy. The forward is costless_engine.py's, which takes no time and draws the same answer on both sides, so that two small
times are compared and not two large ones; `--model` takes the default model's instead. `--before` has another checkout's server
take its turn, too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

import serve_cpu
from local_server import portico_serve
from portico_engine import AsyncEngine, EngineClient, engine_loader, find_model
from report import percentile, table, write
from tool_call_load import Server, body, wrong_with

WARM = 20
BOUND = 3.0  # ms that HTTP may add, p50
ALONE = "in process"
Ask = Callable[[int], tuple[float, bytes]]  # of a question's number: seconds, and the completion
Cpu = Callable[[], float]


def over_http(server: Server, connection: HTTPConnection) -> Ask:
    def ask(number: int) -> tuple[float, bytes]:
        sent = json.dumps(body(server, number))
        began = time.perf_counter()
        connection.request("POST", f"{server.path}/chat/completions", sent, {"Content-Type": "application/json"})
        said = connection.getresponse().read()
        return time.perf_counter() - began, said

    return ask


def in_process(loop: asyncio.AbstractEventLoop, engine: EngineClient, name: str) -> Ask:
    from portico_gateway.http.generation.choices import collect_choices
    from portico_gateway.http.generation.prepare import prepare
    from portico_gateway.http.openai_chat.body import ChatCompletionRequest
    from portico_gateway.http.openai_chat.objects import completion_object

    async def answer(sent: str) -> bytes:
        generation = ChatCompletionRequest.model_validate_json(sent).to_generation()
        choices = await collect_choices([await prepare(generation, engine)], 1)
        return json.dumps(completion_object(choices)).encode()

    def ask(number: int) -> tuple[float, bytes]:
        sent = json.dumps(body(Server("", 0, "", name), number))
        began = time.perf_counter()
        said = loop.run_until_complete(answer(sent))
        return time.perf_counter() - began, said

    return ask


@contextmanager
def served(tree: Path | None, folder: Path) -> Iterator[tuple[Server, Cpu]]:
    """`portico serve`: of a checkout over the costless engine, or of this one over the default model."""
    folder.mkdir()
    with ExitStack() as stack:
        if tree is None:
            port, name = stack.enter_context(portico_serve(folder, guidance="off"))
            server = Server("127.0.0.1", port, "/v1", name)
        else:
            server = stack.enter_context(serve_cpu.serving(tree, folder, 0.0, "off", None))
        (gateway,) = [each for each in psutil.Process().children() if str(folder) in " ".join(each.cmdline())]
        processes = [gateway, *gateway.children()]
        yield server, lambda: sum(sum(each.cpu_times()[:2]) for each in processes)


def turns(asks: dict[str, tuple[Ask, Cpu]], calls: int) -> dict[str, dict[str, Any]]:
    """Milliseconds of each call and of the processor a call, by way; each answer is checked."""
    spent: dict[str, list[float]] = {name: [] for name in asks}
    taken = dict.fromkeys(asks, 0.0)
    for turn in range(WARM + calls):
        for name in list(asks)[:: -1 if turn % 2 else 1]:
            ask, cpu = asks[name]
            before = cpu()
            seconds, said = ask(turn)
            if (wrong := wrong_with(said, "tools")) is not None:
                raise SystemExit(f"{name}: {wrong}")
            if turn >= WARM:
                spent[name].append(1000 * seconds)
                taken[name] += 1000 * (cpu() - before) / calls
    return {name: {"ms": spent[name], "cpu_ms": round(taken[name], 2)} for name in asks}


def measure(folder: Path, calls: int, before: Path | None, *, model: bool) -> dict[str, Any]:
    loop = asyncio.new_event_loop()
    path = find_model()
    here = Path(__file__).resolve().parents[1]
    trees = {"HTTP": None if model else here} | ({"HTTP, before": before.resolve()} if before is not None else {})
    with ExitStack() as stack:
        stack.callback(loop.close)
        asks: dict[str, tuple[Ask, Cpu]] = {}
        for number, (name, tree) in enumerate(trees.items()):
            server, cpu = stack.enter_context(served(tree, folder / str(number)))
            connection = stack.enter_context(closing(HTTPConnection(server.host, server.port, timeout=300)))
            asks[name] = over_http(server, connection), cpu
        load = engine_loader(path) if model else partial(_costless, path)
        engine = loop.run_until_complete(AsyncEngine.open(load))
        stack.callback(lambda: loop.run_until_complete(engine.aclose()))
        asks[ALONE] = in_process(loop, engine, path.stem), time.process_time
        gc.collect()
        gc.freeze()  # as `serve` does when its model is ready
        found = turns(asks, calls)
    alone = found[ALONE]
    return {
        "model": path.stem if model else "costless",
        "ways": {
            name: {
                "p50_ms": round(statistics.median(each["ms"]), 2),
                "p95_ms": round(percentile(each["ms"], 0.95), 2),
                "cpu_ms": each["cpu_ms"],
                "added_p50_ms": round(statistics.median(map(float.__sub__, each["ms"], alone["ms"])), 2),
            }
            for name, each in found.items()
        },
    }


def _costless(path: Path, progress: Any) -> Any:
    from costless_engine import load_costless

    return load_costless(path, 0.0, None, progress)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="of each way")
    parser.add_argument("--model", action="store_true", help="the default model's forward, not one that costs nothing")
    parser.add_argument("--before", type=Path, help="another checkout, whose server takes its turn (not with --model)")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    if args.model and args.before is not None:
        parser.error("--before goes with the costless engine: without --model")
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), args.calls, args.before, model=args.model)
    rows = [(name, *each.values()) for name, each in found["ways"].items()]
    table(("one constrained tool call", "p50 ms", "p95 ms", "processor ms", "added, p50 ms"), rows)
    print(f"goal: at most {BOUND:g} ms added")
    if not args.no_write:
        write("http_added_model" if args.model else "http_added", {"calls": args.calls, **found})


if __name__ == "__main__":
    sys.exit(main())
