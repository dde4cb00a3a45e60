"""What a gateway's own model is told of a question: the call of `rows` that reads it, and the words that the call accounts for.

It keeps a reader and a value index of each database, and makes them again where the database changed since. Its methods block;
they are called from worker threads. Nothing of it goes to a host.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portico_servers.db.databases.database import Database
from portico_servers.db.databases.databases import Databases
from portico_servers.db.errors import DbError
from portico_servers.db.limits import StatementLimits
from portico_servers.db.questions.composing.draft import Draft
from portico_servers.db.questions.language.words import read_words
from portico_servers.db.questions.linking.names import Embed
from portico_servers.db.questions.linking.value_index import ValueIndex, build_value_index
from portico_servers.db.questions.linking.value_probes import with_probes
from portico_servers.db.questions.reader import QuestionReader
from portico_servers.db.rows.input_schema import ROOT
from portico_servers.db.secret_columns import SECRETS
from portico_servers.db.statements.cancellation import Cancellation

MAX_AGE = 300.0  # seconds, of an index of a server that doesn't say whether its rows changed
_ROWS_CHANGED = "SELECT SUM(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"


@dataclass(slots=True)
class _Known:
    """What was read of a database, and when."""

    digest: str
    stamp: str
    made: float
    index: ValueIndex
    reader: QuestionReader


class QuestionProposals:
    """Reads questions on all databases of one server."""

    def __init__(self, databases: Databases, embed: Embed | None, secrets: Sequence[str] = SECRETS) -> None:
        self._databases, self._embed, self._secrets = databases, embed, tuple(secrets)
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def propose(self, question: str) -> dict[str, Any]:
        """JSON-ready: `arguments`, the narrowed `schema`, `used` and `unused` words, and whether there being no rows is an
        answer (`empty`); no places where no table fits."""
        ranked: list[tuple[float, str, Draft]] = []
        with self._lock:
            self._databases.snapshot()
            for database in self._databases.all:
                drafts = self._read(database, question)
                ranked += [(draft.score, database.name, draft) for draft in drafts[:1]]
        if not ranked:
            return {"places": []}
        _, name, draft = max(ranked, key=lambda one: one[0])
        return self._proposal(name, draft)

    def prepare(self) -> None:
        """Read the databases ahead of the first question."""
        with self._lock:
            self._databases.snapshot()
            for database in self._databases.all:
                if (known := self._known_of(database)) is not None:
                    known.reader.prepare()

    def _read(self, database: Database, question: str) -> list[Draft]:
        known = self._known_of(database)
        if known is None:
            return []
        return known.reader.read(question, with_probes(known.index, database, read_words(question)))

    def _known_of(self, database: Database) -> _Known | None:
        """What is known of a database, read again where it changed; None where it can't be read."""
        known, digest = self._known.get(database.name), database.schema.digest
        try:
            stamp = _stamp(database)
        except DbError:
            return known
        old = known is not None and not stamp and time.monotonic() - known.made > MAX_AGE
        if known is None or known.digest != digest or known.stamp != stamp or old:
            index = build_value_index(database, database.schema, self._secrets)
            same = known is not None and known.digest == digest
            reader = known.reader if known is not None and same else QuestionReader(database.schema, self._embed)
            known = self._known[database.name] = _Known(digest, stamp, time.monotonic(), index, reader)
        return known

    def _proposal(self, name: str, draft: Draft) -> dict[str, Any]:
        ask = draft.arguments()
        if len(self._databases.all) > 1:
            ask["table"] = f"{name}.{ask['table']}"
        words = draft.parts.words
        left = {word.index for word in draft.unused()}.union(*draft.failed)
        used = [word.text for word in words if word.index not in left and (word.content or word.index in draft.used)]
        return {
            "arguments": {ROOT: ask},
            "schema": {"type": "object", "properties": {ROOT: {"const": ask}}, "required": [ROOT]},
            "empty": draft.may_be_empty,
            "used": used,
            "unused": [words[i].text for i in sorted(left) if i < len(words)],
        }


def _stamp(database: Database) -> str:
    """Changes when rows do; "" where that can't be told."""
    file = database.source.file
    if file is None:
        found = database.run(_ROWS_CHANGED, [], StatementLimits(1, 1_000, 1.0), Cancellation())
        return str(found["rows"][0][0]) if found["rows"] else ""
    stamps = []
    for name in (str(file), f"{file}-wal", f"{file}.wal"):
        try:
            stat = os.stat(name)
            stamps.append(f"{stat.st_mtime_ns}:{stat.st_size}")
        except OSError:
            stamps.append("")
    return " ".join(stamps)
