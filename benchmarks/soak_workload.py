"""What the soak test asks: a workspace of a few hundred files and a database, and a seeded mix of calls for each server.

It knows the servers' tools, and nothing of processes or pipes.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

_WORDS = (
    "anchor basket candle delta ember fabric garden harbor island jacket kettle ladder marble needle orchard pepper quartz "
    "ribbon saddle timber velvet walnut yellow zephyr"
).split()
_FILES, _PAGES, _ROWS = 240, 120, 4000
Outcome = Literal["answer", "error"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, and whether it must be answered or refused."""

    method: str
    params: dict[str, Any]
    outcome: Outcome = "answer"


@dataclass(frozen=True, slots=True)
class Workload:
    """A server's command arguments, its calls by weight, and probes: calls whose answers say that the index is whole.

    `edit` rewrites one file in a way that leaves the probes' answers alone.
    """

    arguments: tuple[str, ...]
    mix: Sequence[tuple[int, Callable[[random.Random], Ask]]]
    probes: tuple[Ask, ...]
    edit: Callable[[random.Random], None] = field(default=lambda _: None)

    def draw(self, rng: random.Random) -> Ask:
        weights = [weight for weight, _ in self.mix]
        return rng.choices(self.mix, weights)[0][1](rng)


def tool(name: str, outcome: Outcome = "answer", /, **arguments: Any) -> Ask:
    return Ask("tools/call", {"name": name, "arguments": arguments}, outcome)


def workloads(folder: Path) -> dict[str, Workload]:
    """Write the workspace below `folder`; the workloads of code, docs and db on it."""
    return {"code": _code(folder / "project"), "docs": _docs(folder / "manual"), "db": _db(folder / "shop.sqlite")}


def _code(root: Path) -> Workload:
    for number in range(_FILES):
        path = root / f"part{number % 12}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_module(number, 0))

    def edit(rng: random.Random) -> None:
        number = rng.randrange(12, _FILES)
        _replace(root / f"part{number % 12}" / f"module_{number}.py", _module(number, rng.randrange(1000)), root.parent)

    def path_of(rng: random.Random) -> str:
        number = rng.randrange(_FILES)
        return f"part{number % 12}/module_{number}.py"

    mix: list[tuple[int, Callable[[random.Random], Ask]]] = [
        (30, lambda r: tool("search", query=f"{r.choice(_WORDS)} {r.choice(_WORDS)}")),
        (10, lambda r: tool("search", query=f"def {r.choice(_WORDS)}_\\d+", regex=True)),
        (20, lambda r: tool("find_symbol", name=f"{r.choice(_WORDS)}_{r.randrange(_FILES)}")),
        (10, lambda r: tool("find_references", name=r.choice(_WORDS))),
        (10, lambda r: tool("outline", path=path_of(r))),
        (10, lambda r: tool("read", path=path_of(r), start=1, end=r.randrange(5, 40))),
        (3, lambda r: tool("read", "error", path="../../etc/passwd")),
        (3, lambda r: Ask("resources/read", {"uri": f"code://project/{path_of(r)}"})),
        (2, lambda r: Ask("tools/list", {})),
        (2, lambda r: _complete("code://{root}/{+path}", "path", "part1", root="project")),
    ]
    probes = tuple(tool("find_symbol", name=f"{_WORDS[n]}_{n}") for n in range(8))
    return Workload((str(root),), mix, probes, edit)


def _module(number: int, edition: int) -> str:
    """Forty functions' worth of lines; an edition differs in a comment alone."""
    rng = random.Random(number)
    lines = [f'"""Module {number}: {rng.choice(_WORDS)} and {rng.choice(_WORDS)}."""', f"# edition {edition:04}", ""]
    for at in range(10):
        name = _WORDS[number % len(_WORDS)] if at == 0 else f"{rng.choice(_WORDS)}_{at}"
        lines += [f"def {name}_{number}({rng.choice(_WORDS)}):", f'    """{" ".join(rng.choices(_WORDS, k=8))}."""']
        lines += [f"    return {rng.choice(_WORDS)}({rng.choice(_WORDS)})", ""]
    return "\n".join(lines)


def _docs(root: Path) -> Workload:
    root.mkdir(parents=True)
    for number in range(_PAGES):
        (root / f"page-{number}.md").write_text(_page(number, 0))

    def edit(rng: random.Random) -> None:
        number = rng.randrange(12, _PAGES)
        _replace(root / f"page-{number}.md", _page(number, rng.randrange(1000)), root.parent)

    mix: list[tuple[int, Callable[[random.Random], Ask]]] = [
        (50, lambda r: tool("search", query=" ".join(r.choices(_WORDS, k=3)))),
        (20, lambda r: tool("read", path=f"page-{r.randrange(_PAGES)}.md")),
        (10, lambda r: tool("list")),
        (5, lambda r: tool("read", "error", path="nowhere.md")),
        (5, lambda r: Ask("resources/read", {"uri": f"docs://manual/local/page-{r.randrange(_PAGES)}.md"})),
        (5, lambda r: Ask("prompts/get", {"name": "answer", "arguments": {"question": r.choice(_WORDS)}})),
        (3, lambda r: Ask("tools/list", {})),
        (2, lambda r: _complete("docs://{library}/{version}/{+path}", "path", "page-1")),
    ]
    probes = (*(tool("read", path=f"page-{number}.md") for number in range(8)), tool("list"))
    return Workload((str(root),), mix, probes, edit)


def _page(number: int, edition: int) -> str:
    rng = random.Random(number)
    parts = [f"# Page {number}", f"Edition {edition:04}."]
    for at in range(6):
        parts += [f"## {rng.choice(_WORDS).title()} {at}", " ".join(rng.choices(_WORDS, k=60)) + "."]
    return "\n\n".join(parts) + "\n"


def _db(path: Path) -> Workload:
    rng = random.Random(7)
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL);"
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),"
        " item TEXT NOT NULL, cents INTEGER NOT NULL);"
    )
    database.executemany("INSERT INTO customers VALUES (?, ?, ?)", [(n, f"c{n}", rng.choice(_WORDS)) for n in range(200)])
    rows = [(n, rng.randrange(200), rng.choice(_WORDS), rng.randrange(10_000)) for n in range(_ROWS)]
    database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    database.commit()
    database.close()
    count = {"table": "orders", "aggregate": "count"}
    mix: list[tuple[int, Callable[[random.Random], Ask]]] = [
        (25, lambda r: tool("rows", ask={**count, "group_by": r.choice(["item", "customers.city"])})),
        (15, lambda r: tool("rows", ask={**count, "filters": [{"column": "item", "op": "=", "value": r.choice(_WORDS)}]})),
        (25, lambda r: tool("query", sql="SELECT * FROM orders WHERE cents > ? LIMIT 20", params=[r.randrange(10_000)])),
        (10, lambda r: tool("query", sql="SELECT count(*) FROM orders a JOIN orders b ON a.item = b.item AND a.id % 7 = 0")),
        (5, lambda r: tool("query", "error", sql="DELETE FROM orders")),
        (5, lambda r: tool("describe", table=r.choice(["orders", "customers"]))),
        (5, lambda r: tool("tables")),
        (5, lambda r: tool("explain", sql="SELECT * FROM orders WHERE item = 'ember'")),
        (3, lambda r: Ask("resources/read", {"uri": "db://shop/orders"})),
        (2, lambda r: Ask("tools/list", {})),
    ]
    probes = (
        tool("query", sql="SELECT count(*), sum(cents) FROM orders"),
        tool("rows", ask={**count, "group_by": "item"}),
        tool("describe", table="customers"),
    )
    return Workload((str(path),), mix, probes)


def _replace(path: Path, text: str, scratch: Path) -> None:
    """As editors save: nobody ever sees half a file."""
    fresh = scratch / "saving"
    fresh.write_text(text)
    os.replace(fresh, path)


def _complete(uri: str, name: str, value: str, **known: str) -> Ask:
    context = {"context": {"arguments": known}} if known else {}
    return Ask(
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": name, "value": value}, **context},
    )
