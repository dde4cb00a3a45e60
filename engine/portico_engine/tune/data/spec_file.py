"""Tools and questions of our own, in a notation of our own: one tool a paragraph, its questions behind `>`.

    name(city: string@city, days?: integer@2..10, unit?: celsius|fahrenheit, metric?: boolean) - Description.
    > What is the weather in {city}[ for {days} days][, {metric?in metric units|in imperial units}]?

    type       string@KIND, integer@LOW..HIGH/STEP, number@..., number@KIND, boolean, a|b|c, [type]*LEAST..MOST, {name: type}
    {name}     a value, as a person writes it                          [...]      there or not: what is absent is in no call
    {name=v}   writes nothing: the words around it mean this value     {name?yes|no}   a boolean, by what is said

It owns the notation and how a value is written in a question; `value_kinds` has the values themselves.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portico_engine.tool import Tool
from portico_engine.tune.data.value_kinds import Stated, number, of_kind

_HEAD = re.compile(r"(?P<name>[\w.-]+)\((?P<parameters>.*)\) - (?P<description>.+)")
_RANGE = re.compile(r"(?P<low>-?[\d.]+?)\.\.(?P<high>-?[\d.]+?)(?:/(?P<step>[\d.]+))?")
_SLOT = re.compile(r"\{(?P<name>[\w.]+)(?:=(?P<fixed>[^{}]+)|\?(?P<yes>[^{}|]*)\|(?P<no>[^{}|]*))?\}")
_PART = re.compile(r"\[(?P<optional>(?:[^\[\]{}]|\{[^{}]*\})*)\]|(?P<plain>(?:[^\[\]{}]|\{[^{}]*\})+)")


@dataclass(frozen=True, slots=True)
class Spec:
    """A tool with the questions that it answers."""

    tool: Tool
    types: Mapping[str, str]
    questions: tuple[str, ...]

    def ask(self, rng: random.Random) -> tuple[str, dict[str, Any]]:
        """A question, and the arguments that it states."""
        arguments: dict[str, Any] = {}
        said = []
        for part in _PART.finditer(rng.choice(self.questions)):
            if part["optional"] is None:
                said.append(self._fill(part["plain"], arguments, rng))
            elif rng.random() < 0.45:
                said.append(self._fill(part["optional"], arguments, rng))
        ordered = {name: arguments[name] for name in self.types if name in arguments}
        return "".join(said), ordered

    def ask_several(self, rng: random.Random) -> tuple[str, list[dict[str, Any]]] | None:
        """A question that one call can't answer: one slot or two name several values. None: this tool has no such question."""
        question = re.sub(r"\[(?:[^\[\]{}]|\{[^{}]*\})*\]", "", rng.choice(self.questions))
        slots = [slot for slot in _SLOT.finditer(question) if slot["fixed"] is None and slot["yes"] is None]
        slots = [slot for slot in slots if not self._type(slot["name"]).startswith(("[", "{")) and "." not in slot["name"]]
        if not slots:
            return None
        several = rng.sample(slots, min(len(slots), 1 if rng.random() < 0.7 else 2))
        count = rng.choice((2, 2, 2, 3, 3, 4))
        stated: dict[str, list[Stated]] = {}
        for slot in several:
            found: list[Stated] = []
            for _ in range(4 * count):
                made = state(self._type(slot["name"]), rng)
                if len(found) < count and made.value not in [known.value for known in found]:
                    found.append(made)
            if len(found) < count:
                return None
            stated[slot["name"]] = found
        surfaces = {name: _joined([one.surface for one in found], rng) for name, found in stated.items()}
        for name, surface in surfaces.items():
            question = question.replace(f"{{{name}}}", surface)
        shared: dict[str, Any] = {}
        text = self._fill(question, shared, rng)
        if len(several) == 2:
            text = f"{text.rstrip('.?! ')}{rng.choice((', respectively', ' respectively'))}{'?' if text.endswith('?') else '.'}"
        calls = []
        for at in range(count):
            own = shared | {name: found[at].value for name, found in stated.items()}
            calls.append({name: own[name] for name in self.types if name in own})
        return text, calls

    def _fill(self, text: str, arguments: dict[str, Any], rng: random.Random) -> str:
        def stated(slot: re.Match[str]) -> str:
            value, surface = self._state(slot, rng)
            holder, names = arguments, slot["name"].split(".")
            for name in names[:-1]:
                holder = holder.setdefault(name, {})
            if slot["fixed"] is not None and names[-1] in holder:
                return surface
            holder[names[-1]] = value
            return surface

        return _SLOT.sub(stated, text)

    def _state(self, slot: re.Match[str], rng: random.Random) -> Stated:
        kind = self._type(slot["name"])
        if slot["fixed"] is not None:
            return Stated(_literal(slot["fixed"], kind), "")
        if slot["yes"] is not None:
            value = rng.random() < 0.5
            return Stated(value, slot["yes"] if value else slot["no"])
        return state(kind, rng)

    def _type(self, name: str) -> str:
        first, *rest = name.split(".")
        kind = self.types[first]
        for part in rest:
            kind = dict(_parameters(kind[1:-1]))[part]
        return kind


def read_specs(text: str) -> Iterator[Spec]:
    """Raises ValueError naming the line that is none of the notation."""
    head, questions = None, list[str]()
    for line in [*text.splitlines(), "end() - ."]:
        if line.startswith("> "):
            questions.append(line[2:])
        elif line and not line.startswith("#"):
            if head is not None:
                yield _spec(head, questions)
            head, questions = _HEAD.fullmatch(line), []
            if head is None:
                raise ValueError(f"this line is neither a tool nor a question: {line}")


def _spec(head: re.Match[str], questions: list[str]) -> Spec:
    named = [(name.rstrip("?"), name.endswith("?"), kind) for name, kind in _parameters(head["parameters"])]
    schema = {
        "type": "object",
        "properties": {name: schema_of(kind) for name, _, kind in named},
        "required": [name for name, optional, _ in named if not optional],
    }
    types = {name: kind for name, _, kind in named}
    spec = Spec(Tool(head["name"], head["description"], schema), types, tuple(questions))
    for question in questions:
        always = {slot["name"].split(".")[0] for slot in _SLOT.finditer(re.sub(r"\[(?:[^\[\]{}]|\{[^{}]*\})*\]", "", question))}
        missing = set(schema["required"]) - always
        if missing:
            raise ValueError(f"{head['name']}: this question does not state {', '.join(sorted(missing))}: {question}")
    return spec


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    """`name: type` by name, split at the commas that are in no bracket."""
    depth, begin = 0, 0
    for at, char in enumerate(text + ","):
        depth += (char in "[{(") - (char in "]})")
        if char == "," and depth == 0:
            name, _, kind = text[begin:at].partition(": ")
            if name.strip():
                yield name.strip(), kind.strip()
            begin = at + 1


def schema_of(kind: str) -> dict[str, Any]:
    """The JSON Schema of a type."""
    if kind.startswith("["):
        return {"type": "array", "items": schema_of(kind[1 : kind.rindex("]")])}
    if kind.startswith("{"):
        fields = dict(_parameters(kind[1:-1]))
        return {
            "type": "object",
            "properties": {name: schema_of(inner) for name, inner in fields.items()},
            "required": list(fields),
        }
    name = kind.partition("@")[0]
    if name in ("string", "integer", "number", "boolean"):
        return {"type": name}
    return {"type": "string", "enum": kind.split("|")}


def state(kind: str, rng: random.Random) -> Stated:
    """A value of a type, and how it is written."""
    if kind.startswith("["):
        return _list(kind, rng)
    if kind.startswith("{"):
        inner = {name: state(of, rng) for name, of in _parameters(kind[1:-1])}
        value = {name: stated.value for name, stated in inner.items()}
        return Stated(value, ", ".join(f"{name} {stated.surface}" for name, stated in inner.items()))
    name, _, of = kind.partition("@")
    if name == "boolean":
        yes = rng.random() < 0.5
        return Stated(yes, "yes" if yes else "no")
    if name in ("integer", "number"):
        bounds = _RANGE.fullmatch(of)
        if bounds is None:
            return of_kind(of, rng)
        step = float(bounds["step"]) if bounds["step"] else None
        return number(float(bounds["low"]), float(bounds["high"]), step, rng, whole=name == "integer")
    if name == "string":
        return of_kind(of, rng)
    choice = rng.choice(kind.split("|"))
    return Stated(choice, choice.replace("_", " ") if rng.random() < 0.7 else choice)


def _list(kind: str, rng: random.Random) -> Stated:
    end = kind.rindex("]")
    least, _, most = kind[end + 2 :].partition("..")
    inner = kind[1:end]
    found: list[Stated] = []
    for _ in range(rng.randint(int(least), int(most))):
        made = state(inner, rng)
        if inner.startswith(("[", "number", "integer")) or made.value not in [stated.value for stated in found]:
            found.append(made)
    values = [stated.value for stated in found]
    if inner.startswith("[") or (inner.startswith(("number", "integer")) and rng.random() < 0.5):
        return Stated(values, json.dumps(values) if rng.random() < 0.8 else json.dumps(values, separators=(",", ":")))
    if inner.startswith(("number", "integer")):
        texts = [str(value) for value in values]
    else:
        texts = [stated.surface for stated in found]
    return Stated(values, _joined(texts, rng) if rng.random() < 0.7 else ", ".join(texts))


def _joined(texts: Sequence[str], rng: random.Random) -> str:
    if len(texts) == 1:
        return texts[0]
    return f"{', '.join(texts[:-1])}{rng.choice((' and ', ' and ', ', and '))}{texts[-1]}"


def _literal(text: str, kind: str) -> Any:
    return text if schema_of(kind)["type"] == "string" else json.loads(text)
