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
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from local_server import portico_serve
from report import table, write
from tool_call_load import TOOLS, Server, ask, figures, load

WARM = 3


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
            print(f"{clients} clients: {figures(levels[-1])['calls_per_s']} calls/s", file=sys.stderr, flush=True)
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
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = ["--model", str(random_weights(args.shape, folder))] if args.shape else []
        model = ["--model", args.model] if args.model else model
        with portico_serve(folder, *model, guidance=args.guidance) as (port, name):
            yield Server("127.0.0.1", port, "/v1", name)


def random_weights(shape: str, folder: Path) -> Path:
    from portico_engine import find_model
    from portico_engine.models.config import read_config
    from portico_engine.weights.gguf_file import GGUFFile
    from random_model import LLAMA_8B, Q, mixture, q4_1, write_random

    default = GGUFFile(find_model("smollm2"))
    if shape == "8b":
        return write_random(folder / "random-8b.gguf", LLAMA_8B, default, mixture(Q.Q4_K, LLAMA_8B.n_layers))
    return write_random(folder / "random-smollm2.gguf", read_config(default), default, q4_1, tied=True)


if __name__ == "__main__":
    main()
