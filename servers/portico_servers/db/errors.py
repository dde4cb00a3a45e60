"""What can go wrong with a database, as types. It knows neither MCP nor any one engine.

DbError
├── DatabaseSourceError  a file or DSN that can't be used; the command ends with it, exit code 2
├── ArgumentError        a call's arguments don't fit the live schema
├── DatabaseConfigError  an unknown key or bad value in the config file
└── StatementError       the engine refused or failed the statement
    ├── ReadOnlyError    it would write, or reach outside the database
    └── LimitError       it ran past its time or memory
"""

from __future__ import annotations


class DbError(Exception):
    """Base of all; its text is one line, meant for whoever sent the call."""


class DatabaseSourceError(DbError):
    """A file or DSN that can't be used. Names it, and what was expected."""


class ArgumentError(DbError):
    """Arguments that don't fit the live schema. Names the argument, and what would be right."""


class DatabaseConfigError(DbError):
    """A bad key or value in the config file, named."""


class StatementError(DbError):
    """The engine refused or failed the statement; the text is the engine's own."""


class ReadOnlyError(StatementError):
    """The statement would write, or reach outside the database."""


class LimitError(StatementError):
    """The statement ran past its time, or its process past its memory."""


ERRORS_BY_NAME: dict[str, type[DbError]] = {
    kind.__name__: kind for kind in (DatabaseSourceError, ArgumentError, StatementError, ReadOnlyError, LimitError)
}
