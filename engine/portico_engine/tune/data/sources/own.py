"""Our own tools and questions, as examples."""

from __future__ import annotations

import importlib.resources
import random
from collections.abc import Iterator

from portico_engine.tune.data.example import Call, Example
from portico_engine.tune.data.spec_file import Spec, read_specs

_ORIGIN = ("portico", "Apache-2.0")


def own_specs() -> list[Spec]:
    """All of the package's."""
    folder = importlib.resources.files("portico_engine.tune.data") / "own"
    return [
        spec
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".txt")
        for spec in read_specs(file.read_text(encoding="utf-8"))
    ]


def own_examples(rng: random.Random, each: int, several: int) -> Iterator[Example]:
    """So many questions a tool that one call answers, and so many that take several."""
    for spec in own_specs():
        seen = set()
        for _ in range(each):
            question, arguments = spec.ask(rng)
            if question not in seen:
                seen.add(question)
                yield Example(question, (Call(spec.tool, arguments),), *_ORIGIN, domain="own")
        for _ in range(several):
            made = spec.ask_several(rng)
            if made is not None and made[0] not in seen:
                seen.add(made[0])
                yield Example(made[0], tuple(Call(spec.tool, one) for one in made[1]), *_ORIGIN, domain="own")
