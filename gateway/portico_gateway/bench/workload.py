"""What `portico bench` asks of an engine: texts to read, tools to call, and how much of each.

The tools' arguments are bounded, so that any model, whatever it makes of the question, ends its call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portico_engine import Tool

MAX_CALL_TOKENS = 96

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
_STATES = ("open", "done", "urgent", "overdue")
_THINGS = {
    "appointment": "an appointment of the workshop",
    "order": "an order of a customer",
    "delivery": "a delivery from a supplier",
    "complaint": "a complaint that came in by letter",
}
_QUESTIONS = (
    "Which of them are planned for Wednesday?",
    "Please put number 31 off to Friday.",
    "Has anything been overdue for long?",
    "Show me 118, and who wrote it.",
    "What is urgent today?",
)
_INSTRUCTIONS = (
    "You keep the books of a bicycle workshop. Answer with one call of one of these tools and nothing else. Numbers and days "
    "are those of the question. Change nothing that nobody asked you to change.\n"
)
_TEXT = (
    "The workshop opens at eight. Whoever comes first makes coffee, reads the letters of the day and looks whether the parts "
    "that were ordered on Monday lie in the yard. Wheels are trued before noon, brakes after it. "
)


@dataclass(frozen=True, slots=True)
class Workload:
    """How much of everything. Lengths are tokens."""

    prefills: tuple[int, ...]
    decode_rows: tuple[int, ...]
    decode_tokens: int  # of each row
    calls: tuple[tuple[int, int], ...]  # (clients, calls of all of them together)
    repeats: int  # of a measurement that is over in a moment; the best counts


QUICK = Workload((512,), (1, 8), 16, ((1, 3), (16, 16)), 1)
USUAL = Workload((512,), (1, 8, 64), 48, ((1, 6), (16, 32), (64, 64)), 2)
LONG = Workload((512, 2048), (1, 8, 64), 128, ((1, 16), (16, 96), (64, 192)), 3)


def tools() -> list[Tool]:
    """Twelve tools over four kinds of things."""
    number = {"type": "integer", "minimum": 1, "maximum": 9999}
    day = {"type": "string", "enum": [*_DAYS]}
    state = {"type": "string", "enum": [*_STATES]}
    limit = {"type": "integer", "minimum": 1, "maximum": 25}
    flag = {"type": "boolean"}
    found = []
    for thing, what in _THINGS.items():
        found += [
            _tool(f"find_{thing}", f"Find {what} by state and day.", {"state": state, "day": day, "limit": limit}),
            _tool(f"read_{thing}", f"Read {what} by its number.", {"number": number, "with_author": flag}),
            _tool(f"move_{thing}", f"Move {what} to another day.", {"number": number, "day": day, "notify": flag}),
        ]
    return found


def turns(given: list[Tool], i: int) -> list[dict[str, str]]:
    """The i-th question behind instructions and tools, which are the same for all of them."""
    lines = (f"{tool.name}({_parameters(tool)}): {tool.description}" for tool in given)
    return [
        {"role": "system", "content": _INSTRUCTIONS + "\n".join(lines)},
        {"role": "user", "content": f"({i}) {_QUESTIONS[i % len(_QUESTIONS)]}"},
    ]


def text(n_words: int, seed: int = 0) -> str:
    """Prose of at least so many words; each `seed` begins with words of its own."""
    return f"Day {seed}. " + _TEXT * (n_words // len(_TEXT.split()) + 1)


def _parameters(tool: Tool) -> str:
    """As a signature: the values where they are listed, else the type."""
    properties: dict[str, dict[str, Any]] = tool.parameters["properties"]
    return ", ".join(f"{name}: {'|'.join(of.get('enum', [of['type']]))}" for name, of in properties.items())


def _tool(name: str, description: str, properties: dict[str, Any]) -> Tool:
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return Tool(name, description, schema)
