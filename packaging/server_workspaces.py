"""Workspaces for the default adapter's training: our three servers over them, what they list, and what there is to ask about.

usage: python packaging/server_workspaces.py --out FILE [--folder DIR] [--count N]
       python packaging/server_workspaces.py --check FILE [--questions 200]

Code is of installed packages, documentation Portico's own and that of installed packages, databases are written here. None is
one that an evaluation asks about. What is kept of other people's work, in a file that is not distributed, are names, headings,
sentences that are asked about, and first sentences of docstrings. `--check` writes the same workspaces anew, makes questions
over them, calls the running servers as the questions' calls say, and counts which of them find what they are to find; a search
is made a second time with the words alone that say something.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from training_databases import DATABASES, write_database
from training_documentation import NAMES, documentation, topics
from training_symbols import symbols

PACKAGES = (
    "anyio", "jsonschema", "watchfiles", "platformdirs", "markdown_it", "packaging", "psutil", "filelock",
    "pypdf", "prompt_toolkit", "fsspec", "mpmath", "referencing", "httpx", "mcp", "huggingface_hub",
)  # fmt: skip
_EMPTY = frozenset(
    "a an and are as be can could do does for from give go happens have how i if in into is it its me my of on or our say show "
    "so tell that the there this to use used was we what when where which who why will with you your please code docs manual "
    "documentation function method class source find explain anything about should need know way".split()
)
MOST = 700  # names or topics of a workspace
_LOAD_SECONDS = 600.0


class Place(NamedTuple):
    """Where a workspace's parts lie."""

    code: Path
    docs: Path
    database: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--folder", type=Path, help="where the servers look; by default one that goes when the program ends")
    parser.add_argument("--count", type=int, default=len(PACKAGES), help="the first so many workspaces, for a trial")
    parser.add_argument("--check", type=Path, metavar="FILE", help="what --out wrote")
    parser.add_argument("--questions", type=int, default=200, help="of all workspaces, with --check")
    args = parser.parse_args()
    if (args.out is None) == (args.check is None):
        parser.error("give --out FILE, or --check FILE")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        if args.check is not None:
            anyio.run(check, args.check, folder, args.questions)
            return
        found = anyio.run(workspaces, folder, args.count)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(found)} workspaces, {sum(len(one['symbols']) for one in found)} names in code")


async def workspaces(folder: Path, count: int) -> list[dict[str, Any]]:
    """One a package, each with a database and documentation."""
    found = []
    for at, (package, name) in list(enumerate(zip(PACKAGES, DATABASES, strict=True)))[:count]:
        rng = random.Random(f"{package} {name}")
        place, told = bring(at, folder)
        async with servers(place) as host:
            tools = [{"name": t.name, "description": t.description, "parameters": dict(t.parameters)} for t in host.tools()]
        found.append({
            "tools": tools, "symbols": _some(symbols(place.code), rng),
            "topics": _topics(NAMES[at % len(NAMES)], rng), "tables": told,
        })  # fmt: skip
        print(f"{package}, {NAMES[at % len(NAMES)]}, {name}: {len(tools)} tools", flush=True)
    return found


def bring(at: int, folder: Path) -> tuple[Place, list[dict[str, Any]]]:
    """Workspace number `at`, written below a folder, with what there is to ask about its tables."""
    package, name = PACKAGES[at], tuple(DATABASES)[at]
    place = Place(folder / package / "code", folder / package / "docs", folder / package / f"{name}.db")
    shutil.copytree(_source(package), place.code / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for path, text in documentation(NAMES[at % len(NAMES)]).items():
        page = place.docs / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    return place, write_database(place.database, DATABASES[name], random.Random(f"{package} {name}"))


@asynccontextmanager
async def servers(place: Place) -> AsyncIterator[Any]:
    """Our three servers over a workspace: what they list, and their calls."""
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
    from portico_gateway.assembly.gateway import open_tool_calls
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.policy.terminal_consent import terminal_caller

    config = load_config(None, flags={"audit.enabled": False}, environ={}, folder=place.code)
    specs = workspace_specs(config, place.code, [place.docs], [str(place.database)])
    with open_tool_calls(config, specs) as tool_calls:
        async with tool_calls.upstreams as upstreams:
            await upstreams.ready(_LOAD_SECONDS)
            host = UpstreamToolHost(upstreams, tool_calls=tool_calls, caller=terminal_caller("portico ask"))
            missing = {"code", "docs", "db"} - {tool.name.partition("__")[0] for tool in host.tools()}
            if missing:
                raise SystemExit(f"servers that did not start: {', '.join(sorted(missing))}")
            yield host


def _some(found: Sequence[Any], rng: random.Random) -> list[Any]:
    return rng.sample(found, min(MOST, len(found)))


def _topics(name: str, rng: random.Random) -> list[dict[str, str]]:
    """Those that are rare in full, of the terms as many as there is room for."""
    found = list(topics(documentation(name)))
    rng.shuffle(found)
    found.sort(key=lambda topic: topic["kind"] in ("term", "keywords"))
    return found[:MOST]


def _source(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: its names are what questions about code are made of")
    return Path(spec.origin).parent


async def check(file: Path, folder: Path, count: int) -> None:
    """Calls made as they are written into training rows: how many find what they are to find, by tool."""
    from portico_engine.tune.data.sources.own_servers.examples import questions_over
    from portico_engine.tune.data.sources.own_servers.workspace import read_workspaces

    found: dict[str, Counter[str]] = {}
    known = read_workspaces(file)
    each = -(-count // len(known))
    for at, workspace in enumerate(known):
        place, _ = bring(at, folder)
        rng = random.Random(at)
        every = list(questions_over(workspace, rng, each))
        async with servers(place) as host:
            await _indexed(host)
            for made in rng.sample(every, min(each, len(every))):
                outcome = await _outcome(host, made)
                found.setdefault(made.tool, Counter())[outcome] += 1
                if "query" in made.arguments and made.finding is not None:
                    words = made._replace(arguments={"query": " ".join(_said(made.arguments["query"]))})
                    found.setdefault(f"{made.tool}, by words", Counter())[await _outcome(host, words)] += 1
                if outcome not in ("found", "answered"):
                    print(f"{outcome}: {made.question!r} -> {made.tool} {json.dumps(made.arguments)}", flush=True)
    for tool, outcomes in sorted(found.items()):
        print(f"{tool}: {dict(outcomes)}")
    total: Counter[str] = sum((outcomes for tool, outcomes in found.items() if "," not in tool), Counter())
    print(f"all: {dict(total)}; {(total['found'] + total['answered']) / total.total():.1%} of {total.total()} find or answer")


def _said(query: str) -> list[str]:
    return [word for word in query.split() if word.lower().strip("?,.'") not in _EMPTY] or query.split()


async def _indexed(host: Any) -> None:
    """Wait until a search says that nothing is left out."""
    with anyio.fail_after(_LOAD_SECONDS):
        for tool in ("code__search", "docs__search"):
            while True:
                found = (await host.call_tool(tool, {"query": "start"})).structured_content or {}
                if found.get("complete", True):
                    break
                await anyio.sleep(0.2)


async def _outcome(host: Any, made: Any) -> str:
    """found or missed; answered or empty, where nothing particular is to be found; refused."""
    from portico_gateway.errors import GatewayError

    try:
        result = await host.call_tool(made.tool, made.arguments)
    except GatewayError as error:
        return f"refused ({error})"
    text = "\n".join(getattr(block, "text", "") for block in result.content)
    if result.is_error:
        return f"refused ({text[:120]})"
    if made.finding is None:
        return "empty" if text.startswith(("no rows", "not found")) else "answered"
    return "found" if _finds(made.finding, result.structured_content or {}) else "missed"


def _finds(finding: Any, data: Mapping[str, Any]) -> bool:
    """A hit, a passage or an outline has the line of the file, or the page with the text."""
    hits = data.get("hits") or [{"path": data.get("path"), **symbol} for symbol in data.get("symbols", ())] or [data]
    if data.get("symbols") and data.get("path") == finding.file:
        return True
    for hit in hits:
        if hit.get("path") != finding.file:
            continue
        if not finding.line:
            told = " ".join([str(hit.get("text", "")), *map(str, hit.get("title_trail", ()))])
            if not finding.text or _plain(finding.text)[:60] in _plain(told):
                return True
        elif hit["start_line"] <= finding.line + 2 and finding.line <= hit["end_line"]:
            return True
    return False


def _plain(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


if __name__ == "__main__":
    main()
