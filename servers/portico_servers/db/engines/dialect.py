"""How the engines' SQL differs, as far as our own statements need it. It holds no connection."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portico_servers.db.errors import DbError
from portico_servers.db.schema import Column, Table
from portico_servers.db.sources import EngineName

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_PLAIN_NAME_ANY_CASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Words that some engine reserves: names that are among them are quoted.
_RESERVED = frozenset(
    """abort action add after all alter always analyse analyze and any array as asc asymmetric attach authorization
    autoincrement before begin between binary both by cascade case cast check collate collation column columns commit
    concurrently conflict constraint create cross current current_date current_time current_timestamp current_user
    database default deferrable deferred delete desc describe detach distinct do drop each else end escape except
    exclude exclusive exists explain fail false fetch filter first following for foreign freeze from full generated
    glob grant group groups having if ignore ilike immediate in index indexed initially inner insert instead intersect
    into is isnull join key lambda last lateral leading left like limit localtime localtimestamp macro map match
    materialized natural no not nothing notnull null nulls of offset on only or order others outer over overlaps
    partition pivot placing plan pragma preceding primary qualify query raise range recursive references regexp reindex
    release rename replace restrict returning right rollback row rows savepoint select session_user set show similar
    some summarize symmetric table tablesample temp temporary then ties to trailing transaction trigger true unbounded
    union unique unpivot update user using vacuum values variadic verbose view virtual when where window with without""".split()
)


@dataclass(frozen=True, slots=True)
class SQLDialect:
    """One engine's ways. `placeholder(n)` is the n-th parameter's, from 1."""

    name: EngineName
    placeholder: Callable[[int], str]
    plain_name: re.Pattern[str]

    def quote(self, name: str) -> str:
        """A name as SQL must write it, without quotes where none are needed."""
        if self.plain_name.fullmatch(name) and name.lower() not in _RESERVED:
            return name
        return '"' + name.replace('"', '""') + '"'

    def relation(self, table: Table) -> str:
        """A table as FROM names it, its schema in front where that isn't the default one."""
        name = self.quote(table.relation)
        return name if table.schema is None else f"{self.quote(table.schema)}.{name}"

    def text(self, expression: str, column: Column) -> str:
        """A text column as text: enum types, UUIDs and the like are cast."""
        is_text = self.name == "sqlite" or re.match(
            r"(text|varchar|character varying|char|bpchar|citext)", column.type, re.IGNORECASE
        )
        return expression if is_text else f"CAST({expression} AS TEXT)"

    def equals(self, expression: str, value: str, bind: Callable[[Any], str]) -> str:
        """Equal but for case. SQLite's NOCASE folds ASCII only: other values go through the connection's own `casefold`."""
        if self.name != "sqlite":
            return f"LOWER({expression}) = LOWER({bind(value)})"
        if value.isascii():
            return f"{expression} = {bind(value)} COLLATE NOCASE"
        return f"casefold({expression}) = {bind(value.casefold())}"

    def like(self, expression: str, pattern: str, bind: Callable[[Any], str]) -> str:
        """LIKE but for case; `pattern` is escaped with a backslash."""
        if self.name != "sqlite":
            return f"{expression} ILIKE {bind(pattern)} ESCAPE '\\'"
        if not pattern.isascii():
            expression, pattern = f"casefold({expression})", pattern.casefold()
        return f"{expression} LIKE {bind(pattern)} ESCAPE '\\'"

    def moment(self, value: str, bind: Callable[[Any], str]) -> str:
        """A date and time to compare with a date column: text in SQLite, a timestamp elsewhere."""
        return bind(value) if self.name == "sqlite" else f"CAST({bind(value)} AS TIMESTAMP)"

    def date_part(self, expression: str, part: str) -> str:
        """`2024` or `2024-05`, as text."""
        if self.name == "postgres":  # whose dates may be infinite, or before our era
            return f"TO_CHAR(CAST({expression} AS TIMESTAMP), '{'YYYY' if part == 'year' else 'YYYY-MM'}')"
        length = 4 if part == "year" else 7
        return f"SUBSTR({expression if self.name == 'sqlite' else f'CAST({expression} AS VARCHAR)'}, 1, {length})"

    def value(self, expression: str, column: Column) -> str:
        """A column as what its kind says: a time since 1970 as a date; PostgreSQL compares money with money only."""
        if column.epoch and self.name == "sqlite":
            return f"DATETIME({expression}{f' / {column.epoch}' if column.epoch > 1 else ''}, 'unixepoch')"
        money = self.name == "postgres" and column.type == "money"
        return f"CAST({expression} AS NUMERIC)" if money else expression

    def boolean(self, value: bool) -> str:
        if self.name == "sqlite":
            return "1" if value else "0"
        return "TRUE" if value else "FALSE"


_DIALECTS = {
    "sqlite": SQLDialect("sqlite", lambda n: "?", _PLAIN_NAME_ANY_CASE),
    "duckdb": SQLDialect("duckdb", lambda n: "?", _PLAIN_NAME_ANY_CASE),
    "postgres": SQLDialect("postgres", lambda n: f"${n}", _PLAIN_NAME),
}


def dialect_of(engine: EngineName) -> SQLDialect:
    """The engine's dialect."""
    try:
        return _DIALECTS[engine]
    except KeyError:
        raise DbError(f"no dialect for {engine}") from None
