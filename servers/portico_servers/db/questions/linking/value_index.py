"""The value index: which columns have a value that a question spells out. In memory, of this process, and never sent to a host.

Of each text column the different values, within bounds; of each number column whether it is a flag, and its range. Columns
whose names say that they keep a secret are never read. What has too many values, or takes too long, is left out and named.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portico_servers.db.databases.database import Database
from portico_servers.db.errors import DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.questions.language.words import FUNCTION, pieces, stem
from portico_servers.db.rows.column_refs import label_columns
from portico_servers.db.schema import Column, DatabaseSchema, Table
from portico_servers.db.secret_columns import SECRETS, is_secret
from portico_servers.db.statements.cancellation import Cancellation

logger = logging.getLogger(__name__)
LONGEST_STEMMED = 4  # words of a value that may be said in other forms
MOST_PARTS = 20  # of which the values of a column are lists
_FLAGS = tuple(
    (yes, no)
    for pair in "y/n yes/no t/f true/false j/n ja/nein o/n oui/non s/n si/no sí/no on/off".split()
    for yes, no in [pair.split("/")]
)  # of several languages


@dataclass(frozen=True, slots=True)
class IndexBounds:
    """How much is read and kept."""

    values: int = 20_000  # of a column
    bytes: int = 32_000_000  # of values, all in all
    characters: int = 80  # of one value: longer ones are prose
    seconds: float = 2.0  # of one column


@dataclass(frozen=True, slots=True)
class IndexedValue:
    """One value of one column, as it stands there; `whole`: all of the value was spelled out."""

    table: str
    column: str
    text: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The least and the greatest number of a column; a flag has no other values than 0 and 1."""

    least: float
    greatest: float
    flag: bool


@dataclass(slots=True)
class ValueIndex:
    """The values of one database at one moment."""

    values: dict[tuple[str, ...], list[IndexedValue]] = field(default_factory=dict)  # by folded words
    stems: dict[tuple[str, ...], list[IndexedValue]] = field(default_factory=dict)  # by stems, where no word is a figure
    starts: dict[tuple[str, ...], list[IndexedValue]] = field(default_factory=dict)  # by first words, of longer values
    mingled: dict[frozenset[str], list[IndexedValue]] = field(default_factory=dict)  # by stems in any order, of longer values
    distinct: dict[tuple[str, str], int] = field(default_factory=dict)  # how many values a text column has
    ranges: dict[tuple[str, str], NumberRange] = field(default_factory=dict)
    flags: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # of text: what stands for yes and for no
    lists: set[tuple[str, str]] = field(default_factory=set)  # columns whose values are several with commas between them
    people: dict[tuple[str, str, str], frozenset[tuple[str, str]]] = field(default_factory=dict)  # table, first, last: whose
    left_out: list[tuple[str, str]] = field(default_factory=list)  # text columns with too many values
    probed: Mapping[tuple[str, ...], list[IndexedValue]] = field(
        default_factory=dict
    )  # of those, what one question has spelled
    bytes: int = 0

    def add(self, table: str, column: str, text: str) -> None:
        words = pieces(text)
        if not words:
            return
        one = IndexedValue(table, column, text)
        self.values.setdefault(words, []).append(one)
        if len(words) <= LONGEST_STEMMED and all(word.isalpha() for word in words):
            self.stems.setdefault(tuple(map(stem, words)), []).append(one)
            if len(content := frozenset(stem(word) for word in words if word not in FUNCTION)) > 1:
                self.mingled.setdefault(content, []).append(one)
        if len(words) > 1:
            part = IndexedValue(table, column, text, whole=False)
            for n in range(1, min(len(words), 4)):
                self.starts.setdefault(words[:n], []).append(part)
        self.bytes += len(text.encode("utf-8", "replace")) + 64

    def find(self, words: Sequence[str], stems: Sequence[str]) -> list[IndexedValue]:
        """The values that these folded words spell, in the plural too."""
        if found := [*self.values.get(tuple(words), ()), *self.probed.get(tuple(words), ())]:
            return found
        alike = self.stems.get(tuple(stems), [])
        return [one for one in alike if all(map(_is_plural, words, pieces(one.text)))]


def _is_plural(word: str, value: str) -> bool:
    """Is one the other's plural? "Delay" isn't "delayed"."""
    return word == value or any(
        long == short + "s" or long == short + "es" or (short.endswith("y") and long == short[:-1] + "ies")
        for long, short in ((word, value), (value, word))
    )


def build_value_index(
    database: Database, schema: DatabaseSchema, patterns: Sequence[str] = SECRETS, bounds: IndexBounds | None = None
) -> ValueIndex:
    """Read the values of all tables. A column that can't be read is left out."""
    bounds = bounds or IndexBounds()
    index = ValueIndex()
    reader = _Reader(database, bounds)
    for table in schema.tables:
        for column in table.columns:
            if is_secret(column, table, patterns):
                continue
            where = table.name, column.name
            if column.kind == "text" and index.bytes < bounds.bytes:
                values = reader.texts(table, column)
                if values is None:
                    index.left_out.append(where)
                    continue
                index.distinct[where] = len(values)
                if (flag := _yes_and_no(values)) is not None:
                    index.flags[where] = flag
                    continue
                if parts := _parts_of_lists(values):
                    index.lists.add(where)
                for text in parts or values:
                    index.add(*where, text)
            elif column.kind == "number" and not table.is_key(column.name) and (found := reader.range(table, column)):
                index.ranges[where] = found
        if (names := _name_columns(table, patterns)) is not None and (pairs := reader.pairs(table, *names)) is not None:
            index.people[table.name, names[0].name, names[1].name] = pairs
    return index


def _name_columns(table: Table, patterns: Sequence[str]) -> tuple[Column, Column] | None:
    """The columns of a first and a last name."""
    names = label_columns(table)
    return (names[0], names[1]) if len(names) == 2 and not any(is_secret(one, table, patterns) for one in names) else None


def _yes_and_no(values: Sequence[str]) -> tuple[str, str] | None:
    """What stands for yes and for no where texts say nothing else: "Y" and "N"."""
    said = {value.strip().lower(): value for value in values}
    if len(said) != len(values) or not 1 <= len(said) <= 2:
        return None
    for yes, no in _FLAGS:
        if set(said) <= {yes, no} and (len(said) == 2 or len(yes) > 1):
            return said.get(yes, yes), said.get(no, no)
    return None


def _parts_of_lists(values: Sequence[str]) -> list[str]:
    """What values such as "Trailers,Commentaries" are made of: few parts, again and again. Nothing where they are no lists."""
    several = [value for value in values if "," in value]
    parts = list(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))
    return parts if 2 * len(several) >= len(values) > len(parts) > 1 and len(parts) <= MOST_PARTS else []


class _Reader:
    def __init__(self, database: Database, bounds: IndexBounds) -> None:
        self._database, self._bounds = database, bounds

    def texts(self, table: Table, column: Column) -> list[str] | None:
        """The different values that are no prose; None where there are too many."""
        quote, most = self._database.dialect.quote, self._bounds.values
        name = self._database.dialect.text(quote(column.name), column)
        relation = self._database.dialect.relation(table)
        rows = self._rows(
            f"SELECT DISTINCT {name} AS v FROM {relation} WHERE {quote(column.name)} IS NOT NULL LIMIT {most + 1}", most + 1
        )
        if rows is None or len(rows) > most:
            return None
        texts = [str(row[0]) for row in rows]
        return [text for text in texts if 0 < len(text) <= self._bounds.characters]

    def pairs(self, table: Table, first: Column, last: Column) -> frozenset[tuple[str, str]] | None:
        """The first and last names that one row has together; None where there are too many."""
        quote, most = self._database.dialect.quote, self._bounds.values
        names = ", ".join(self._database.dialect.text(quote(one.name), one) for one in (first, last))
        rows = self._rows(f"SELECT DISTINCT {names} FROM {self._database.dialect.relation(table)} LIMIT {most + 1}", most + 1)
        return None if rows is None or len(rows) > most else frozenset((str(one), str(other)) for one, other in rows)

    def range(self, table: Table, column: Column) -> NumberRange | None:
        quote = self._database.dialect.quote
        name, relation = self._database.dialect.value(quote(column.name), column), self._database.dialect.relation(table)
        others = f"SUM(CASE WHEN {name} NOT IN (0, 1) THEN 1 ELSE 0 END)"
        rows = self._rows(f"SELECT MIN({name}), MAX({name}), {others} FROM {relation}", 1)
        if not rows or not all(isinstance(value, int | float) for value in rows[0]):
            return None
        least, greatest, rest = rows[0]
        return NumberRange(float(least), float(greatest), not rest)

    def _rows(self, sql: str, most: int) -> list[list[Any]] | None:
        limits = StatementLimits(most, self._bounds.bytes, self._bounds.seconds)
        try:
            found = self._database.run(sql, [], limits, Cancellation())
        except DbError as exc:
            logger.info("left out of the value index: %s", exc)
            return None
        rows: list[list[Any]] = found["rows"]
        return rows if not found["truncated"] or len(rows) <= 1 else None


def each_span(count: int, longest: int = 7) -> Iterator[tuple[int, int]]:
    """[start, end) of every run of words, longer ones first."""
    for size in range(min(longest, count), 0, -1):
        for start in range(count - size + 1):
            yield start, start + size
