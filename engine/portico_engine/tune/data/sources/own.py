"""Our own tools and questions, as examples."""

from __future__ import annotations

import importlib.resources
import random
from collections.abc import Iterator
from typing import Any

from portico_engine.tune.data.changes.explaining import explained
from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.spec_file import Spec, read_specs

_ORIGIN = ("portico", "Apache-2.0")
_VERSIONS = 10  # of a tool's descriptions


def own_specs() -> list[Spec]:
    """All of the package's."""
    folder = importlib.resources.files("portico_engine.tune.data") / "own"
    return [
        spec
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".txt")
        for spec in read_specs(file.read_text(encoding="utf-8"))
    ]


def own_examples(rng: random.Random, each: int, several: int, *, described: float = 0.75) -> Iterator[Example]:
    """So many questions a tool that one call answers, and so many that take several; a share has its parameters described."""
    began = rng.random()
    for spec in own_specs():
        seen = set()
        for _ in range(each):
            question, arguments = spec.ask(rng)
            if question not in seen:
                seen.add(question)
                yield _example(spec, question, [arguments], described, began, rng)
        for _ in range(several):
            made = spec.ask_several(rng)
            if made is not None and made[0] not in seen:
                seen.add(made[0])
                yield _example(spec, made[0], made[1], described, began, rng)


def _example(
    spec: Spec, question: str, calls: list[dict[str, Any]], described: float, began: float, rng: random.Random
) -> Example:
    """A tool has few descriptions, so that questions for the same one can be joined."""
    tool = spec.tool
    if rng.random() < described:
        of_its_own = random.Random(f"{began} {tool.name} {rng.randrange(_VERSIONS)}")
        tool, calls = explained(tool, spec.types, calls, of_its_own)
    return Example(question, tuple(Call(tool, one) for one in calls), *_ORIGIN, domain="own")
