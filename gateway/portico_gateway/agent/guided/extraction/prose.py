"""Documents: the sentences, list items, table rows, names and code of a hit, each with what stands around it.

A candidate's focus is one of them; its text is what is printed: the focus with what follows it while that is short, a list or
an example whole behind the sentence that introduces it, and the name of the entry that it is about.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.extraction.documents.blocks import Block, Kind, blocks
from portico_gateway.agent.guided.extraction.documents.sentences import sentences

SHORT = 400  # characters up to which a text grows by what follows
WHOLE = 600  # up to which it grows by the list or the example that it introduces
MAX_LINES = 10  # of one text
LEAD_SHORT = 240  # characters of a sentence that may stand in front of what it introduces
FACT = 60  # of a fact of a few words
MAX_FACTS = 3  # of an entry
_TOGETHER = ("item", "row", "code")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, or a whole item, row, name or piece of code."""

    text: str
    block: int
    kind: Kind
    names: tuple[str, ...]
    header: str
    lead: int | None  # the unit that introduces it


def prose(text: str, citation: Citation, *, rank: int = 0) -> Iterator[AnswerCandidate]:
    """The candidates of a text, in order. `rank` is its place among the hits."""
    units = list(_units(blocks(text)))
    trail = tuple(map(str, citation.fields.get("title_trail") or ()))
    for at, unit in enumerate(units):
        lead = units[unit.lead].text if unit.lead is not None else ""
        context = " ".join((*trail, *unit.names, unit.header, lead))
        yield AnswerCandidate(
            _window(units, at),
            citation,
            focus=unit.text,
            context=context,
            topic=(*trail, *unit.names)[-1:],
            rank=rank,
            code=unit.kind == "code",
        )


def _units(found: Sequence[Block]) -> Iterator[_Unit]:
    lead: int | None = None
    count = 0
    for number, block in enumerate(found):
        pieces = sentences(block.text) if block.kind in ("paragraph", "item") else [block.text]
        for piece in pieces:
            yield _Unit(piece, number, block.kind, block.names, block.header, lead if block.kind in _TOGETHER else None)
            count += 1
        if block.kind == "paragraph" and pieces:
            lead = count - 1 if pieces[-1].endswith(":") or found[number + 1 : number + 2] else None
        elif block.kind == "name":
            lead = None


def _window(units: Sequence[_Unit], at: int) -> str:
    """What is printed for the unit `at`."""
    unit = units[at]
    parts = _entry(units, at) if unit.kind == "name" else _grown(units, at)
    text = _joined(parts)
    name = unit.names[-1] if unit.names else ""
    return f"{name}: {text}" if name and len(name) <= 80 and name.strip("`") not in text else text


def _grown(units: Sequence[_Unit], at: int) -> list[_Unit]:
    """It grows by what follows, then by what stands before it; what introduces it comes first."""
    unit = units[at]
    first, last = at, at
    limit = WHOLE if unit.text.endswith(":") else SHORT
    while last + 1 < len(units) and _goes_on(unit, units[last + 1]) and _size(units[first : last + 2]) <= limit:
        last += 1
    while first and _comes_before(units[first - 1], unit) and _size(units[first - 1 : last + 1]) <= limit:
        first -= 1
    if units[last].text.endswith(":") and last + 1 < len(units) and units[last + 1].kind in _TOGETHER:
        last += _size(units[first : last + 2]) <= WHOLE
    parts = list(units[first : last + 1])
    if unit.lead is not None and unit.lead < first and len(units[unit.lead].text) <= LEAD_SHORT:
        parts.insert(0, units[unit.lead])
    return parts


def _entry(units: Sequence[_Unit], at: int) -> list[_Unit]:
    """A name, the beginning of what is said of it, and its facts of a few words: its default, its version."""
    inside = list(takewhile(lambda unit: units[at].text in unit.names, units[at + 1 :]))
    facts = [unit for unit in inside if unit.kind == "paragraph" and len(unit.text) <= FACT][:MAX_FACTS]
    parts = [units[at]]
    for unit in inside:
        if unit in facts or (
            unit.kind == "paragraph" and _size([*parts, unit, *(f for f in facts if f not in parts)]) <= SHORT
        ):
            parts.append(unit)
    return parts


def _goes_on(unit: _Unit, other: _Unit) -> bool:
    """Does `other` belong to what is said from `unit` on?"""
    if unit.text.endswith(":"):
        return other.kind in _TOGETHER
    if unit.kind == "name":
        return other.names[-1:] == (unit.text,)
    if unit.kind in _TOGETHER:
        return other.block == unit.block
    return other.names == unit.names and other.kind == "paragraph"


def _comes_before(other: _Unit, unit: _Unit) -> bool:
    if unit.kind == "row":  # its neighbour is often told apart by a word
        return other.kind == "row" and other.header == unit.header and other.names == unit.names and len(other.text) <= FACT * 2
    return unit.kind == "paragraph" == other.kind and other.names == unit.names


def _size(units: Sequence[_Unit]) -> int:
    lines = sum(unit.text.count("\n") + (unit.kind in _TOGETHER) for unit in units)
    return sum(len(unit.text) + 1 for unit in units) if lines <= MAX_LINES else WHOLE + 1


def _joined(units: Sequence[_Unit]) -> str:
    """Sentences of a paragraph in one line, everything else in lines of its own."""
    text = units[0].text
    for before, unit in itertools.pairwise(units):
        if before.kind == "name":
            text += ": " + unit.text
        elif unit.block == before.block or (unit.kind == before.kind == "paragraph"):
            text += " " + unit.text
        else:
            text += "\n" + ("- " if unit.kind in ("item", "row") else "") + unit.text
    return text
