"""How long a person waits for `portico ask`, from the command to its end: with nothing running, with a background process, and
without one.

    python benchmarks/ask_wall.py [--runs 10] [--root DIR] [--question TEXT] [--against TREE]

The real command over this repository and the demo's shop, in folders of its own. "first" starts with nothing running (and the
prompt's beginning on disk, as after any earlier question), "second" follows it, "no background" answers in its own process.
Modules are compiled, as pip compiles what it installs, whatever PYTHONDONTWRITEBYTECODE says here. With `--against`, another
checkout with a .venv of its own is asked in turns with this one, and the shares of its times are shown: what a machine that
others use leaves comparable. "CPU" is what the processes of a first question have used when its answer is there, which waiting
for a processor does not change. Medians and best runs, with the load average before each. Writes results/ask_wall-DATE.json.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import report

ROOT = Path(__file__).resolve().parents[1]
QUESTION = "How many orders were cancelled?"
KINDS = ("first", "second", "no background")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Tree:
    """A checkout that is asked, in folders of its own. `seconds` and `cpu` by kind of question, a run each."""

    python: str
    environ: Mapping[str, str]
    asked: Sequence[str]
    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    cpu: list[float] = field(default_factory=list)
    memory: int = 0

    def run(self, *args: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        begun = time.perf_counter()
        ended = subprocess.run(
            [self.python, "-P", "-m", "portico_gateway", *args],
            env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return time.perf_counter() - begun, ended

    def ask(self, *args: str) -> float:
        seconds, ended = self.run("ask", *self.asked, *args)
        if ended.returncode:
            raise SystemExit(f"portico ask ended with {ended.returncode}: {ended.stderr}")
        return seconds

    def processes(self) -> list[dict[str, Any]]:
        _, listed = self.run("background", "list", "--json")
        if listed.returncode:
            raise SystemExit(f"portico background list ended with {listed.returncode}: {listed.stderr}")
        found: list[dict[str, Any]] = json.loads(listed.stdout)
        return found

    def stop(self) -> None:
        """And wait until it has ended."""
        running = self.processes()
        self.run("background", "stop")
        for each in running:
            while Path("/proc", str(each["pid"])).exists():
                time.sleep(0.05)

    def warm(self) -> None:
        """Both ways once: the prompt's beginning is on disk from here on, and every module is compiled."""
        self.ask("--no-background")
        self.ask()
        self.stop()

    def measure(self) -> None:
        """One run of each kind."""
        before = os.times()
        self.seconds["first"].append(self.ask())
        after = os.times()
        command = after.children_user + after.children_system - before.children_user - before.children_system
        self.cpu.append(command + used_under(self.environ["XDG_CACHE_HOME"]))
        self.seconds["second"].append(self.ask())
        self.memory = self.processes()[0]["memory"] or 0
        self.stop()
        self.seconds["no background"].append(self.ask("--no-background"))

    def figures(self) -> dict[str, Any]:
        columns = {**self.seconds, "first's CPU": self.cpu}
        return {
            "median_seconds": {name: round(statistics.median(found), 2) for name, found in columns.items()},
            "best_seconds": {name: round(min(found), 2) for name, found in columns.items()},
            "seconds": {name: [round(each, 2) for each in found] for name, found in columns.items()},
            "idle_memory_mib": round(self.memory / 2**20) or None,
        }


def used_under(cache: str) -> float:
    """Seconds of CPU that the processes with this cache folder have used by now, servers and ended children included."""
    mark, used = f"XDG_CACHE_HOME={cache}\0".encode(), 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                used += sum(int(each) for each in fields[11:15])
        except OSError:  # it has ended, or is somebody else's
            continue
    return used / TICKS


def tree(checkout: Path, python: str, folder: Path, about: Path, question: str) -> Tree:
    """`about`: what is asked about, the same for each."""
    (folder / "run").mkdir(mode=0o700, parents=True)
    database = folder / "shop.db"
    subprocess.run([python, str(checkout / "demo" / "shop.py"), str(database)], check=True, capture_output=True)
    own = {f"XDG_{name}_HOME": str(folder) for name in ("STATE", "CACHE", "CONFIG")} | {"XDG_RUNTIME_DIR": str(folder / "run")}
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    return Tree(python, environ | own, ["--root", str(about), "--docs", str(about), "--db", str(database), question])


def measure(trees: Mapping[str, Tree], runs: int) -> dict[str, Any]:
    loads: list[float] = []
    try:
        for each in trees.values():
            each.warm()
        for _ in range(runs):
            loads.append(round(os.getloadavg()[0], 1))
            for each in trees.values():
                each.measure()
    finally:
        for each in trees.values():
            each.stop()
    return {"runs": runs, "load_average": loads}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--against", type=Path, metavar="TREE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="p") as folder:
        trees = {"this": tree(ROOT, sys.executable, Path(folder, "a"), args.root, args.question)}
        if args.against is not None:
            python = str(args.against.resolve() / ".venv" / "bin" / "python")
            trees["against"] = tree(args.against, python, Path(folder, "b"), args.root, args.question)
        run = measure(trees, args.runs)
    found = {name: each.figures() for name, each in trees.items()}
    ours, others = found["this"], found.get("against")
    rows = [[name, ours["median_seconds"][name], ours["best_seconds"][name]] for name in ours["seconds"]]
    headings = ["question", "median s", "best s"]
    if others is not None:
        headings += ["other's median s", "share of its median", "of its best"]
        for row in rows:
            theirs = others["median_seconds"][row[0]], others["best_seconds"][row[0]]
            row += [theirs[0], round(row[1] / theirs[0], 2), round(row[2] / theirs[1], 2)]
    report.table(headings, rows)
    report.write("ask_wall", {"question": args.question, **run, **ours, **({} if others is None else {"against": others})})


if __name__ == "__main__":
    main()
