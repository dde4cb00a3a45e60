"""What one constrained tool call costs `portico serve` of the processor, by process, thread and part, for N clients.

    python benchmarks/serve_cpu.py [--clients 1,16,64,256] [--calls N] [--step-ms 0] [--rounds 1] [--before TREE]
                                   [--profile] [--guidance off] [--no-write]

`portico serve` as it is, but for the forward: costless_engine.py stands in its place, which takes no time, or `--step-ms` that
the processor is free for others, as it is beside a GPU. Tokenizer, template, grammars, scheduler, sampling's bookkeeping, both
processes and HTTP are the real ones, and the load is tool_call_load.py's: each answer is checked. Times are the kernel's, of
each thread, per call; the parts of a step are timed by the engine's thread's own clock, without what draws tokens in place of
logits. The bound is how many calls a second the process has time for that takes most, all of its threads together: they share
an interpreter. `--before` takes the same figures of another checkout's server in turns with this one's, and prints ratios.
`--profile` prints the functions of both processes that take most (by cProfile, which makes calls dear: shares, not times).
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

from local_server import portico_serve
from report import table, write
from tool_call_load import Server, ask, figures, load

WARM = 48  # calls
PROFILED = 28  # functions of each process
GATEWAY_PROFILE = "gateway.prof"
_PARTS = ("schedule", "launch", "mask", "wait", "accept")
_HERE = Path(__file__).resolve()
_ENGINE = "portico_engine.process.child"
Spent = dict[str, float]  # seconds of the processor, by thread or part


def serve(step_seconds: float, profile: Path | None, arguments: Sequence[str]) -> None:
    """`portico serve` over an engine whose steps take so long."""
    import portico_engine
    from costless_engine import PROFILE, load_costless
    from portico_gateway.cli.main import main as portico

    def engine_loader(path: Path, **_options: Any) -> Any:
        return partial(load_costless, path, step_seconds, None if profile is None else profile / PROFILE)

    portico_engine.engine_loader = engine_loader
    sys.argv = ["portico", *arguments]
    if profile is None:
        portico()
        return
    profiler = cProfile.Profile()
    try:
        profiler.runcall(portico)
    finally:
        profiler.dump_stats(profile / GATEWAY_PROFILE)


@contextmanager
def serving(tree: Path, folder: Path, step_seconds: float, guidance: str, profile: Path | None) -> Iterator[Server]:
    """That server, of the checkout at `tree`, which must have this program's parts or take them from here."""
    options = [str(step_seconds), "" if profile is None else str(profile)]
    paths = [str(tree / each) for each in ("engine", "gateway", "servers")]
    code = f"import sys; sys.path[:0] = {[*paths, str(_HERE.parent)]!r}; import serve_cpu; sys.exit(serve_cpu.main())"
    with portico_serve(folder, guidance=guidance, program=[sys.executable, "-c", code, "--serve", *options]) as (port, name):
        yield Server("127.0.0.1", port, "/v1", name)


class Processes:
    """The server's two, while it runs."""

    def __init__(self, folder: Path) -> None:
        children = [each for each in psutil.Process().children() if str(folder) in " ".join(each.cmdline())]
        (self.gateway,) = [each for each in children if "--serve" in each.cmdline()]
        (self.engine,) = [each for each in self.gateway.children() if _ENGINE in each.cmdline()]

    def spent(self) -> Spent:
        """Seconds of the processor since they were started."""
        found = {"gateway, event loop": 0.0, "gateway, other": 0.0}
        found |= {"engine, steps": 0.0, "engine, reader": 0.0, "engine, beside": 0.0}
        for pid, kinds in ((self.gateway.pid, _gateway_thread), (self.engine.pid, _engine_thread)):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found[kinds(pid, task)] += int((task / "schedstat").read_text().split()[0]) / 1e9
        return found


def _gateway_thread(pid: int, task: Path) -> str:
    return "gateway, event loop" if task.name == str(pid) else "gateway, other"


def _engine_thread(pid: int, task: Path) -> str:
    if task.name == str(pid):
        return "engine, reader"
    return "engine, steps" if (task / "comm").read_text().strip() == "engine" else "engine, beside"


def parts(server: Server) -> Spent:
    """Seconds of the engine's steps by part, and how many steps and tokens there were, since it was started."""
    connection = HTTPConnection(server.host, server.port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = {part: _metric(text, rf'portico_engine_step_seconds_total{{[^}}]*part="{part}"[^}}]*}}') for part in _PARTS}
    found["launch"] -= _metric(text, r"portico_kv_evictions_total{[^}]*}")  # see CostlessEngine
    found["steps"] = _metric(text, r"portico_engine_steps_total{[^}]*}")
    return found


def _metric(text: str, name: str) -> float:
    match = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    if match is None:
        raise SystemExit(f"/metrics has no {name}")
    return float(match[1])


def measure(server: Server, processes: Processes, clients: int, calls: int, level: int) -> dict[str, Any]:
    """One level of the load: its figures, and milliseconds of the processor a call."""
    before, steps_before = processes.spent(), parts(server)
    came = load(server, clients, calls, level=level)
    after, steps = processes.spent(), parts(server)
    if came.problem is not None:
        print(f"an answer that was not valid: {came.problem}", file=sys.stderr)
    made = len(came.answers)
    spent = {name: 1000 * (after[name] - before[name]) / made for name in after}
    inside = {name: 1000 * (steps[name] - steps_before[name]) / made for name in _PARTS}
    gateway = sum(value for name, value in spent.items() if name.startswith("gateway"))
    engine = sum(value for name, value in spent.items() if name.startswith("engine"))
    return {
        **figures(came),
        "gateway_ms": gateway,
        "engine_ms": engine,
        **{f"{name}, ms": value for name, value in spent.items()},
        **{f"step: {name}, ms": value for name, value in inside.items()},
        "steps_per_call": (steps["steps"] - steps_before["steps"]) / made,
        "bound_calls_per_s": 1000 / max(gateway, engine),
    }


def compare(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Medians over the rounds of each level, by tree where there are two."""
    trees = {"now": _HERE.parents[1]} | ({"before": args.before.resolve()} if args.before else {})
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        servers: dict[str, tuple[Server, Processes]] = {}
        for name, tree in trees.items():
            own = folder / name
            own.mkdir()
            profile = folder if args.profile else None
            server = stack.enter_context(serving(tree, own, args.step_ms / 1000, args.guidance, profile))
            servers[name] = server, Processes(own)
            for _ in range(3):
                ask(HTTPConnection(server.host, server.port, timeout=300), server, 0)
            load(server, 16, WARM, level=999)
        for clients in args.clients:
            for number in range(args.rounds):
                for name in list(servers)[:: -1 if number % 2 else 1]:
                    level = 10 * clients + number
                    calls = args.calls or max(64, 4 * clients)
                    found.setdefault((name, clients), []).append(measure(*servers[name], clients, calls, level))
                    print(f"{name}, {clients} clients: {found[name, clients][-1]['calls_per_s']} calls/s", file=sys.stderr)
    return [{"tree": name, **medians(rounds)} for (name, _), rounds in found.items()]


def medians(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: round(statistics.median(each[key] for each in rounds), 3) for key in rounds[0]}


def show(levels: Sequence[dict[str, Any]], folder: Path, *, profiled: bool) -> None:
    keys = [key for key in levels[0] if key not in ("tree", "clients")]
    heads = [f"{each['clients']} {each['tree'] if each['tree'] != 'now' else ''}".strip() for each in levels]
    table(["clients", *heads], [[key, *(each[key] for each in levels)] for key in keys])
    befores = {each["clients"]: each for each in levels if each["tree"] == "before"}
    for each in levels:
        if each["tree"] == "now" and (other := befores.get(each["clients"])):
            ratios = {key: round(each[key] / other[key], 2) for key in ("gateway_ms", "engine_ms", "bound_calls_per_s")}
            print(f"{each['clients']} clients, now over before: {ratios}")
    for path in sorted(folder.glob("*.prof")) if profiled else ():
        for order in ("tottime", "cumtime"):
            print(f"== {path.stem}, by {order}")
            pstats.Stats(str(path)).sort_stats(order).print_stats(PROFILED)


def main() -> int:
    if sys.argv[1:2] == ["--serve"]:
        seconds, profile, *arguments = sys.argv[2:]
        serve(float(seconds), Path(profile) if profile else None, arguments)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=lambda text: [*map(int, text.split(","))], default=[1, 16, 64, 256])
    parser.add_argument("--calls", type=int, help="at each level and round; default: four a client, at least 64")
    parser.add_argument("--step-ms", type=float, default=0.0, help="that a step takes of nobody's processor")
    parser.add_argument("--rounds", type=int, default=1, help="of each level; medians are shown")
    parser.add_argument("--before", type=Path, metavar="TREE", help="another checkout, to compare with in turns")
    parser.add_argument("--guidance", choices=["auto", "off"], default="off", help="`guidance` under [model]")
    parser.add_argument("--profile", action="store_true", help="which functions")
    parser.add_argument("--no-write", action="store_true", help="write no results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        levels = compare(args, Path(name))
        show(levels, Path(name), profiled=args.profile)
    if not args.no_write and not args.profile:
        name = "serve_cpu" if args.guidance == "off" else "serve_cpu_guided"
        write(name, {"step_ms": args.step_ms, "guidance": args.guidance, "cores": os.cpu_count(), "levels": levels})
    return 0


if __name__ == "__main__":
    sys.exit(main())
