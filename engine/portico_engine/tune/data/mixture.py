"""The default adapter's training rows: how much of each source, and in which form.

It owns the proportions. The data sets lie in a folder as published; nothing is fetched.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from portico_engine.tool import Tool
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.rows import Neighbours, Row, RowMaker, SystemText
from portico_engine.tune.data.schema_questions import ask_tool
from portico_engine.tune.data.sources.intents import clinc_examples, metatool_examples
from portico_engine.tune.data.sources.own import own_examples, own_specs
from portico_engine.tune.data.sources.own_servers.examples import server_examples
from portico_engine.tune.data.sources.own_servers.workspace import HELD_OUT, Workspace, read_workspaces
from portico_engine.tune.data.sources.rlla import rlla_examples
from portico_engine.tune.data.sources.seal_tools import seal_examples, seal_tools
from portico_engine.tune.data.sources.spoken import home_examples, sonos_examples
from portico_engine.tune.data.sources.tool_lists import listed_tools, livemcp_tools

_OVER_SERVERS = 700  # questions a workspace and server of our own
_ELSEWHERE = 0.04  # as many in addition, that none of our servers answers


class Sources(NamedTuple):
    """Where the published data lies."""

    training: Path
    seal_tools: Path
    mcp_tools: Path
    workspaces: Path | None = None  # what `packaging/server_workspaces.py` wrote


def default_rows(
    sources: Sources, systems: Sequence[SystemText], weights: Sequence[float], *, seed: int, scale: float = 1.0
) -> Iterator[Row]:
    """All rows in random order; `scale` shrinks what is made, for a trial."""
    rng = random.Random(seed)
    seal = seal_tools(sources.seal_tools)
    real = [*listed_tools(sources.mcp_tools), *livemcp_tools(sources.training / "livemcp-tools.json.xz")]
    own = [spec.tool for spec in own_specs()]
    neighbours = Neighbours([*seal.values(), *real, *own, *own, *own])
    maker = RowMaker(neighbours, systems, weights, seed)
    groups = _groups(sources, seal, real, rng, scale)
    rows = [maker.row(example) for group in groups for example in group]
    answered = [example for group in groups for example in group if len(example.calls) == 1]
    rows += [maker.unanswered(example) for example in rng.sample(answered, int(len(answered) * 0.08))]
    missed = (maker.nearly(example) for example in rng.sample(answered, int(len(answered) * 0.22)))
    rows += [row for row in missed if row is not None]
    rows += _kin_only(maker, answered, own, rng, int(7000 * scale))
    short = [example for example in answered if len(example.question) < 160]
    of_tool: dict[str, list[Example]] = defaultdict(list)  # the very same, descriptions included
    for example in short:
        of_tool[repr(example.calls[0].tool)].append(example)
    for _ in range(int(9000 * scale)):
        count = rng.choice((2, 2, 2, 3, 3, 4))
        alike = of_tool[repr(rng.choice(short).calls[0].tool)] if rng.random() < 0.5 else []
        rows.append(maker.joined(rng.sample(alike if len(alike) >= count else short, count)))
    if sources.workspaces is not None:
        over = read_workspaces(sources.workspaces)[:-HELD_OUT]
        rows += [maker.as_listed(example) for example in over_servers(over, short, rng, max(1, int(_OVER_SERVERS * scale)))]
    rng.shuffle(rows)
    yield from rows


def over_servers(
    workspaces: Sequence[Workspace], others: Sequence[Example], rng: random.Random, each: int
) -> Iterator[Example]:
    """Questions over our servers, and a few of the others with our tools at hand alone: none of these answers them."""
    count = 0
    for example in server_examples(workspaces, rng, each):
        count += 1
        yield example
    for example in rng.sample(others, min(len(others), round(count * _ELSEWHERE))):
        offered = rng.choice(workspaces).tools
        yield Example(example.question, (), example.origin, example.licence, example.domain, offered)


def _kin_only(maker: RowMaker, answered: Sequence[Example], own: Sequence[Tool], rng: random.Random, count: int) -> list[Row]:
    """Our own tools each do something else, so that any of them is a wrong one for another's question, however like it."""
    questions = [example for example in answered if example.domain == "own"]
    rows = []
    for example in rng.sample(questions, min(count, len(questions))):
        asked = example.calls[0].tool
        keys, said = set(asked.parameters["properties"]), set(asked.description.lower().split())
        kin = [
            tool
            for tool in own
            if tool.name != asked.name
            and (keys & set(tool.parameters["properties"]) or len(said & set(tool.description.lower().split())) > 3)
            and not set(tool.name.split("_")) & set(asked.name.split("_"))
        ]
        if kin:
            rows.append(maker.kin_only(example, rng.sample(kin, min(len(kin), rng.choice((1, 1, 1, 2, 3))))))
    return rows


def _groups(
    sources: Sources, seal: dict[str, Tool], real: Sequence[Tool], rng: random.Random, scale: float
) -> list[list[Example]]:
    def part(examples: Iterator[Example], share: float = 1.0) -> list[Example]:
        found = list(examples)
        return found if share * scale >= 1 else rng.sample(found, int(len(found) * share * scale))

    training = sources.training
    spoken = sonos_examples(training / "sonos-intents.tar.xz")
    gold = part(seal_examples(sources.seal_tools))
    turns = part(rlla_examples(training / "rlla-sft.json.xz"))
    return [
        list(own_examples(rng, max(2, int(220 * scale)), max(1, int(55 * scale)))),
        *[gold] * 4,
        *[turns] * 4,
        _asked(list(seal.values()), 5 * scale, ("Seal-Tools", "Apache-2.0"), rng),
        _asked(real, 14 * scale, ("tools/list of MCP servers, LiveMCPBench", "MIT, Apache-2.0"), rng),
        part(spoken, 0.7),
        part(home_examples(training / "nlu-home-rasa.json.xz")),
        part(clinc_examples(training / "clinc150.json.xz", rng, 60)),
        list(
            metatool_examples(training / "metatool-queries.csv.xz", training / "metatool-tools.json.xz", rng, int(9000 * scale))
        ),
    ]


def _asked(tools: Sequence[Tool], each: float, origin: tuple[str, str], rng: random.Random) -> list[Example]:
    """So many plain questions a tool, on average."""
    found = []
    for tool in rng.choices(tools, k=round(len(tools) * each)):
        made = ask_tool(tool, rng)
        if made is not None:
            found.append(Example(made[0], (Call(tool, made[1]),), *origin, domain=origin[0]))
    return found
