"""Requests that name a tool and no values: CLINC150 (Larson et al. 2019), MetaTool (Huang et al. 2024). They teach which tool
fits, and, where none of those at hand does, to call none.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Iterator
from pathlib import Path

from portico_engine.tool import Tool
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.sources.compressed import read_json_xz, read_xz

_CLINC = ("CLINC150", "CC-BY-3.0")
_METATOOL = ("MetaTool", "MIT")
# Small talk and settings of the assistant itself: no tool's business.
_TALK = frozenset(
    (
        "greeting goodbye thank_you yes no maybe repeat are_you_a_bot who_made_you what_is_your_name how_old_are_you "
        "do_you_have_pets cancel what_are_your_hobbies fun_fact meaning_of_life who_do_you_work_for where_are_you_from "
        "tell_joke what_can_i_ask_you"
    ).split()
)
_BEHIND = {"oos": "oos_"}
_NO_ARGUMENTS = {"type": "object", "properties": {}, "required": []}


def clinc_examples(path: Path, rng: random.Random, each: int) -> Iterator[Example]:
    """So many of each intent; those that fit no intent, and small talk, call none."""
    data = read_json_xz(path)
    tools = {intent: _intent_tool(intent) for _, intent in data["train"] if intent not in _TALK}
    taken: dict[str, int] = {}
    rows = data["train"] + data["val"] + data["test"]
    rng.shuffle(rows)
    for text, intent in rows:
        taken[intent] = taken.get(intent, 0) + 1
        if taken[intent] > each:
            continue
        calls = (Call(tools[intent], {}),) if intent in tools else ()
        yield Example(text, calls, *_CLINC, domain="clinc")
    for part in ("oos_train", "oos_val", "oos_test"):
        for text, _ in data.get(part, ()):
            yield Example(text, (), *_CLINC, domain="clinc")


def _intent_tool(intent: str) -> Tool:
    return Tool(intent, f"{intent.replace('_', ' ').capitalize()}.", _NO_ARGUMENTS)


def metatool_examples(queries: Path, tools: Path, rng: random.Random, count: int) -> Iterator[Example]:
    """So many questions; a tool of this set takes the question itself where it takes anything."""
    about = read_json_xz(tools)
    known = {name: _described(name, text) for name, text in about.items() if isinstance(text, str)}
    rows = [row for row in csv.reader(io.StringIO(read_xz(queries))) if len(row) == 2]
    rng.shuffle(rows)
    for text, name in [row for row in rows if row[1] in known][:count]:
        if len(text) < 300:
            yield Example(" ".join(text.split()), (Call(known[name], {}),), *_METATOOL, domain="metatool")


def _described(name: str, text: str) -> Tool:
    return Tool(re.sub(r"[^\w.-]", "_", name), " ".join(text.split()), _NO_ARGUMENTS)
