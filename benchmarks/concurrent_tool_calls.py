"""How many constrained tool calls a second, and how long one takes, by the number of clients: over HTTP, as agents make them.

    python benchmarks/concurrent_tool_calls.py [--clients 1,16,64,256] [--calls N] [--model NAME|FILE] [--shape 8b]
                                               [--url http://127.0.0.1:8080/v1 --name MODEL] [--processes N] [--no-write]

Every client keeps one connection and asks one question after the other, with the same instructions and twelve tools before it,
under `tool_choice: required`. Each answer is checked: one call of a known tool, with arguments that its schema takes. Without
--url, `portico serve` is started from this checkout with the default model, with --model, or with random weights of the shape
(its answers are noise; grammars bound them). With --url the load meets whatever speaks OpenAI's protocol there, a peer say.
The load comes from processes of its own, since one Python process can't ask as fast as a GPU answers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jsonschema

from local_server import serving
from report import percentile, table, write

LOAD_SECONDS = 600
WARM = 3
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
THINGS = {
    "meeting": "a meeting in the shared calendar",
    "ticket": "a ticket of the help desk",
    "invoice": "an invoice in the ledger",
    "parcel": "a parcel in the warehouse",
}
QUESTIONS = (
    "What is on for Thursday?",
    "Move number 17 to Monday, please.",
    "Is anything overdue since last week?",
    "Open 204 and show me who wrote it.",
    "Which ones are marked urgent?",
)
INSTRUCTIONS = (
    "You work at the front desk of a small company and answer with exactly one call of one tool. Numbers are those that the "
    "question names. Where a question names a day, the call names it too. Nothing is changed unless that is asked for. "
) * 4


def function(name: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def catalog() -> list[dict[str, Any]]:
    """Twelve tools whose calls are bounded, so that random weights end them too."""
    number = {"type": "integer", "minimum": 1, "maximum": 9999}
    day = {"type": "string", "enum": [*DAYS]}
    tools = []
    for thing, what in THINGS.items():
        state = {"type": "string", "enum": ["open", "done", "urgent", "overdue"]}
        tools += [
            function(f"find_{thing}", f"Find {what} by its state and day, the newest first.", {
                "state": state, "day": day, "limit": {"type": "integer", "minimum": 1, "maximum": 25}}),
            function(f"read_{thing}", f"Read {what} by its number, with who wrote it if that is wanted.", {
                "number": number, "with_author": {"type": "boolean"}}),
            function(f"move_{thing}", f"Move {what} to another day and tell those whom it concerns.", {
                "number": number, "day": day, "notify": {"type": "boolean"}}),
        ]  # fmt: skip
    return tools


TOOLS = catalog()
SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}


class Server(NamedTuple):
    """Where the load goes."""

    host: str
    port: int
    path: str
    model: str


class Level(NamedTuple):
    """What came of one number of clients."""

    clients: int
    calls: int
    valid: int
    seconds: float
    latencies: list[float]
    problem: str | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default="1,16,64,256")
    parser.add_argument("--calls", type=int, default=None, help="at each level; default: eight a client, at least 32")
    parser.add_argument("--model", default=None, help="as `portico serve --model` takes it")
    parser.add_argument("--shape", choices=["smollm2", "8b"], default=None, help="random weights of this shape")
    parser.add_argument("--url", default=None, help="another server's, ending in /v1")
    parser.add_argument("--name", default=None, help="what --url calls the model")
    parser.add_argument("--guidance", choices=["auto", "off"], default="auto", help="`guidance` under [model]")
    parser.add_argument("--processes", type=int, default=max(1, min(8, (os.cpu_count() or 2) // 2)), help="that ask")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    levels = []
    with target(args) as server:
        for _ in range(WARM):
            ask(HTTPConnection(server.host, server.port, timeout=300), server, 0)
        for clients in map(int, args.clients.split(",")):
            levels.append(load(server, clients, args.calls or max(32, 8 * clients), args.processes))
            print(f"{clients} clients: {levels[-1].calls / levels[-1].seconds:.1f} calls/s", file=sys.stderr, flush=True)
    rows = [figures(level) for level in levels]
    table([*rows[0]], [[*row.values()] for row in rows])
    if problem := next((level.problem for level in levels if level.problem), None):
        print(f"an answer that was not valid: {problem}")
    if not args.no_write:
        write(
            f"concurrent_tool_calls_{args.shape}" if args.shape else "concurrent_tool_calls",
            {
                "device": device(),
                "server": args.url or "portico serve",
                "model": described(args),
                "guidance": args.guidance,
                "tools": len(TOOLS),
                "processes": args.processes,
                "levels": rows,
            },
        )


def figures(level: Level) -> dict[str, Any]:
    return {
        "clients": level.clients,
        "calls": level.calls,
        "valid": level.valid,
        "calls_per_s": round(level.calls / level.seconds, 1),
        "p50_ms": round(1000 * statistics.median(level.latencies), 1),
        "p95_ms": round(1000 * percentile(level.latencies, 0.95), 1),
    }


def device() -> str:
    """The GPU's name where torch has one, else nothing: `report.machine` names the CPU."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def described(args: argparse.Namespace) -> str:
    return args.name or args.model or (f"random weights, {args.shape}" if args.shape else "default")


@contextmanager
def target(args: argparse.Namespace) -> Iterator[Server]:
    if args.url is not None:
        at = urlsplit(args.url)
        yield Server(at.hostname or "127.0.0.1", at.port or 80, at.path.rstrip("/"), args.name or "default")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = ["--model", str(random_weights(args.shape, folder))] if args.shape else []
        model = ["--model", args.model] if args.model else model
        main_module = "import sys; from portico_gateway.cli.main import main; sys.exit(main())"
        sections = {"audit": "enabled = false", "gateway": "own_servers = []", "model": f'guidance = "{args.guidance}"'}
        (folder / "portico.toml").write_text("".join(f"[{name}]\n{line}\n" for name, line in sections.items()))
        (folder / "work").mkdir()
        command = [sys.executable, "-c", main_module, "serve", "--port", "0", "--config", str(folder / "portico.toml"), *model]
        with serving(command, folder) as port:
            yield Server("127.0.0.1", port, "/v1", wait_for_model(port))


def random_weights(shape: str, folder: Path) -> Path:
    from portico_engine import find_model
    from portico_engine.models.config import read_config
    from portico_engine.weights.gguf_file import GGUFFile
    from random_model import LLAMA_8B, Q, mixture, q4_1, write_random

    default = GGUFFile(find_model("smollm2"))
    if shape == "8b":
        return write_random(folder / "random-8b.gguf", LLAMA_8B, default, mixture(Q.Q4_K, LLAMA_8B.n_layers))
    return write_random(folder / "random-smollm2.gguf", read_config(default), default, q4_1, tied=True)


def wait_for_model(port: int) -> str:
    """The model's name, once it answers."""
    deadline = time.monotonic() + LOAD_SECONDS
    name = "default"
    while time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=LOAD_SECONDS)
        connection.request("GET", "/v1/models")
        for model in json.load(connection.getresponse()).get("data") or ():
            name = str(model["id"])
        greeting = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        connection.request("POST", "/v1/chat/completions", json.dumps(greeting), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == 200:
            return name
        if answer.status != 503 or b"model_loading" not in said:
            raise SystemExit(f"the model can't be used: {said.decode()}")
        time.sleep(0.5)
    raise SystemExit(f"the model wasn't loaded in {LOAD_SECONDS} s")


def load(server: Server, clients: int, calls: int, processes: int) -> Level:
    """So many calls by so many clients, in as many processes as there are clients at most."""
    processes = min(processes, clients)
    shares = [(clients // processes + (i < clients % processes), calls // processes, i) for i in range(processes)]
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes + 1)
    results = context.Queue()
    workers = [context.Process(target=work, args=(server, *share, start, results), daemon=True) for share in shares]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    found = [result for _ in workers for result in results.get()]
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.join()
    problem = next((wrong for _, wrong in found if wrong), None)
    valid = sum(wrong is None for _, wrong in found)
    return Level(clients, len(found), valid, seconds, [latency for latency, _ in found], problem)


def work(server: Server, clients: int, calls: int, number: int, start: Any, results: Any) -> None:
    """One process: its clients as threads, each with a connection of its own."""
    local = threading.local()

    def one(i: int) -> tuple[float, str | None]:
        if not hasattr(local, "connection"):
            local.connection = HTTPConnection(server.host, server.port, timeout=300)
        return ask(local.connection, server, number * calls + i)

    with ThreadPoolExecutor(clients) as pool:
        start.wait()
        results.put(list(pool.map(one, range(calls))))


def ask(connection: HTTPConnection, server: Server, i: int) -> tuple[float, str | None]:
    """Seconds, and what is wrong with the answer."""
    turns = [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": f"({i}) {QUESTIONS[i % len(QUESTIONS)]}"},
    ]
    body = {"model": server.model, "messages": turns, "tools": TOOLS, "tool_choice": "required", "max_tokens": 96}
    began = time.perf_counter()
    connection.request(
        "POST",
        f"{server.path}/chat/completions",
        json.dumps({**body, "temperature": 0.7, "seed": i}),
        {"Content-Type": "application/json"},
    )
    answer = connection.getresponse().read()
    return time.perf_counter() - began, wrong_with(answer)


def wrong_with(answer: bytes) -> str | None:
    try:
        (call,) = json.loads(answer)["choices"][0]["message"]["tool_calls"]
        name = call["function"]["name"]
        jsonschema.validate(json.loads(call["function"]["arguments"]), SCHEMAS[name])
    except (KeyError, TypeError, ValueError, IndexError, jsonschema.ValidationError) as error:
        return f"{type(error).__name__}: {str(error)[:100]} in {answer[:200]!r}"
    return None


if __name__ == "__main__":
    main()
