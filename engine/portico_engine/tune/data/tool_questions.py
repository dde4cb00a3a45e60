"""Rows over somebody's own tools: plain questions from their schemas, the other tools beside, and some that none answers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from portico_engine.errors import EngineError
from portico_engine.tool import Tool
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.row_checks import satisfies
from portico_engine.tune.data.rows import Neighbours, Row, RowMaker, SystemText
from portico_engine.tune.data.schema_questions import ask_tool, words_of
from portico_engine.tune.data.several_questions import ask_several
from portico_engine.tune.data.sources.own import own_specs
from portico_engine.tune.data.spoken_questions import say_tool

_TRIES = 30  # questions that are made for one that is new
_UNANSWERED, _NEARLY, _JOINED = 0.08, 0.08, 0.05  # shares of the rows
_ELSEWHERE = 0.06  # of those that offer all the tools


class Origin(NamedTuple):
    """Where tools come from, and under which licence what is made of them stands."""

    name: str
    licence: str


class NoQuestions(EngineError):
    """No question can be made of any of the tools."""


def questions_over(
    tools: Sequence[Tool],
    system: SystemText,
    count: int,
    *,
    seed: int,
    origin: Origin,
    renamed: float = 0.6,
    spoken: float = 0.0,
    listed: float = 0.0,
    several: float = 0.0,
    other_words: float = 0.0,
) -> Iterator[Row]:
    """`count` rows, fewer where the tools don't yield so many different questions. `renamed`: in which share of them tools go
    by other names, so that what they are called is not all that is learned. `spoken`: which share is put as a person puts it
    who doesn't know the parameters' names, and `other_words`: which share of these say other words for what the description
    says. `listed`: which share offers all the tools, in order; a few more are questions that none of them answers. `several`:
    how many more, as a share, ask for several calls of one tool at once. Raises NoQuestions.
    """
    rng = random.Random(seed)
    examples = _examples(tools, count, origin, rng, spoken, other_words)
    if not examples:
        raise NoQuestions(f"no question can be made of the {len(tools)} tools: what they require has no plain form")
    maker = RowMaker(Neighbours(list(tools)), [system], [1.0], seed, renamed=renamed)
    for at, example in enumerate(examples):
        if listed and rng.random() < listed:
            yield maker.as_listed(replace(example, offered=tuple(tools)))
            continue
        draw = rng.random()
        if draw < _UNANSWERED and (unanswered := maker.unanswered(example)).tools:
            yield unanswered
        elif draw < _UNANSWERED + _NEARLY and (row := maker.nearly(example)) is not None:
            yield row
        elif draw > 1 - _JOINED and at:
            yield maker.joined([example, rng.choice(examples[:at])])
        else:
            yield maker.row(example)
    for example in _elsewhere(tools, round(count * listed * _ELSEWHERE), origin, rng, other_words) if listed else ():
        yield maker.as_listed(example)
    for example in _several(tools, round(count * several), origin, rng):
        yield maker.row(example)


def _several(tools: Sequence[Tool], count: int, origin: Origin, rng: random.Random) -> Iterator[Example]:
    """So many questions that each ask for several calls of one tool, fewer where the tools don't yield as many."""
    asked: set[str] = set()
    for _ in range(_TRIES * count):
        if len(asked) == count:
            return
        tool = rng.choice(tools)
        made = ask_several(tool, rng)
        if made is not None and made[0] not in asked and all(satisfies(arguments, tool.parameters) for arguments in made[1]):
            asked.add(made[0])
            calls = tuple(Call(tool, arguments) for arguments in made[1])
            yield Example(made[0], calls, *origin, domain=origin.name)


def _elsewhere(tools: Sequence[Tool], count: int, origin: Origin, rng: random.Random, other_words: float) -> list[Example]:
    """Questions for our own tools whose names share no word with these, put as these's are: how a question is put must not tell
    whether there is a tool for it.
    """
    taken = {word for tool in tools for word in words_of(tool.name).split()}
    others = [spec.tool for spec in own_specs() if not taken & set(words_of(spec.tool.name).split())]
    found: list[Example] = []
    for _ in range(_TRIES * count):
        if len(found) == count or not others:
            break
        if (made := say_tool(rng.choice(others), rng, other_words)) is not None:
            found.append(Example(made[0], (), *origin, domain=origin.name, offered=tuple(tools)))
    return found


def _examples(
    tools: Sequence[Tool], count: int, origin: Origin, rng: random.Random, spoken: float, other_words: float
) -> list[Example]:
    """Tools in turn, so that each has as many as another; a question is there once."""
    found: list[Example] = []
    asked: set[str] = set()
    left = list(tools)
    while left and len(found) < count:
        rng.shuffle(left)
        for tool in list(left):
            made = next(filter(None, (_new_question(tool, rng, asked, spoken, other_words) for _ in range(_TRIES))), None)
            if made is None:
                left.remove(tool)
            elif len(found) < count:
                asked.add(made[0])
                found.append(Example(made[0], (Call(tool, made[1]),), *origin, domain=origin.name))
    rng.shuffle(found)
    return found


def _new_question(
    tool: Tool, rng: random.Random, asked: set[str], spoken: float, other_words: float
) -> tuple[str, dict[str, Any]] | None:
    """One that nobody asked yet, and whose call the tool takes: what a pattern wants, say, no made-up value may have."""
    made = say_tool(tool, rng, other_words) if spoken and rng.random() < spoken else ask_tool(tool, rng)
    return made if made is not None and made[0] not in asked and satisfies(made[1], tool.parameters) else None
