"""A catalog of hundreds of real tools behind `find_tools`: is the right tool among those found, and what does it cost?

usage: python benchmarks/catalog_search.py LIVEMCP.json.xz MCP_TOOLS_FOLDER [--no-engine]

LIVEMCP.json.xz is LiveMCPBench's list of tools (icip-cas/LiveMCPBench, 527 tools), MCP_TOOLS_FOLDER one JSON file a server
with its `tools` (275 tools of 22 servers). The 200 questions (data/catalog_questions.json) were written from names and the
first words of descriptions and frozen by their digest before any search was tried on them. Prompt tokens are of the default
model's tokenizer; the prefix is measured on its engine: 20 questions of a conversation, each with a search, what it reveals, a
call and a result appended.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio

from portico_engine import AsyncEngine, Request, SamplingParams, Tool, find_model, load_engine
from portico_gateway.agent.free.local.prompt_builder import PromptBuilder, told_tools
from portico_gateway.agent.free.local.tool_form import tool_form, usable_form
from portico_gateway.agent.free.turns import ModelTurn, ResultTurn, Turn, UserTurn, WrittenCall, as_past
from portico_gateway.agent.tool_search import FIND_TOOLS, FOUND, find_tool, found_result
from portico_gateway.agent.tool_signatures import signature
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.catalog_search import CatalogSearch
from portico_gateway.upstreams.names import namespaced
from report import table, write

HERE = Path(__file__).parent
QUESTIONS = HERE / "data" / "catalog_questions.json"
TURNS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("livemcp", type=Path)
    parser.add_argument("mcp_tools", type=Path)
    parser.add_argument("--no-engine", action="store_true", help="search alone")
    args = parser.parse_args()
    catalog = _Catalog(args.livemcp, args.mcp_tools)
    questions = _questions()
    found = _search(catalog, questions)
    if not args.no_engine:
        found |= anyio.run(_on_engine, catalog, questions)
    table(["figure", "value"], [[key, str(value)] for key, value in found.items() if key != "missed"])
    write("catalog_search", found)


def _questions() -> list[dict[str, Any]]:
    said = QUESTIONS.with_suffix(".sha256").read_text().split()[0]
    if hashlib.sha256(QUESTIONS.read_bytes()).hexdigest() != said:
        raise SystemExit(f"{QUESTIONS} is not what was frozen")
    found = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    assert isinstance(found, list)
    return found


class _Catalog:
    """The tools under gateway names, their servers, and each one's label in the questions."""

    def __init__(self, livemcp: Path, mcp_tools: Path) -> None:
        self.tools: list[Tool] = []
        self.servers: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        taken: Counter[str] = Counter()
        for server, tools in _servers(livemcp, mcp_tools):
            key = re.sub(r"[^A-Za-z0-9_-]", "-", server)[:32]
            taken[key] += 1
            key = key if taken[key] == 1 else f"{key}{taken[key]}"
            for tool in tools:
                name = namespaced(key, tool["name"])
                schema = tool.get("inputSchema") or {"type": "object"}
                self.tools.append(Tool(name, tool.get("description") or "", schema))
                self.servers[name] = key
                self.labels[name] = f"{server}/{tool['name']}"


def _servers(livemcp: Path, mcp_tools: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for entry in json.loads(lzma.decompress(livemcp.read_bytes())):
        for name, server in entry["tools"].items():
            yield name, server["tools"]
    for file in sorted(mcp_tools.glob("*.json")):
        server = json.loads(file.read_text(encoding="utf-8"))
        yield server["server"], server["tools"]


def _search(catalog: _Catalog, questions: list[dict[str, Any]]) -> dict[str, Any]:
    embed = embedder().embed
    embed(["warm"])
    began = time.perf_counter()
    search = CatalogSearch(catalog.tools, catalog.servers, embed)
    built = time.perf_counter() - began
    within: Counter[int] = Counter()
    missed, seconds = [], []
    for each in questions:
        began = time.perf_counter()
        labels = [catalog.labels[tool.name] for tool in search.search(each["question"], 10)]
        seconds.append(time.perf_counter() - began)
        place = next((index for index, label in enumerate(labels, 1) if label in each["tools"]), None)
        for most in (1, 3, 5, 10):
            within[most] += place is not None and place <= most
        if place is None or place > FOUND:
            missed.append(each["question"])
    return {
        "tools": len(catalog.tools),
        "servers": len(set(catalog.servers.values())),
        "questions": len(questions),
        **{f"right tool among {most}": within[most] for most in (1, 3, 5, 10)},
        "first use: building the search, s": round(built, 2),
        "a search, p50 ms": round(sorted(seconds)[len(seconds) // 2] * 1000, 1),
        "missed": missed,
    }


async def _on_engine(catalog: _Catalog, questions: list[dict[str, Any]]) -> dict[str, Any]:
    search = CatalogSearch(catalog.tools, catalog.servers, embedder().embed)
    async with AsyncEngine(load_engine(find_model(), executor="torch-cpu")) as engine:
        find = find_tool(list(catalog.servers.values()), by_name=True)
        told = await told_tools(engine, await usable_form(engine, tool_form(engine)), [find])
        builder = PromptBuilder(engine, told)
        listed = await _tokens(engine, json.dumps([_listed(tool) for tool in catalog.tools]))
        signed = await _tokens(engine, "\n".join(signature(tool) for tool in catalog.tools))
        first = await builder.prompt([UserTurn(questions[0]["question"])])
        texts = list(_revealed(search, questions[:TURNS]))
        revealed = sum([await _tokens(engine, text) for text in texts])
        one = await _one_question(engine, builder, questions, texts)
        several = await _several_questions(engine, builder, questions, texts)
    return {
        "tokens of all tools as tools/list gives them": listed,
        "tokens of all tools as signatures": signed,
        "tokens of the prompt with find_tools alone": len(first.tokens),
        "tokens that one search reveals, mean": round(revealed / TURNS),
        "signatures against prompt and one search, times": round(signed / (len(first.tokens) + revealed / TURNS), 1),
        "prefix hits over 20 turns of one question, 10 of them with reveals": round(one, 3),
        "prefix hits over 20 questions of a conversation, 3 turns and one reveal each": round(several, 3),
    }


def _revealed(search: CatalogSearch, questions: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the searches of one conversation show: a tool that was shown before by its name alone."""
    known: set[str] = set()
    for each in questions:
        found = search.search(each["question"], FOUND)
        yield found_result(found, by_name=True, known=known).content[0].text  # type: ignore[union-attr]
        known |= {tool.name for tool in found}


async def _one_question(
    engine: AsyncEngine, builder: PromptBuilder, questions: Sequence[dict[str, Any]], texts: Sequence[str]
) -> float:
    """A search and a call in turn, all of it appended: the share of prompt tokens that was found, the first turn's included."""
    turns: list[Turn] = [UserTurn(questions[0]["question"])]
    requests: list[tuple[int, int]] = []
    for number in range(TURNS):
        turns = await _asked(engine, builder, turns, requests)
        looks = number % 2 == 0
        call = WrittenCall(FIND_TOOLS, {"query": questions[number]["question"]}) if looks else WrittenCall("a__tool", {})
        turns += [ModelTurn(calls=(call,)), ResultTurn(call, texts[number] if looks else "ok")]
    return _share(requests)


async def _several_questions(
    engine: AsyncEngine, builder: PromptBuilder, questions: Sequence[dict[str, Any]], texts: Sequence[str]
) -> float:
    """As a conversation goes on: with all of its calls and results, as long as they fit."""
    turns: list[Turn] = []
    requests: list[tuple[int, int]] = []
    for each, text in zip(questions[:TURNS], texts, strict=True):
        turns = [*as_past(turns), UserTurn(each["question"])]
        looked, called = WrittenCall(FIND_TOOLS, {"query": each["question"]}), WrittenCall("a__tool", {})
        for step in (
            [ModelTurn(calls=(looked,)), ResultTurn(looked, text)],
            [ModelTurn(calls=(called,)), ResultTurn(called, "ok")],
            [],
        ):
            turns = [*await _asked(engine, builder, turns, requests), *step]
        turns.append(ModelTurn("Done."))
    return _share(requests)


async def _asked(
    engine: AsyncEngine, builder: PromptBuilder, turns: Sequence[Turn], requests: list[tuple[int, int]]
) -> list[Turn]:
    """The turns that are in the prompt; notes its tokens, and how many of them were found."""
    prompt = await builder.prompt(turns)
    sampling = SamplingParams(temperature=0.0)
    request = Request(uuid.uuid4().hex, prompt.tokens, sampling, max_tokens=1, shared_prefix_tokens=prompt.kept)
    async for delta in engine.generate(request):
        if delta.usage is not None:
            requests.append((delta.usage.prompt_tokens, delta.usage.cached_tokens))
            return prompt.turns
    raise AssertionError("the engine gave no usage")


def _share(requests: Sequence[tuple[int, int]]) -> float:
    return sum(cached for _, cached in requests) / sum(prompt for prompt, _ in requests)


def _listed(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "inputSchema": tool.parameters}


async def _tokens(engine: AsyncEngine, text: str) -> int:
    return len(await engine.tokenize(text))


if __name__ == "__main__":
    main()
