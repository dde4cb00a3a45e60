"""Traces of prompts for `kv_traces.py`: who asks what, when, and how much of it stood in a prompt before.

All text is this repository's own, cut by the default model's tokenizer; who says what, and how long, is drawn with a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from portico_engine import find_model, load_tokenizer

ROOT = Path(__file__).parents[1]
PIN = 60.0  # seconds that the gateway has a conversation with tools kept
Tokens: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt, what is answered, and the seconds before it that its conversation waits: for a tool, or a person. `pin` as
    `Request.pin`."""

    prompt: Tokens
    answer: Tokens
    pause: float = 0.0
    pin: float = 0.0


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns one after another, the first one at `begins` seconds."""

    begins: float
    turns: tuple[Turn, ...]


Trace: TypeAlias = tuple[Conversation, ...]


class Text:
    """Passages of real text in tokens."""

    def __init__(self, seed: int) -> None:
        tokenizer = load_tokenizer(find_model())
        docs = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/decisions").glob("*.md"))]
        code = [
            path
            for room in ("kv", "executors", "fairness")
            for path in sorted((ROOT / "engine/portico_engine" / room).rglob("*.py"))
        ]
        self._prose = tokenizer.encode("\n".join(path.read_text(encoding="utf-8") for path in docs))
        self._code = tokenizer.encode("\n".join(path.read_text(encoding="utf-8") for path in code))
        self.random = random.Random(seed)

    def prose(self, low: int, high: int) -> Tokens:
        """A passage of so many tokens."""
        return self._cut(self._prose, low, high)

    def code(self, low: int, high: int) -> Tokens:
        """The same of source code, as a tool finds it."""
        return self._cut(self._code, low, high)

    def seconds(self, median: float, spread: float = 1.0) -> float:
        """A lognormal time."""
        return self.random.lognormvariate(0.0, spread) * median

    def _cut(self, tokens: Sequence[int], low: int, high: int) -> Tokens:
        n = self.random.randint(low, high)
        at = self.random.randrange(len(tokens) - n)
        return tuple(tokens[at : at + n])


def rag(text: Text, n: int = 60) -> Trace:
    """Questions about one context of 6,000 tokens."""
    context = text.prose(6000, 6000)
    return tuple(Conversation(3.0 * i, (Turn((*context, *text.prose(15, 80)), text.prose(30, 150)),)) for i in range(n))


def chat(text: Text, n: int = 24, turns: int = 8) -> Trace:
    """Conversations of eight turns behind the same instructions; a person reads and writes in between."""
    system = text.prose(300, 300)
    made: list[Conversation] = []
    for i in range(n):
        prompt, of_one = system, []
        for k in range(turns):
            prompt = (*prompt, *text.prose(20, 150))
            answer = text.prose(60, 300)
            of_one.append(Turn(prompt, answer, pause=text.seconds(20.0) if k else 0.0))
            prompt = (*prompt, *answer)
        made.append(Conversation(6.0 * i, tuple(of_one)))
    return tuple(made)


def documents(text: Text, n: int = 12, questions: int = 5) -> Trace:
    """Long documents, each asked about five times; other documents are read in between."""
    made: list[Conversation] = []
    for i in range(n):
        document = (*text.prose(80, 80), *text.prose(4000, 12000))
        turns = tuple(
            Turn((*document, *text.prose(15, 60)), text.prose(40, 200), pause=text.seconds(30.0) if k else 0.0)
            for k in range(questions)
        )
        made.append(Conversation(8.0 * i, turns))
    return tuple(made)


def agent(text: Text, n: int = 24) -> Trace:
    """Loops of tool calls behind the same instructions and tools, 2,500 tokens: a call, its result behind it, and so on."""
    instructions = text.prose(2500, 2500)
    made: list[Conversation] = []
    for i in range(n):
        prompt, turns = (*instructions, *text.prose(15, 60)), []
        steps = text.random.randint(3, 10)
        for step in range(steps):
            answer = text.code(25, 80) if step < steps - 1 else text.prose(60, 250)
            turns.append(Turn(prompt, answer, pause=text.seconds(2.0) if step else 0.0, pin=PIN if step < steps - 1 else 0.0))
            prompt = (*prompt, *answer, *text.code(200, 1500))
        made.append(Conversation(4.0 * i, tuple(turns)))
    return tuple(made)


def unrelated(text: Text, n: int = 100) -> Trace:
    """Prompts that have nothing to do with each other."""
    return tuple(Conversation(1.5 * i, (Turn(text.prose(200, 3000), text.prose(20, 150)),)) for i in range(n))


TRACES: dict[str, Callable[[Text], Trace]] = {
    "RAG over a static context": rag,
    "chat of eight turns": chat,
    "questions about long documents": documents,
    "agent loop": agent,
    "unrelated prompts": unrelated,
}


def sessions(text: Text, n: int = 60) -> Trace:
    """What a gateway sees on a working day: agents that wait for slow tools, among them questions that come once."""
    own = agent(text, n)
    slow = [
        Conversation(
            3.0 * i,
            tuple(
                Turn(turn.prompt, turn.answer, turn.pause * (6.0 if k % 3 == 2 else 1.0), turn.pin)
                for k, turn in enumerate(one.turns)
            ),
        )
        for i, one in enumerate(own)
    ]
    return tuple(sorted([*slow, *unrelated(text, 2 * n)], key=lambda one: one.begins))


def everything(text: Text) -> Trace:
    """All five at once."""
    return tuple(sorted((one for make in TRACES.values() for one in make(text)), key=lambda one: one.begins))
