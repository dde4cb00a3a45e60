"""Workspaces for the default adapter's training: our three servers over them, what they list, and what there is to ask about.

usage: python packaging/server_workspaces.py --out FILE [--folder DIR]

Code is of installed packages, documentation Portico's own, databases are written here. None is one that
`benchmarks/server_questions.py` or `benchmarks/answers.py` asks about, and nothing of other people's is kept but names.
`--folder` is where the servers look; by default one that goes when the program ends.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import random
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("anyio", "rich", "jsonschema", "watchfiles", "pathspec", "platformdirs", "docutils", "markdown_it")
MOST = 600  # names, headings or terms of a workspace
_PAGES = ("README.md", "SECURITY.md", "CHANGELOG.md", "docs")
_GIVEN = ("Alma", "Bruno", "Clara", "Dario", "Edda", "Farid", "Greta", "Hugo", "Ilse", "Jonas", "Kaja", "Luis", "Mina", "Nils")
_PLACES = ("Lyon", "Ghent", "Turin", "Cadiz", "Bergen", "Krakow", "Graz", "Cork", "Tartu", "Split")
# Database -> table -> column -> what it holds: words to choose among, a range of numbers, "date", "given" or "place".
DATABASES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "clinic": {
        "doctors": {"name": "given", "speciality": ("surgery", "eyes", "children", "heart"), "hired": "date"},
        "patients": {"name": "given", "city": "place", "born": (1930, 2020), "weight_kg": (4, 120)},
        "visits": {"reason": ("check-up", "fever", "fracture", "cough"), "visited_on": "date", "fee": (20, 400)},
    },
    "garage": {
        "cars": {"model": ("Falcon", "Pony", "Comet", "Brook"), "colour": ("red", "blue", "grey"), "mileage": (500, 300000)},
        "mechanics": {"name": "given", "hourly_rate": (18, 60), "started": "date"},
        "repairs": {"part": ("brakes", "clutch", "tyres", "exhaust"), "cost": (40, 2500), "done_on": "date"},
    },
    "zoo": {
        "animals": {"name": "given", "species": ("otter", "lynx", "crane", "tapir"), "weight_kg": (1, 900), "born_on": "date"},
        "keepers": {"name": "given", "salary": (22000, 48000), "hired": "date"},
        "enclosures": {"title": ("River", "Savannah", "Aviary", "Night House"), "area_m2": (40, 5000), "opened": "date"},
    },
    "vineyard": {
        "wines": {"title": ("Hillside", "Old Cellar", "Late Harvest", "Stone Press"), "grape": ("Riesling", "Merlot", "Syrah"),
                  "vintage": (1998, 2024), "price": (6, 90)},
        "tastings": {"guest": "given", "score": (60, 100), "held_on": "date"},
        "barrels": {"wood": ("oak", "acacia", "chestnut"), "litres": (50, 600), "filled": "date"},
    },
    "museum": {
        "paintings": {"title": ("Two Boats", "Winter Road", "The Reader", "Blue Table"), "by": "given", "year": (1600, 1990)},
        "visitors": {"country": ("Peru", "Kenya", "Japan", "Chile"), "age": (5, 90), "visited_on": "date"},
        "loans": {"borrower": "place", "insured_value": (1000, 90000), "lent_on": "date"},
    },
    "airline": {
        "planes": {"model": ("Swift 100", "Heron 7", "Crane X"), "seats": (19, 400), "built": (1985, 2024)},
        "flights": {"origin": "place", "destination": "place", "departed": "date", "passengers": (3, 380)},
        "crew": {"name": "given", "role": ("captain", "steward", "engineer"), "hired": "date"},
    },
    "choir": {
        "singers": {"name": "given", "voice": ("alto", "tenor", "bass", "soprano"), "joined": "date"},
        "concerts": {"title": ("Mass", "Carols", "Night Songs"), "venue": "place", "held_on": "date", "tickets": (20, 900)},
        "scores": {"composer": "given", "pages": (2, 240), "copies": (1, 60)},
    },
    "farm": {
        "fields": {"title": ("North Acre", "Mill Field", "Long Strip"), "crop": ("rye", "barley", "flax"), "hectares": (1, 80)},
        "harvests": {"tonnes": (1, 300), "cut_on": "date", "quality": ("good", "fair", "poor")},
        "tractors": {"model": ("Ox 40", "Mule 9"), "horsepower": (20, 300), "bought": "date"},
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int, default=len(PACKAGES), help="the first so many workspaces, for a trial")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = anyio.run(workspaces, args.folder or Path(temporary), args.count)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(found)} workspaces, {sum(len(one['symbols']) for one in found)} names in code")


async def workspaces(folder: Path, count: int) -> list[dict[str, Any]]:
    """One a package, each with a database."""
    pages = list(_pages())
    headings, terms = _headings(pages), _terms(pages)
    found = []
    for package, (name, tables) in list(zip(PACKAGES, DATABASES.items(), strict=True))[:count]:
        rng = random.Random(f"{package} {name}")
        place = folder / package
        shutil.copytree(_source(package), place / "code" / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        shutil.copytree(ROOT / "docs", place / "docs")
        told = write_database(place / f"{name}.db", tables, rng)
        symbols = _symbols(place / "code")
        found.append({
            "tools": await _listed(place / "code", place / "docs", place / f"{name}.db"),
            "symbols": _some(symbols, rng),
            "headings": _some(headings, rng), "terms": _some(terms, rng), "tables": told,
        })  # fmt: skip
        print(f"{package}, {name}: {len(found[-1]['tools'])} tools", flush=True)
    return found


def _some(found: Sequence[Any], rng: random.Random) -> list[Any]:
    return rng.sample(found, min(MOST, len(found)))


def _source(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: its names are what questions about code are made of")
    return Path(spec.origin).parent


async def _listed(code: Path, docs: Path, database: Path) -> list[dict[str, Any]]:
    """The tools of our servers, as a model is told of them."""
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.tuning.own_tools import live_tools

    config = load_config(None, flags={"audit.enabled": False}, environ={}, folder=code)
    tools, missing = await live_tools(config, workspace_specs(config, code, [docs], [str(database)]))
    if missing:
        raise SystemExit(f"servers that did not start: {missing}")
    return [{"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)} for tool in tools]


def _symbols(code: Path) -> list[tuple[str, str, str]]:
    """Names with their kind and file, of all Python files that can be read."""
    found = {}
    for path in sorted(code.rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for name, kind in _defined(tree.body, within=False):
            if len(name) > 3 and not name.startswith(("__", "test_")):
                found[name] = (name, kind, path.relative_to(code).as_posix())
    return sorted(found.values())


def _defined(body: Sequence[ast.stmt], *, within: bool) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name, "class"
            yield from _defined(node.body, within=True)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, "method" if within else "function"
        elif isinstance(node, ast.Assign) and not within:
            yield from (
                (target.id, "constant") for target in node.targets if isinstance(target, ast.Name) and target.id.isupper()
            )


def _pages() -> Iterator[str]:
    for name in _PAGES:
        path = ROOT / name
        for page in sorted(path.rglob("*.md")) if path.is_dir() else [path]:
            yield page.read_text(encoding="utf-8")


def _headings(pages: Sequence[str]) -> list[str]:
    found = (match[1] for page in pages for match in re.finditer(r"^#{1,4} (.+)$", page, re.MULTILINE))
    return sorted({text.strip(" #.`*") for text in found if 4 < len(text) < 44})


def _terms(pages: Sequence[str]) -> list[str]:
    found = (match[1] for page in pages for match in re.finditer(r"`([^`\s][^`\n]{1,30}[^`\s])`", page))
    return sorted({text for text in found if not re.search(r"[{}()<>\"]", text)})


def write_database(path: Path, tables: Mapping[str, Mapping[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """A SQLite file; and what of its tables questions are made of."""
    told = []
    database = sqlite3.connect(path)
    for name, columns in tables.items():
        types = {column: _type(of) for column, of in columns.items()}
        declared = ", ".join(
            f"{column} {'TEXT' if kind == 'text' else 'DATE' if kind == 'date' else 'REAL'}" for column, kind in types.items()
        )
        database.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {declared})")
        rows = [(at, *(_value(of, rng) for of in columns.values())) for at in range(1, 41)]
        database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * (len(columns) + 1))})", rows)
        values = {
            column: sorted({str(row[at]) for row in rows})[:12]
            for at, (column, kind) in enumerate(types.items(), 1) if kind == "text"
        }  # fmt: skip
        told.append({"name": name, "columns": types, "values": values})
    database.commit()
    database.close()
    return told


def _type(of: Any) -> str:
    if of == "date":
        return "date"
    return "number" if isinstance(of, tuple) and isinstance(of[0], int) else "text"


def _value(of: Any, rng: random.Random) -> str | int:
    if of == "date":
        return f"{rng.randrange(2012, 2026)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    if of in ("given", "place"):
        return rng.choice(_GIVEN if of == "given" else _PLACES)
    return rng.randint(*of) if isinstance(of[0], int) else rng.choice(of)


if __name__ == "__main__":
    main()
