"""Questions about tables, as `rows` answers them: what is computed, of which rows, by what they are grouped or ordered.

The conventions are those of the server: what a parent has goes by path; a condition on a date may be a year or a
month; of groups the largest is asked for by a limit; who has the most of a number is a list of one, ordered.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from portico_engine.tune.data.sources.own_servers.asked import Asked, asked
from portico_engine.tune.data.sources.own_servers.conditions import Condition, condition, whose
from portico_engine.tune.data.sources.own_servers.phrases import phrases
from portico_engine.tune.data.sources.own_servers.workspace import Table, Workspace

_ROWS = "db__rows"


class _Query(NamedTuple):
    """Words for a form's places, and what is asked besides the table."""

    kind: str
    words: Mapping[str, str]
    ask: Mapping[str, Any]


def about_data(workspace: Workspace, rng: random.Random) -> Asked | None:
    """None: the draw had nothing to ask about."""
    if not workspace.tables:
        return None
    table = rng.choice(workspace.tables)
    draw = rng.random()
    if draw < 0.03:
        return asked(rng.choice(phrases("data")["tables"]), "db__tables", {}, rng, None, "data")
    if draw < 0.08:
        question = rng.choice(phrases("data")["describe"]).format(name=rng.choice((table.name, table.plural)))
        return asked(question, "db__describe", {"table": table.name}, rng, None, "data")
    if draw < 0.12:
        return _in_sql(table, rng)
    made = rng.choices(list(_KINDS), list(_KINDS.values()))[0](table, rng)
    if made is None:
        return None
    words = {"table": table.plural, "one": table.singular} | dict(made.words)
    who = f"{made.kind} who"
    forms = phrases("data")
    form = rng.choice(forms[who] if table.people and who in forms and rng.random() < 0.6 else forms[made.kind])
    if "cond" not in made.words and "{cond}" in form:
        words["cond"] = ""
    question = " ".join(form.format(**words).split()).replace(" ?", "?").replace(" .", ".").replace(" ,", ",")
    return asked(question, _ROWS, {"ask": {"table": table.name, **made.ask}}, rng, None, "data")


def _conditions(table: Table, rng: random.Random, count: int, *without: str) -> list[Condition]:
    found: list[Condition] = []
    used = list(without)
    for _ in range(6):
        if len(found) < count and (made := condition(table, rng, without=used)) is not None:
            found.append(made)
            used += [str(one["column"]) for one in made.filters]
    return found


def _where(table: Table, rng: random.Random, share: float, *without: str) -> tuple[str, dict[str, Any]]:
    """Conditions in words and as filters, in a share of the questions; two in a quarter of these."""
    if rng.random() >= share:
        return "", {}
    found = _conditions(table, rng, 2 if rng.random() < 0.25 else 1, *without)
    filters = [dict(one) for made in found for one in made.filters]
    return rng.choice((" and ", " ")).join(made.words for made in found), {"filters": filters} if filters else {}


def _counted(table: Table, rng: random.Random) -> _Query:
    words, filters = _where(table, rng, 0.8)
    return _Query("count where" if words else "count", {"cond": words}, {"aggregate": "count", **filters})


def _listed(table: Table, rng: random.Random) -> _Query | None:
    words, filters = _where(table, rng, 0.8)
    if not words:
        return _Query("list", {}, {"aggregate": "none"})
    if table.label and rng.random() < 0.5:
        named = {"aggregate": "none", "columns": [table.label], **filters}
        return _Query("names", {"cond": words, "label": table.columns[table.label].said}, named)
    return _Query("list where", {"cond": words}, {"aggregate": "none", **filters})


def _aggregated(table: Table, rng: random.Random) -> _Query | None:
    numbers = table.of_kind("number", own=True)
    if not numbers:
        return None
    name = rng.choice(numbers)
    measure = table.columns[name].measure
    aggregates = ("avg", "max", "min") if measure in ("born", "score") else ("avg", "avg", "sum", "max", "min")
    aggregate = rng.choice(aggregates)
    words, filters = _where(table, rng, 0.5, name)
    ask = {"aggregate": aggregate, "columns": [name], **filters}
    return _Query(aggregate, {"column": table.columns[name].said, "cond": words}, ask)


def _different(table: Table, rng: random.Random) -> _Query | None:
    texts = table.of_kind("text")
    if not texts:
        return None
    name = rng.choice(texts)
    ask = {"aggregate": "count_distinct", "columns": [name]}
    return _Query("different", {"column": _plural(whose(table.columns[name]))}, ask)


def _looked_up(table: Table, rng: random.Random) -> _Query | None:
    """One value of one row, which is called by its name."""
    others = [name for name, column in table.columns.items() if name != table.label and not column.key]
    if not table.label or not others or not table.columns[table.label].values:
        return None
    name, value = rng.choice(others), str(rng.choice(table.columns[table.label].values))
    column = table.columns[name]
    ask = {"aggregate": "none", "columns": [name], "filters": [{"column": table.label, "op": "=", "value": value}]}
    words = {"column": whose(column), "value": value}
    if f"how {column.measure}" in phrases("data") and not column.of and rng.random() < 0.5:
        return _Query(f"how {column.measure}", words, ask)
    did = column.said.removesuffix(" on").removesuffix(" at")
    if column.kind == "date" and not column.of and did in _OF_ITSELF:
        return _Query("when did", {"do": _OF_ITSELF[did], "value": value}, ask)
    if column.kind == "date" and not column.of and did.endswith(("ed", "held", "bought")):
        return _Query("when", {"did": did, "value": value}, ask)
    return _Query("value", words, ask)


def _ordered(table: Table, rng: random.Random) -> _Query | None:
    """Who has the most or the least of something, or the first few of them."""
    names = [name for kind in ("number", "date") for name in table.of_kind(kind, own=True)]
    if not names:
        return None
    name = rng.choice(names)
    column = table.columns[name]
    most = rng.random() < 0.6
    several = rng.random() < 0.35
    words, filters = _where(table, rng, 0.25, name)
    count = rng.choice((2, 3, 3, 3, 4, 5, 5, 10)) if several else 1
    said = {"column": column.said, "cond": words, "count": _count(count, rng)}
    columns = {"columns": [table.label]} if table.label else {}
    ask = {"aggregate": "none", **columns, **filters, "order_by": name, "order": "desc" if most else "asc", "limit": count}
    sense = "date" if column.kind == "date" else column.measure
    extreme = f"{sense} most" if most else f"{sense} least"
    adjectives = phrases("superlatives").get(extreme, ())
    verbs = phrases("superlatives").get(f"{extreme} verb", ())
    if verbs and not several and rng.random() < 0.3:
        return _Query("superlative verb", said | {"most": rng.choice(verbs)}, ask)
    if adjectives and rng.random() < 0.6:
        return _Query("superlatives" if several else "superlative", said | {"most": rng.choice(adjectives)}, ask)
    direction = "last" if column.kind == "date" else "most"
    kind = direction if most else {"last": "first", "most": "least"}[direction]
    return _Query(f"{kind} of several" if several else kind, said, ask)


def _grouped(table: Table, rng: random.Random) -> _Query | None:
    """So many, or so much, for each; or for which the most."""
    dates = [f"{name}.{part}" for name in table.of_kind("date", own=True) for part in ("year", "month")]
    by = rng.choice([*table.of_kind("text"), *table.of_kind("text"), *dates, ""])
    if not by or (by == table.label and by):
        return None
    column = table.columns.get(by)
    said = whose(column) if column else by.rpartition(".")[2]
    numbers = table.of_kind("number", own=True)
    if column is not None and rng.random() < 0.35:
        words, filters = _where(table, rng, 0.2, by)
        ask = {"aggregate": "count", **filters, "group_by": by}
        if rng.random() < 0.7:
            return _Query("group with most", {"column": said, "cond": words}, {**ask, "limit": 1})
        return _Query("group with least", {"column": said, "cond": words}, {**ask, "order": "asc", "limit": 1})
    words, filters = _where(table, rng, 0.2, by)
    if column is not None and rng.random() < 0.2:
        return _Query("values", {"column": said, "columns": _plural(said)}, {"aggregate": "count", "group_by": by})
    if numbers and rng.random() < 0.45:
        name = rng.choice(numbers)
        aggregate = "avg" if table.columns[name].measure in ("born", "score") else rng.choice(("avg", "sum", "max"))
        ask = {"aggregate": aggregate, "columns": [name], **filters, "group_by": by}
        return _Query(f"{aggregate} per", {"column": said, "number": table.columns[name].said, "cond": words}, ask)
    return _Query("count per", {"column": said, "cond": words}, {"aggregate": "count", **filters, "group_by": by})


def _of_parent(table: Table, rng: random.Random) -> _Query | None:
    """How many rows, or which, or how much in all, somebody or something has that they belong to."""
    labels = [name for name, column in table.columns.items() if column.of and column.said in _LABELS and column.values]
    if not labels:
        return None
    name = rng.choice(labels)
    column, value = table.columns[name], str(rng.choice(table.columns[name].values))
    words = {"value": value, "of": column.of}
    filters = {"filters": [{"column": name, "op": "=", "value": value}]}
    numbers = [number for number in table.of_kind("number", own=True) if table.columns[number].measure not in ("born", "score")]
    draw = rng.random()
    if draw < 0.5:
        return _Query("of parent", words, {"aggregate": "count", **filters})
    if draw < 0.75 or not numbers:
        return _Query("list of parent", words, {"aggregate": "none", **filters})
    number = rng.choice(numbers)
    ask = {"aggregate": "sum", "columns": [number], **filters}
    return _Query("sum of parent", words | {"column": table.columns[number].said}, ask)


_LABELS = ("name", "title", "registration", "number", "plate", "byline")  # what rows are called by
_OF_ITSELF = {"joined": "join", "started": "start", "began": "begin", "arrived": "arrive", "ended": "end", "sailed": "sail"}
_KINDS: Mapping[Callable[[Table, random.Random], _Query | None], int] = {
    _counted: 26, _listed: 14, _aggregated: 17, _different: 3, _looked_up: 16, _ordered: 14, _grouped: 14, _of_parent: 9,
}  # fmt: skip


def _in_sql(table: Table, rng: random.Random) -> Asked:
    """A statement of the caller's own is run, or explained, as it is."""
    column = rng.choice([name for name in table.columns if "." not in name])
    sql = rng.choice((
        f"SELECT * FROM {table.name} LIMIT {rng.choice((3, 5, 10, 20))}", f"SELECT COUNT(*) FROM {table.name}",
        f"SELECT DISTINCT {column} FROM {table.name}", f"SELECT {column}, COUNT(*) FROM {table.name} GROUP BY {column}",
        f"select {column} from {table.name} order by {column} desc", f"SELECT MAX({column}) FROM {table.name}",
        f"SELECT id, {column} FROM {table.name} WHERE {column} IS NOT NULL",
    ))  # fmt: skip
    tool = rng.choice(("db__query", "db__explain"))
    kind = "sql" if tool == "db__query" else "plan"
    return Asked(rng.choice(phrases("data")[kind]).format(sql=sql), tool, {"sql": sql})


def _count(count: int, rng: random.Random) -> str:
    words = {2: "two", 3: "three", 4: "four", 5: "five", 10: "ten"}
    return words[count] if count in words and rng.random() < 0.4 else str(count)


def _plural(said: str) -> str:
    if said.endswith("y") and said[-2:-1] not in "aeiou":
        return f"{said[:-1]}ies"
    return f"{said}es" if said.endswith(("s", "ch", "sh", "x")) else f"{said}s"
