"""How long a person waits for `portico ask`, from the command to its end: with nothing running, with a background process, and
without one.

    python benchmarks/ask_wall.py [--runs 10] [--root DIR] [--question TEXT]

The real command over this repository and the demo's shop, in folders of its own. "first" starts with nothing running (and the
prompt's beginning on disk, as after any earlier question), "second" follows it, "no background" answers in its own process.
Medians and best runs, with the load average before each, for a machine that is not idle. Writes results/ask_wall-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import report

ROOT = Path(__file__).resolve().parents[1]
PORTICO = [sys.executable, "-P", "-m", "portico_gateway"]
QUESTION = "How many orders were cancelled?"


def run(environ: dict[str, str], *args: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    begun = time.perf_counter()
    ended = subprocess.run(
        [*PORTICO, *args], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return time.perf_counter() - begun, ended


def ask(environ: dict[str, str], *args: str) -> float:
    seconds, ended = run(environ, "ask", *args)
    if ended.returncode:
        raise SystemExit(f"portico ask ended with {ended.returncode}: {ended.stderr}")
    return seconds


def stop(environ: dict[str, str]) -> None:
    """And wait until it has ended."""
    _, listed = run(environ, "background", "list", "--json")
    if listed.returncode:
        raise SystemExit(f"portico background list ended with {listed.returncode}: {listed.stderr}")
    run(environ, "background", "stop")
    for each in json.loads(listed.stdout):
        while Path("/proc", str(each["pid"])).exists():
            time.sleep(0.05)


def measure(environ: dict[str, str], asked: list[str], runs: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {"first": [], "second": [], "no background": []}
    loads: list[float] = []
    memory = 0
    ask(environ, *asked, "--no-background")  # the prompt's beginning is on disk from here on
    for _ in range(runs):
        loads.append(os.getloadavg()[0])
        times["first"].append(ask(environ, *asked))
        times["second"].append(ask(environ, *asked))
        memory = json.loads(run(environ, "background", "list", "--json")[1].stdout)[0]["memory"]
        stop(environ)
        times["no background"].append(ask(environ, *asked, "--no-background"))
    medians = {name: round(statistics.median(found), 2) for name, found in times.items()}
    best = {name: round(min(found), 2) for name, found in times.items()}
    return {
        "runs": runs,
        "median_seconds": medians,
        "best_seconds": best,
        "seconds": {name: [round(each, 2) for each in found] for name, found in times.items()},
        "idle_memory_mib": round(memory / 2**20) if memory else None,
        "load_average": [round(load, 1) for load in loads],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--question", default=QUESTION)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="p") as folder:
        database = Path(folder, "shop.db")
        subprocess.run([sys.executable, str(ROOT / "demo" / "shop.py"), str(database)], check=True, capture_output=True)
        own = {f"XDG_{name}_HOME": folder for name in ("STATE", "CACHE", "CONFIG")}
        Path(folder, "run").mkdir(mode=0o700)
        environ = {**os.environ, **own, "XDG_RUNTIME_DIR": str(Path(folder, "run"))}
        asked = ["--root", str(args.root), "--docs", str(args.root), "--db", str(database), args.question]
        try:
            figures = measure(environ, asked, args.runs)
        finally:
            stop(environ)
    rows = [[name, figures["median_seconds"][name], figures["best_seconds"][name]] for name in figures["seconds"]]
    report.table(["question", "median s", "best s"], rows)
    report.write("ask_wall", {"question": args.question, **figures})


if __name__ == "__main__":
    main()
