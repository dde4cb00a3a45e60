"""Does the named place really hold the value? And is what a question without answer asks for really absent?

Evidence is of one of these forms:
- `{"file", "lines": [first, last]}`: these lines of the workspace's tree; `"derived"` where the value follows (a yes, a count)
- `{"sql", "rows"}`: the workspace's database gives exactly these rows
- `{"server", "tool", "arguments"}`: the third-party server's result, asked here
- `{"absent": REGEX}`: matches no file of the tree, no table or column of the database, no text that the servers read
- `{"no_tool": REGEX}`: matches no name or description of the workspace's tools
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from answers_material.workspaces import Workspace, workspace
from answers_questions import AREAS, KINDS, Question, held, question_id

SKIPPED = {".git", "__pycache__"}


async def problems(questions: Sequence[Question]) -> list[str]:
    """What is wrong with the questions; nothing where all of it holds."""
    found = [f"{q['id']}: {what}" for q in questions for what in _form(q)]
    ids = [q["id"] for q in questions]
    found += [f"{item}: twice" for item in {item for item in ids if ids.count(item) > 1}]
    by_workspace: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_workspace[question["workspace"]].append(question)
    for name, items in by_workspace.items():
        place = workspace(name)
        if items[0]["area"] == "third_party":
            found += await _outside_problems(place, items)
        else:
            found += [f"{q['id']}: {what}" for q in items for what in _place_problems(place, q)]
    return found


def _form(question: Question) -> Iterator[str]:
    if question["id"] != question_id(question["workspace"], question["question"]):
        yield "the id is not the digest of workspace and question"
    if question["area"] not in AREAS or question["kind"] not in KINDS or not question["evidence"]:
        yield "area, kind or evidence"
    if bool(question["answers"]["all_of"]) == (question["kind"] == "none"):
        yield "a question has values, or it is one without answer"
    if question["kind"] == "none" and not question["note"]:
        yield "no reason why there is no answer"


def _place_problems(place: Workspace, question: Question) -> Iterator[str]:
    text, derived = "", False
    for item in question["evidence"]:
        if "file" in item:
            lines = (place.root / item["file"]).read_text(encoding="utf-8").splitlines()
            first, last = item["lines"]
            text += item["file"] + "\n" + "\n".join(lines[first - 1 : last]) + "\n"
            derived = derived or "derived" in item
        elif "sql" in item:
            assert place.database is not None
            rows = [list(row) for row in sqlite3.connect(place.database).execute(item["sql"])]
            if rows != item["rows"]:
                yield f"the rows are {rows}"
            text += "\n".join(" ".join(map(str, row)) for row in rows)
        else:
            yield from (f"{item['absent']} is in {name}" for name in _matching(place, item["absent"]))
    if question["kind"] != "none" and not derived and not all(held(question, text)):
        yield f"the evidence does not hold {question['answers']['all_of']}"


def _matching(place: Workspace, pattern: str) -> Iterator[str]:
    """Where `pattern` is after all."""
    regex = re.compile(pattern)
    if place.database is not None:
        schema = sqlite3.connect(place.database).execute("SELECT name, sql FROM sqlite_master").fetchall()
        yield from (f"the schema of {name}" for name, sql in schema if regex.search(f"{name} {sql}"))
        return
    for path in place.root.rglob("*"):
        if path.is_file() and not SKIPPED & set(path.parts):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            if regex.search(text):
                yield path.relative_to(place.root).as_posix()


async def _outside_problems(place: Workspace, questions: Sequence[Question]) -> list[str]:
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
    from portico_gateway.assembly.gateway import open_tool_calls
    from portico_gateway.config.portico_config import load_config

    config = load_config(Path(place.options[1]))
    found: list[str] = []
    with open_tool_calls(config, config.specs()) as tool_calls:
        async with tool_calls.upstreams as upstreams:
            await upstreams.ready(60.0)
            host = UpstreamToolHost(upstreams, tool_calls=tool_calls)
            tools = [f"{tool.name} {tool.description}" for tool in host.tools()]
            for question in questions:
                found += [f"{question['id']}: {what}" for what in await _calls_problems(host, tools, place, question)]
    return found


async def _calls_problems(host: Any, tools: Sequence[str], place: Workspace, question: Question) -> list[str]:
    found, text, derived = [], "", False
    for item in question["evidence"]:
        if "tool" in item:
            derived = derived or "derived" in item
            result = await host.call_tool(f"{item['server']}__{item['tool']}", item["arguments"])
            text += "\n".join(getattr(block, "text", "") for block in result.content) + "\n"
            if result.is_error:
                found.append(text)
        elif "no_tool" in item:
            found += [f"{item['no_tool']} is in {tool}" for tool in tools if re.search(item["no_tool"], tool)]
        else:
            names = _matching(place._replace(database=None), item["absent"])
            found += [f"{item['absent']} is in {name}" for name in names if not name.endswith((".toml", ".db"))]
    if question["kind"] != "none" and not derived and not all(held(question, text)):
        found.append(f"the results do not hold {question['answers']['all_of']}")
    return found
