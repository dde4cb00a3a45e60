"""Values of columns that are too large for the index: what a question spells out is looked for in the database itself.

Only what stands out as a value is looked for (in quotes, with a capital, with a figure), exactly, and for a bounded time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from portico_servers.db.databases.database import Database
from portico_servers.db.errors import DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.questions.language.words import QuestionWords, pieces
from portico_servers.db.questions.linking.value_index import IndexedValue, ValueIndex
from portico_servers.db.statements.cancellation import Cancellation

MAX_COLUMNS = 24  # that are looked into
MAX_SPANS = 6  # texts that are looked for
_LIMITS = StatementLimits(3, 10_000, 0.5)


def with_probes(index: ValueIndex, database: Database, question: QuestionWords) -> ValueIndex:
    """The index, with what the left-out columns have of the question."""
    spans = list(dict.fromkeys(_spans(question)))[:MAX_SPANS]
    if not index.left_out or not spans:
        return index
    found: dict[tuple[str, ...], list[IndexedValue]] = {}
    for table, column in index.left_out[:MAX_COLUMNS]:
        for text in spans:
            for value in _probe(database, table, column, text):
                found.setdefault(pieces(text), []).append(IndexedValue(table, column, value))
    return replace(index, probed=found)


def _spans(question: QuestionWords) -> Iterator[str]:
    """Quoted texts, then runs of words that stand out, as they are written."""
    for inside in question.quoted:
        yield question.text[question.words[min(inside)].start : question.words[max(inside)].end]
    run: list[int] = []
    for word in (*question.words, None):
        out = word is not None and (
            (word.capital and word.index > 0)
            or any(c.isdigit() for c in word.text)
            or (bool(run) and question.gap(run[-1]) in "-/&.'")
        )
        if word is not None and out:
            run.append(word.index)
        elif run:
            yield question.text[question.words[run[0]].start : question.words[run[-1]].end]
            run = []


def _probe(database: Database, table_name: str, column_name: str, text: str) -> list[str]:
    table = database.schema.by_name.get(table_name)
    column = table.by_name.get(column_name) if table else None
    if table is None or column is None:
        return []
    bound: list[str] = []

    def bind(value: str) -> str:
        bound.append(value)
        return database.dialect.placeholder(len(bound))

    dialect = database.dialect
    expression = dialect.text(dialect.quote(column.name), column)
    sql = f"SELECT DISTINCT {expression} FROM {dialect.relation(table)} WHERE {dialect.equals(expression, text, bind)} LIMIT 3"
    try:
        return [str(row[0]) for row in database.run(sql, bound, _LIMITS, Cancellation())["rows"]]
    except DbError:
        return []
