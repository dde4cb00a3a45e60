"""How long a stream pauses while somebody sends schemas and grammars that are made to cost much.

    python benchmarks/bombs_beside_stream.py [--only WORD] [--check]

It starts `portico serve` with the default model, reads one chat's stream after another, and sends the bombs of
tests/attacks/bombs.py meanwhile, one after the other, as a `response_format` or a `grammar`; before and after them the stream
has the machine for itself, for the ratio. Of the pauses between two pieces of the stream it tells the time by the clock, how
long the engine's thread ran, and how long it waited for a processor (so that a busy machine shows); of the processes that
compile, the most memory; of the engine, whether it is still the same process. Where the gateway or this reader waits for a
processor, the engine goes on meanwhile: what it ran is then several steps' work. A bomb that shares its parts in memory and
would have 10^18 characters as JSON, or nests too deeply for it, can't be sent; the tests give it to the compiler. Bombs that
the time doesn't reach are counted. `--check` ends with exit code 1 past the bound below, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from local_server import serving
from report import percentile, table, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.attacks.bombs import GRAMMARS, SCHEMAS

BOUND = 100.0  # ms that a stream may pause
CHAT = "/v1/chat/completions"
SECONDS = 30.0  # for one answer
LOADING = 120.0  # for the first, which waits for the model
ALONE = 15.0  # seconds that the stream has for itself, before and after
ALL_BOMBS = 210.0  # seconds for all of them
LARGEST = 16_000_000  # characters of a body
SAMPLED = 0.02  # seconds between two looks at the memory of the processes that compile
NOT_SENT = "not sent"
COMPILER = "portico_engine.grammar.isolated.child"


@dataclass(slots=True)
class Pauses:
    """When each piece came, in ms; what the engine's threads had run and waited by then; and what was being sent."""

    pieces: list[tuple[float, dict[int, tuple[float, float]], str]] = field(default_factory=list)
    begins: set[int] = field(default_factory=set)  # pieces that are the first of a stream
    sending: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class Pause(NamedTuple):
    """ms by the clock, ms that the engine's thread ran, ms that it waited to run; and what was being sent."""

    clock: float
    ran: float
    waited: float
    beside: str


def encoded(body: dict[str, Any]) -> str:
    """A request. Raises ValueError, RecursionError where JSON can't hold it."""
    return json.dumps({"model": "smollm2", "messages": [{"role": "user", "content": "Tell me a long story."}], **body})


def post(port: int, sent: str, seconds: float = SECONDS) -> tuple[HTTPConnection, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=seconds)
    connection.request("POST", CHAT, sent, {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def engine_of(serve: psutil.Process) -> psutil.Process:
    """The child with the model in it: the largest."""
    return max(serve.children(recursive=True), key=lambda child: child.memory_info().rss)


def thread_times(pid: int) -> dict[int, tuple[float, float]]:
    """By thread: ms that it ran, and ms that it waited for a processor."""
    found: dict[int, tuple[float, float]] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            ran, waited, _ = map(int, (task / "schedstat").read_text().split())
            found[int(task.name)] = (ran / 1e6, waited / 1e6)
    return found


def read_streams(port: int, engine: int, pauses: Pauses) -> None:
    """One stream after another, until all bombs are sent."""
    seed = 0
    while not pauses.done.is_set():
        seed += 1
        connection, answer = post(port, encoded({"stream": True, "max_tokens": 1500, "seed": seed, "temperature": 1.0}))
        with closing(connection):
            pauses.begins.add(len(pauses.pieces))
            for _ in _pieces(answer):
                pauses.pieces.append((1_000 * time.perf_counter(), thread_times(engine), pauses.sending))
                if pauses.done.is_set():
                    return


def _pieces(answer: Any) -> Iterator[bytes]:
    for line in answer:
        if b'"content"' in line:
            yield line


def between(pauses: Pauses) -> list[Pause]:
    """The engine's thread is that which has run longest."""
    last = pauses.pieces[-1][1]
    thread = max(last, key=lambda each: last[each][0])
    found: list[Pause] = []
    for i, ((began, before, _), (ended, after, sending)) in enumerate(pairwise(pauses.pieces), 1):
        if i not in pauses.begins:
            ran, waited = (now - then for now, then in zip(after[thread], before[thread], strict=True))
            found.append(Pause(ended - began, ran, waited, sending))
    return found


def watch_memory(serve: psutil.Process, peak: list[float], done: threading.Event) -> None:
    """The most MiB that one of the processes that compile has held."""
    while not done.wait(SAMPLED):
        for child in children_of(serve.pid):
            with suppress(OSError, IndexError, ValueError):
                if COMPILER.encode() in (child / "cmdline").read_bytes():
                    status = (child / "status").read_text()
                    peak[0] = max(peak[0], int(status.split("VmHWM:")[1].split()[0]) / 1024)


def children_of(pid: int) -> list[Path]:
    """Folders of a process's own children. Asked of the process: looking through all that run takes a quarter of a core, for
    which the gateway would wait."""
    found: list[str] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += task.read_text().split()
    return [Path("/proc") / each for each in found]


def written_size(value: Any) -> int:
    """Characters of the JSON of `value`, about: each part is looked at once, however often it stands there."""
    sizes: dict[int, int] = {}
    todo = [value]
    while todo:
        one = todo[-1]
        inside = [*one.values()] if isinstance(one, dict) else one if isinstance(one, list) else []
        missing = [each for each in inside if isinstance(each, dict | list) and id(each) not in sizes]
        if missing:
            todo += missing
            continue
        todo.pop()
        names = sum(len(key) + 4 for key in one) if isinstance(one, dict) else 0
        sizes[id(one)] = 2 + names + sum(sizes.get(id(each), 0) or _leaf_size(each) for each in inside)
    return sizes[id(value)]


def _leaf_size(value: Any) -> int:
    if isinstance(value, int):
        return value.bit_length() // 3 + 2
    return len(value) + 2 if isinstance(value, str) else 8


def bodies(only: str) -> Iterator[tuple[str, str | None]]:
    """Each bomb's name and request; None where it can't be written down."""
    for name, make_schema in SCHEMAS.items():
        if only in name:
            schema = make_schema()
            wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
            yield f"schema: {name}", _bomb({"response_format": wanted}) if written_size(schema) < LARGEST else None
    for name, make_grammar in GRAMMARS.items():
        if only in name:
            yield f"gbnf: {name}", _bomb({"grammar": make_grammar()})


def _bomb(body: dict[str, Any]) -> str | None:
    try:
        return encoded({**body, "max_tokens": 2, "seed": 1})
    except (ValueError, RecursionError):
        return None


def send_bombs(port: int, bombs: Iterable[tuple[str, str | None]], pauses: Pauses) -> dict[str, str]:
    """What came of each: answered, or why not."""
    outcomes: dict[str, str] = {}
    began = time.monotonic()
    for name, sent in bombs:
        if sent is None or time.monotonic() - began > ALL_BOMBS:
            outcomes[name] = NOT_SENT
            continue
        pauses.sending = name
        try:
            connection, answer = post(port, sent)
            with closing(connection):
                said = json.loads(answer.read())
            outcomes[name] = said["error"]["message"] if "error" in said else "answered"
        except (OSError, ValueError, KeyError) as error:
            outcomes[name] = f"{type(error).__name__}: {error}"
        print(f"{time.monotonic() - began:6.1f} s  {name}: {outcomes[name][:80]}", file=sys.stderr, flush=True)
    pauses.sending = ""
    return outcomes


def measure(folder: Path, only: str) -> dict[str, Any]:
    (folder / "portico.toml").write_text("")
    bombs = list(bodies(only))  # written beforehand: the stream's reader shares this process
    command = [sys.executable, "-P", "-m", "portico_gateway", "serve", "--port", "0", "--root", str(folder)]
    with serving(command, folder) as port:
        connection, answer = post(port, encoded({"max_tokens": 4}), LOADING)  # the model is loaded
        with closing(connection):
            answer.read()
        serve = next(p for p in psutil.Process().children() if "portico_gateway" in p.cmdline())
        engine = engine_of(serve)
        pauses, peak = Pauses(), [0.0]
        load = os.getloadavg()
        threads = [
            threading.Thread(target=read_streams, args=(port, engine.pid, pauses), daemon=True),
            threading.Thread(target=watch_memory, args=(serve, peak, pauses.done), daemon=True),
        ]
        for thread in threads:
            thread.start()
        time.sleep(ALONE)
        outcomes = send_bombs(port, bombs, pauses)
        time.sleep(ALONE)
        pauses.done.set()
        for thread in threads:
            thread.join(SECONDS)
        same = engine.is_running() and engine_of(serve).pid == engine.pid
    return {"pauses": between(pauses), "outcomes": outcomes, "same": same, "peak": peak[0], "load": load}


def figures_of(found: dict[str, Any], only: str) -> dict[str, Any]:
    beside = [pause for pause in found["pauses"] if pause.beside]
    alone = [pause for pause in found["pauses"] if not pause.beside]
    clock, ran = [pause.clock for pause in beside], [pause.ran for pause in beside]
    outcomes = list(found["outcomes"].values())
    answered, unsent = outcomes.count("answered"), outcomes.count(NOT_SENT)
    alone_clock = [pause.clock for pause in alone]
    return {
        "only": only, "load_average_before": found["load"], "load_average_after": os.getloadavg(),
        "bombs": len(outcomes) - unsent, "answered": answered, "refused": len(outcomes) - unsent - answered, "not_sent": unsent,
        "engine_is_the_same_process": found["same"], "compilers_peak_mib": found["peak"],
        "pauses_alone": len(alone), "alone_clock_ms_p50": percentile(alone_clock, 0.5),
        "alone_clock_ms_p99": percentile(alone_clock, 0.99), "alone_clock_ms_max": max(alone_clock),
        "alone_engine_ms_max": max(pause.ran for pause in alone),
        "beside_over_alone_p50": percentile(clock, 0.5) / percentile(alone_clock, 0.5),
        "beside_over_alone_p99": percentile(clock, 0.99) / percentile(alone_clock, 0.99),
        "over_the_bound": sum(each > BOUND for each in clock),
        "over_the_bound_alone": sum(each > BOUND for each in alone_clock),
        "pauses": len(beside), "clock_ms_p50": percentile(clock, 0.5), "clock_ms_p99": percentile(clock, 0.99),
        "clock_ms_max": max(clock), "engine_ms_p50": percentile(ran, 0.5), "engine_ms_p99": percentile(ran, 0.99),
        "engine_ms_max": max(ran), "clock_less_waiting_ms_max": max(pause.clock - pause.waited for pause in beside),
        "longest_of_the_clock": [pause._asdict() for pause in sorted(beside, reverse=True)[:5]],
        "longest_of_the_engine": [pause._asdict() for pause in sorted(beside, key=lambda pause: -pause.ran)[:5]],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="bombs whose name holds this")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = figures_of(measure(Path(folder), args.only), args.only)
    shown = [[k, f"{v:.1f}" if isinstance(v, float) else v] for k, v in figures.items() if not k.startswith("longest")]
    table(["figure", "value"], shown)
    if args.check:
        sys.exit(figures["clock_ms_max"] > BOUND or not figures["engine_is_the_same_process"])
    write("bombs_beside_stream", figures)


if __name__ == "__main__":
    main()
