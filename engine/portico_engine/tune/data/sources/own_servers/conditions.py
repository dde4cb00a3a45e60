"""Which rows: conditions in words, as they stand behind a noun, and as the filters that `rows` takes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from portico_engine.tune.data.sources.own_servers.phrases import phrases
from portico_engine.tune.data.sources.own_servers.workspace import Column, Table

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_HAPPENED = ("ed", "on", "at", "since", "began", "built", "bought", "held")  # ends of a date column that says what was done


class Condition(NamedTuple):
    """`words` behind the noun: "from Lyon", "hired before 2020"."""

    words: str
    filters: tuple[Mapping[str, Any], ...]


def condition(table: Table, rng: random.Random, *, without: Sequence[str] = ()) -> Condition | None:
    """One of a table's, on a column that is not among `without`. None: nothing there can be compared."""
    kinds = [kind for kind in _OF for _ in range(_OFTEN[kind])]
    found = [
        (name, column) for name, column in table.columns.items()
        if not column.key and name not in (table.label, *without) and (column.values or column.nullable)
    ]  # fmt: skip
    kind = rng.choice(kinds)
    of_kind = [(name, column) for name, column in found if column.kind == kind]
    if not of_kind:
        return None
    name, column = rng.choice(of_kind)
    if column.nullable and rng.random() < 0.4:
        return _present(name, column, rng)
    return _OF[kind](name, column, table, rng) if column.values else None


def whose(column: Column, singular: str = "") -> str:
    """What people call a column; a parent's with whose it is: "country of the artist", "artist"."""
    return f"{column.of} {column.said}" if column.of and column.said not in ("name", "title") else column.of or column.said


def _filter(name: str, op: str, value: Any) -> Mapping[str, Any]:
    return {"column": name, "op": op, "value": value}


def _text(name: str, column: Column, table: Table, rng: random.Random) -> Condition:
    value = str(rng.choice(column.values))
    if rng.random() < 0.08 and " " in value:
        part = rng.choice(value.split(" "))
        return Condition(f"whose {whose(column)} contains {part}", (_filter(name, "contains", part),))
    if rng.random() < 0.08 and len(column.values) < 12:
        return Condition(f"whose {whose(column)} is not {value}", (_filter(name, "!=", value),))
    forms = ["with {said} {value}", "whose {said} is {value}", "with the {said} {value}", "where {said} is {value}"]
    if column.of and column.said in ("name", "title", "registration", "number", "plate"):
        forms = ["of {value}", "of the {of} {value}", "by {value}", "for {value}", "that belong to {value}"]
    elif column.said in ("city", "country", "region", "town", "origin", "borrower"):
        forms = ["from {value}", "from {value}", "with {said} {value}"]
        if column.of:
            forms = ["whose {of} is from {value}", "of {plural} from {value}", "with {said} {value}"]
    elif column.said in ("destination", "venue"):
        forms = ["to {value}", "with {said} {value}"] if column.said == "destination" else ["in {value}", "at {value}"]
    text = rng.choice(forms).format(said=whose(column), value=value, of=column.of, plural=f"{column.of}s")
    return Condition(text, (_filter(name, "=", value),))


def _number(name: str, column: Column, table: Table, rng: random.Random) -> Condition:
    value = _round(int(rng.choice(column.values)), rng)
    ops = [op for op in ("=", "<", "<=", ">", ">=") for _ in range(1 if op == "=" else 3)]
    year = column.measure == "born"
    if rng.random() < 0.15 and len(column.values) > 3:
        low, high = sorted(int(one) for one in rng.sample(list(column.values), 2))
        words = rng.choice(("with {said} between {low} and {high}", "whose {said} is from {low} to {high}"))
        filters = (_filter(name, ">=", low), _filter(name, "<=", high))
        return Condition(words.format(said=whose(column), low=low, high=high), filters)
    op = rng.choice(ops)
    known = phrases("conditions")
    forms = known[f"{'year' if year else 'any'} {op}"]
    if not column.of:
        forms = [*forms, *known.get(f"{column.measure} {op}", ()), *known.get(f"{column.measure} {op}", ())]
    text = rng.choice(forms).format(said=whose(column), value=value, a=_article(whose(column)))
    return Condition(text, (_filter(name, op, value),))


def _date(name: str, column: Column, table: Table, rng: random.Random) -> Condition:
    day = str(rng.choice(column.values))
    value, said = rng.choice((
        (day[:4], day[:4]), (day[:4], day[:4]), (day[:7], f"{_MONTHS[int(day[5:7]) - 1]} {day[:4]}"), (day, day),
    ))  # fmt: skip
    did = whose(column).removesuffix(" on").removesuffix(" at")
    verb = not column.of and did.endswith(_HAPPENED)
    if rng.random() < 0.15:
        first, last = sorted(str(one)[:4] for one in rng.choices(list(column.values), k=2))
        if first != last:
            words = f"{did} between {first} and {last}" if verb else f"with {did} between {first} and {last}"
            return Condition(words, (_filter(name, ">=", first), _filter(name, "<=", last)))
    op = rng.choice(("=", "=", "<", "<", ">", ">", ">=", "<="))
    exactly = "day" if op == "=" and len(value) == 10 else op
    if verb or did == "date":
        when = rng.choice(phrases("conditions")[f"when {exactly}"]).format(said)
        return Condition(f"{did} {when}" if verb else when, (_filter(name, op, value),))
    known = phrases("conditions")
    when = rng.choice(known.get(f"is when {exactly}") or known[f"when {exactly}"]).format(said)
    return Condition(f"whose {did} is {when}", (_filter(name, op, value),))


def _boolean(name: str, column: Column, table: Table, rng: random.Random) -> Condition:
    yes = rng.random() < 0.6
    adjective = column.said.endswith(("ed", "on display", "public"))
    if adjective:
        words = rng.choice(("that are {}", "which are {}")) if yes else rng.choice(("that are not {}", "that aren't {}"))
    else:
        words = "with a {}" if yes else "without a {}"
    return Condition(words.format(column.said if not column.of else whose(column)), (_filter(name, "=", yes),))


def _present(name: str, column: Column, rng: random.Random) -> Condition:
    there = rng.random() < 0.35
    said = whose(column).removesuffix(" on").removesuffix(" at")
    if said.endswith("ed") and not column.of:
        words = "that were {}" if there else "that were not {} yet"
    else:
        words = "that have {a} {}" if there else rng.choice(("without {a} {}", "with no {}"))
    return Condition(words.format(said, a=_article(said)), (_filter(name, "!=" if there else "=", None),))


def _article(said: str) -> str:
    return "an" if said[:1] in "aeio" else "a"


def _round(value: int, rng: random.Random) -> int:
    """As people say bounds: rounded, mostly."""
    if value < 20 or 1500 < value < 2100 or rng.random() < 0.2:
        return value
    step = int("1" + "0" * (len(str(value)) - 1))
    return max(step // 2 or 1, round(value / (step / 2)) * step // 2)


_OF: Mapping[str, Callable[[str, Column, Table, random.Random], Condition]] = {
    "text": _text, "number": _number, "date": _date, "boolean": _boolean,
}  # fmt: skip
_OFTEN = {"text": 4, "number": 3, "date": 3, "boolean": 1}
